import math

import pytest

from bohb_service.master.pace import Pace


def test_an_unknown_budget_takes_for_ever_and_nothing_is_fetched_ahead():
    pace = Pace()
    assert pace.expect(1.0) == math.inf
    assert pace.prefetch(1.0) == 1
    pace.record(3.0, 0.001)
    assert pace.expect(1.0) == math.inf


def test_the_median_of_the_last_fifteen_counts():
    pace = Pace()
    pace.record(1.0, 10.0)
    assert pace.expect(1.0) == 10.0
    for seconds in (1.0, 2.0, 3.0, 500.0):
        pace.record(1.0, seconds)
    pace.record(9.0, 77.0)
    assert pace.expect(1.0) == 3.0
    for _ in range(8):
        pace.record(1.0, 0.5)
    assert pace.expect(1.0) == 0.5


@pytest.mark.parametrize(
    ("turnaround", "seconds", "jobs"),
    [
        (0.01, 0.0, 16),
        (0.01, 0.0033, 16),
        (0.01, 0.0036, 15),
        (0.01, 0.01, 6),
        (0.01, 0.0249, 4),
        (0.01, 0.0251, 3),
        (0.001, 0.01, 6),
        (0.0001, 0.049, 3),
        (0.0, 0.01, 6),
        (0.04, 0.01, 9),
        (0.04, 0.05, 3),
        (0.5, 0.01, 16),
        (0.001, 0.0999, 2),
        (0.5, 0.1, 1),
        (0.01, 60.0, 1),
    ],
)
def test_what_is_held_beside_the_running_job_lasts_for_two_exchanges_and_long_jobs_are_not_fetched_ahead(
    turnaround, seconds, jobs
):
    pace = Pace()
    pace.record(1.0, seconds)
    if turnaround:
        pace.record_turnaround(turnaround)
    assert pace.prefetch(1.0) == jobs


def test_one_exchange_that_took_long_does_not_matter():
    pace = Pace()
    pace.record(1.0, 0.01)
    for seconds in (0.001, 30.0, 0.001):
        pace.record_turnaround(seconds)
    assert pace.prefetch(1.0) == 6
