"""Observations as arrays, one set per budget, brought up to date at the cost of what is new."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bohb_service.optimizer.observation import Observation
from bohb_service.space import FloatArray, SearchSpace

_INITIAL_CAPACITY = 64


class BudgetHistory:
    """The observations at one budget.

    Args:
        n_dimensions: Number of columns of the points.
    """

    def __init__(self, n_dimensions: int) -> None:
        self._points = np.empty((_INITIAL_CAPACITY, n_dimensions))
        self._losses = np.empty(_INITIAL_CAPACITY)
        self._order = np.empty(0, dtype=np.intp)
        self._size = 0
        self._n_finite = 0

    def __len__(self) -> int:
        return self._size

    @property
    def n_finite(self) -> int:
        """How many of the evaluations did not fail."""
        return self._n_finite

    def append(self, points: FloatArray, losses: FloatArray) -> None:
        """Adds observations: points of shape ``(k, d)`` and losses of shape ``(k,)``."""
        size = self._size + len(losses)
        if size > len(self._losses):
            capacity = max(size, 2 * len(self._losses))
            self._points = np.resize(self._points, (capacity, self._points.shape[1]))
            self._losses = np.resize(self._losses, capacity)
        self._points[self._size : size] = points
        self._losses[self._size : size] = losses
        # The old order is sorted and the sort finds that out; what is new goes behind what it ties with.
        order = np.concatenate((self._order, np.arange(self._size, size)))
        self._order = order[np.argsort(self._losses[order], kind="stable")]
        self._size = size
        self._n_finite += int(np.isfinite(losses).sum())

    def ranked(self, start: int, stop: int) -> FloatArray:
        """Points of ranks ``start`` to ``stop``, lowest loss first, ties in order of arrival; shape ``(k, d)``."""
        return self._points[self._order[start:stop]]


class History:
    """The observations of a study by budget.

    Args:
        space: The search space that the observed values belong to.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._budgets: dict[float, BudgetHistory] = {}
        self._count = 0
        self._last: Observation | None = None

    def update(self, observations: Sequence[Observation]) -> None:
        """Makes this the history of ``observations``, an append-only sequence: encodes only those not seen before."""
        count = self._count
        if len(observations) < count or (
            count > 0 and observations[count - 1] is not self._last and observations[count - 1] != self._last
        ):
            self._budgets.clear()
            count = 0
        new = [observations[index] for index in range(count, len(observations))]
        if new:
            self._append(new)
            self._last = new[-1]
        self._count = len(observations)

    def largest_first(self) -> list[BudgetHistory]:
        """The observations of each budget, largest budget first."""
        return [self._budgets[budget] for budget in sorted(self._budgets, reverse=True)]

    def _append(self, new: Sequence[Observation]) -> None:
        points = self._space.encode([observation.values for observation in new])
        losses = np.array([loss if math.isfinite(loss := observation.loss) else math.inf for observation in new])
        rows: dict[float, list[int]] = {}
        for row, observation in enumerate(new):
            rows.setdefault(observation.budget, []).append(row)
        for budget, members in rows.items():
            history = self._budgets.get(budget)
            if history is None:
                history = self._budgets[budget] = BudgetHistory(points.shape[1])
            chosen: npt.NDArray[np.intp] = np.array(members)
            history.append(points[chosen], losses[chosen])
