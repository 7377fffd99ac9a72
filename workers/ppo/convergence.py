"""When a task counts as solved, and what a course of returns is worth."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class ConvergenceDetector:
    """Looks at episodes one after the other, until the mean return of the last ones is high enough.

    Attributes:
        episodes: How many were looked at; those after the one that solved the task are not.
        is_solved: Whether the task is solved.

    Args:
        threshold: Mean return to reach.
        window: Episodes of the mean; fewer are never enough.
    """

    def __init__(self, threshold: float, window: int) -> None:
        self.episodes = 0
        self.is_solved = False
        self._threshold = threshold
        self._last: deque[float] = deque(maxlen=window)

    def take(self, value: float) -> bool:
        """Whether the task is solved, now that the next episode had this return.

        Args:
            value: Sum of rewards.
        """
        assert not self.is_solved
        self.episodes += 1
        self._last.append(value)
        self.is_solved = len(self._last) == self._last.maxlen and float(np.mean(self._last)) >= self._threshold
        return self.is_solved


def smoothed(returns: FloatArray, window: int) -> FloatArray:
    """Mean return of the last episodes, after each of them; of fewer at the beginning.

    Args:
        returns: Of all episodes in order, shape ``(n,)``.
        window: Episodes of the mean.
    """
    sums = np.cumsum(np.concatenate([[0.0], returns]))
    last = np.arange(1, len(returns) + 1)
    first = np.maximum(last - window, 0)
    means: FloatArray = (sums[last] - sums[first]) / (last - first)
    return means


def final_return(returns: FloatArray, window: int) -> float:
    """Mean return of the last episodes.

    Args:
        returns: As for `smoothed`, at least one.
        window: As for `smoothed`.
    """
    return float(np.mean(returns[-window:]))


def area(returns: FloatArray, lengths: NDArray[np.int64], window: int) -> float:
    """Area under the learning curve, per environment step: the mean over steps of `smoothed` at their episode.

    Args:
        returns: As for `smoothed`, at least one.
        lengths: Steps of each episode.
        window: As for `smoothed`.
    """
    return float(np.average(smoothed(returns, window), weights=lengths))
