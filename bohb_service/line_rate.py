"""Keeps log lines at a rate that somebody can read."""

from collections import Counter

_SUMMARY_S = 1.0


class LineRate:
    """Lets a burst of lines through, and so many a second after it; counts the others by kind.

    Args:
        burst: Lines that may come at once.
        per_s: Lines a second in the long run.
    """

    def __init__(self, burst: float = 1000.0, per_s: float = 20.0) -> None:
        self._burst = self._allowed = burst
        self._per_s = per_s
        self._at = self._told = float("-inf")
        self._left_out: Counter[str] = Counter()

    def allows(self, at: float, kind: str) -> bool:
        """Whether a line may be written now.

        Args:
            at: Time in seconds, of any clock; a step back is no time.
            kind: What is counted if it is left out.
        """
        if at > self._at:
            self._allowed = min(self._burst, self._allowed + (at - self._at) * self._per_s)
            self._at = at
        if self._allowed >= 1.0:
            self._allowed -= 1.0
            return True
        if not self._left_out:
            self._told = at
        self._left_out[kind] += 1
        return False

    def take_left_out(self, at: float) -> dict[str, int] | None:
        """How many lines were left out, by kind, about once a second; None: not yet, or none were."""
        if not self._left_out or abs(at - self._told) < _SUMMARY_S:
            return None
        left_out, self._left_out = dict(self._left_out), Counter()
        return left_out
