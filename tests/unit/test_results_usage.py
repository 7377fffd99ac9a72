"""Working time and utilisation, from events with times that can be added up by hand."""

import pytest

from bohb_service.results.working_time import WorkerUsage, WorkingTime
from bohb_service.scheduler.events import (
    MasterStarted,
    StudyStopped,
    TrialCompleted,
    TrialFailed,
    TrialLeased,
    TrialRequeued,
)
from bohb_service.scheduler.trial import REFIT_RUNG, TrialId

MASTER = MasterStarted("1", "head", 1)


def leased(lease, worker, rung=0):
    return TrialLeased(TrialId(lease, rung), 0, 1, lease, 1, worker)


def completed(lease, seconds, rung=0):
    return TrialCompleted(TrialId(lease, rung), lease, 0.5, {}, seconds)


def share(*entries):
    usage = WorkerUsage()
    for at, event in entries:
        usage.take(at, event)
    return usage.share


def test_nothing_has_ended():
    assert share() is None
    assert share((0, MASTER), (1, leased(0, "a"))) is None


def test_idle_time_between_first_lease_and_last_end_counts_against_it():
    # a: available 2..12, busy 3 + 5; b: available 4..8, busy 3.
    assert share(
        (0, MASTER),
        (2, leased(0, "a")),
        (4, leased(1, "b")),
        (5, completed(0, 3)),
        (7, leased(2, "a")),
        (8, completed(1, 3)),
        (12, completed(2, 5)),
        (50, StudyStopped("brackets")),
    ) == pytest.approx((3 + 5 + 3) / (10 + 4))


def test_a_failure_is_a_result_and_a_lost_lease_is_waste():
    lost = TrialRequeued(TrialId(1, 0), 1, "lost", "gone", used_attempt=True)
    assert share(
        (0, MASTER),
        (0, leased(0, "a")),
        (4, TrialFailed(TrialId(0, 0), 0, "exception", "no", seconds=4)),
        (4, leased(1, "a")),
        (10, lost),
    ) == pytest.approx(4 / 10)


def test_the_final_training_does_not_count():
    assert share(
        (0, MASTER),
        (0, leased(0, "a")),
        (5, completed(0, 4)),
        (5, leased(1, "a", REFIT_RUNG)),
        (100, completed(1, 95, REFIT_RUNG)),
    ) == pytest.approx(4 / 5)


def test_pauses_between_masters_do_not_count():
    assert share(
        (0, MASTER),
        (0, leased(0, "a")),
        (10, completed(0, 10)),
        (1000, MASTER),
        (1002, leased(1, "a")),
        (1007, completed(1, 4)),
    ) == pytest.approx(14 / 15)


def test_of_an_evaluation_that_outlived_its_master_the_rest_counts():
    # Begun under the first master, delivered 20 s after the second one started.
    assert share((0, MASTER), (0, leased(0, "a")), (1000, MASTER), (1020, completed(0, 1020))) == 1
    assert share(
        (0, MASTER),
        (0, leased(0, "a")),
        (1000, MASTER),
        (1010, leased(1, "a")),
        (1020, completed(0, 1020)),
        (1030, completed(1, 10)),
        (1040, leased(2, "a")),
        (1045, completed(2, 2)),
    ) == pytest.approx((20 + 10 + 2) / 45)


def test_a_worker_that_never_came_back_does_not_count():
    lost = TrialRequeued(TrialId(0, 0), 0, "lost", "gone", used_attempt=True)
    assert (
        share(
            (0, MASTER),
            (0, leased(0, "a")),
            (1000, MASTER),
            (1000, leased(1, "b")),
            (1010, completed(1, 10)),
            (1060, lost),
        )
        == 1
    )


def test_an_evaluation_cannot_have_taken_longer_than_its_worker_was_there():
    assert share((0, MASTER), (50, leased(0, "a")), (52, completed(0, 30))) == 1
    assert share(
        (0, MASTER),
        (50, leased(0, "a")),
        (52, completed(0, 30)),
        (52, leased(1, "a")),
        (54, completed(1, 1)),
    ) == pytest.approx(3 / 4)


def test_a_clock_that_is_set_back():
    time = WorkingTime()
    seconds = []
    for at, event in ((10, MASTER), (20, StudyStopped("x")), (15, StudyStopped("x")), (5, MASTER), (8, MASTER)):
        time.take(at, event)
        seconds.append(time.seconds)

    assert seconds == [0, 10, 10, 10, 10]
