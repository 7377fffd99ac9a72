"""Workers as tasks of a real SLURM cluster."""

import os
import signal
import socket
import sysconfig
from collections import Counter
from pathlib import Path

import psutil
import pytest

from bohb_service.results.run import load_run
from bohb_service.scheduler.events import WorkerJoined, WorkerLeft
from tests.acceptance.study_files import events_of, outcomes, requeues, wait_for_results, write_study
from tests.polling import wait_until
from tests.slurm.cluster import GPUS, NODES, free_port

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.timeout(240)]

SCRIPT = Path(__file__).parents[2] / "scripts" / "slurm" / "workers.sbatch"
PLACES = GPUS * len(NODES)


def own_address():
    """An address of this machine that is not a loopback one."""
    for addresses in psutil.net_if_addrs().values():
        for found in addresses:
            if found.family == socket.AF_INET and not found.address.startswith("127."):
                return found.address
    pytest.skip("this machine has no address but loopback ones")


class Study:
    """A study whose workers SLURM starts."""

    def __init__(self, slurm, run_cli, folder):
        self.slurm, self.folder, self.run = slurm, folder, folder / "run"
        self._cli, self._address = run_cli, own_address()
        made = run_cli("bohb-master", "credentials", folder / "keys", "--host", self._address)
        assert made.returncode == 0, made.stderr

    def write(self, *, seconds, options=None, stop=None, slurm=None, **fleet):
        fleet = {"workers": PLACES, "idle_seconds": 1, "poll_seconds": 0.2, **fleet}
        options = {"partition": "low", "gres": "gpu:1", "mem": 50, **(options or {})}
        fleet["slurm"] = {"options": options, **(slurm or {})}
        self.file = write_study(
            self.folder,
            name="steps",
            worker=f"{Path(__file__).with_name('objective.py')}:Steps",
            worker_options={"folder": str(self.folder), "seconds": seconds},
            fidelity={"min": 1, "max": 9, "integer": True},
            stop=stop or {"brackets": 1},
            refit=False,
            fleet=fleet,
        )

    def start(self, *options, fleet="slurm"):
        return self._cli.start(
            "bohb-master", "run", self.file, "--run-dir", self.run, "--fleet", fleet, "--host", self._address,
            "--credentials", self.folder / "keys", *options,
            # As in a job that was queued again, which a master may be.
            env={**self.slurm.environment, "SLURM_RESTART_COUNT": "1"},
        )  # fmt: skip

    def joined(self):
        """Names of the workers that have joined."""
        return {event.worker for event in events_of(self.run, WorkerJoined)}

    def log(self):
        """What the objective wrote: configuration, step, node, device, process."""
        path = self.folder / "log"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def check_complete(self, master):
        """The command has ended well, every trial has a result, nothing is left in the cluster."""
        ended = master.wait(150)
        assert ended.returncode == 0, ended.stderr
        assert len(outcomes(self.run)) == 13
        assert len(load_run(self.run).trials) == 13
        wait_until(lambda: not self.slurm.tasks(), seconds=30)


@pytest.fixture
def study(slurm, run_cli, tmp_path):
    study = Study(slurm, run_cli, tmp_path)
    yield study
    slurm.run("scancel", "--user=root")
    wait_until(lambda: not slurm.tasks("PENDING,RUNNING,COMPLETING"), seconds=60)


def test_the_fleet_grows_with_the_rungs_and_shrinks_with_them(study, slurm):
    study.write(seconds=0.5)
    master = study.start()
    wait_until(lambda: len(slurm.tasks("RUNNING")) == PLACES, seconds=30)
    # The last rung has one trial of nine steps: three workers have nothing to do and leave.
    wait_until(lambda: len(slurm.tasks()) == 1, seconds=60)
    assert master.process.poll() is None
    study.check_complete(master)
    assert requeues(study.run) == []
    devices = {(node, device) for _, _, node, device, _ in study.log()}
    assert devices == {(node, str(device)) for node in NODES for device in range(GPUS)}
    held = {(process, node, device) for _, _, node, device, process in study.log()}
    # One device to each process, and each to one.
    assert len(held) == len({process for process, *_ in held}) == len(devices)
    left = [event.reason for event in events_of(study.run, WorkerLeft)]
    assert left.count("there is nothing more to do for this worker") == PLACES - 1


def test_preempted_workers_come_back_and_continue_from_the_checkpoint(study, slurm):
    study.write(seconds=4.0)
    master = study.start()
    # The last trial takes 24 s more, and SLURM about 15 s to preempt it: what ends in its grace time is a result.
    wait_for_results(study.run, 12)
    assert slurm.run("sbatch", "--partition=high", "--nodes=2", "--exclusive", "--mem=0", "--wrap=sleep 3")
    wait_until(lambda: requeues(study.run), seconds=30)
    study.check_complete(master)
    given_back = requeues(study.run)
    assert given_back
    assert {event.reason for event in given_back} <= {"preempted", "unstarted"}
    assert max(trial.attempts for trial in load_run(study.run).trials) == 1
    # A step is done twice only where the worker was told to leave between the step and its record.
    steps = Counter((configuration, step) for configuration, step, *_ in study.log())
    assert sum(steps.values()) - len(steps) <= len(given_back)
    assert {int(step) for configuration, step in steps} == set(range(1, 10))
    # The same task came back: its worker has the number of the start in its name.
    names = study.joined()
    assert {name.rpartition(".")[2] for name in names} == {"0", "1"}
    assert {f"{name.rpartition('.')[0]}.0" for name in names if name.endswith(".1")} <= names


def test_workers_leave_before_their_time_limit_and_others_take_their_place(study):
    # 84 s of work for one worker, which is told to leave after 30 to 60 s: SLURM looks every 30 s whether two
    # minutes and a half are left.
    study.write(seconds=4.0, options={"time": 3}, workers=1)
    master = study.start()
    study.check_complete(master)
    assert "preempted" in [event.reason for event in events_of(study.run, WorkerLeft)]
    # What ends in the time that it has to save is given back as a result.
    assert {event.reason for event in requeues(study.run)} <= {"preempted"}
    assert max(trial.attempts for trial in load_run(study.run).trials) == 1
    assert len({process for *_, process in study.log()}) > 1


def test_a_node_set_down_in_the_middle_of_a_job(study, slurm):
    study.write(seconds=0.8)
    master = study.start()
    # The second rung has three trials of three steps, and the other node room for two of them.
    wait_for_results(study.run, 9)
    slurm.run("scontrol", "update", "nodename=n1", "state=down", "reason=test")
    try:
        study.check_complete(master)
    finally:
        slurm.run("scontrol", "update", "nodename=n1", "state=resume")
    assert requeues(study.run)


def test_the_next_master_finds_the_workers_of_a_killed_one(study, slurm):
    study.write(seconds=0.5, workers=2)
    master = study.start()
    wait_for_results(study.run, 1)
    before = slurm.tasks()
    os.killpg(master.process.pid, signal.SIGKILL)
    master.process.wait()
    again = study.start()
    wait_for_results(study.run, 4)
    assert slurm.tasks() == before
    study.check_complete(again)


def test_the_next_master_finds_workers_that_know_no_more_than_its_address(study, slurm):
    where = {"folder": str(study.folder / "logs"), "credentials": str(study.folder / "keys" / "worker")}
    study.write(seconds=0.5, workers=2, slurm=where)
    port = str(free_port())
    master = study.start("--port", port)
    wait_for_results(study.run, 1)
    before = slurm.tasks()
    os.killpg(master.process.pid, signal.SIGKILL)
    master.process.wait()
    again = study.start("--port", port)
    wait_for_results(study.run, 4)
    assert slurm.tasks() == before
    study.check_complete(again)
    assert len(study.joined()) == len(before)


def test_the_run_directory_may_be_where_no_node_sees_it(study):
    logs = study.folder / "logs"
    where = {"folder": str(logs), "credentials": str(study.folder / "keys" / "worker")}
    study.write(seconds=0.2, options={"gres": f"gpu:{GPUS}"}, slurm=where, slots=GPUS, workers=len(NODES))
    master = study.start()
    study.check_complete(master)
    texts = [path.read_text() for path in logs.iterdir()]
    assert texts
    assert all(str(study.run) not in text for text in texts)
    assert {name.rpartition(".")[2] for name in study.joined()} == {str(slot) for slot in range(GPUS)}


def test_the_script_for_workers_that_are_started_by_hand(study, slurm, monkeypatch):
    study.write(seconds=1.0)
    master = study.start(fleet="local")
    wait_until(lambda: "bohb-worker --run-dir" in master.stderr)
    monkeypatch.setitem(slurm.environment, "PATH", f"{sysconfig.get_path('scripts')}:{slurm.environment['PATH']}")
    slurm.run("sbatch", "--partition=low", "--mem=50", "--time=10", "--array=0-1", str(SCRIPT), str(study.run))
    wait_for_results(study.run, 9)  # as above
    (task, _), (other, _) = [line.split() for line in slurm.tasks("RUNNING")]
    slurm.run("scancel", "--batch", "--signal=USR1", task)
    wait_until(lambda: task in [line.split()[0] for line in slurm.tasks("PENDING")], seconds=30)
    # What is cancelled gives its job back too, but does not come back.
    slurm.run("scancel", other)
    wait_until(lambda: other in [line.split()[0] for line in slurm.tasks("CANCELLED")], seconds=30)
    study.check_complete(master)
    assert len(study.joined()) == 3
    assert {event.reason for event in requeues(study.run)} == {"preempted"}


def test_options_that_slurm_does_not_take_are_told_at_once(study):
    study.write(seconds=1, options={"partition": "nowhere"})
    ended = study.start().wait()
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "fleet.slurm: sbatch says:" in line
    assert "invalid partition specified: nowhere" in line


def test_workers_that_cannot_start_are_told_with_their_last_words(study):
    study.write(seconds=1)
    text = study.file.read_text().replace("slurm:", "slurm:\n    python: /nowhere/python", 1)
    study.file.write_text(text)
    master = study.start()
    wait_until(lambda: "workers end before they have joined the study" in master.stderr, seconds=60)
    assert "/nowhere/python" in master.stderr
    os.kill(master.process.pid, signal.SIGTERM)
    assert master.wait().returncode == 143
