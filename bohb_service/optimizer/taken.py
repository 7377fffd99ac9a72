"""Which configurations have been suggested already."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from bohb_service.space import FloatArray, SearchSpace

_REDRAWS = 64
_ROUNDS = 8
_INACTIVE = object()


class TakenConfigurations:
    """The set of configurations in an append-only sequence, brought up to date at the cost of what is new.

    Args:
        space: The search space that the configurations belong to.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._names = tuple(dimension.name for dimension in space.dimensions)
        self._keys: set[Hashable] = set()
        self._count = 0
        self._last: Mapping[str, Any] | None = None

    def update(self, taken: Sequence[Mapping[str, Any]]) -> None:
        """Makes this the set of the configurations in ``taken``."""
        count = self._count
        if len(taken) < count or (count > 0 and taken[count - 1] is not self._last and taken[count - 1] != self._last):
            self._keys.clear()
            count = 0
        for index in range(count, len(taken)):
            self._keys.add(self._key(taken[index]))
        self._count = len(taken)
        self._last = taken[-1] if taken else None

    def __contains__(self, values: object) -> bool:
        return isinstance(values, Mapping) and self._key(values) in self._keys

    @property
    def is_exhausted(self) -> bool:
        """Whether every configuration of the space is taken."""
        return len(self._keys) >= self._space.n_configurations

    def first_new(self, vectors: FloatArray) -> tuple[int, dict[str, Any]] | None:
        """The first of the configurations that is not taken, as its row and its values; None if all are.

        Args:
            vectors: Candidates, best first, shape ``(n, d)``.
        """
        if len(vectors) == 0:
            return None
        # The first one is almost always new, and decoding costs more than looking up.
        values = self._space.decode(vectors[:1])[0]
        if values not in self:
            return 0, values
        for index, others in enumerate(self._space.decode(vectors[1:])):
            if others not in self:
                return index + 1, others
        return None

    def draw_new(self, rng: np.random.Generator) -> dict[str, Any]:
        """A draw of the space's prior that is not taken, if one turns up in a few hundred draws, else any."""
        vectors = self._space.sample(1, rng)
        values = self._space.decode(vectors)[0]
        if values not in self or self.is_exhausted:
            return values
        for _ in range(_ROUNDS):
            found = self.first_new(self._space.sample(_REDRAWS, rng))
            if found is not None:
                return found[1]
        return values

    def _key(self, values: Mapping[str, Any]) -> Hashable:
        return tuple([_hashable(values.get(name, _INACTIVE)) for name in self._names])


def _hashable(value: Any) -> Hashable:
    """The value, with tuples for lists: a sequence may come back as either from where the study was stored."""
    return tuple([_hashable(item) for item in value]) if isinstance(value, list | tuple) else value
