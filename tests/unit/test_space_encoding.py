"""Rows of numbers for configurations: what exactly stands in each column."""

import math
import operator
import pickle

import numpy as np
import pytest
from ConfigSpace import (
    AndConjunction,
    Categorical,
    CategoricalHyperparameter,
    Configuration,
    ConfigurationSpace,
    Constant,
    EqualsCondition,
    Float,
    ForbiddenEqualsClause,
    ForbiddenEqualsRelation,
    ForbiddenGreaterThanRelation,
    ForbiddenLessThanRelation,
    GreaterThanCondition,
    Integer,
    NotEqualsCondition,
    OrdinalHyperparameter,
    UniformIntegerHyperparameter,
    forbidden,
)
from ConfigSpace.hyperparameters import Hyperparameter

from bohb_service.errors import SpaceError
from bohb_service.space import Dimension, SearchSpace
from bohb_service.space.axis import make_axis

NAN = math.nan


def space_of(*parts):
    """Hyperparameters, then functions from the space to conditions and clauses."""
    space = ConfigurationSpace()
    space.add([part for part in parts if not callable(part)])
    space.add([part(space) for part in parts if callable(part)])
    return SearchSpace(space)


def every_kind():
    return space_of(
        Float("a_linear", (-1.0, 3.0)),
        Float("b_log", (1e-4, 1e-1), log=True),
        Integer("c_linear", (1, 4)),
        Integer("d_log", (1, 100), log=True),
        OrdinalHyperparameter("e_ordinal", ["small", "medium", "large"]),
        Categorical("f_categorical", ["relu", "tanh", None, True]),
        Constant("g_constant", "adam"),
    )


def test_dimensions():
    assert every_kind().dimensions == (
        Dimension("a_linear", "continuous", 0),
        Dimension("b_log", "continuous", 0),
        Dimension("c_linear", "integer", 4),
        Dimension("d_log", "integer", 100),
        Dimension("e_ordinal", "ordinal", 3),
        Dimension("f_categorical", "categorical", 4),
    )


def test_encoding_by_hand():
    configuration = {
        "a_linear": 0.0,
        "b_log": 1e-3,
        "c_linear": 2,
        "d_log": 10,
        "e_ordinal": "medium",
        "f_categorical": None,
        "g_constant": "adam",
    }
    log_integer = (math.log(10) - math.log(0.5)) / (math.log(100.5) - math.log(0.5))
    (row,) = every_kind().encode([configuration])

    assert row == pytest.approx([0.25, 1 / 3, 1.5 / 4, log_integer, 0.5, 2.0], abs=1e-14)
    assert every_kind().decode(row[None]) == [configuration]


@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        (Integer("x", (1, 4)), [1, 2, 3, 4]),
        (Integer("x", (-1, 1)), [-1, 0, 1]),
        (OrdinalHyperparameter("x", ["s", "m", "l"]), ["s", "m", "l"]),
    ],
)
def test_cells_cover_the_unit_interval_evenly(kind, cells):
    space = space_of(kind)
    edges = np.linspace(0.0, 1.0, len(cells) + 1)
    for value, low, high in zip(cells, edges[:-1], edges[1:], strict=True):
        inside = np.linspace(low + 1e-9, high - 1e-9, 9)[:, None]
        assert [each["x"] for each in space.decode(inside)] == [value] * 9
        assert space.snap(inside) == pytest.approx(np.full((9, 1), (low + high) / 2))


def test_cells_of_logarithmic_integers_end_half_a_unit_from_the_value():
    space = space_of(Integer("x", (1, 3), log=True))
    scale = math.log(3.5) - math.log(0.5)
    for value in (1, 2, 3):
        low, high = ((math.log(value + side) - math.log(0.5)) / scale for side in (-0.5, 0.5))
        assert space.decode([[low + 1e-9], [high - 1e-9]]) == [{"x": value}, {"x": value}]


def test_entries_outside_the_cube_go_to_the_near_end():
    space = every_kind()
    low, high = space.decode(space.snap(np.array([[-9.0] * 6, [1e6] * 6])))

    assert list(low.values()) == [-1.0, 1e-4, 1, 1, "small", "relu", "adam"]
    assert list(high.values()) == [3.0, 1e-1, 4, 100, "large", True, "adam"]


def test_nan_where_a_value_is_needed_stands_for_the_default():
    space = every_kind()

    assert space.decode(np.full((1, 6), NAN)) == [space.default()]
    assert not np.isnan(space.snap(np.full((1, 6), NAN))).any()


def test_single_values_divide_by_nothing():
    space = space_of(OrdinalHyperparameter("o", ["only"]), CategoricalHyperparameter("c", [7]))

    assert space.snap([[0.9, 0.2]]).tolist() == [[0.0, 0.5]]
    assert space.decode([[0.3, 0.3]]) == [{"c": 7, "o": "only"}]
    assert space.n_configurations == 1


def test_a_space_of_constants_has_no_columns():
    space = space_of(Constant("a", 1), Constant("b", "x"))

    assert space.dimensions == ()
    assert space.sample(3, np.random.default_rng(0)).shape == (3, 0)
    assert space.decode(np.empty((2, 0))) == [{"a": 1, "b": "x"}] * 2
    assert space.encode([{"a": 1, "b": "x"}]).shape == (1, 0)
    assert space.n_configurations == 1


def test_no_rows():
    space = every_kind()

    assert space.encode([]).shape == (0, 6)
    assert space.sample(0, np.random.default_rng(0)).shape == (0, 6)
    assert space.snap(np.empty((0, 6))).shape == (0, 6)
    assert space.decode(np.empty((0, 6))) == []


def test_number_of_configurations():
    assert every_kind().n_configurations == math.inf
    discrete = space_of(Integer("a", (1, 4)), Categorical("b", ["x", "y"]), Constant("c", 0))
    assert discrete.n_configurations == 8
    assert type(discrete.n_configurations) is int


def test_values_are_plain_even_if_the_space_was_made_of_numpy_scalars():
    space = space_of(
        CategoricalHyperparameter("c", [np.int64(1), np.str_("x"), np.bool_(0)]),
        OrdinalHyperparameter("o", [np.float32(0.5), np.float64(2.0)]),
    )
    values = [value for row in ([0, 0.1], [1, 0.9], [2, 0.1]) for value in space.decode([row])[0].values()]

    assert [type(value) for value in values] == [int, float, str, float, bool, float]


def test_lists_and_tuples_among_choices_are_equal():
    space = space_of(CategoricalHyperparameter("layers", [(64, 64), (32,), "auto"]))
    (row,) = space.encode([{"layers": [64, 64]}])

    assert space.decode(row[None]) == [{"layers": (64, 64)}]
    space.check({"layers": [32]})
    again = SearchSpace.from_json(space.to_json())
    assert again.decode(row[None]) == [{"layers": (64, 64)}]


def test_rows_of_another_width_are_refused():
    with pytest.raises(ValueError, match="6 columns"):
        every_kind().snap(np.zeros((1, 5)))
    with pytest.raises(ValueError, match="6 columns"):
        every_kind().decode(np.zeros(6))


@pytest.mark.parametrize(("low", "high"), [(0, 2**62), (2**60, 2**60 + 2**20), (-(2**62), 0)])
def test_too_large_integers_are_refused(low, high):
    with pytest.raises(SpaceError, match=r"^seed: the range from -?\d+ to \d+ has integers that floats cannot tell"):
        space_of(UniformIntegerHyperparameter("seed", low, high))


def test_arguments_are_not_changed():
    space = every_kind()
    rows = np.full((2, 6), 0.3)
    for use in (space.snap, space.decode, space.active, space.is_legal):
        use(rows)
        assert (rows == 0.3).all()


def test_spaces_travel_to_other_processes():
    space = pickle.loads(pickle.dumps(conditional()))
    rows = np.random.default_rng(0).random((5, 4))

    assert np.array_equal(space.snap(rows), conditional().snap(rows), equal_nan=True)


def conditional():
    return space_of(
        Categorical("a_solver", ["adam", "sgd", "lbfgs"]),
        Integer("b_layers", (1, 4)),
        Float("c_momentum", (0.0, 1.0)),
        Float("d_damping", (0.0, 1.0)),
        Constant("e_nesterov", True),  # noqa: FBT003
        lambda s: AndConjunction(
            EqualsCondition(s["c_momentum"], s["a_solver"], "sgd"),
            GreaterThanCondition(s["c_momentum"], s["b_layers"], 2),
        ),
        lambda s: GreaterThanCondition(s["d_damping"], s["c_momentum"], 0.5),
        lambda s: EqualsCondition(s["e_nesterov"], s["a_solver"], "sgd"),
    )


def test_inactive_hyperparameters_are_nan_and_left_out():
    space = conditional()
    columns = [dimension.name for dimension in space.dimensions]
    raw = {"a_solver": [0, 1, 1, 1], "b_layers": [0.9, 0.1, 0.9, 0.9], "c_momentum": [0.9, 0.9, 0.4, 0.75]}
    rows = np.array([raw.get(name, [0.5] * 4) for name in columns]).T

    assert space.active(rows).T.tolist() == [
        {
            "a_solver": [True] * 4,
            "b_layers": [True] * 4,
            "c_momentum": [False, False, True, True],
            "d_damping": [False, False, False, True],
        }[name]
        for name in columns
    ]
    assert np.array_equal(np.isnan(space.snap(rows)), ~space.active(rows))
    assert space.decode(rows)[0] == {"a_solver": "adam", "b_layers": 4}
    assert space.decode(rows)[1] == {"a_solver": "sgd", "b_layers": 1, "e_nesterov": True}
    assert space.decode(rows)[3] == {
        "a_solver": "sgd",
        "b_layers": 4,
        "c_momentum": 0.75,
        "d_damping": 0.5,
        "e_nesterov": True,
    }


def test_a_condition_on_a_conditional_constant():
    space = space_of(
        Categorical("a", ["on", "off"]),
        Constant("b", "fast"),
        Float("c", (0.0, 1.0)),
        lambda s: EqualsCondition(s["b"], s["a"], "on"),
        lambda s: EqualsCondition(s["c"], s["b"], "fast"),
    )

    assert space.decode([[0, 0.5], [1, 0.5]]) == [{"a": "on", "b": "fast", "c": 0.5}, {"a": "off"}]


def test_not_equal_of_an_inactive_parent_is_as_configspace_checks_it():
    space = space_of(
        Categorical("a", ["on", "off"]),
        Categorical("b", [1, 2, 3]),
        Float("c", (0.0, 1.0)),
        lambda s: EqualsCondition(s["b"], s["a"], "on"),
        lambda s: NotEqualsCondition(s["c"], s["b"], 1),
    )
    (values,) = space.decode([[1, 0, 0.5]])

    Configuration(space.configuration_space, values=values)
    space.check(values)


def test_relations_compare_values_not_positions():
    space = space_of(
        OrdinalHyperparameter("a", [5, 1, 3], default_value=1),
        Integer("b", (0, 6), default=6),
        lambda s: ForbiddenGreaterThanRelation(s["a"], s["b"]),
    )
    pairs = [(5, 5), (5, 4), (1, 1), (1, 0), (3, 2), (3, 4)]

    assert space.is_legal(space.encode([{"a": a, "b": b} for a, b in pairs])).tolist() == [a <= b for a, b in pairs]


def test_relations_of_text():
    space = space_of(
        Categorical("a", ["pear", "apple"], default="pear"),
        Categorical("b", ["fig", "zebra"]),
        lambda s: ForbiddenLessThanRelation(s["a"], s["b"]),
    )
    pairs = [("pear", "fig"), ("pear", "zebra"), ("apple", "fig"), ("apple", "zebra")]
    rows = space.encode([{"a": a, "b": b} for a, b in pairs])

    assert space.is_legal(rows).tolist() == [a >= b for a, b in pairs]


def test_relations_of_mixed_values():
    space = space_of(
        Categorical("a", ["auto", 2, 3]),
        Integer("b", (1, 3)),
        lambda s: ForbiddenEqualsRelation(s["a"], s["b"]),
    )
    pairs = [("auto", 1), (2, 2), (2, 3), (3, 3)]

    assert space.is_legal(space.encode([{"a": a, "b": b} for a, b in pairs])).tolist() == [a != b for a, b in pairs]


COMPARISONS = {
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
    "Equals": operator.eq,
}
FOUR = {
    "integer": lambda name, default: Integer(name, (1, 4), default=default),
    "float": lambda name, default: Float(name, (1.0, 4.0), default=default),
    "ordinal": lambda name, default: OrdinalHyperparameter(name, [1, 2, 3, 4], default_value=default),
}


@pytest.mark.parametrize("kind", FOUR)
@pytest.mark.parametrize("name", COMPARISONS)
def test_every_clause_and_relation(name, kind):
    compare = COMPARISONS[name]
    clause, relation = (getattr(forbidden, f"Forbidden{name}{what}", None) for what in ("Clause", "Relation"))
    if clause is None or relation is None:
        pytest.skip("this ConfigSpace has no such clause")
    legal = 4 if compare(1, 2) else 1
    alone = space_of(FOUR[kind]("x", legal), lambda s: clause(s["x"], 2))
    both = space_of(FOUR[kind]("x", legal), FOUR[kind]("y", 2), lambda s: relation(s["x"], s["y"]))
    pairs = [(x, y) for x in (1, 2, 3, 4) for y in (1, 2, 3, 4)]

    told = alone.is_legal(alone.encode([{"x": x} for x in (1, 2, 3, 4)])).tolist()
    assert told == [not compare(x, 2) for x in (1, 2, 3, 4)]
    told = both.is_legal(both.encode([{"x": x, "y": y} for x, y in pairs])).tolist()
    assert told == [not compare(x, y) for x, y in pairs]


def test_clauses_about_inactive_hyperparameters_hold_nowhere():
    space = space_of(
        Categorical("a", ["on", "off"], default="off"),
        Integer("b", (1, 4)),
        Integer("c", (1, 4)),
        lambda s: EqualsCondition(s["b"], s["a"], "on"),
        lambda s: ForbiddenEqualsClause(s["b"], 2),
        lambda s: ForbiddenEqualsRelation(s["b"], s["c"]),
    )
    values = [
        {"a": "off", "c": 2},
        {"a": "on", "b": 2, "c": 1},
        {"a": "on", "b": 1, "c": 1},
        {"a": "on", "b": 1, "c": 2},
    ]

    assert space.is_legal(space.encode(values)).tolist() == [True, False, False, True]


def test_parents_come_before_children_whatever_their_names():
    space = space_of(
        Categorical("z", ["on", "off"]),
        Categorical("m", ["on", "off"]),
        Float("a", (0.0, 1.0)),
        lambda s: EqualsCondition(s["m"], s["z"], "on"),
        lambda s: EqualsCondition(s["a"], s["m"], "on"),
    )

    assert [dimension.name for dimension in space.dimensions] == ["z", "m", "a"]
    assert space.decode([[0, 0, 0.5], [0, 1, 0.5], [1, 0, 0.5]]) == [
        {"z": "on", "m": "on", "a": 0.5},
        {"z": "on", "m": "off"},
        {"z": "off"},
    ]


def test_relations_without_an_order_are_refused():
    with pytest.raises(SpaceError, match="a < b compares values that have no common order: 'x', 'y', 'x', 1"):
        space_of(
            Categorical("a", ["x", "y"], default="x"),
            Categorical("b", ["x", 1], default="x"),
            lambda s: ForbiddenLessThanRelation(s["a"], s["b"]),
        )


def test_forbidden_alternatives():
    space = space_of(
        Integer("x", (1, 4), default=1),
        Integer("y", (1, 4), default=1),
        lambda s: forbidden.ForbiddenOrConjunction(ForbiddenEqualsClause(s["x"], 4), ForbiddenEqualsClause(s["y"], 4)),
    )
    pairs = [(1, 1), (1, 4), (4, 1), (4, 4)]

    assert space.is_legal(space.encode([{"x": x, "y": y} for x, y in pairs])).tolist() == [True, False, False, False]


def test_unknown_kinds_are_refused_by_name():
    class OddClause(ForbiddenEqualsClause):
        pass

    class OddCondition(EqualsCondition):
        pass

    class OddHyperparameter(Hyperparameter):
        pass

    with pytest.raises(SpaceError, match=r"the forbidden clause x == 4 is of the unknown kind OddClause"):
        space_of(Integer("x", (1, 4)), lambda s: OddClause(s["x"], 4))
    with pytest.raises(SpaceError, match=r"the condition y \| x == 4 is of the unknown kind OddCondition"):
        space_of(Integer("x", (1, 4)), Integer("y", (1, 4)), lambda s: OddCondition(s["y"], s["x"], 4))
    odd = OddHyperparameter.__new__(OddHyperparameter)
    odd.name = "x"
    with pytest.raises(SpaceError, match=r"^x: hyperparameters of the kind OddHyperparameter are not supported"):
        make_axis(odd)


def test_choices_that_can_change():
    lists = space_of(CategoricalHyperparameter("x", [[1, np.int64(2)], [3]]))
    assert lists.decode(lists.encode([{"x": [1, 2]}, {"x": (3,)}])) == [{"x": [1, 2]}, {"x": [3]}]

    with pytest.raises(SpaceError, match=r"^x: one of the values \{'a': 1\}, 'b' can change, such as a mapping does"):
        space_of(CategoricalHyperparameter("x", [{"a": 1}, "b"]))


def test_bounds_with_more_decimals_than_are_kept_are_reached():
    space = space_of(Float("x", (8.4235973739261, 70.956992718015), log=True))
    ends = space.decode([[0.0], [1.0]])

    assert ends == [{"x": 8.4235973739261}, {"x": 70.956992718015}]
    assert space.encode(ends).tolist() == [[0.0], [1.0]]


def test_spaces_are_shown_by_their_names():
    assert repr(space_of(Float("x", (0.0, 1.0)), Constant("k", 1))) == "SearchSpace(k, x)"


def test_the_space_is_read_once():
    configuration_space = ConfigurationSpace()
    configuration_space.add(Float("x", (0.0, 1.0)))
    space = SearchSpace(configuration_space)
    configuration_space.add(Float("a", (0.0, 1.0)))

    assert space.decode([[0.5]]) == [{"x": 0.5}]
