"""What becomes of a slot whose worker is killed."""

import signal

import pytest

from bohb_service.testing.clock import ManualClock
from bohb_service.worker.keeper import HEALTHY_S, PAUSES_S, Keeper


class Process:
    def __init__(self, name):
        self.name, self.code, self.signals = name, None, []

    def poll(self):
        return self.code

    def send_signal(self, number):
        self.signals.append(number)


class Machine:
    """Starts processes, as long as it is able to."""

    def __init__(self):
        self.clock, self.received, self.started, self.is_able = ManualClock(), [], [], True
        self.keeper = Keeper("node.0", self.start, self.received, self.clock)

    def start(self, name):
        if not self.is_able:
            raise OSError(11, "Resource temporarily unavailable")
        self.started.append(Process(name))
        return self.started[-1]

    @property
    def last(self):
        return self.started[-1]


@pytest.fixture
def machine():
    machine = Machine()
    assert machine.keeper.look() is None
    return machine


@pytest.mark.parametrize("code", [0, 2, 75])
def test_a_worker_that_ends_by_itself_is_not_followed_by_another(machine, code):
    machine.last.code = code
    assert [machine.keeper.look() for _ in range(3)] == [code] * 3
    assert len(machine.started) == 1


def test_others_come_ever_later_and_with_names_of_their_own(machine, caplog):
    for pause in PAUSES_S:
        n_started = len(machine.started)
        machine.last.code = -signal.SIGKILL
        assert machine.keeper.look() is None
        if pause:
            machine.clock.advance(pause - 0.1)
            assert machine.keeper.look() is None
            assert len(machine.started) == n_started
            machine.clock.advance(0.2)
        assert machine.keeper.look() is None
        assert len(machine.started) == n_started + 1
    assert [process.name for process in machine.started[:3]] == ["node.0", "node.0.1", "node.0.2"]
    machine.last.code = -signal.SIGKILL
    assert machine.keeper.look() == -signal.SIGKILL
    assert "a slot is given up: its worker was killed by signal 9, 9 times in a row" in caplog.text
    machine.clock.advance(1e6)
    assert machine.keeper.look() == -signal.SIGKILL


def test_who_lived_long_is_followed_at_once(machine):
    for _ in range(3 * len(PAUSES_S)):
        machine.clock.advance(HEALTHY_S)
        machine.last.code = -signal.SIGSEGV
        assert machine.keeper.look() is None
        assert machine.keeper.look() is None
        assert machine.last.code is None


def test_a_machine_that_cannot_start_one_now_is_asked_again(machine, caplog):
    machine.is_able = False
    machine.last.code = -signal.SIGKILL
    for _ in range(2):
        assert machine.keeper.look() is None
    assert "cannot be started: Resource temporarily unavailable" in caplog.text
    machine.is_able = True
    machine.clock.advance(PAUSES_S[1])
    assert machine.keeper.look() is None
    assert machine.last.code is None


def test_after_a_signal_nothing_is_started_again(machine):
    machine.received.append(signal.SIGTERM)
    machine.keeper.send(signal.SIGTERM)
    assert machine.last.signals == [signal.SIGTERM]
    machine.last.code = -signal.SIGKILL
    assert machine.keeper.look() == -signal.SIGKILL


def test_a_signal_ends_the_wait_for_another(machine):
    machine.is_able = False
    machine.last.code = -signal.SIGKILL
    for _ in range(2):
        machine.keeper.look()
    machine.received.append(signal.SIGTERM)
    machine.keeper.send(signal.SIGTERM)
    assert machine.keeper.look() == -signal.SIGKILL


def test_a_signal_that_came_before_the_worker_is_passed_on():
    machine = Machine()
    machine.received.append(signal.SIGUSR1)
    machine.keeper.look()
    assert machine.last.signals == [signal.SIGUSR1]
