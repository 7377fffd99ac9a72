"""Configurations that have the ends of every range."""

from ConfigSpace import (
    AndConjunction,
    Categorical,
    ConfigurationSpace,
    Constant,
    EqualsCondition,
    Float,
    ForbiddenEqualsClause,
    Integer,
)

from bohb_service.space import SearchSpace, extremes


def test_every_range_has_its_ends_and_every_category_is_there():
    space = ConfigurationSpace()
    kind = Categorical("kind", ["a", "b", "c"])
    deep = Categorical("deep", ["no", "yes"], weights=[1, 0.0001])
    x = Float("x", (1e-6, 10.0), log=True)
    n = Integer("n", (1, 10_000))
    fine = Float("fine", (-3.0, 3.0))
    space.add(kind, deep, x, n, fine, Constant("c", 7))
    space.add(EqualsCondition(n, kind, "c"))
    space.add(AndConjunction(EqualsCondition(fine, deep, "yes"), EqualsCondition(fine, kind, "a")))
    space.add(ForbiddenEqualsClause(kind, "b"))
    space = SearchSpace(space)

    found = extremes(space, 0)

    for configuration in found:
        space.check(configuration)
    values = {name: {c[name] for c in found if name in c} for name in ("kind", "deep", "x", "n")}
    assert values["kind"] == {"a", "c"}
    assert values["deep"] == {"no", "yes"}
    assert {1e-6, 10.0} <= values["x"]
    assert {1, 10_000} <= values["n"]
    assert extremes(space, 0) == found


def test_the_default_comes_first():
    assert extremes(SearchSpace(ConfigurationSpace({"x": (0.0, 1.0), "y": [3, 1]})), 0)[:3] == [
        {"x": 0.5, "y": 3},
        {"x": 0.0, "y": 3},
        {"x": 1.0, "y": 3},
    ]


def test_a_space_of_constants_has_its_one_configuration():
    assert {str(c) for c in extremes(SearchSpace(ConfigurationSpace({"x": 4})), 0)} == {"{'x': 4}"}
