"""The clock of a master that may be stopped."""

from bohb_service.clock import AwakeClock
from bohb_service.testing.clock import ManualClock


def test_time_asleep_does_not_count():
    inner = ManualClock()
    clock = AwakeClock(inner, longest_s=2.0)
    began = clock.monotonic()
    for _ in range(10):
        inner.advance(2.0)
        clock.monotonic()
    assert clock.monotonic() - began == 20.0
    inner.advance(1000.0)
    assert clock.monotonic() - began == 20.0
    inner.advance(1.0)
    assert clock.monotonic() - began == 21.0
    assert clock.now() == inner.now()
