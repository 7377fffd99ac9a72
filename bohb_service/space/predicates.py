"""Statements about rows of numbers, evaluated for all rows at once.

Conditions and forbidden clauses of ConfigSpace are compiled to these. A statement about an inactive hyperparameter is
false, with one exception (`Comparison.if_inactive`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bohb_service.space.dimension import BoolArray, FloatArray

Operator = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Rows:
    """What statements are about.

    Attributes:
        numbers: One column for each hyperparameter, shape ``(n, nodes)``; where inactive, any number.
        active: One row for each hyperparameter, shape ``(nodes, n)``.
    """

    numbers: FloatArray
    active: BoolArray


@dataclass(frozen=True, slots=True)
class Comparison:
    """A hyperparameter compared with a number.

    Attributes:
        node: Which hyperparameter.
        operator: The comparison.
        number: What it is compared with.
        can_be_inactive: It is a conditional hyperparameter.
        if_inactive: The truth where it is inactive.
    """

    node: int
    operator: Operator
    number: float
    can_be_inactive: bool
    if_inactive: bool = False

    def holds(self, rows: Rows) -> BoolArray:
        """The truth of each row."""
        truth: BoolArray = self.operator(rows.numbers[:, self.node], self.number)
        if not self.can_be_inactive:
            return truth
        if self.if_inactive:
            truth |= ~rows.active[self.node]
        else:
            truth &= rows.active[self.node]
        return truth


@dataclass(frozen=True, slots=True)
class Membership:
    """A hyperparameter has one of several numbers.

    Attributes:
        node: Which hyperparameter.
        numbers: The numbers.
        can_be_inactive: It is a conditional hyperparameter.
    """

    node: int
    numbers: tuple[float, ...]
    can_be_inactive: bool

    def holds(self, rows: Rows) -> BoolArray:
        """The truth of each row."""
        column = rows.numbers[:, self.node]
        truth = np.zeros(len(column), dtype=np.bool_)
        for number in self.numbers:
            truth |= column == number
        if self.can_be_inactive:
            truth &= rows.active[self.node]
        return truth


@dataclass(frozen=True, slots=True, eq=False)
class Relation:
    """Two hyperparameters compared with each other.

    Attributes:
        left: The first hyperparameter.
        right: The second one.
        operator: The comparison.
        left_values: What to compare instead of positions of the first one, shape ``(levels,)``; None for numbers.
        right_values: The same of the second one.
    """

    left: int
    right: int
    operator: Operator
    left_values: FloatArray | None
    right_values: FloatArray | None

    def holds(self, rows: Rows) -> BoolArray:
        """The truth of each row."""
        left = _looked_up(self.left_values, rows.numbers[:, self.left])
        right = _looked_up(self.right_values, rows.numbers[:, self.right])
        truth: BoolArray = self.operator(left, right) & rows.active[self.left] & rows.active[self.right]
        return truth


@dataclass(frozen=True, slots=True)
class Every:
    """All parts hold."""

    parts: "tuple[Predicate, ...]"

    def holds(self, rows: Rows) -> BoolArray:
        """The truth of each row."""
        truth = self.parts[0].holds(rows)
        for part in self.parts[1:]:
            truth = truth & part.holds(rows)
        return truth


@dataclass(frozen=True, slots=True)
class Some:
    """At least one part holds."""

    parts: "tuple[Predicate, ...]"

    def holds(self, rows: Rows) -> BoolArray:
        """The truth of each row."""
        truth = np.zeros(len(rows.numbers), dtype=np.bool_)
        for part in self.parts:
            truth |= part.holds(rows)
        return truth


Predicate = Comparison | Membership | Relation | Every | Some


def _looked_up(values: FloatArray | None, numbers: FloatArray) -> FloatArray:
    return numbers if values is None else values[numbers.astype(np.intp)]
