"""A search space as the optimiser uses it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from ConfigSpace import ConfigurationSpace
from ConfigSpace.hyperparameters import Constant

from bohb_service.errors import SpaceError
from bohb_service.space.axis import NotAllowedError, make_axis
from bohb_service.space.dimension import BoolArray, Dimension, FloatArray
from bohb_service.space.grid import Grid
from bohb_service.space.predicates import Rows
from bohb_service.space.priors import Priors
from bohb_service.space.rules import Rules
from bohb_service.space.serial import dump_space, load_space
from bohb_service.space.wording import show, suggest

_LARGEST_BATCH = 4096
_PATIENCE = 2**18
"""Draws in a row that may all be forbidden before the space is called empty."""


class SearchSpace:
    """A space of configurations, with their encoding as rows of numbers.

    Column ``j`` of an encoded configuration belongs to ``dimensions[j]``:

    - continuous: [0, 1], linear or logarithmic between the bounds;
    - integer ``v``: ``(v - low + 0.5) / (high - low + 1)``; logarithmic,
      ``(log v - log(low - 0.5)) / (log(high + 0.5) - log(low - 0.5))``;
    - ordinal: ``(position + 0.5) / levels``;
    - categorical: the position, 0 to ``levels - 1``;
    - where the hyperparameter is inactive: NaN.

    A condition on an inactive parent is not met. (The exception is ConfigSpace's: its check of a configuration calls
    ``child | parent != value`` met where the parent is inactive, and what that check accepts is what counts here.) A
    forbidden clause that involves an inactive hyperparameter is not violated.

    The space is read once; later changes of the ``ConfigurationSpace`` have no effect.

    Args:
        configuration_space: A space of ConfigSpace.

    Attributes:
        configuration_space: The argument.
        dimensions: The columns, in the order of the space. Constants carry no information and are none of them.

    Raises:
        SpaceError: The space has something that is not supported.
    """

    configuration_space: ConfigurationSpace
    dimensions: tuple[Dimension, ...]

    def __init__(self, configuration_space: ConfigurationSpace) -> None:
        self.configuration_space = configuration_space
        hyperparameters = list(configuration_space.values())
        varying = [h for h in hyperparameters if not isinstance(h, Constant)]
        constants = [h for h in hyperparameters if isinstance(h, Constant)]
        self._axes = [make_axis(hyperparameter) for hyperparameter in varying + constants]
        self._nodes = {axis.name: node for node, axis in enumerate(self._axes)}
        self._order = [(self._nodes[h.name], self._axes[self._nodes[h.name]]) for h in hyperparameters]
        self._width = len(varying)
        self.dimensions = tuple(axis.dimension for axis in self._axes[: self._width])
        self._grid = Grid(self._axes[: self._width])
        self._rules = Rules(configuration_space, self._axes, self._grid)
        self._priors = Priors(varying)

    def __repr__(self) -> str:
        return f"SearchSpace({', '.join(axis.name for _, axis in self._order)})"

    @property
    def n_configurations(self) -> float | int:
        """Number of configurations, were all active and none forbidden; infinite if a dimension is continuous."""
        sizes = [dimension.levels or math.inf for dimension in self.dimensions]
        return math.inf if math.inf in sizes else math.prod(sizes)

    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Encoded draws from the priors, without the forbidden ones.

        Args:
            n: How many.
            rng: The only source of randomness: the same state gives the same draws.

        Returns:
            Snapped rows, shape ``(n, d)``.

        Raises:
            SpaceError: Next to everything is forbidden: 2^18 draws in a row were.
        """
        found: list[FloatArray] = []
        missing, batch, fruitless = n, n, 0
        while missing:
            units = self._priors.units(rng.random((min(batch, max(missing, _LARGEST_BATCH)), self._width)))
            vectors, rows = self._snapped(units)
            if not self._rules.clauses:
                return vectors
            vectors = vectors[self._rules.legal(rows)][:missing]
            fruitless = 0 if len(vectors) else fruitless + len(units)
            if fruitless >= _PATIENCE:
                raise SpaceError(
                    f"the forbidden clauses leave (nearly) nothing of the space: {fruitless} draws in a row were "
                    f"forbidden; relax one of: {'; '.join(clause.text for clause in self._rules.clauses[:5])}"
                )
            found.append(vectors)
            missing -= len(vectors)
            batch *= 2
        return np.concatenate(found) if found else np.empty((0, self._width))

    def snap(self, vectors: npt.ArrayLike) -> FloatArray:
        """The nearest encoded configurations.

        Every entry is moved to the nearest value that a configuration can have, and then to NaN where that makes the
        hyperparameter inactive. A NaN where the hyperparameter turns out active stands for its default value.

        Args:
            vectors: Coordinates in [0, 1], of categoricals positions, or NaN; shape ``(n, d)``.

        Returns:
            Snapped rows, shape ``(n, d)``; snapping them again changes nothing.
        """
        return self._snapped(self._filled(vectors))[0]

    def is_legal(self, vectors: npt.ArrayLike) -> BoolArray:
        """Which snapped rows are in no forbidden clause.

        Args:
            vectors: Snapped rows, shape ``(n, d)``.

        Returns:
            Shape ``(n,)``.
        """
        if not self._rules.clauses:
            return np.ones(len(np.asarray(vectors)), dtype=np.bool_)
        return self._rules.legal(self._rows(vectors))

    def active(self, vectors: npt.ArrayLike) -> BoolArray:
        """Which hyperparameters are active in each row, shape ``(n, d)``."""
        if not self._rules.has_conditions:
            return np.ones(np.shape(vectors), dtype=np.bool_)
        return np.ascontiguousarray(self._rows(vectors).active[: self._width].T)

    def decode(self, vectors: npt.ArrayLike) -> list[dict[str, Any]]:
        """The configurations of rows.

        Args:
            vectors: Rows, shape ``(n, d)``; they are snapped first.

        Returns:
            Plain Python values by name, of the active hyperparameters and constants, in the order of the space.
        """
        rows = self._rows(vectors)
        table = rows.numbers.tolist()
        if not self._rules.has_conditions:
            return [{axis.name: axis.value(numbers[node]) for node, axis in self._order} for numbers in table]
        return [
            {axis.name: axis.value(numbers[node]) for node, axis in self._order if active[node]}
            for numbers, active in zip(table, rows.active.T.tolist(), strict=True)
        ]

    def encode(self, configurations: Sequence[Mapping[str, Any]]) -> FloatArray:
        """The rows of configurations, shape ``(n, d)``.

        Values of inactive hyperparameters are ignored, and constants may be left out; `check` is the strict one.

        Args:
            configurations: Values by name.

        Raises:
            SpaceError: A name or value does not belong to the space, or an active hyperparameter is missing.
        """
        table = np.array([self._numbers(configuration)[: self._width] for configuration in configurations])
        numbers = self._grid.rounded(table.reshape(len(configurations), self._width))
        is_missing = np.isnan(numbers)
        if not self._rules.has_conditions:
            self._refuse(is_missing, configurations)
            return self._grid.units(numbers)
        numbers = np.where(is_missing, self._grid.default_numbers, numbers)
        is_active = self._rules.rows(numbers).active[: self._width].T
        self._refuse(is_missing & is_active, configurations)
        vectors = self._grid.units(numbers)
        np.copyto(vectors, np.nan, where=~is_active)
        return vectors

    def check(self, configuration: Mapping[str, Any]) -> None:
        """Returns if the configuration belongs to the space, exactly as `decode` would give it.

        Args:
            configuration: Values by name.

        Raises:
            SpaceError: An unknown name, a value of a wrong type or out of range, an active hyperparameter that is
                missing, an inactive one that is given, or a forbidden combination; the message says which, and what is
                allowed.
        """
        numbers = np.array([self._numbers(configuration)])
        is_given = ~np.isnan(numbers[0])
        numbers[:, : self._width] = self._grid.rounded(numbers[:, : self._width])
        defaults = np.zeros(len(self._axes))
        defaults[: self._width] = self._grid.default_numbers
        rows = self._rules.rows(np.where(np.isnan(numbers), defaults, numbers))
        for node, axis in self._order:
            if rows.active[node, 0] and not is_given[node]:
                raise SpaceError(self._missing(node))
            if is_given[node] and not rows.active[node, 0]:
                raise SpaceError(
                    f"{axis.name}: {show(configuration[axis.name])} is given, but the hyperparameter is inactive, "
                    f"because its condition is not met: {self._rules.reason(axis.name)}; leave it out"
                )
        for clause in self._rules.clauses:
            if clause.predicate.holds(rows)[0]:
                raise SpaceError(f"the combination {clause.text} is forbidden; change one of these values")

    def default(self) -> dict[str, Any]:
        """The configuration of all default values."""
        return self.decode(self._grid.default_units[None])[0]

    def to_json(self) -> str:
        """The space in ConfigSpace's own JSON form.

        Raises:
            SpaceError: A value has no JSON form.
        """
        return dump_space(self.configuration_space)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The space of a text in ConfigSpace's own JSON form.

        Raises:
            SpaceError: The text is not such a form.
        """
        return cls(load_space(text))

    def _filled(self, vectors: npt.ArrayLike) -> FloatArray:
        """Rows without NaN: the default value stands in."""
        array = np.asarray(vectors, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != self._width:
            raise ValueError(f"rows of {self._width} columns are needed, but the shape is {array.shape}")
        return np.where(np.isnan(array), self._grid.default_units, array)

    def _rows(self, vectors: npt.ArrayLike) -> Rows:
        return self._rules.rows(self._grid.numbers(self._filled(vectors)))

    def _snapped(self, units: FloatArray) -> tuple[FloatArray, Rows]:
        """Snapped rows, and what the rules are asked about."""
        numbers = self._grid.numbers(units)
        vectors = self._grid.units(numbers)
        rows = self._rules.rows(numbers)
        if self._rules.has_conditions:
            np.copyto(vectors, np.nan, where=~rows.active[: self._width].T)
        return vectors, rows

    def _numbers(self, configuration: Mapping[str, Any]) -> list[float]:
        """The number of every hyperparameter; NaN where it is not given."""
        numbers = [math.nan] * len(self._axes)
        for name, value in configuration.items():
            node = self._nodes.get(name)
            if node is None:
                raise SpaceError(f"{show(name)} is no hyperparameter of the space; {suggest(name, self._nodes)}")
            try:
                numbers[node] = self._axes[node].number(value)
            except NotAllowedError as error:
                raise SpaceError(f"{name}: {error}") from error
        return numbers

    def _refuse(self, is_missing: BoolArray, configurations: Sequence[Mapping[str, Any]]) -> None:
        if is_missing.any():
            row, column = np.argwhere(is_missing)[0].tolist()
            raise SpaceError(f"{self._missing(column)}; the configuration is {show(dict(configurations[row]))}")

    def _missing(self, node: int) -> str:
        axis = self._axes[node]
        reason = self._rules.reason(axis.name)
        return (
            f"{axis.name}: is missing, but active"
            + (f", because its condition is met: {reason}" if reason else "")
            + f"; give it a value; allowed: {axis.allowed}"
        )
