"""The line to the master, and the signals that interrupt it."""

import os
import signal

import pytest

from bohb_service.errors import MasterUnreachableError, StudyEndedError
from bohb_service.testing.clock import ManualClock
from bohb_service.worker.link import ENDED_PATIENCE_S, LONGEST_BACKOFF_S, Link
from bohb_service.worker.signals import InterruptedBySignal, StopLevel, StopSignals

# -- the line to the master -------------------------------------------------------------------------------------


class Flaky:
    """A master that fails as often as it is told."""

    def __init__(self, n_failures=0):
        self.n_failures = n_failures
        self.error = MasterUnreachableError("nobody there")
        self.n_closed = 0

    def exchange(self, request):
        if self.n_failures:
            self.n_failures -= 1
            raise self.error
        return request

    def close(self):
        self.n_closed += 1


@pytest.fixture
def signals():
    with StopSignals() as made:
        yield made


def test_pauses_are_random_below_a_limit_that_grows_to_five_seconds(signals):
    limits = [0.1 * 2**n for n in range(20)]
    longest = [0.0] * len(limits)
    for _ in range(60):
        clock = ManualClock()
        link = Link(Flaky(len(limits)), signals, clock)
        for number, _ in enumerate(limits):
            assert link.call(link.master.exchange, None) is None
            longest[number] = max(longest[number], link.retry_at - clock.monotonic())
            clock.advance(10.0)

    for pause, limit in zip(longest, limits, strict=True):
        assert 0.5 * min(limit, LONGEST_BACKOFF_S) < pause <= min(limit, LONGEST_BACKOFF_S)


def test_contact_is_counted_from_the_last_answer(signals):
    clock = ManualClock()
    master = Flaky()
    link = Link(master, signals, clock)
    start = clock.monotonic()
    clock.advance(1.0)
    assert link.call(master.exchange, "x") == "x"
    master.n_failures = 2
    clock.advance(5.0)

    assert link.call(master.exchange, "x") is None
    assert link.last_contact == start + 1.0
    link.call(master.exchange, "x")
    assert link.call(master.exchange, "x") == "x"
    assert link.has_recovered
    assert link.call(master.exchange, "x") == "x"
    assert not link.has_recovered


def test_failing_is_counted_from_the_first_call_that_failed_since_the_last_answer(signals):
    clock = ManualClock()
    master = Flaky()
    link = Link(master, signals, clock)
    link.call(master.exchange, "x")
    assert not link.is_hopeless(0.0)

    clock.advance(15.0)
    master.n_failures = 2
    link.call(master.exchange, "x")
    clock.advance(3.0)
    link.call(master.exchange, "x")
    assert link.is_hopeless(3.0)
    assert not link.is_hopeless(3.1)

    link.call(master.exchange, "x")
    assert not link.is_hopeless(0.0)


def test_a_study_that_has_ended_is_waited_for_a_little(signals):
    clock = ManualClock()
    master = Flaky()
    link = Link(master, signals, clock)
    master.n_failures, master.error = 2, StudyEndedError("the study has ended")
    link.call(master.exchange, "x")
    assert not link.is_hopeless(3600.0)
    clock.advance(ENDED_PATIENCE_S)
    link.call(master.exchange, "x")
    assert link.is_hopeless(3600.0)
    assert link.study_has_ended

    master.n_failures, master.error = 1, MasterUnreachableError("nobody")
    link.call(master.exchange, "x")
    assert not link.is_hopeless(3600.0)
    assert not link.study_has_ended


def test_a_signal_inside_a_call_ends_it_and_closes_the_connection(signals):
    master = Flaky()
    link = Link(master, signals, ManualClock())

    assert link.call(lambda _: os.kill(os.getpid(), signal.SIGTERM), None) is None

    assert link.was_interrupted
    assert master.n_closed == 1


def test_a_signal_just_before_a_call_ends_it_too(signals):
    link = Link(Flaky(), signals, ManualClock())
    os.kill(os.getpid(), signal.SIGTERM)

    assert link.call(link.master.exchange, "x") is None
    assert link.was_interrupted
    assert signals.level() is StopLevel.PREEMPT
    assert link.call(link.master.exchange, "x") == "x"


# -- signals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "level"),
    [
        ((), StopLevel.NONE),
        ((signal.SIGINT,), StopLevel.DRAIN),
        ((signal.SIGINT, signal.SIGINT), StopLevel.NOW),
        ((signal.SIGTERM,), StopLevel.PREEMPT),
        ((signal.SIGUSR1,), StopLevel.PREEMPT),
        ((signal.SIGINT, signal.SIGTERM), StopLevel.PREEMPT),
        ((signal.SIGTERM, signal.SIGINT), StopLevel.NOW),
    ],
)
def test_signals_ask_to_drain_or_to_preempt(signals, numbers, level):
    for number in numbers:
        os.kill(os.getpid(), number)

    assert signals.level() is level
    assert signals.n_received == len(numbers)


def test_batch_systems_may_ask_twice(signals):
    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGTERM):
        os.kill(os.getpid(), number)

    assert signals.level() is StopLevel.PREEMPT
    assert signals.n_received == 1


def test_outside_a_call_a_signal_raises_nothing(signals):
    os.kill(os.getpid(), signal.SIGTERM)

    assert not signals.is_armed
    with pytest.raises(InterruptedBySignal), signals.interruptible:
        pass
    assert not signals.is_armed
