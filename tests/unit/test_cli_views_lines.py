"""Log lines: what they say of events and records, as text and as JSON, and that they cost no heavy import."""

import json
import logging
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bohb_service import log_context
from bohb_service.cli.lines import EventLines, configure_logging
from bohb_service.optimizer.brackets import Rung
from bohb_service.results.run import load_run
from bohb_service.scheduler.events import (
    BracketOpened,
    ConfigurationSuggested,
    MasterStarted,
    RungClosed,
    StudyReopened,
    StudyStopped,
    TrialAbandoned,
    TrialCompleted,
    TrialFailed,
    TrialLeased,
    TrialRequeued,
    WarmStarted,
    WorkerJoined,
    WorkerLeft,
    WorkerPlaced,
)
from bohb_service.scheduler.outcomes import Failed, Released
from bohb_service.scheduler.state import StudyState
from bohb_service.scheduler.trial import REFIT_RUNG, TrialId

b = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("builders.py"))))

AT = 1795514401.123456  # 2026-11-24T10:00:01.123456Z
TIME = "2026-11-24T10:00:01.123Z"


@pytest.fixture(autouse=True)
def untouched_logging():
    logger = logging.getLogger("bohb_service")
    before = (list(logger.handlers), logger.level, logger.propagate)
    yield
    logger.handlers[:], logger.level, logger.propagate = before
    logger.setLevel(before[1])


@pytest.fixture
def logged(capsys):
    """The lines written since the last call."""

    def lines():
        out, err = capsys.readouterr()
        assert out == ""
        return err.splitlines()

    return lines


def log(events):
    state = StudyState(seed=0, max_budget=9)
    lines = EventLines(state)
    for event in events:
        state.apply(event)
        lines([(AT, event)])


def test_lines_of_events(logged):
    configure_logging(as_json=False, level=logging.DEBUG)
    trial, refit = TrialId(0, 0), TrialId(0, REFIT_RUNG)
    events = [
        MasterStarted("1.0", "head", 7),
        WorkerJoined("local-1", "node", 8, "1.0"),
        WorkerPlaced("local-1", "5f3a"),
        WorkerLeft("local-1", "drained", is_lost=False),
        WarmStarted(()),
        BracketOpened(0, (Rung(9, 1), Rung(3, 3.5))),
        ConfigurationSuggested(0, {"x": 0.25, "kind": "a b"}, "model"),
        TrialLeased(trial, 0, 1, 0, 1, "local-1"),
        TrialRequeued(trial, 0, "preempted", "its worker left", used_attempt=False),
        TrialLeased(trial, 0, 1, 1, 1, "local-2"),
        TrialCompleted(trial, 1, 0.2345, {}, 0.41234567),
        TrialLeased(refit, -1, 9, 2, 1, "local-2"),
        TrialCompleted(refit, 2, 0.1, {"test_error": 0.05}, 3),
        StudyReopened(),
    ]
    log(events)

    assert logged() == [
        f"{TIME} master started version=1.0 host=head pid=7",
        f"{TIME} worker joined worker=local-1 host=node pid=8 version=1.0",
        f"{TIME} worker keeps directories of its own worker=local-1 place=5f3a",
        f"{TIME} worker left worker=local-1 reason=drained",
        f"{TIME} warm start observations=0",
        f"{TIME} bracket opened bracket=0 rungs=9@1,3@3.5",
        f'{TIME} configuration suggested configuration=0 origin=model config.x=0.25 config.kind="a b"',
        f"{TIME} trial started trial=0.0 lease=0 bracket=0 budget=1 attempt=1 worker=local-1",
        (
            f"{TIME} trial requeued trial=0.0 lease=0 bracket=0 budget=1 reason=preempted "
            'why="its worker left" worker=local-1'
        ),
        f"{TIME} trial started trial=0.0 lease=1 bracket=0 budget=1 attempt=1 worker=local-2",
        f"{TIME} trial completed trial=0.0 lease=1 bracket=0 budget=1 loss=0.2345 seconds=0.412346 worker=local-2",
        f'{TIME} incumbent changed trial=0.0 budget=1 loss=0.2345 origin=model config.x=0.25 config.kind="a b"',
        f"{TIME} retraining started trial=0.refit lease=2 budget=9 attempt=1 worker=local-2",
        f"{TIME} retraining completed trial=0.refit lease=2 budget=9 test_error=0.05 seconds=3 worker=local-2",
        f"{TIME} search goes on",
    ]


def test_what_went_wrong_is_a_warning(logged):
    configure_logging(as_json=False, level=logging.WARNING)
    first, second = TrialId(0, 0), TrialId(1, 0)
    log(
        [
            BracketOpened(0, (Rung(2, 1),)),
            ConfigurationSuggested(0, {"x": 0.25}, "prior"),
            ConfigurationSuggested(1, {"x": 0.75}, "prior"),
            TrialLeased(first, 0, 1, 0, 1, "w"),
            TrialRequeued(first, 0, "lost", "gone", used_attempt=True),
            TrialLeased(first, 0, 1, 1, 2, "w"),
            WorkerLeft("w", "its process died", is_lost=True),
            TrialAbandoned(first, 1, "lost", "gone"),
            TrialFailed(first, 1, "exception", 'ValueError: "x"\nis bad', "Traceback", 0.5),
            TrialLeased(second, 0, 1, 2, 1, "w"),
            TrialRequeued(second, 2, "stopped", "the search ended", used_attempt=False),
        ]
    )

    error = r'error="ValueError: \"x\"\nis bad"'
    assert logged() == [
        f"{TIME} WARNING trial requeued trial=0.0 lease=0 bracket=0 budget=1 reason=lost why=gone worker=w",
        f'{TIME} WARNING worker lost worker=w reason="its process died"',
        f"{TIME} WARNING trial abandoned trial=0.0 lease=1 bracket=0 budget=1 reason=lost why=gone worker=w",
        (
            f"{TIME} WARNING trial failed trial=0.0 lease=1 bracket=0 budget=1 reason=exception {error} "
            "seconds=0.5 worker=w"
        ),
    ]


def journal_entries(directory):
    journal = b.SqliteJournal.open(directory / "journal.sqlite", read_only=True)
    entries = [(record.at, record.event) for record in journal.read()]
    journal.close()
    return entries


def test_every_event_of_a_run_has_a_line_and_incumbents_have_another(tmp_path, logged):
    def outcome(job):
        if job.trial.configuration == 3:
            return Failed("exception", "no")
        return Released("lost", "x") if job.trial == TrialId(1, 0) else b.complete(job)

    directory = b.play(b.make_study(), tmp_path, outcome, offers_refit=True)
    entries = journal_entries(directory)
    run = load_run(directory)
    configure_logging(as_json=False, level=logging.DEBUG)
    log(event for _, event in entries)
    lines = logged()

    incumbents = [line for line in lines if " incumbent changed " in line]
    assert len(lines) - len(incumbents) == len(entries)
    assert len(incumbents) == len(run.incumbent_trajectory())
    assert f"trial={run.incumbent.trial} " in incumbents[-1]


def test_a_resumed_run_knows_its_incumbent(tmp_path, logged):
    directory = b.play(b.make_study(), tmp_path, n_outcomes=18)
    earlier = load_run(directory)
    state = StudyState(seed=0, max_budget=9)
    for _, event in journal_entries(directory):
        state.apply(event)
    n_before = len(journal_entries(directory))
    b.play(b.make_study(), directory, start=b.START + 1000)
    configure_logging(as_json=False)
    lines = EventLines(state)
    more = journal_entries(directory)[n_before:]
    for _, event in more:
        state.apply(event)
    lines(more)
    changes = [line for line in logged() if "incumbent changed" in line]
    points = load_run(directory).incumbent_trajectory()

    assert len(changes) == len(points) - len(earlier.incumbent_trajectory()) > 0


def test_a_resumed_run_knows_what_was_leased_before(logged):
    configure_logging(as_json=False)
    state = StudyState(seed=0, max_budget=9)
    state.apply(BracketOpened(0, (Rung(1, 1),)))
    state.apply(ConfigurationSuggested(0, {"x": 0.25}, "prior"))
    state.apply(TrialLeased(TrialId(0, 0), 0, 1, 0, 1, "w"))
    lines = EventLines(state)
    completed = TrialCompleted(TrialId(0, 0), 0, 0.5, {}, 1.0)
    state.apply(completed)
    lines([(AT, completed)])

    assert logged() == [
        f"{TIME} trial completed trial=0.0 lease=0 bracket=0 budget=1 loss=0.5 seconds=1 worker=w",
        f"{TIME} incumbent changed trial=0.0 budget=1 loss=0.5 origin=prior config.x=0.25",
    ]


def test_json_lines(logged):
    configure_logging(as_json=True)
    log(
        [
            BracketOpened(0, (Rung(1, 1),)),
            ConfigurationSuggested(0, {"x": 0.25}, "prior"),
            TrialLeased(TrialId(0, 0), 0, 1, 0, 1, "w"),
            TrialCompleted(TrialId(0, 0), 0, 0.5, {}, 1.0),
        ]
    )
    lines = [json.loads(line) for line in logged()]

    assert lines[2] == {
        "time": TIME,
        "level": "info",
        "logger": "bohb_service.events",
        "message": "trial completed",
        "trial": "0.0",
        "lease": 0,
        "bracket": 0,
        "budget": 1,
        "loss": 0.5,
        "seconds": 1.0,
        "worker": "w",
    }
    assert lines[3]["config"] == {"x": 0.25}


@pytest.mark.parametrize("as_json", [False, True])
def test_records_of_other_loggers(as_json, logged):
    configure_logging(as_json=as_json)
    log = logging.getLogger("bohb_service.worker")
    log.info("evaluation done trial=%s seconds=%.1f", "3.1", 2.04)
    log.warning(
        "worker lost", extra={"worker": "a b", "pid": 7, "share": float("nan"), "path": Path("/x"), "none": None}
    )
    log.debug("too fine")
    first, second = logged()

    if as_json:
        assert json.loads(first)["message"] == "evaluation done trial=3.1 seconds=2.0"
        data = json.loads(second)
        assert (data["level"], data["worker"], data["pid"], data["share"]) == ("warning", "a b", 7, None)
        assert (data["path"], data["none"]) == ("/x", None)
    else:
        assert first.endswith("Z evaluation done trial=3.1 seconds=2.0")
        assert second.endswith('Z WARNING worker lost worker="a b" pid=7 share=nan path=/x none=none')


@pytest.mark.parametrize("as_json", [False, True])
def test_a_traceback_and_a_message_of_several_lines(as_json, logged):
    configure_logging(as_json=as_json)
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logging.getLogger("bohb_service").exception("went\nwrong\x1b[31m")
    lines = logged()

    if as_json:
        (line,) = lines
        data = json.loads(line)
        assert data["message"] == "went\nwrong\x1b[31m"
        assert data["traceback"].endswith("ZeroDivisionError: division by zero")
    else:
        assert lines[0].endswith(r"Z ERROR went\nwrong\x1b[31m")
        assert lines[1] == "Traceback (most recent call last):"
        assert lines[-1] == "ZeroDivisionError: division by zero"


def test_a_field_cannot_take_the_place_of_what_every_line_has(logged):
    configure_logging(as_json=True)
    logging.getLogger("bohb_service").info("hello", extra={"time": "noon", "level": "high"})

    data = json.loads(logged()[0])
    assert data["level"] == "info"
    assert data["time"] != "noon"


def test_configuring_twice_writes_once_and_leaves_others_alone(logged):
    theirs = logging.NullHandler()
    package, root = logging.getLogger("bohb_service"), logging.getLogger()
    package.addHandler(theirs)
    before = list(root.handlers)
    configure_logging(as_json=True)
    configure_logging(as_json=False, level="WARNING")
    package.warning("once")
    package.info("never")

    assert len(logged()) == 1
    assert theirs in package.handlers
    assert root.handlers == before


def test_lines_go_to_the_stderr_of_the_moment(monkeypatch, capsys):
    configure_logging(as_json=False)
    logging.getLogger("bohb_service").info("to the first")
    assert "to the first" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", sys.stdout)
        logging.getLogger("bohb_service").info("to the second")
    assert "to the second" in capsys.readouterr().out


def test_it_imports_next_to_nothing():
    code = """
import sys
import bohb_service.cli.lines
print(*sorted({"numpy", "ConfigSpace", "pydantic", "rich", "msgpack", "Pyro5", "yaml", "sqlite3"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.split() == []


def test_more_events_than_anybody_reads_are_counted(logged):
    configure_logging(as_json=False)
    lines = EventLines(StudyState(0, 9.0))
    lines([(AT, RungClosed(0, 0, ()))] * 3000)
    assert len(logged()) == 1000
    lines([(AT + 1.0, StudyStopped("brackets")), (AT + 1.0, RungClosed(0, 0, ()))])
    after = logged()
    assert after[0].endswith("search stopped reason=brackets")
    assert after[1].endswith("lines left out rungs=2000")
    assert after[2].endswith("rung closed bracket=0 rung=0 promoted=0")


def test_json_is_the_form_where_stderr_is_no_terminal(logged, monkeypatch):
    configure_logging()
    logging.getLogger("bohb_service.test").info("to a pipe")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    configure_logging()
    logging.getLogger("bohb_service.test").info("to a terminal")

    first, second = logged()
    assert json.loads(first)["message"] == "to a pipe"
    assert second.endswith("Z to a terminal")


def test_json_lines_say_what_they_are_about(logged):
    configure_logging(as_json=True)
    log_context.bind(study="letters", worker="w1")
    logging.getLogger("bohb_service.test").info("job started", extra={"trial": "0.0", "lease": 3})
    log_context.bind(study="digits")
    logging.getLogger("bohb_service.test").info("worker lost", extra={"worker": "w2"})

    first, second = (json.loads(line) for line in logged())
    assert [first[key] for key in ("study", "trial", "lease", "worker")] == ["letters", "0.0", 3, "w1"]
    assert [second[key] for key in ("study", "worker")] == ["digits", "w2"]
