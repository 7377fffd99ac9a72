"""Whatever dies, breaks or misbehaves: the study goes on, and nothing that was acknowledged is lost."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time

import psutil
import pytest

from bohb_service.journal.run_directory import RunDirectory
from bohb_service.results.run import load_run
from tests.acceptance.study_files import (
    OBJECTIVES,
    decisions,
    outcomes,
    requeues,
    status,
    wait_for_results,
    wait_until,
    write_study,
)

PLAN = 9 + 3 + 1 + 5 + 1 + 3
FAULTS = {
    "raises": "ValueError: no such thing",
    "returns_none": "None",
    "returns_nan": "nan",
    "returns_inf": "inf",
    "returns_minus_inf": "-inf",
    "returns_text": "'0.3'",
    "returns_no_loss": "loss",
    "returns_model": "info.history[1].model",
    "exits": "3",
    "exits_hard": "7",
    "segfaults": "SIGSEGV",
    "eats_memory": "limit of 120 MiB",
    "sleeps": "limit of 6 s",
}


def test_every_misbehaviour_gets_a_result_with_its_reason(run_cli, tmp_path):
    good = ["ok", "returns_numpy", "holds_the_lock", "prints_a_lot"]
    methods = [*FAULTS, *good]
    study = write_study(
        tmp_path,
        "Misbehaves",
        worker_options={"folder": str(tmp_path)},
        space={"how": {"type": "categorical", "choices": methods}},
        initial=[{"how": method} for method in methods],
        fidelity={"min": 1, "max": 1},
        method="random",
        stop={"evaluations": len(methods)},
        limits={"seconds": 6, "memory_mb": 120},
    )
    result = run_cli("bohb-master", "run", study, "--workers", 2, "--run-dir", tmp_path / "run", timeout=90)
    assert result.returncode == 0, result.stderr
    trials = {trial.config["how"]: trial for trial in load_run(tmp_path / "run").trials}
    for method, expected in FAULTS.items():
        assert trials[method].state == "failed", method
        assert expected in trials[method].message, (method, trials[method].message)
    for method in good:
        assert trials[method].state == "completed", (method, trials[method].message)
    assert trials["returns_numpy"].info == {"curve": [0, 1, 2], "best": 7}
    assert not run_cli.survivors()


def _fill(path):
    with path.open("wb", buffering=0) as file:
        while shutil.disk_usage(path.parent).free:
            with contextlib.suppress(OSError):
                file.write(b"x" * 4096)


def _log_starts(folder, study, seconds_per_unit=0.02):
    """Have the study's objective write down each evaluation that it begins; the file with their names.

    A file ``ends`` beside it has those that it ended.
    """
    starts = folder / "starts"
    module = folder / "logged.py"
    module.write_text(
        "import time\n"
        "from bohb_service import Worker\n"
        "class Logged(Worker):\n"
        "    @staticmethod\n"
        "    def configuration_space():\n"
        "        from ConfigSpace import ConfigurationSpace\n"
        "        return ConfigurationSpace({'x': (0.0, 1.0), 'y': (0.0, 1.0)})\n"
        "    def compute(self, config, budget, context):\n"
        f"        with open({str(starts)!r}, 'a') as file:\n"
        "            file.write(context.trial_id + '\\n')\n"
        f"        time.sleep({seconds_per_unit} * budget)\n"
        f"        with open({str(folder / 'ends')!r}, 'a') as file:\n"
        "            file.write(context.trial_id + '\\n')\n"
        "        return config['x'] + config['y'] + 1 / budget\n"
    )
    study.write_text(study.read_text().replace(f"{OBJECTIVES}:Quadratic", f"{module}:Logged"))
    return starts


def _busy_worker(run_cli, run):
    """A worker's process and its objective's process, while it evaluates something."""

    def find():
        for worker in status(run_cli, run)["workers"]:
            if worker["state"] == "busy":
                process = psutil.Process(worker["pid"])
                children = process.children()
                if children:
                    return process, children[0]
        return None

    return wait_until(find)


@pytest.mark.parametrize("victim", ["worker", "child"])
def test_a_killed_worker_or_child_is_noticed_and_its_job_done_again(run_cli, tmp_path, victim):
    study, run = write_study(tmp_path, worker_options={"sleep_per_unit": 0.1}), tmp_path / "run"
    master = run_cli.start("bohb-master", "run", study, "--workers", 2, "--run-dir", run)
    wait_for_results(run, 1)
    worker, child = _busy_worker(run_cli, run)
    (worker if victim == "worker" else child).kill()
    wait_until(lambda: requeues(run), seconds=8)
    child.wait(timeout=10)
    assert master.wait().returncode == 0
    assert all(event.reason == "lost" for event in requeues(run))
    results = load_run(run)
    assert len(results.trials) == PLAN
    assert {str(trial.state) for trial in results.trials} == {"completed"}
    assert len({trial for trial, _ in outcomes(run)}) == len(outcomes(run)) == PLAN
    assert not run_cli.survivors()


def test_a_frozen_worker_loses_its_job_after_the_term_that_was_asked_for(run_cli, tmp_path):
    study, run = write_study(tmp_path, worker_options={"sleep_per_unit": 0.1}), tmp_path / "run"
    master = run_cli.start("bohb-master", "run", study, "--workers", 2, "--run-dir", run, "--lease", 1, "--grace", 2)
    wait_for_results(run, 1)
    worker, _ = _busy_worker(run_cli, run)
    worker.suspend()
    lost = wait_until(lambda: requeues(run), seconds=20)
    worker.resume()
    assert lost[0].reason == "lost"
    assert lost[0].message.endswith("for 1 s")
    assert master.wait().returncode == 0
    assert len({trial for trial, _ in outcomes(run)}) == len(outcomes(run)) == PLAN


def test_after_kill_and_resume_one_worker_makes_the_run_it_would_have_made(run_cli, tmp_path):
    study = write_study(tmp_path, stop={"brackets": 5}, seed=3, worker_options={"sleep_per_unit": 0.01})
    assert run_cli("bohb-master", "run", study, "--workers", 1, "--run-dir", tmp_path / "whole").returncode == 0
    command = ("bohb-master", "run", study, "--workers", 1, "--run-dir", tmp_path / "cut")
    for n_results in (4, 15, 28):
        master = run_cli.start(*command)
        wait_for_results(tmp_path / "cut", n_results)
        master.process.kill()
        master.process.wait()
    assert run_cli(*command).returncode == 0
    assert decisions(tmp_path / "cut") == decisions(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_master_may_be_killed_at_any_moment(run_cli, tmp_path):
    """25 seeded moments: some while it starts, most after a random number of results and a random delay."""
    rng = random.Random(20261124)
    study = write_study(tmp_path, stop={"brackets": 12})
    starts = _log_starts(tmp_path, study)
    run = tmp_path / "run"
    command = ("bohb-master", "run", study, "--workers", 3, "--run-dir", run)
    acknowledged: list[tuple[str, int]] = []
    kills = 0
    while kills < 25:
        master = run_cli.start(*command)
        if kills % 5:
            wait_for_results(run, len(acknowledged) + rng.randrange(4))
        time.sleep(rng.uniform(0.0, 0.1 if kills % 5 else 1.5))
        assert master.process.poll() is None, master.stderr
        master.process.kill()
        master.process.wait()
        kills += 1
        if (run / "journal.sqlite").exists():
            now = outcomes(run)
            assert now[: len(acknowledged)] == acknowledged
            acknowledged = now
    final = run_cli(*command)
    assert final.returncode == 0, final.stderr
    results = load_run(run)
    found = outcomes(run)
    assert found[: len(acknowledged)] == acknowledged
    assert len({trial for trial, _ in found}) == len(found) == len(results.trials) == 4 * PLAN
    assert {str(trial.state) for trial in results.trials} == {"completed"}
    # Workers outlive the master and hold what they have, so each trial was begun exactly once.
    assert sorted(starts.read_text().split()) == sorted(trial for trial, _ in found)
    # An answer may have died with the master: that lease goes back unused as soon as its worker is back.
    assert {event.reason for event in requeues(run)} <= {"unstarted"}
    wait_until(lambda: not run_cli.survivors(), seconds=15)


def test_a_result_that_is_ready_while_the_master_is_dead_is_not_lost(run_cli, tmp_path):
    study, run = write_study(tmp_path, stop={"evaluations": 2}), tmp_path / "run"
    starts = _log_starts(tmp_path, study, seconds_per_unit=1.0)
    master = run_cli.start("bohb-master", "run", study, "--workers", 1, "--run-dir", run)
    wait_until(starts.exists)  # from here on the worker has the job, not only the journal
    master.process.kill()
    master.process.wait()
    wait_until(starts.with_name("ends").exists)
    assert not outcomes(run)
    again = run_cli("bohb-master", "run", study, "--workers", 1, "--run-dir", run)
    assert again.returncode == 0, again.stderr
    assert outcomes(run)[0] == ("0.0", 0)
    assert not requeues(run)
    assert starts.read_text().split() == ["0.0", "1.0"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_soon_and_goes_on_later(run_cli, tmp_path, number):
    study, run = write_study(tmp_path, worker_options={"sleep_per_unit": 0.1}), tmp_path / "run"
    command = ("bohb-master", "run", study, "--workers", 2, "--run-dir", run)
    master = run_cli.start(*command)
    wait_for_results(run, 3)
    master.process.send_signal(number)
    result = master.wait(20)
    assert result.returncode == 128 + number
    assert "Traceback" not in result.stderr
    assert not run_cli.survivors()
    before = outcomes(run)
    assert len(before) < PLAN
    again = run_cli(*command)
    assert again.returncode == 0, again.stderr
    assert outcomes(run)[: len(before)] == before
    assert len(outcomes(run)) == PLAN


@pytest.mark.parametrize("stop", [{"brackets": 1}, {"evaluations": 1}], ids=["all are busy", "one is idle"])
def test_the_second_interrupt_ends_at_once(run_cli, tmp_path, stop):
    study, run = write_study(tmp_path, worker_options={"sleep_per_unit": 60.0}, stop=stop), tmp_path / "run"
    master = run_cli.start("bohb-master", "run", study, "--workers", 2, "--run-dir", run)
    wait_until(lambda: (run / "journal.sqlite").exists() and load_run(run).trials)
    master.process.send_signal(signal.SIGINT)
    wait_until(lambda: "Ctrl-C" in master.stderr)
    assert master.process.poll() is None
    master.process.send_signal(signal.SIGINT)
    assert master.wait(15).returncode == 130
    assert not run_cli.survivors()


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="needs root to mount a small disk")
def test_a_full_disk_stops_the_master_with_a_clear_error_and_nothing_is_lost(run_cli, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], check=False)
    if mounted.returncode != 0:
        pytest.skip("this machine does not let us mount a small disk")
    try:
        study = write_study(tmp_path, worker_options={"sleep_per_unit": 0.01}, stop={"brackets": 30})
        run = disk / "run"
        command = ("bohb-master", "run", study, "--workers", 2, "--run-dir", run)
        master = run_cli.start(*command)
        wait_for_results(run, 5)
        ballast = disk / "ballast"
        _fill(ballast)
        result = master.wait(60)
        assert result.returncode == 5
        assert "free some space" in result.stderr
        assert "Traceback" not in result.stderr
        ballast.unlink()
        before = outcomes(run)
        _fill(ballast)
        refused = run_cli(*command)
        assert refused.returncode == 5
        assert "free some space" in refused.stderr
        ballast.unlink()
        assert run_cli(*command, timeout=100).returncode == 0
        assert outcomes(run)[: len(before)] == before
        assert len({trial for trial, _ in outcomes(run)}) == len(outcomes(run)) == 10 * PLAN
    finally:
        run_cli.close()
        subprocess.run(["umount", "-l", str(disk)], check=False)


@pytest.mark.parametrize("content", [b"these are notes\n" * 300, b"", b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_foreign_or_damaged_journal_is_said_so_and_never_overwritten(run_cli, tmp_path, content):
    run = tmp_path / "run"
    run.mkdir()
    (run / "journal.sqlite").write_bytes(content)
    for command in (("run", write_study(tmp_path), "--run-dir", run), ("status", run), ("results", run)):
        result = run_cli("bohb-master", *command)
        assert result.returncode == 5, (command, result.stderr)
        assert "journal.sqlite" in result.stderr
        assert "Traceback" not in result.stderr
    assert (run / "journal.sqlite").read_bytes() == content


def test_a_worker_outlives_a_master_that_comes_back_elsewhere(run_cli, tmp_path):
    study, run = write_study(tmp_path, worker_options={"sleep_per_unit": 0.1}), tmp_path / "run"
    worker = run_cli.start("bohb-worker", "--run-dir", run, "--name", "faithful")
    master = run_cli.start("bohb-master", "run", study, "--run-dir", run)
    wait_for_results(run, 2)
    master.process.kill()
    master.process.wait()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", RunDirectory(run).read_port()))
        other.listen()
        again = run_cli("bohb-master", "run", study, "--run-dir", run)
    assert again.returncode == 0, again.stderr
    assert "the last one did on" in again.stderr
    assert worker.wait().returncode == 0
    assert {trial.worker for trial in load_run(run).trials} == {"faithful"}
    assert len(outcomes(run)) == PLAN


def test_heartbeats_go_on_while_the_objective_holds_the_interpreter_lock(run_cli, tmp_path):
    """Covered in the long form (30 s) by the worker's own tests; here the master sees no lost worker."""
    study = write_study(
        tmp_path,
        "Misbehaves",
        worker_options={"folder": str(tmp_path)},
        space={"how": {"type": "categorical", "choices": ["holds_the_lock", "ok"]}},
        initial=[{"how": "holds_the_lock"}],
        method="random",
        stop={"evaluations": 2},
    )
    assert run_cli("bohb-master", "run", study, "--workers", 1, "--run-dir", tmp_path / "run").returncode == 0
    assert not requeues(tmp_path / "run")


def test_the_objective_is_never_imported_in_the_master(run_cli, tmp_path):
    module = tmp_path / "telltale.py"
    module.write_text(
        "import os, pathlib\n"
        f"with open({str(tmp_path / 'pids')!r}, 'a') as file: file.write(f'{{os.getpid()}}\\n')\n"
        f"import sys; sys.path.insert(0, {str(OBJECTIVES.parent)!r})\n"
        "from objectives import Quadratic as Q\n"
        "class W(Q): pass\n"
    )
    study = write_study(tmp_path)
    study.write_text(study.read_text().replace(f"{OBJECTIVES}:Quadratic", f"{module}:W"))
    master = run_cli.start("bohb-master", "run", study, "--workers", 1, "--run-dir", tmp_path / "run")
    assert master.wait().returncode == 0
    assert str(master.process.pid) not in (tmp_path / "pids").read_text().split()


def test_signals_that_were_ignored_from_the_start_stay_ignored(run_cli, tmp_path):
    """As under nohup, when the terminal is closed."""
    study, run = write_study(tmp_path, worker_options={"sleep_per_unit": 0.05}), tmp_path / "run"
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        master = run_cli.start("bohb-master", "run", study, "--workers", 2, "--run-dir", run)
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_for_results(run, 1)
    master.process.send_signal(signal.SIGHUP)
    assert master.wait().returncode == 0
    assert len(outcomes(run)) == PLAN


def test_files_beside_the_journal_may_go_and_come(run_cli, tmp_path):
    study, run = write_study(tmp_path, worker_options={"sleep_per_unit": 0.1}), tmp_path / "run"
    command = ("bohb-master", "run", study, "--workers", 2, "--run-dir", run)
    master = run_cli.start(*command)
    wait_for_results(run, 1)
    shutil.rmtree(run / "logs")
    _busy_worker(run_cli, run)[0].kill()
    wait_until(lambda: requeues(run))
    master.process.kill()
    master.process.wait()
    (run / "configurations" / "id").unlink()
    (run / "master.json").write_text('{"host": 5}')
    assert status(run_cli, run)["master"] is None
    assert run_cli(*command).returncode == 0
    assert (run / "configurations" / "id").exists()
    assert len(outcomes(run)) == PLAN
