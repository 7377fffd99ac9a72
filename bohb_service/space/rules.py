"""Which hyperparameters are active, and which combinations are forbidden.

Conditions and clauses of ConfigSpace are compiled once; ``True`` and ``False`` come out as ConfigSpace's own check of a
configuration has them, for all rows at once.
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace
from ConfigSpace.conditions import (
    AndConjunction,
    Condition,
    Conjunction,
    EqualsCondition,
    GreaterThanCondition,
    InCondition,
    LessThanCondition,
    NotEqualsCondition,
    OrConjunction,
)

from bohb_service.errors import SpaceError
from bohb_service.space.axis import Axis, ChoiceAxis, NumericAxis
from bohb_service.space.dimension import BoolArray, FloatArray
from bohb_service.space.grid import Grid
from bohb_service.space.predicates import Comparison, Every, Membership, Operator, Predicate, Relation, Rows, Some
from bohb_service.space.wording import listing

_CONDITIONS: dict[type[Condition], Operator] = {
    EqualsCondition: np.equal,
    NotEqualsCondition: np.not_equal,
    LessThanCondition: np.less,
    GreaterThanCondition: np.greater,
}
# By name, because older releases of ConfigSpace lack some of these classes.
_CLAUSES: dict[str, Operator] = {
    "ForbiddenEqualsClause": np.equal,
    "ForbiddenLessThanClause": np.less,
    "ForbiddenLessThanEqualsClause": np.less_equal,
    "ForbiddenGreaterThanClause": np.greater,
    "ForbiddenGreaterThanEqualsClause": np.greater_equal,
}
_RELATIONS: dict[str, Operator] = {
    "ForbiddenEqualsRelation": operator.eq,
    "ForbiddenLessThanRelation": operator.lt,
    "ForbiddenLessThanEqualsRelation": operator.le,
    "ForbiddenGreaterThanRelation": operator.gt,
    "ForbiddenGreaterThanEqualsRelation": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Clause:
    """A forbidden combination.

    Attributes:
        predicate: Where it holds, a row is forbidden.
        text: How it reads.
    """

    predicate: Predicate
    text: str


class Rules:
    """The conditions and forbidden clauses of a space.

    Args:
        space: Where they are from.
        axes: All hyperparameters, constants last; the position of one is its *node*.
        grid: The maps of those that are no constants.

    Attributes:
        has_conditions: Some hyperparameter can be inactive.
        clauses: The forbidden combinations.

    Raises:
        SpaceError: A condition or clause is of an unknown kind, or compares what cannot be compared.
    """

    def __init__(self, space: ConfigurationSpace, axes: Sequence[Axis], grid: Grid) -> None:
        self._axes = axes
        self._grid = grid
        self._nodes = {axis.name: node for node, axis in enumerate(axes)}
        self._conditions: dict[str, Condition | Conjunction] = {
            name: conditions[0] for name, conditions in space.parent_conditions_of.items() if conditions
        }
        grouped: dict[Predicate, list[int]] = {}
        for name in self._parents_first():
            grouped.setdefault(self._condition(self._conditions[name]), []).append(self._nodes[name])
        self._steps = [(predicate, np.array(nodes, dtype=np.intp)) for predicate, nodes in grouped.items()]
        self.has_conditions = bool(self._steps)
        self.clauses = [Clause(self._clause(clause), _readable(clause)) for clause in space.forbidden_clauses]

    def rows(self, numbers: FloatArray) -> Rows:
        """The rows with the activity of every hyperparameter.

        Args:
            numbers: One column for each dimension, shape ``(n, d)``, or for each node; without NaN.
        """
        n, width = numbers.shape
        if width < len(self._axes):
            # Constants are the last nodes. Their number is always 0, the position of their only value.
            numbers = np.concatenate([numbers, np.zeros((n, len(self._axes) - width))], axis=1)
        rows = Rows(numbers, np.ones((len(self._axes), n), dtype=np.bool_))
        for predicate, nodes in self._steps:
            rows.active[nodes] = predicate.holds(rows)
        return rows

    def legal(self, rows: Rows) -> BoolArray:
        """Which rows are in no forbidden clause, shape ``(n,)``."""
        legal = np.ones(len(rows.numbers), dtype=np.bool_)
        for clause in self.clauses:
            legal &= ~clause.predicate.holds(rows)
        return legal

    def reason(self, name: str) -> str:
        """The condition of a hyperparameter in words; empty if it has none."""
        return _readable(self._conditions[name]) if name in self._conditions else ""

    def _parents_first(self) -> list[str]:
        parents: Mapping[str, list[str]] = {
            name: [one.parent.name for one in (condition.dlcs if isinstance(condition, Conjunction) else (condition,))]
            for name, condition in self._conditions.items()
        }
        return [name for name in TopologicalSorter(parents).static_order() if name in self._conditions]

    def _condition(self, condition: Condition | Conjunction) -> Predicate:
        if isinstance(condition, Conjunction):
            parts = tuple(self._condition(component) for component in condition.components)
            if isinstance(condition, (AndConjunction, OrConjunction)):
                return Every(parts) if isinstance(condition, AndConjunction) else Some(parts)
        elif isinstance(condition, InCondition):
            return self._membership(condition.parent.name, condition.values)
        elif type(condition) in _CONDITIONS:
            return self._comparison(
                condition.parent.name,
                _CONDITIONS[type(condition)],
                condition.value,
                # `child | parent != value` is the one condition that ConfigSpace's check of a configuration calls met
                # where the parent is inactive. Later releases may differ, so the condition is asked.
                if_inactive=bool(condition.satisfied_by_vector(np.full(len(self._axes), np.nan))),
            )
        raise SpaceError(f"the condition {_readable(condition)} is of the unknown kind {type(condition).__name__}")

    def _clause(self, clause: Any) -> Predicate:
        kind = type(clause).__name__
        if kind in _CLAUSES:
            return self._comparison(clause.hyperparameter.name, _CLAUSES[kind], clause.value)
        if kind in _RELATIONS:
            return self._relation(clause, _RELATIONS[kind])
        match kind:
            case "ForbiddenInClause":
                return self._membership(clause.hyperparameter.name, clause.values)
            case "ForbiddenAndConjunction":
                return Every(tuple(self._clause(component) for component in clause.components))
            case "ForbiddenOrConjunction":
                return Some(tuple(self._clause(component) for component in clause.components))
        raise SpaceError(f"the forbidden clause {_readable(clause)} is of the unknown kind {kind}")

    def _comparison(self, name: str, compare: Operator, value: Any, *, if_inactive: bool = False) -> Comparison:
        node = self._nodes[name]
        return Comparison(node, compare, self._number(node, value), name in self._conditions, if_inactive)

    def _membership(self, name: str, values: Sequence[Any]) -> Membership:
        node = self._nodes[name]
        return Membership(node, tuple(self._number(node, value) for value in values), name in self._conditions)

    def _number(self, node: int, value: Any) -> float:
        """The number of a value that ConfigSpace has found legal, rounded as the numbers that it is compared with."""
        axis = self._axes[node]
        return axis.number(value) if isinstance(axis, ChoiceAxis) else self._grid.rounded_one(node, float(value))

    def _relation(self, clause: Any, compare: Operator) -> Relation:
        left, right = self._nodes[clause.left.name], self._nodes[clause.right.name]
        axes = (self._axes[left], self._axes[right])
        choices = [value for axis in axes if isinstance(axis, ChoiceAxis) for value in axis.choices]
        place: Callable[[Any], float]
        is_order = compare is not operator.eq
        if any(isinstance(axis, NumericAxis) for axis in axes) or all(_is_number(value) for value in choices):
            comparable, place = not is_order or all(_is_number(value) for value in choices), _as_number
        else:
            comparable = not is_order or all(isinstance(value, str) for value in choices)
            place = (sorted(choices) if is_order and comparable else choices).index
        if not comparable:
            raise SpaceError(
                f"the forbidden clause {_readable(clause)} compares values that have no common order: "
                f"{listing(choices)}; compare numbers with numbers, or text with text"
            )
        left_values, right_values = (
            np.array([place(value) for value in axis.choices], dtype=np.float64)
            if isinstance(axis, ChoiceAxis)
            else None
            for axis in axes
        )
        return Relation(left, right, compare, left_values, right_values)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _as_number(value: Any) -> float:
    """A number that equals the value; NaN, which equals nothing, for what is no number."""
    return float(value) if _is_number(value) else math.nan


def _readable(rule: Any) -> str:
    return str(rule).replace("Forbidden: ", "")
