"""A clock that stands still until it is moved."""


class ManualClock:
    """Both readings of time, moved by hand.

    Args:
        start: First reading, seconds.
    """

    def __init__(self, start: float = 1_000_000.0) -> None:
        self._now = start

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now

    def monotonic(self) -> float:
        """The same; this clock never runs backwards."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Args:
            seconds: How much; not negative.
        """
        if seconds < 0:
            raise ValueError(f"time cannot run backwards by {-seconds} s")
        self._now += seconds
