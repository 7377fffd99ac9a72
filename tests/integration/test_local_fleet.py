"""Local workers as real processes; where the worker itself does not matter, a small shell program stands in for it."""

import contextlib
import json
import os
import secrets
import signal
import sys
import time

import psutil
import pytest

from bohb_service.fleet.local import LOCAL_PREFIX, ORPHAN_SECONDS, LocalFleet, LocalWorker
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.testing.clock import ManualClock

SLEEPS = "exec sleep 60"
LEAVES = "trap 'echo leaving >> left; exit 0' TERM; echo ready; while :; do sleep 0.01; done"
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.01; done"


def wait_until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
    return value


class Place:
    """A run directory, a clock moved by hand, and a program in place of the Python interpreter.

    Attributes:
        survived: What each fleet said at its start of the workers that it found.
        died: What was said of each death.
    """

    def __init__(self, folder, monkeypatch):
        self.folder = folder
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

    def bury_next(self, fleet):
        """Watch until one more death was told; what was said of it."""
        n = len(self.died)
        wait_until(lambda: fleet.watch() or len(self.died) > n)
        return self.died[-1][1]

    def registered(self):
        return [entry["name"] for entry in json.loads((self.directory.path / "local_workers.json").read_text())]

    def close(self):
        for fleet in self.fleets:
            for slot in fleet._slots:
                if slot.worker is not None and (process := slot.worker.process()) is not None:
                    with contextlib.suppress(psutil.Error):
                        process.kill()
                if slot.child is not None:
                    slot.child.kill()
                    slot.child.wait()


@pytest.fixture
def place(tmp_path, monkeypatch):
    place = Place(tmp_path, monkeypatch)
    yield place
    place.close()


def test_real_workers_wait_for_the_master_and_leave_when_asked(place):
    fleet = place.fleet(2)
    fleet.start()
    assert place.survived == [frozenset()]
    names = [worker.name for worker in place.workers(fleet)]
    assert len(set(names)) == 2
    assert all(name.startswith(LOCAL_PREFIX) for name in names)
    assert place.registered() == names
    processes = [worker.process() for worker in place.workers(fleet)]
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
    assert not (place.directory.path / "local_workers.json").exists()
    fleet.watch()
    assert place.workers(fleet) == [None, None]


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
    assert worker.process() is None


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
    assert fleet.error == "local workers cannot run (exit code 1): "
    place.clock.advance(1e6)
    fleet.watch()
    assert place.workers(fleet) == [None]


def test_one_that_had_worked_for_a_while_is_replaced_at_once(place):
    place.program(SLEEPS)
    fleet = place.fleet(1)
    fleet.start()
    for _ in range(10):
        place.clock.advance(30.5)
        os.kill(place.workers(fleet)[0].pid, signal.SIGKILL)
        assert place.bury_next(fleet) == "its process died (killed by signal 9)"
        fleet.watch()
    assert place.workers(fleet) != [None]
    place.clock.advance(30.0)
    os.kill(place.workers(fleet)[0].pid, signal.SIGTERM)
    assert place.bury_next(fleet) == "its process died (killed by signal 15)"
    fleet.watch()
    assert place.workers(fleet) == [None]
    place.clock.advance(0.5)
    fleet.watch()
    assert place.workers(fleet) != [None]


def test_one_that_left_by_itself_is_not_replaced(place):
    place.program("exit 0")
    fleet = place.fleet(1)
    fleet.start()
    assert place.bury_next(fleet) == "its process died (exit code 0)"
    place.clock.advance(1e6)
    fleet.watch()
    assert place.workers(fleet) == [None]
    assert fleet.error is None
    assert len(place.died) == 1


def test_a_worker_that_can_never_run_is_not_tried_again_and_its_last_words_are_told(place):
    place.program(
        "i=0; while [ $i -lt 100 ]; do echo padding padding padding; i=$((i+1)); done; echo no such class >&2; exit 2"
    )
    fleet = place.fleet(2)
    fleet.start()
    place.bury_next(fleet)
    wait_until(lambda: fleet.watch() or len(place.died) == 2)
    assert fleet.error.startswith("local workers cannot run (exit code 2): ")
    assert fleet.error.endswith("padding\nno such class")
    assert 1900 < len(fleet.error) < 2100
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
    first = place.fleet(3)
    first.start()
    workers = place.workers(first)
    os.kill(workers[1].pid, signal.SIGKILL)
    wait_until(lambda: workers[1].process() is None)
    place.clock.advance(100)
    second = place.fleet(3)
    second.start()
    taken = place.workers(second)
    assert taken[:2] == [workers[0], workers[2]]
    assert taken[2].name not in {worker.name for worker in workers}
    assert place.survived[1] == frozenset({workers[0].name, workers[2].name})
    assert place.registered() == [worker.name for worker in taken]
    second.watch()
    assert not place.died
    os.kill(workers[0].pid, signal.SIGKILL)
    place.bury_next(second)
    assert place.died == [(workers[0].name, "its process died (exit code 1)")]
    second.watch()
    assert len({worker.name for worker in place.workers(second)}) == 3
    second.stop(10.0)
    assert workers[2].process() is None


def test_those_whom_the_next_master_has_no_place_for_are_asked_to_leave(place):
    place.program(SLEEPS)
    first = place.fleet(3)
    first.start()
    workers = place.workers(first)
    second = place.fleet(1)
    second.start()
    assert place.workers(second) == workers[:1]
    assert place.survived[1] == frozenset(worker.name for worker in workers)
    wait_until(lambda: workers[1].process() is None and workers[2].process() is None)
    assert workers[0].process() is not None


def test_another_process_of_the_same_id_is_not_taken_for_a_worker(place):
    own = psutil.Process()
    assert LocalWorker("a", own.pid, own.create_time()).process() == own
    assert LocalWorker("a", own.pid, own.create_time() + 0.5).process() == own
    assert LocalWorker("a", own.pid, own.create_time() + 1.5).process() is None
    assert LocalWorker("a", own.pid, own.create_time() - 1.5).process() is None
    assert LocalWorker("a", 2**22 + 1, own.create_time()).process() is None


@pytest.mark.parametrize("text", ["", "{half", "[1]", '[{"name": "a"}]', '{"name": "a"}', "null"])
def test_a_damaged_list_of_workers_is_no_obstacle(place, text):
    place.program(SLEEPS)
    (place.directory.path / "local_workers.json").write_text(text)
    fleet = place.fleet(1)
    fleet.start()
    assert place.survived == [frozenset()]
    assert place.workers(fleet)[0].process() is not None
    assert place.registered() == [place.workers(fleet)[0].name]
