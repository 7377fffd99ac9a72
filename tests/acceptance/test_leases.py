"""Leases of real workers: lost with a reason, taken back from a stopped one, and not mixed up by a restored journal."""

import contextlib
import json
import shutil
import signal

import pytest

from bohb_service.api.study_run import StudyRun
from bohb_service.journal.sqlite import SqliteJournal
from bohb_service.master.terms import Terms
from bohb_service.results.run import load_run
from bohb_service.scheduler.events import TrialCompleted, TrialLeased, WorkerJoined, WorkerLeft
from bohb_service.study import load_study
from tests.acceptance.study_files import OBJECTIVES, status, wait_until, write_study

SHORT = Terms(lease_s=1.5, heartbeat_s=0.3, wait_s=0.5, grace_s=1.0)


def events(run, kind):
    if not (run / "journal.sqlite").exists():
        return []
    journal = SqliteJournal.open(run / "journal.sqlite", read_only=True)
    found = [record.event for record in journal.read() if isinstance(record.event, kind)]
    journal.close()
    return found


def gated_study(folder, **keys):
    """A study whose objective notes each attempt that it begins, and ends it when the test says so.

    Attempt ``k`` at trial ``t`` writes ``begun-t-k`` and waits for a file ``go-t-k`` or ``go-t``.
    """
    study = write_study(folder, fidelity={"min": 1, "max": 1}, method="random", **keys)
    module = folder / "gated.py"
    module.write_text(
        "import os, pathlib, time\n"
        "from bohb_service import Worker\n"
        f"FOLDER = pathlib.Path({str(folder)!r})\n"
        "class Gated(Worker):\n"
        "    @staticmethod\n"
        "    def configuration_space():\n"
        "        from ConfigSpace import ConfigurationSpace\n"
        "        return ConfigurationSpace({'x': (0.0, 1.0)})\n"
        "    def compute(self, config, budget, context):\n"
        "        name = f'{context.trial_id}-{context.attempt}'\n"
        "        (FOLDER / f'begun-{name}').write_text(str(os.getpid()))\n"
        "        while not any((FOLDER / go).exists() for go in (f'go-{name}', f'go-{context.trial_id}')):\n"
        "            time.sleep(0.01)\n"
        "        return {'loss': config['x'] + context.attempt, 'info': {'attempt': context.attempt}}\n"
    )
    study.write_text(study.read_text().replace(f"{OBJECTIVES}:Quadratic", f"{module}:Gated"))
    return study


@contextlib.contextmanager
def stopped(process):
    """Stop a process for the length of a block."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "second"])
def test_a_worker_that_was_stopped_past_its_lease_delivers_late(run_cli, tmp_path, is_first):
    """Its result counts if it is the first of the trial; else it is acknowledged, so that the worker goes on."""
    study, run = gated_study(tmp_path, stop={"evaluations": 2}), tmp_path / "run"
    with StudyRun(load_study(study), run, terms=SHORT) as master:
        sleeper = run_cli.start("bohb-worker", "--run-dir", run, "--name", "sleeper")
        wait_until((tmp_path / "begun-0.0-1").exists)
        (tmp_path / "go-1.0").touch()
        with stopped(sleeper.process):
            (tmp_path / "go-0.0-1").touch()  # its objective is not stopped and ends: the result waits in the worker
            other = run_cli.start("bohb-worker", "--run-dir", run, "--name", "other")
            wait_until((tmp_path / "begun-0.0-2").exists, seconds=30)
            wait_until(lambda: events(run, WorkerLeft), seconds=30)
            if not is_first:
                (tmp_path / "go-0.0-2").touch()
                wait_until(lambda: {str(event.trial) for event in events(run, TrialCompleted)} >= {"0.0"})
        wait_until(lambda: master.wait(0.1), seconds=30)
        assert {worker.wait(20).returncode for worker in (sleeper, other)} == {0}
    completed = [event for event in events(run, TrialCompleted) if str(event.trial) == "0.0"]
    assert [event.info["attempt"] for event in completed] == [1 if is_first else 2]
    lost = [(event.worker, event.reason[:16]) for event in events(run, WorkerLeft) if event.is_lost]
    assert lost == [("sleeper", "it was silent fo")]
    assert [event.worker for event in events(run, WorkerJoined)].count("sleeper") == 2
    assert len(load_run(run).trials) == 2
    assert not sleeper.stderr.count("outcomes not delivered")


def test_every_worker_that_is_lost_has_a_reason_with_and_without_a_master(run_cli, tmp_path):
    study, run = gated_study(tmp_path, stop={"evaluations": 3}), tmp_path / "run"
    master = run_cli.start("bohb-master", "run", study, "--run-dir", run, "--log-text")
    workers = {
        name: run_cli.start("bohb-worker", "--run-dir", run, "--name", name, "--preempt-grace", 0)
        for name in ("killed", "leaves", "stays")
    }
    wait_until(lambda: {event.worker for event in events(run, TrialLeased)} == set(workers))
    workers["killed"].process.kill()
    wait_until(lambda: status(run_cli, run)["lost_workers"])
    workers["leaves"].process.terminate()
    wait_until(lambda: len(events(run, WorkerLeft)) == 2)
    expected = [{"name": "killed", "reason": "its process died"}]
    assert status(run_cli, run)["lost_workers"] == expected
    assert [(event.worker, event.reason) for event in events(run, WorkerLeft) if not event.is_lost] == [
        ("leaves", "preempted")
    ]
    master.process.kill()
    master.process.wait()
    told = status(run_cli, run)
    assert (told["state"], told["master"], told["lost_workers"]) == ("interrupted", None, expected)
    results = json.loads(run_cli("bohb-master", "results", run, "--json").stdout)
    assert results["lost_workers"] == expected
    # While no master is there, the last one dies too.
    workers["stays"].process.kill()
    workers["stays"].process.wait()
    with StudyRun(load_study(study), run, terms=SHORT) as again:
        wait_until(lambda: len(again.status()["lost_workers"]) == 2)
    assert status(run_cli, run)["lost_workers"][1] == {
        "name": "stays",
        "reason": "the master was restarted and it did not come back within 1.5 s",
    }
    assert "worker lost worker=killed" in master.stderr
    assert "worker left worker=leaves reason=preempted" in master.stderr


def test_a_journal_that_was_restored_from_a_copy_does_not_mix_up_late_results(run_cli, tmp_path):
    study, run, copy = gated_study(tmp_path, stop={"evaluations": 4}), tmp_path / "run", tmp_path / "copy"
    command = ("bohb-master", "run", study, "--run-dir", run)
    master = run_cli.start(*command)
    old = run_cli.start("bohb-worker", "--run-dir", run, "--name", "old")
    wait_until((tmp_path / "begun-0.0-1").exists)
    wait_until(lambda: events(run, TrialLeased))
    copy.mkdir()
    for file in run.glob("journal.sqlite*"):
        shutil.copy(file, copy)
    (tmp_path / "go-0.0").touch()
    wait_until((tmp_path / "begun-1.0-1").exists)  # leased after the copy: in the history that is given up
    master.process.kill()
    master.process.wait()
    for file in run.glob("journal.sqlite*"):
        file.unlink()
    for file in copy.glob("journal.sqlite*"):
        shutil.copy(file, run)
    for trial in ("1.0", "2.0", "3.0"):
        (
            tmp_path / f"go-{trial}"
        ).touch()  # the outcome of 1.0, lease 1 of the old history, is ready before the restart
    (tmp_path / "begun-1.0-1").unlink()
    assert len(events(run, TrialCompleted)) == 0
    again = run_cli.start(*command)
    result = again.wait(60)
    assert result.returncode == 0, result.stderr
    assert old.wait(20).returncode == 0
    assert "another history" in result.stderr
    results = load_run(run)
    assert sorted(trial.trial for trial in results.trials) == ["0.0", "1.0", "2.0", "3.0"]
    assert {str(trial.state) for trial in results.trials} == {"completed"}
    # Trial 1.0 was done anew: the one result that lease 1 has is of the evaluation after the restart.
    assert (tmp_path / "begun-1.0-1").exists()
    completions = [str(event.trial) for event in events(run, TrialCompleted)]
    assert len(set(completions)) == len(completions) == 4
