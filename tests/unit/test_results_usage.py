"""Working time and utilisation, from events with times that can be added up by hand."""

import pytest

from bohb_service.results.working_time import WorkerUsage, WorkingTime
from bohb_service.scheduler.events import (
    MasterStarted,
    StudyReopened,
    StudyStopped,
    TrialAbandoned,
    TrialCompleted,
    TrialFailed,
    TrialLeased,
    TrialRequeued,
    WorkerJoined,
    WorkerLeft,
)
from bohb_service.scheduler.trial import REFIT_RUNG, TrialId

MASTER = MasterStarted("1", "head", 1)


def leased(lease, worker, rung=0):
    return TrialLeased(TrialId(lease, rung), 0, 1, lease, 1, worker)


def joined(worker):
    return WorkerJoined(worker, "node", 1, "1")


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
    # a: available 2..12, busy 3 + 5; b: available 4..12, busy 3.
    assert share(
        (0, MASTER),
        (2, leased(0, "a")),
        (4, leased(1, "b")),
        (5, completed(0, 3)),
        (7, leased(2, "a")),
        (8, completed(1, 3)),
        (12, completed(2, 5)),
        (12, StudyStopped("brackets")),
    ) == pytest.approx((3 + 5 + 3) / (10 + 8))


def test_who_waits_for_a_straggler_is_idle():
    entries = [
        (0, MASTER),
        (0, leased(0, "a")),
        (0, leased(1, "b")),
        (10, completed(0, 10)),
        (100, completed(1, 100)),
    ]

    assert share(*entries[:-1]) == 0.5  # so far: b is not known to work
    assert share(*entries) == pytest.approx(110 / 200)
    assert share(*entries, (100, StudyStopped("brackets"))) == pytest.approx(110 / 200)
    # Between the last end and a stop on request everybody waits; what comes then is not the search.
    halted = [*entries, (120, StudyStopped("stopped on request"))]
    assert share(*halted) == pytest.approx(110 / 240)
    refit = [(120, leased(2, "a", REFIT_RUNG)), (500, completed(2, 380, REFIT_RUNG))]
    assert share(*halted, *refit) == pytest.approx(110 / 240)


@pytest.mark.parametrize("reason", ["lost", "preempted", "unstarted", "abandoned"])
def test_a_worker_that_has_left_waits_for_nobody(reason):
    gone = (
        TrialAbandoned(TrialId(0, 0), 0, "lost", "gone")
        if reason == "abandoned"
        else TrialRequeued(TrialId(0, 0), 0, reason, "gone", used_attempt=False)
    )
    entries = [(0, MASTER), (0, leased(0, "a")), (0, leased(1, "b")), (10, gone)]

    assert share(*entries, (40, completed(1, 40))) == pytest.approx(40 / (10 + 40))
    # It is back.
    assert share(*entries, (30, leased(2, "a")), (40, completed(1, 40))) == pytest.approx(40 / (40 + 40))
    # It was silent, not dead.
    assert share(*entries, (12, completed(0, 12)), (40, completed(1, 40))) == pytest.approx(52 / (40 + 40))


def test_a_worker_that_leaves_when_it_holds_nothing_waits_for_nobody_either():
    entries = [
        (0, MASTER),
        (0, joined("a")),
        (0, joined("b")),
        (0, leased(0, "a")),
        (0, leased(1, "b")),
        (10, completed(0, 10)),
        (15, WorkerLeft("a", "drained", is_lost=False)),
    ]

    assert share(*entries, (40, completed(1, 40))) == pytest.approx(50 / (15 + 40))
    # What it was away does not count when it comes back.
    back = [(20, joined("a")), (30, leased(2, "a")), (40, completed(2, 10)), (40, completed(1, 40))]
    assert share(*entries, *back) == pytest.approx(60 / (15 + 10 + 40))
    # Who leaves after the search has ended was there until its end.
    late = [(40, completed(1, 40)), (40, StudyStopped("brackets")), (52, WorkerLeft("b", "bye", is_lost=False))]
    assert share(*entries, *late) == pytest.approx(50 / (15 + 40))


def test_a_worker_that_gives_a_lease_back_but_stays_waits_like_others():
    given_back = TrialRequeued(TrialId(1, 0), 1, "unstarted", "it never got it", used_attempt=False)
    entries = [(0, MASTER), (0, leased(0, "b")), (0, leased(1, "a")), (10, given_back), (40, completed(0, 40))]

    assert share(*entries) == pytest.approx(40 / (10 + 40))
    assert share((0, joined("a")), *entries) == pytest.approx(40 / (10 + 40))  # that was under another master
    assert share(entries[0], (0, joined("a")), *entries[1:]) == pytest.approx(40 / (40 + 40))


def test_a_worker_that_leaves_first_gives_back_what_it_has_not_begun():
    assert share(
        (0, MASTER),
        (0, leased(0, "a")),
        (0, leased(1, "a")),
        (0, leased(2, "b")),
        (5, TrialRequeued(TrialId(1, 0), 1, "unstarted", "leaves", used_attempt=False)),
        (8, completed(0, 8)),
        (20, completed(2, 20)),
    ) == pytest.approx(28 / (8 + 20))


def test_an_evaluation_that_the_end_of_the_search_cut_off_kept_its_worker_there():
    assert share(
        (0, MASTER),
        (0, leased(0, "a")),
        (0, leased(1, "b")),
        (10, completed(0, 10)),
        (10, TrialRequeued(TrialId(1, 0), 1, "stopped", "the search ended (loss)", used_attempt=False)),
        (30, StudyStopped("loss")),
    ) == pytest.approx(10 / (30 + 30))


def test_a_search_that_goes_on_ends_anew():
    assert share(
        (0, MASTER),
        (0, leased(0, "a")),
        (10, completed(0, 10)),
        (20, StudyStopped("brackets")),
        (1000, MASTER),
        (1000, StudyReopened()),
        (1000, leased(1, "a")),
        (1030, completed(1, 30)),
    ) == pytest.approx(40 / (20 + 30))


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
    # But b waits until that is known.
    lost = TrialRequeued(TrialId(0, 0), 0, "lost", "gone", used_attempt=True)
    assert share(
        (0, MASTER),
        (0, leased(0, "a")),
        (1000, MASTER),
        (1000, leased(1, "b")),
        (1010, completed(1, 10)),
        (1060, lost),
    ) == pytest.approx(10 / 60)


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


def test_the_time_in_which_a_master_waits_for_workers_does_not_count():
    time = WorkingTime()
    seconds = []
    for at, event in (
        (0, MASTER),
        (10, leased(0, "a")),
        (100, MasterStarted("1", "head", 1, "", min_workers=2)),
        (110, joined("a")),
        (120, completed(0, 10)),
        (130, WorkerLeft("a", "drained", is_lost=False)),
        (140, joined("b")),
        (150, joined("a")),
        (151, leased(1, "a")),
        (153, completed(1, 2)),
        (160, WorkerLeft("a", "bye", is_lost=False)),
    ):
        time.take(at, event)
        seconds.append(time.seconds)

    assert seconds == [0, 10, 10, 10, 10, 10, 10, 10, 11, 13, 13]
