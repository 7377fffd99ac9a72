import math

import pytest

from bohb_service.master.pace import Pace


def test_an_unknown_budget_takes_for_ever_and_nothing_is_fetched_ahead():
    pace = Pace()
    assert pace.expect(1.0) == math.inf
    assert pace.prefetch(1.0) == 1
    pace.record(3.0, 0.001)
    assert pace.expect(1.0) == math.inf


def test_the_first_duration_counts_whole_and_later_ones_by_a_fifth():
    pace = Pace()
    pace.record(1.0, 10.0)
    assert pace.expect(1.0) == 10.0
    pace.record(1.0, 20.0)
    assert pace.expect(1.0) == pytest.approx(12.0)
    pace.record(1.0, 2.0)
    assert pace.expect(1.0) == pytest.approx(10.0)
    pace.record(9.0, 1.0)
    assert pace.expect(1.0) == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("seconds", "jobs"),
    [(0.0, 16), (1e-3, 16), (1.3e-3, 16), (1.4e-3, 15), (0.004, 6), (0.0099, 3), (0.0199, 2), (0.0201, 1), (60.0, 1)],
)
def test_a_worker_may_hold_twenty_milliseconds_of_work_ahead(seconds, jobs):
    pace = Pace()
    pace.record(1.0, seconds)
    assert pace.prefetch(1.0) == jobs
