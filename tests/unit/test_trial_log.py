"""The log of one trial, and how it is shown."""

import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bohb_service.cli.logs_view import failures_view, trial_view
from bohb_service.errors import JournalError, StudyError
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.journal.sqlite import SqliteJournal
from bohb_service.optimizer.brackets import Rung
from bohb_service.results.run import load_run
from bohb_service.results.trial_log import log_to_dict, trial_log
from bohb_service.scheduler.events import (
    BracketOpened,
    ConfigurationSuggested,
    TrialAbandoned,
    TrialCompleted,
    TrialFailed,
    TrialLeased,
    TrialRequeued,
)
from bohb_service.scheduler.outcomes import Failed
from bohb_service.scheduler.trial import REFIT_RUNG, TrialId
from bohb_service.worker.own_output import OwnOutput
from tests.views import text_of, words

b = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("builders.py"))))

TRIAL = TrialId(4, 1)
DETAIL = 'Last output:\nepoch 7\n\nTraceback (most recent call last):\n  File "x.py", line 3\nValueError: no'


def journal_of(directory, *events):
    paths = RunDirectory(directory)
    paths.prepare()
    journal = SqliteJournal.create(paths.journal, {})
    journal.append([(1000.0 + second, event) for second, event in enumerate(events)])
    journal.close()
    return directory


def leased(lease, attempt, worker, trial=TRIAL):
    return TrialLeased(trial, 0, 3.0, lease, attempt, worker)


def test_every_attempt_of_a_trial_is_told(tmp_path):
    directory = journal_of(
        tmp_path,
        BracketOpened(0, (Rung(9, 1.0),)),
        ConfigurationSuggested(3, {"x": 9}, "prior"),
        ConfigurationSuggested(4, {"x": 1}, "model"),
        leased(6, 1, "other", TrialId(4, 0)),
        leased(7, 1, "one"),
        TrialRequeued(TRIAL, 7, "lost", "its process died", used_attempt=True),
        leased(8, 2, "two"),
        leased(9, 3, "three"),
        TrialFailed(TRIAL, 8, "exception", "ValueError: no", DETAIL, 2.5),
    )
    log = trial_log(directory, "4.1")

    assert (log.trial, log.budget, log.config) == ("4.1", 3.0, {"x": 1})
    assert [(a.number, a.worker, a.end, a.reason, a.started_at, a.ended_at) for a in log.attempts] == [
        (1, "one", "requeued", "lost", 1004.0, 1005.0),
        (2, "two", "failed", "exception", 1006.0, 1008.0),
        (3, "three", "ignored", "", 1007.0, 1008.0),
    ]
    assert (log.attempts[1].seconds, log.attempts[1].detail) == (2.5, DETAIL)
    assert log_to_dict(log)["attempts"][1]["detail"] == DETAIL
    assert log_to_dict(log)["config"] == {"x": 1}


def test_a_trial_that_runs_was_given_up_or_is_the_final_training(tmp_path):
    final = TrialId(4, REFIT_RUNG)
    directory = journal_of(
        tmp_path,
        leased(1, 1, "w"),
        TrialAbandoned(TRIAL, 1, "lost", "gone"),
        leased(2, 1, "w", final),
        leased(3, 1, "w", TrialId(5, 0)),
        TrialCompleted(final, 2, 0.5),
    )

    assert [attempt.end for attempt in trial_log(directory, "4.1").attempts] == ["abandoned"]
    assert [(a.end, a.loss) for a in trial_log(directory, "4.refit").attempts] == [("completed", 0.5)]
    running = trial_log(directory, "5.0").attempts
    assert [(attempt.end, attempt.ended_at) for attempt in running] == [("running", None)]


@pytest.mark.parametrize("name", ["", "4", "x.0", "4.x", "4.1.2"])
def test_what_is_no_trial_is_told(tmp_path, name):
    with pytest.raises(StudyError, match=r"is no trial: .*`bohb-master logs"):
        trial_log(journal_of(tmp_path), name)


def test_a_trial_that_was_not_begun_is_told(tmp_path):
    with pytest.raises(StudyError, match=r"trial 7\.0 was not begun"):
        trial_log(journal_of(tmp_path), "7.0")
    with pytest.raises(JournalError, match="no journal"):
        trial_log(tmp_path / "nowhere", "7.0")


def test_the_view_of_a_trial_has_traceback_output_and_log_file(tmp_path):
    directory = journal_of(
        tmp_path, leased(7, 1, "one/two"), TrialFailed(TRIAL, 7, "exception", "ValueError: [no]", DETAIL, 2.5)
    )
    paths = RunDirectory(directory)
    paths.log_of("one/two").write_text("everything")
    text = text_of(trial_view(trial_log(directory, "4.1"), paths), 200)

    for line in DETAIL.splitlines():
        assert line in text
    assert "exception ValueError: [no]" in words(text)
    assert str(directory / "logs" / "one_two.log") in text
    assert "Attempt 1: failed" in text


def test_the_view_of_failures(tmp_path):
    run = load_run(b.play(b.make_study(), tmp_path, b.fail))
    text = text_of(failures_view(run), 200)
    failed = [trial for trial in run.trials if trial.state == "failed"]

    assert failed
    assert f"{len(failed)} failed trial" in text
    assert f"bohb-master logs {tmp_path} {failed[-1].trial}" in text
    assert all(trial.message in text for trial in failed)


def test_no_failure_is_told_too(tmp_path):
    run = load_run(b.play(b.make_study(), tmp_path))

    assert "No trial has failed." in text_of(failures_view(run), 80)


# -- the output of an evaluation -------------------------------------------------------------------------------


def test_output_that_is_no_file_is_left_out(tmp_path):
    reader, writer = os.pipe()
    failed = Failed("exception", "x", "trace")
    output = OwnOutput(writer)
    output.mark()
    os.write(writer, b"said")
    assert output.add_to(failed) == failed
    os.close(reader)
    os.close(writer)
    assert OwnOutput(writer).add_to(failed) == failed


def test_output_survives_a_log_that_starts_anew_and_streams_that_are_closed(tmp_path):
    code = """
import os, sys
from bohb_service.scheduler.outcomes import Failed
from bohb_service.worker.own_output import OwnOutput
output = OwnOutput()
print("before" * 100)
output.mark()
os.truncate(sys.argv[1], 0)
print("after")
sys.stderr = None
failed = output.add_to(Failed("exit", "x"))
sys.stdout.close()
again = output.add_to(Failed("exit", "x"))
os.write(2, (failed.detail + "|" + again.detail).encode())
"""
    log = tmp_path / "log"
    with log.open("ab") as file:
        done = subprocess.run(
            [sys.executable, "-c", code, str(log)], stdout=file, stderr=subprocess.PIPE, timeout=30, check=True
        )
    assert done.stderr == b"after|after"


def test_the_file_of_a_worker_is_named_alike_on_both_sides():
    assert RunDirectory(Path("/r")).log_of("a b/c-1.2_x") == Path("/r/logs/a_b_c-1.2_x.log")
