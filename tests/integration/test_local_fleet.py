"""Local workers as real processes; where the worker itself does not matter, a small shell program stands in for it."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys

import psutil
import pytest

from bohb_service.errors import BohbError, WorkerSpecError
from bohb_service.fleet.local import ORPHAN_SECONDS, LocalFleet, LocalWorker, find_local_workers, local_prefix
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.testing.clock import ManualClock
from tests.polling import wait_until

SLEEPS = "read line < pipe"
LEAVES = "trap 'echo leaving >> left; exit 0' TERM; echo ready; while :; do sleep 0.01; done"
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.01; done"


class Place:
    """A run directory, a clock moved by hand, and a program in place of the Python interpreter.

    Attributes:
        survived: What each fleet said at its start of the workers that it found.
        died: What was said of each death.
    """

    def __init__(self, folder, monkeypatch):
        folder.mkdir(exist_ok=True)
        self.folder = folder
        os.mkfifo(folder / "pipe")  # nobody ever writes to it
        self.directory = RunDirectory(folder / "run")
        self.directory.prepare()
        self.clock = ManualClock()
        self.survived = []
        self.died = []
        self.fleets = []
        self._monkeypatch = monkeypatch

    def program(self, text):
        """Let workers started from now on run this shell program."""
        path = self.folder / f"program-{secrets.token_hex(4)}"
        path.write_text(f"#!/bin/sh\ncd {self.folder}\n{text}\n")
        path.chmod(0o755)
        self._monkeypatch.setattr(sys, "executable", str(path))

    def fleet(self, n):
        fleet = LocalFleet(
            self.directory, n, self.clock, self.survived.append, lambda name, why: self.died.append((name, why))
        )
        self.fleets.append(fleet)
        return fleet

    def workers(self, fleet):
        return [slot.worker for slot in fleet._slots]

    def start(self, n):
        """A fleet whose workers can all be found: for a moment a new process has no command line yet."""
        fleet = self.fleet(n)
        fleet.start()
        wait_until(lambda: set(self.found()) >= {worker.name for worker in self.workers(fleet)})
        return fleet

    def bury_next(self, fleet):
        """Watch until one more death was told; what was said of it."""
        n = len(self.died)
        wait_until(lambda: fleet.watch() or len(self.died) > n)
        return self.died[-1][1]

    def found(self):
        return [worker.name for worker in find_local_workers(self.directory)]

    def close(self):
        for fleet in self.fleets:
            for slot in fleet._slots:
                if slot.worker is not None:
                    with contextlib.suppress(psutil.Error):
                        slot.worker.process.kill()
                if slot.child is not None:
                    slot.child.kill()
                    slot.child.wait()


@pytest.fixture
def place(tmp_path, monkeypatch):
    place = Place(tmp_path, monkeypatch)
    yield place
    place.close()


def test_real_workers_wait_for_the_master_and_leave_when_asked(place):
    fleet = place.start(2)
    assert place.survived == [frozenset()]
    names = [worker.name for worker in place.workers(fleet)]
    assert len(set(names)) == 2
    assert all(name.startswith(local_prefix()) for name in names)
    assert sorted(place.found()) == sorted(names)
    processes = [worker.process for worker in place.workers(fleet)]
    for name, process in zip(names, processes, strict=True):
        command = process.cmdline()
        assert command[command.index("--name") + 1] == name
        assert command[command.index("--run-dir") + 1] == str(place.directory.path)
        assert float(command[command.index("--orphan-timeout") + 1]) == ORPHAN_SECONDS
        assert os.getsid(process.pid) == process.pid
        log = place.directory.logs / f"{name}.worker.log"
        wait_until(lambda log=log: "waiting for the master" in log.read_text())
    fleet.watch()
    assert not place.died
    assert fleet.error is None
    fleet.stop(10.0)
    assert not any(process.is_running() for process in processes)
    assert place.found() == []
    fleet.watch()
    assert place.workers(fleet) == [None, None]
    assert not place.died


def test_workers_are_asked_to_leave_before_they_are_made_to(place):
    place.program(LEAVES)
    fleet = place.fleet(2)
    fleet.start()
    for worker in place.workers(fleet):
        wait_until(lambda worker=worker: "ready" in (place.directory.logs / f"{worker.name}.worker.log").read_text())
    fleet.stop(10.0)
    assert (place.folder / "left").read_text() == "leaving\n" * 2


def test_one_that_does_not_leave_is_killed(place):
    place.program(STUBBORN)
    fleet = place.fleet(1)
    fleet.start()
    worker = place.workers(fleet)[0]
    wait_until(lambda: "ready" in (place.directory.logs / f"{worker.name}.worker.log").read_text())
    fleet.stop(0.2)
    assert not worker.is_alive
    fleet.watch()
    assert place.workers(fleet) == [None]


def test_a_dead_worker_is_told_of_and_replaced_ever_more_slowly(place):
    place.program("exit 1")
    fleet = place.fleet(1)
    fleet.start()
    names = []
    for pause in (0.0, 0.5, 2.0, 5.0, 15.0):
        names.append(place.workers(fleet)[0].name)
        assert place.bury_next(fleet) == "its process died (exit code 1)"
        assert fleet.error is None
        if pause:
            place.clock.advance(pause - 0.1)
            fleet.watch()
            assert place.workers(fleet) == [None]
            place.clock.advance(0.1)
        fleet.watch()
        assert place.workers(fleet) != [None]
    names.append(place.workers(fleet)[0].name)
    place.bury_next(fleet)
    assert [name for name, _ in place.died] == names
    assert len(set(names)) == 6
    assert type(fleet.error) is BohbError
    assert str(fleet.error) == "local workers cannot run (exit code 1): "
    place.clock.advance(1e6)
    fleet.watch()
    assert place.workers(fleet) == [None]


def test_one_that_had_worked_for_a_while_is_replaced_at_once(place):
    place.program(SLEEPS)
    fleet = place.fleet(1)
    fleet.start()
    for _ in range(10):
        place.clock.advance(30.5)
        os.kill(place.workers(fleet)[0].process.pid, signal.SIGKILL)
        assert place.bury_next(fleet) == "its process died (killed by signal 9)"
        fleet.watch()
    assert place.workers(fleet) != [None]
    place.clock.advance(30.0)
    os.kill(place.workers(fleet)[0].process.pid, signal.SIGTERM)
    assert place.bury_next(fleet) == "its process died (killed by signal 15)"
    fleet.watch()
    assert place.workers(fleet) == [None]
    place.clock.advance(0.5)
    fleet.watch()
    assert place.workers(fleet) != [None]


def test_preempted_ones_are_replaced_at_once_however_often(place):
    place.program("exit 75")
    fleet = place.fleet(1)
    fleet.start()
    for _ in range(10):
        assert place.bury_next(fleet) == "its process died (exit code 75)"
        fleet.watch()
        assert place.workers(fleet) != [None]
    assert fleet.error is None


def test_one_that_left_by_itself_is_not_replaced(place):
    place.program("exit 0")
    fleet = place.fleet(1)
    fleet.start()
    assert place.bury_next(fleet) == "its process died (exit code 0)"
    place.clock.advance(1e6)
    fleet.watch()
    assert place.workers(fleet) == [None]
    assert fleet.error is None
    fleet.stop(1.0)
    assert len(place.died) == 1


def test_of_a_log_with_an_error_its_first_line_is_told_and_where_the_rest_is(place):
    place.program(
        "i=0; while [ $i -lt 300 ]; do echo padding; i=$((i+1)); done; "
        r"""printf '%s\n' '{"level": "error", "message": "no such file: x.csv\nTraceback\n  File"}' bye; exit 2"""
    )
    fleet = place.fleet(1)
    fleet.start()
    place.bury_next(fleet)
    assert "(exit code 2): no such file: x.csv (more in /" in str(fleet.error)
    assert "Traceback" not in str(fleet.error)
    assert "bye" not in str(fleet.error)


def test_a_worker_that_can_never_run_is_not_tried_again_and_its_last_words_are_told(place):
    place.program(
        "i=0; while [ $i -lt 100 ]; do echo padding padding padding; i=$((i+1)); done; echo no such class >&2; exit 2"
    )
    fleet = place.fleet(2)
    fleet.start()
    place.bury_next(fleet)
    wait_until(lambda: fleet.watch() or len(place.died) == 2)
    assert type(fleet.error) is WorkerSpecError
    told = str(fleet.error)
    assert told.startswith("local workers cannot run (exit code 2): ")
    assert told.endswith("padding\nno such class")
    assert 1900 < len(told) < 2100
    place.clock.advance(1e6)
    fleet.watch()
    assert place.workers(fleet) == [None, None]


def test_there_is_no_error_while_one_worker_can_run(place):
    place.program("exit 2")
    fleet = place.fleet(2)
    fleet.start()
    wait_until(lambda: fleet.watch() or len(place.died) == 2)
    assert fleet.error is not None
    fleet._slots[1].is_done = False
    assert fleet.error is None
    assert place.fleet(0).error is None


def test_the_next_master_takes_over_who_still_lives(place):
    place.program(SLEEPS)
    first = place.start(3)
    workers = place.workers(first)
    os.kill(workers[1].process.pid, signal.SIGKILL)
    wait_until(lambda: not workers[1].is_alive)
    place.clock.advance(100)
    second = place.start(3)
    taken = place.workers(second)
    assert taken[:2] == [workers[0], workers[2]]
    assert taken[2].name not in {worker.name for worker in workers}
    assert place.survived[1] == frozenset({workers[0].name, workers[2].name})
    assert set(place.found()) == {worker.name for worker in taken}
    second.watch()
    assert not place.died
    os.kill(workers[0].process.pid, signal.SIGKILL)
    place.bury_next(second)
    assert place.died == [(workers[0].name, "its process died (exit code 1)")]
    second.watch()
    assert len({worker.name for worker in place.workers(second)}) == 3
    second.stop(10.0)
    assert not workers[2].is_alive


def test_those_whom_the_next_master_has_no_place_for_are_asked_to_leave(place):
    place.program(SLEEPS)
    first = place.start(3)
    workers = place.workers(first)
    second = place.fleet(1)
    second.start()
    assert place.workers(second) == workers[:1]
    assert place.survived[1] == frozenset(worker.name for worker in workers)
    wait_until(lambda: not workers[1].is_alive and not workers[2].is_alive)
    assert workers[0].is_alive


def test_only_living_local_workers_of_this_run_are_found(place, tmp_path):
    place.program(SLEEPS)
    fleet, none = place.start(2), place.fleet(0)
    workers = place.workers(fleet)
    other = Place(tmp_path / "elsewhere", place._monkeypatch)
    stranger = other.start(1)
    try:
        assert find_local_workers(place.directory) == workers
        assert find_local_workers(other.directory) == other.workers(stranger)
    finally:
        other.close()
    command = [sys.executable, "-m", "bohb_service.cli.worker", "--run-dir", str(place.directory.path)]
    for more in (["--name", "mine"], ["--name"], [], ["--name", f"{local_prefix()}x"]):
        with subprocess.Popen([*command, *more], stdin=subprocess.DEVNULL) as process:
            wait_until(psutil.Process(process.pid).cmdline)
            is_found = process.pid in {worker.process.pid for worker in find_local_workers(place.directory)}
            assert is_found == (more == ["--name", f"{local_prefix()}x"])
            process.kill()
    workers[0].process.kill()
    wait_until(lambda: not workers[0].is_alive)
    assert find_local_workers(place.directory) == workers[1:]
    assert none.error is None


def test_a_process_that_is_gone_or_a_zombie_is_not_alive():
    with subprocess.Popen(["/bin/sh", "-c", "read line"], stdin=subprocess.PIPE) as child:
        worker = LocalWorker("a", psutil.Process(child.pid))
        assert worker.is_alive
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not worker.is_alive
    assert not worker.is_alive


def test_a_process_that_a_worker_forks_is_no_second_worker(place):
    place.program("(read line < pipe); :")
    fleet = place.fleet(1)
    fleet.start()
    (worker,) = place.workers(fleet)
    children = wait_until(worker.process.children)
    try:
        assert find_local_workers(place.directory) == [worker]
    finally:
        for child in children:
            child.kill()
