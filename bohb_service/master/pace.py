"""How long evaluations take, and how many a worker may therefore hold at once."""

import math

_SMOOTHING = 0.2
_WORTH_AHEAD_S = 0.02
_MAX_PREFETCH = 16


class Pace:
    """Smoothed duration of evaluations by budget, in seconds.

    A job that is shorter than a round trip through a busy master is worth fetching ahead of need; a longer one
    is better decided late, when more results are known.
    """

    def __init__(self) -> None:
        self._seconds: dict[float, float] = {}

    def record(self, budget: float, seconds: float) -> None:
        """Take the duration of one evaluation."""
        known = self._seconds.get(budget)
        self._seconds[budget] = seconds if known is None else known + _SMOOTHING * (seconds - known)

    def expect(self, budget: float) -> float:
        """Expected duration at a budget; infinite while unknown."""
        return self._seconds.get(budget, math.inf)

    def prefetch(self, budget: float) -> int:
        """How many jobs of this budget a worker may hold at once, the running one included."""
        return min(_MAX_PREFETCH, 1 + int(_WORTH_AHEAD_S / max(self.expect(budget), 1e-6)))
