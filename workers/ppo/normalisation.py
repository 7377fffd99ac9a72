"""Running mean and deviation of what an agent has seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .actor import Floats

FloatArray = NDArray[np.float64]

_EPSILON = 1e-8
_FARTHEST = np.float32(10)


class Moments:
    """Mean and variance of all rows so far.

    Attributes:
        mean: Shape ``(d,)``, initially 0.
        variance: Shape ``(d,)``, initially 1.
        count: Rows so far.

    Args:
        size: Columns of a row.
    """

    def __init__(self, size: int) -> None:
        self.mean: FloatArray = np.zeros(size)
        self.variance: FloatArray = np.ones(size)
        self.count = 0

    def update(self, rows: NDArray[np.floating]) -> None:
        """Take up more rows.

        Args:
            rows: Shape ``(n, d)``, at least one.
        """
        rows = rows.astype(np.float64)
        mean, count = rows.mean(axis=0), len(rows)
        total = self.count + count
        difference = mean - self.mean
        squares = self.variance * self.count + rows.var(axis=0) * count
        self.variance = (squares + difference**2 * self.count * count / total) / total
        self.mean = self.mean + difference * count / total
        self.count = total

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays by name."""
        return {"mean": self.mean, "variance": self.variance, "count": np.asarray(self.count)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Become what another one was.

        Args:
            state: What `state` returned.
        """
        self.mean, self.variance, self.count = state["mean"], state["variance"], int(state["count"])

    @property
    def deviation(self) -> FloatArray:
        """Standard deviations, above 0."""
        return np.sqrt(self.variance + _EPSILON)


@dataclass(frozen=True, slots=True)
class Eyes:
    """How observations are scaled before the agent sees them.

    Attributes:
        mean: Shape ``(d,)``.
        deviation: Shape ``(d,)``.
    """

    mean: Floats
    deviation: Floats

    def see(self, observations: Floats) -> Floats:
        """The observations less the mean, per deviation, at most 10 from 0.

        Args:
            observations: Shape ``(n, d)``.
        """
        seen: Floats = np.clip((observations - self.mean) / self.deviation, -_FARTHEST, _FARTHEST)
        return seen


def forward_sums(rewards: FloatArray, discount: float) -> FloatArray:
    """At each step the sum of this and all earlier rewards, each discounted once per step since.

    Args:
        rewards: Shape ``(n,)``.
        discount: In [0, 1].
    """
    from scipy.signal import lfilter

    sums: FloatArray = lfilter([1.0], [1.0, -discount], rewards)
    return sums
