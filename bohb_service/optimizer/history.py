"""Observations as arrays, one set per budget, brought up to date at the cost of what is new and asked for."""

import math
from collections.abc import Sequence

import numpy as np

from bohb_service.optimizer.observation import Observation
from bohb_service.space import FloatArray, SearchSpace

_INITIAL_CAPACITY = 64
_ENCODED_AT_ONCE = 4096
_MOST_INSERTED = 64
"""So many new points are put between the old ones; sorting all anew is cheaper for more."""


class BudgetHistory:
    """The observations at one budget.

    Those of most budgets are never looked at, so observations wait as they are until points are asked for.

    Args:
        space: The search space that the observed values belong to.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._names = frozenset(dimension.name for dimension in space.dimensions)
        self._waiting: list[Observation] = []
        # In order of rank: the model reads long slices of them for every single proposal.
        self._points = np.empty((_INITIAL_CAPACITY, len(space.dimensions)))
        self._losses = np.empty(_INITIAL_CAPACITY)
        self._size = 0
        self._n_finite = 0
        self._n_active = 0

    def __len__(self) -> int:
        return self._size + len(self._waiting)

    @property
    def n_finite(self) -> int:
        """How many of the evaluations did not fail."""
        return self._n_finite

    @property
    def n_active(self) -> int:
        """The most dimensions that are active in one of the points; all dimensions in a space without conditions."""
        return self._n_active

    def append(self, observation: Observation) -> None:
        """Adds an observation."""
        self._waiting.append(observation)
        self._n_finite += math.isfinite(observation.loss)
        self._n_active = max(self._n_active, len(self._names & observation.values.keys()))

    def ranked(self, start: int, stop: int) -> FloatArray:
        """Points of ranks ``start`` to ``stop``, lowest loss first, ties in order of arrival; shape ``(k, d)``.

        They must not be changed, and are valid until the next call after an `append`.
        """
        for first in range(0, len(self._waiting), _ENCODED_AT_ONCE):
            self._take_in(self._waiting[first : first + _ENCODED_AT_ONCE])
        self._waiting.clear()
        return self._points[: self._size][start:stop]

    def _take_in(self, new: Sequence[Observation]) -> None:
        points = self._space.encode([observation.values for observation in new])
        losses = np.array([loss if math.isfinite(loss := observation.loss) else math.inf for observation in new])
        self._reserve(self._size + len(new))
        size, self._size = self._size, self._size + len(new)
        if len(new) <= _MOST_INSERTED:
            order = np.argsort(losses, kind="stable")
            self._insert(size, points[order], losses[order])
            return
        self._points[size : self._size] = points
        self._losses[size : self._size] = losses
        # What is new goes behind what it ties with.
        order = np.argsort(self._losses[: self._size], kind="stable")
        self._points[: self._size] = self._points[order]
        self._losses[: self._size] = self._losses[order]

    def _insert(self, size: int, points: FloatArray, losses: FloatArray) -> None:
        """Put sorted points between the first ``size``, last one first, so that each old one is moved once."""
        # Overlapping parts are moved in place, without a copy, if they have one axis.
        flat, width = self._points.reshape(-1), self._points.shape[1]
        places = np.searchsorted(self._losses[:size], losses, side="right").tolist()
        stop = size
        for shift, place in zip(range(len(losses), 0, -1), reversed(places), strict=True):
            flat[(place + shift) * width : (stop + shift) * width] = flat[place * width : stop * width]
            self._losses[place + shift : stop + shift] = self._losses[place:stop]
            self._points[place + shift - 1] = points[shift - 1]
            self._losses[place + shift - 1] = losses[shift - 1]
            stop = place

    def _reserve(self, size: int) -> None:
        if size > len(self._losses):
            capacity = max(size, 2 * len(self._losses))
            self._points = np.resize(self._points, (capacity, self._points.shape[1]))
            self._losses = np.resize(self._losses, capacity)


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
        """Makes this the history of ``observations``, an append-only sequence: looks only at those not seen before."""
        count = self._count
        if len(observations) < count or (
            count > 0 and observations[count - 1] is not self._last and observations[count - 1] != self._last
        ):
            self._budgets.clear()
            count = 0
        for index in range(count, len(observations)):
            observation = observations[index]
            history = self._budgets.get(observation.budget)
            if history is None:
                history = self._budgets[observation.budget] = BudgetHistory(self._space)
            history.append(observation)
            self._last = observation
        self._count = len(observations)

    def largest_first(self) -> list[BudgetHistory]:
        """The observations of each budget, largest budget first."""
        return [self._budgets[budget] for budget in sorted(self._budgets, reverse=True)]
