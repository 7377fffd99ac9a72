"""Hypothesis strategies that several test files share."""

import contextlib
import io
from dataclasses import dataclass

import numpy as np
from ConfigSpace import (
    AndConjunction,
    BetaFloatHyperparameter,
    BetaIntegerHyperparameter,
    CategoricalHyperparameter,
    ConfigurationSpace,
    Constant,
    EqualsCondition,
    ForbiddenAndConjunction,
    ForbiddenEqualsClause,
    ForbiddenEqualsRelation,
    ForbiddenGreaterThanRelation,
    ForbiddenInClause,
    ForbiddenLessThanRelation,
    GreaterThanCondition,
    InCondition,
    LessThanCondition,
    NormalFloatHyperparameter,
    NormalIntegerHyperparameter,
    NotEqualsCondition,
    OrConjunction,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
    forbidden,
)
from hypothesis import strategies as st

CHOICES = ["adam", "sgd", "", "Ω", True, None, 3, 2.5, -1, (1, 2), (1, "x")]
# Classes that not every release has.
EXTRA_CLAUSES = [
    getattr(forbidden, f"Forbidden{side}{equals}Clause")
    for side in ("LessThan", "GreaterThan")
    for equals in ("", "Equals")
    if hasattr(forbidden, f"Forbidden{side}{equals}Clause")
]
EXTRA_RELATIONS = [
    getattr(forbidden, name)
    for name in ("ForbiddenLessThanEqualsRelation", "ForbiddenGreaterThanEqualsRelation")
    if hasattr(forbidden, name)
]


@st.composite
def float_bounds(draw, *, log):
    """Two bounds that ConfigSpace can tell apart: few digits, magnitudes from 1e-6 to 1e6."""
    exponent = draw(st.integers(-6, 5))
    low = draw(st.integers(1 if log else -999, 999)) * 10.0**exponent / 100
    high = low + draw(st.integers(1, 10**6)) * 10.0**exponent / 100
    return round(low, 10), round(high, 10)


@st.composite
def hyperparameters(draw, name):
    """A hyperparameter of any kind."""
    kind = draw(st.sampled_from(["float", "int", "categorical", "ordinal", "constant"]))
    if kind in ("categorical", "ordinal"):
        values = draw(st.lists(st.sampled_from(CHOICES), min_size=1, max_size=5, unique=True))
        if kind == "ordinal":
            return OrdinalHyperparameter(name, values)
        weights = draw(st.none() | st.lists(st.integers(0, 9), min_size=len(values), max_size=len(values)))
        return CategoricalHyperparameter(name, values, weights=weights if weights and any(weights) else None)
    if kind == "constant":
        return Constant(name, draw(st.sampled_from(CHOICES)))
    log = draw(st.booleans())
    if kind == "float":
        low, high = draw(float_bounds(log=log))
    else:
        low = draw(st.integers(1 if log else -50, 50))
        high = low + draw(st.integers(1, 1000))
    prior = draw(st.sampled_from(["uniform", "normal", "beta"]))
    if prior == "beta":
        beta = BetaFloatHyperparameter if kind == "float" else BetaIntegerHyperparameter
        return beta(name, draw(st.integers(1, 5)), draw(st.integers(1, 5)), low, high, log=log)
    if prior == "normal" and not log:
        normal = NormalFloatHyperparameter if kind == "float" else NormalIntegerHyperparameter
        position, width = draw(st.floats(-1, 2)), draw(st.floats(0.05, 2))
        return normal(name, low + position * (high - low), width * (high - low), low, high)
    uniform = UniformFloatHyperparameter if kind == "float" else UniformIntegerHyperparameter
    return uniform(name, low, high, log=log)


@st.composite
def values_of(draw, hyperparameter):
    """A legal value; of floats, one with few digits."""
    if hasattr(hyperparameter, "choices"):
        return draw(st.sampled_from(hyperparameter.choices))
    if hasattr(hyperparameter, "sequence"):
        return draw(st.sampled_from(hyperparameter.sequence))
    if isinstance(hyperparameter, Constant):
        return hyperparameter.value
    low, high = hyperparameter.lower, hyperparameter.upper
    if isinstance(low, int):
        return draw(st.integers(low, high))
    value = low + draw(st.integers(0, 20)) / 20 * (high - low)
    return float(np.clip(np.round(float(f"{value:.6g}"), 13), low, high))  # as ConfigSpace rounds, also of large values


@dataclass
class Plan:
    """A space under construction, as a list of parts that can be thrown away again."""

    hyperparameters: list
    conditions: list
    clauses: list

    def build(self):
        """The space, or None if ConfigSpace refuses it, which it does for the sake of its default configuration."""
        space = ConfigurationSpace(seed=0)
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                space.add(self.hyperparameters)
                space.add([make(space) for make in self.conditions])
                space.add([make(space) for make in self.clauses])
            except (ValueError, TypeError, KeyError):
                return None
        return None if are_confused(space) else space

    def grow(self, kind, part):
        getattr(self, kind).append(part)
        if self.build() is None:
            getattr(self, kind).pop()


def are_confused(space):
    """ConfigSpace treats conditions as one that differ only in "and" or "or"; such spaces are no oracle."""

    def shape(condition):
        return str(condition).replace(f"{condition.child.name} |", "")

    return any(
        one.equivalent_condition_on_parent(other) and shape(one) != shape(other)
        for one in space.conditions
        for other in space.conditions
    )


@st.composite
def condition_makers(draw, child, parents, depth=0):
    """A function from a space to a condition of one hyperparameter on others."""
    if depth < 2 and draw(st.integers(0, 2)) == 0:
        parts = [draw(condition_makers(child, parents, depth + 1)) for _ in range(draw(st.integers(2, 3)))]
        join = draw(st.sampled_from([AndConjunction, OrConjunction]))
        return lambda space: join(*[part(space) for part in parts])
    parent = draw(st.sampled_from(parents))
    if draw(st.integers(0, 2)) == 0:
        values = draw(st.lists(values_of(parent), min_size=1, max_size=3))
        return lambda space: InCondition(space[child], space[parent.name], values)
    kinds = [EqualsCondition, NotEqualsCondition]
    if parent.ORDERABLE:
        kinds += [LessThanCondition, GreaterThanCondition]
    kind, value = draw(st.sampled_from(kinds)), draw(values_of(parent))
    return lambda space: kind(space[child], space[parent.name], value)


@st.composite
def clause_makers(draw, members, depth=0):
    """A function from a space to a forbidden clause."""
    form = draw(st.sampled_from(["join", "relation", "in", "compare", "compare"]))
    if depth == 0 or (depth < 2 and form == "join"):
        parts = [draw(clause_makers(members, depth + 1)) for _ in range(draw(st.integers(1, 3)))]
        join = draw(st.sampled_from([ForbiddenAndConjunction, getattr(forbidden, "ForbiddenOrConjunction", None)]))
        return lambda space: (join or ForbiddenAndConjunction)(*[part(space) for part in parts])
    member = draw(st.sampled_from(members))
    if form == "relation" and len(members) > 1:
        other = draw(st.sampled_from([each for each in members if each.name != member.name]))
        kinds = [ForbiddenEqualsRelation, ForbiddenLessThanRelation, ForbiddenGreaterThanRelation, *EXTRA_RELATIONS]
        relation = draw(st.sampled_from(kinds))
        if not (is_numeric(member) and is_numeric(other)):
            relation = ForbiddenEqualsRelation
        if has_tuples(member) or has_tuples(other):
            members = [member]  # ConfigSpace compares them element by element
            return draw(clause_makers(members, depth))
        return lambda space: relation(space[member.name], space[other.name])
    if form == "in":
        values = draw(st.lists(values_of(member), min_size=1, max_size=3))
        return lambda space: ForbiddenInClause(space[member.name], values)
    kind = draw(st.sampled_from([ForbiddenEqualsClause, *(EXTRA_CLAUSES if member.ORDERABLE else [])]))
    value = draw(values_of(member))
    return lambda space: kind(space[member.name], value)


def known_values(hyperparameter):
    if isinstance(hyperparameter, Constant):
        return (hyperparameter.value,)
    return getattr(hyperparameter, "choices", getattr(hyperparameter, "sequence", (0,)))


def is_numeric(hyperparameter):
    """Its values can be compared with numbers."""
    return all(isinstance(value, int | float) for value in known_values(hyperparameter))


def has_tuples(hyperparameter):
    return any(isinstance(value, tuple) for value in known_values(hyperparameter))


@st.composite
def configuration_spaces(draw, *, max_size=7, conditions=True, clauses=True):
    """A space of ConfigSpace with hyperparameters of all kinds, nested conditions, and forbidden clauses.

    Its own check of a configuration can be relied on; of its sampling this is not true where clauses are.
    """
    size = max_size - draw(st.integers(0, max_size - 1))
    names = draw(st.permutations([f"h{i}" for i in range(size)]))  # parents first, whatever the order of the space
    plan = Plan([draw(hyperparameters(name)) for name in names], [], [])
    for position, name in enumerate(names):
        if conditions and position and draw(st.booleans()):
            plan.grow("conditions", draw(condition_makers(name, plan.hyperparameters[:position])))
    for _ in range(draw(st.integers(0, 3)) if clauses else 0):
        plan.grow("clauses", draw(clause_makers(plan.hyperparameters)))
    return plan.build()
