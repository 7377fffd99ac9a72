"""A run as JSON, as status and as a table."""

import json
import math
import runpy
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bohb_service.cli.edge import print_run
from bohb_service.errors import BohbError
from bohb_service.master.status import progress_of
from bohb_service.results.run import load_run
from bohb_service.scheduler.outcomes import Completed
from bohb_service.scheduler.scheduler import Scheduler

b = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("builders.py"))))


def awkward(job):
    """Failures, and results with numbers that JSON does not know."""
    if job.trial.configuration % 4 == 2:
        return b.fail(job)
    info = {"norm": math.nan, "nested": {"list": [1, math.inf, "text"], "flag": True}, "number": 3}
    return Completed(b.loss_of(job), info, job.budget, ((1.0, math.nan), (2.0, 0.5)))


@pytest.fixture
def run(tmp_path):
    return load_run(b.play(b.make_study(), tmp_path, awkward, offers_refit=False))


def test_json_is_strict_and_plain(run):
    text = json.dumps(run.to_dict(), allow_nan=False)

    assert json.loads(text) == run.to_dict()


def test_json_has_all_that_is_documented(run, tmp_path):
    data = run.to_dict()

    assert set(data) == {
        *("study", "study_id", "version", "run_directory", "state", "stop_reason", "budget", "incumbent", "refit"),
        *("refit_failure", "evaluations", "per_rung", "failures", "requeues", "lost_workers", "n_lost_workers"),
        *("wall_s", "utilisation"),
        *("share_from_model", "spent", "continuation", "trajectory", "trials"),
    }
    assert (data["study"], data["state"], data["stop_reason"]) == ("small", "finished", "brackets")
    assert data["run_directory"] == str(tmp_path.absolute())
    assert data["budget"] == {"name": "epochs", "min": 1, "max": 9}
    assert data["evaluations"] == {
        "started": len(run.trials),
        "completed": len(run.trials) - len([t for t in run.trials if t.loss == math.inf]),
        "failed": len([t for t in run.trials if t.loss == math.inf]),
        "abandoned": 0,
        "unfinished": 0,
    }
    assert data["incumbent"]["config"] == run.incumbent.config
    assert data["trajectory"][-1]["trial"] == data["incumbent"]["trial"]
    assert sum(rung["failed"] for rung in data["per_rung"]) == data["evaluations"]["failed"]
    assert data["failures"][0]["reason"] == "exception"
    first = data["trials"][0]
    assert set(first) == {
        *("trial", "configuration", "bracket", "rung", "budget", "state", "loss", "origin", "config", "attempts"),
        *("worker", "started_at", "finished_at", "seconds", "info", "reason", "message", "detail", "curve"),
        "continued_from",
    }
    assert (first["trial"], first["state"], type(first["state"])) == ("0.0", "completed", str)
    assert first["info"] == {"norm": None, "nested": {"list": [1, None, "text"], "flag": True}, "number": 3}
    assert first["curve"] == [[1.0, None], [2.0, 0.5]]
    failed = data["trials"][2]
    assert (failed["state"], failed["loss"], failed["reason"]) == ("failed", None, "exception")


def test_json_of_a_large_run_copies_no_value_twice(run):
    class Text(str):
        __slots__ = ()

        def __deepcopy__(self, memo):
            raise AssertionError

    text = Text("much")
    trial = replace(run.trials[0], config={"kind": text}, info={"log": [text]})
    best = replace(run.incumbent, config={"kind": text})
    found = replace(run, trials=(trial,), incumbent=best)

    assert found.to_dict()["trials"][0]["info"]["log"][0] is text
    assert found.status()["incumbent"]["config"]["kind"] is text


def test_json_of_a_relative_directory_says_where_it_is(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)

    assert load_run(tmp_path.name).to_dict()["run_directory"] == str(tmp_path)


def test_status_is_what_a_master_would_say(tmp_path):
    for n_outcomes in (0, 1, 7, 16, math.inf):
        directory = b.play(b.make_study(), tmp_path / str(n_outcomes), awkward, n_outcomes=n_outcomes)
        journal = b.SqliteJournal.open(directory / "journal.sqlite")
        scheduler = Scheduler(b.settings_for(b.make_study(), offers_refit=False))
        for record in journal.read():
            scheduler.state.apply(record.event)
        journal.close()
        status = load_run(directory).status()
        progress = progress_of(scheduler)

        assert {key: status[key] for key in progress} == progress
        assert status["state"] == ("finished" if n_outcomes == math.inf else "interrupted")
        assert (status["workers"], status["lost_workers"], status["eta_s"]) == ([], [], None)
        json.dumps(status, allow_nan=False)


def test_status_tells_the_last_failures(tmp_path):
    run = load_run(b.play(b.make_study(stop={"brackets": 9}), tmp_path, b.fail))
    failures = run.status()["failures"]

    assert len(failures) == 20
    assert failures[-1] == {
        "trial": run.trials[-1].trial,
        "reason": "exception",
        "message": run.trials[-1].message,
    }


def test_a_table_of_the_trials(run):
    pytest.importorskip("pandas")
    frame = run.to_dataframe()

    assert len(frame) == len(run.trials)
    assert list(frame.columns)[:7] == ["trial", "configuration", "bracket", "rung", "budget", "state", "loss"]
    assert list(frame.columns)[-5:] == ["config.kind", "config.x", "info.norm", "info.nested", "info.number"]
    assert frame["config.x"].tolist() == [row.config["x"] for row in run.trials]
    assert frame.set_index("trial").loc["2.0", "loss"] == math.inf
    assert frame.set_index("trial").loc["2.0", "state"] == "failed"


def test_a_table_of_nothing(tmp_path):
    pytest.importorskip("pandas")
    frame = load_run(b.play(b.make_study(), tmp_path, n_outcomes=0)).to_dataframe()

    assert len(frame) == 0
    assert "loss" in frame.columns


def test_a_table_without_pandas(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(BohbError, match="pip install pandas"):
        run.to_dataframe()


@pytest.mark.parametrize("n_outcomes", [0, 1, 12])
def test_what_is_printed_is_the_whole_run_one_line_a_trial(n_outcomes, tmp_path, capsys):
    run = load_run(b.play(b.make_study(), tmp_path, n_outcomes=n_outcomes))
    print_run(run)
    text = capsys.readouterr().out
    assert json.loads(text) == run.to_dict()
    assert list(json.loads(text)) == list(run.to_dict())
    assert sum(line.startswith('    {"trial": ') for line in text.splitlines()) == len(run.trials)
