"""Log lines at a rate that somebody can read."""

from bohb_service.line_rate import LineRate


def test_a_burst_passes_then_a_steady_rate():
    rate = LineRate(burst=3, per_s=2.0)
    assert [rate.allows(10.0, "a") for _ in range(5)] == [True, True, True, False, False]
    assert [rate.allows(10.6, "a") for _ in range(2)] == [True, False]
    assert sum(rate.allows(100.0, "a") for _ in range(10)) == 3  # no more than a burst, however long it was quiet


def test_what_is_left_out_is_told_about_once_a_second():
    rate = LineRate(burst=1, per_s=0.001)
    assert rate.take_left_out(0.0) is None
    for kind in ("a", "b", "b", "c"):
        rate.allows(0.0, kind)
    assert rate.take_left_out(0.5) is None
    assert rate.take_left_out(1.0) == {"b": 2, "c": 1}
    assert rate.take_left_out(5.0) is None


def test_a_clock_that_is_set_back_stops_nothing():
    rate = LineRate(burst=1, per_s=1.0)
    assert rate.allows(1000.0, "a")
    assert not rate.allows(10.0, "a")
    assert rate.take_left_out(11.5) == {"a": 1}
    assert not rate.allows(20.0, "a")
    assert rate.allows(1001.0, "a")
