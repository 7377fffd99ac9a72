"""Learning curves: what is kept, and what is sent while the evaluation runs."""

import itertools
import os

import numpy as np
import pytest

from bohb_service.testing.clock import ManualClock
from bohb_service.worker.curve import LIVE_POINTS_PER_SECOND, MAX_POINTS, CurveRecorder


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def sent():
    return []


@pytest.fixture
def recorder(clock, sent):
    return CurveRecorder(lambda *point: sent.append(point), clock)


def test_points_are_kept_and_sent(recorder, sent):
    report = recorder.begin(7)
    report(1, 0.5)
    report(np.int64(2), np.float32(0.25))

    assert recorder.points() == ((1.0, 0.5), (2.0, 0.25))
    assert sent == [(7, 1.0, 0.5), (7, 2.0, 0.25)]
    assert {type(value) for point in recorder.points() for value in point} == {float}


def test_each_evaluation_has_its_own_curve(recorder, sent):
    first = recorder.begin(1)
    first(0, 1.0)
    recorder.begin(2)
    first(1, 0.5)

    assert recorder.points() == ()
    assert len(sent) == 1


def test_a_flood_is_sent_at_a_steady_rate_and_kept_whole(recorder, sent, clock):
    report = recorder.begin(1)
    for step in range(1000):
        report(step, 0.0)
        clock.advance(0.01)

    assert len(recorder.points()) == 1000
    burst = LIVE_POINTS_PER_SECOND
    assert burst + 10 * LIVE_POINTS_PER_SECOND - 2 <= len(sent) <= burst + 10 * LIVE_POINTS_PER_SECOND + 1


@pytest.mark.parametrize("n_points", [MAX_POINTS - 1, MAX_POINTS, MAX_POINTS + 1, 3 * MAX_POINTS, 25_001])
def test_long_curves_are_thinned_evenly_and_span_the_evaluation(recorder, n_points):
    report = recorder.begin(1)
    for step in range(n_points):
        report(step, 0.0)
    steps = [step for step, _ in recorder.points()]

    assert MAX_POINTS / 2 <= len(steps) <= MAX_POINTS
    assert (steps[0], steps[-1]) == (0, n_points - 1)
    gaps = {later - earlier for earlier, later in itertools.pairwise(steps[:-1])}
    assert len(gaps) == 1


def test_a_value_that_is_no_number_is_the_callers_error(recorder):
    report = recorder.begin(1)

    with pytest.raises(ValueError, match="high"):
        report(1, "high")
    assert recorder.points() == ()


def test_forked_processes_do_not_report(recorder, sent, monkeypatch):
    report = recorder.begin(1)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    report(0, 1.0)

    assert recorder.points() == ()
    assert sent == []
