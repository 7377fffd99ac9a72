"""Configurations that do not belong to a space, and what is said about them."""

import numpy as np
import pytest
from ConfigSpace import ConfigurationSpace, Constant, ForbiddenGreaterThanRelation, Integer

from bohb_service.errors import SpaceError
from bohb_service.space import SearchSpace, read_space

SPACE = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 0.1, "log": True},
    "layers": [1, 4],
    "solver": ["adam", "sgd"],
    "momentum": {"type": "float", "low": 0, "high": 1, "when": {"solver": "sgd"}},
    "loss": "hinge",
    "forbidden": [{"solver": "sgd", "layers": [3, 4]}],
}
GOOD = {"learning_rate": 0.01, "layers": 2, "solver": "sgd", "momentum": 0.5, "loss": "hinge"}


@pytest.fixture(scope="module")
def space():
    return read_space(SPACE)


def test_good_configurations(space):
    space.check(GOOD)
    space.check(
        {**GOOD, "momentum": 1, "layers": np.int64(2), "solver": np.str_("sgd"), "learning_rate": np.float64(0.1)}
    )
    space.check({**GOOD, "layers": 2.0})


MISTAKES = {
    "unknown": ({**GOOD, "momentun": 0.5}, r"'momentun' is no hyperparameter of the space; did you mean 'momentum'\?"),
    "missing": (
        {key: value for key, value in GOOD.items() if key != "momentum"},
        r"^momentum: is missing, but active, because its condition is met: momentum \| solver == 'sgd'; .* 0.0 to 1",
    ),
    "missing root": ({key: GOOD[key] for key in ("layers", "solver")}, r"^learning_rate: is missing, but active; give"),
    "missing constant": ({key: value for key, value in GOOD.items() if key != "loss"}, r"^loss: is missing.*'hinge'"),
    "inactive": ({**GOOD, "solver": "adam"}, r"^momentum: 0.5 is given, but the hyperparameter is inactive, .*'sgd'"),
    "too large": (
        {**GOOD, "learning_rate": 0.2},
        r"^learning_rate: 0.2 is out of range; allowed: a number from 0.0001",
    ),
    "nan": ({**GOOD, "learning_rate": float("nan")}, r"^learning_rate: nan is out of range"),
    "text": ({**GOOD, "learning_rate": "0.01"}, r"^learning_rate: '0.01' has the wrong type str; allowed: a number"),
    "none": (
        {**GOOD, "layers": None},
        r"^layers: None has the wrong type NoneType; allowed: a whole number from 1 to 4",
    ),
    "switch": ({**GOOD, "layers": True}, r"^layers: True has the wrong type bool"),
    "fraction": ({**GOOD, "layers": 2.5}, r"^layers: 2.5 is not whole"),
    "no choice": ({**GOOD, "solver": "adma"}, r"^solver: 'adma' is not one of its values; allowed: 'adam', 'sgd'"),
    "mapping": ({**GOOD, "solver": {}}, r"^solver: \{\} is not one of its values"),
    "other constant": ({**GOOD, "loss": "log"}, r"^loss: 'log' is not one of its values; allowed: 'hinge'"),
    "forbidden": ({**GOOD, "layers": 3}, r"solver == 'sgd'.*layers in \{3, 4\}.* is forbidden"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(space, name):
    configuration, message = MISTAKES[name]
    with pytest.raises(SpaceError, match=message):
        space.check(configuration)


@pytest.mark.parametrize("name", ["unknown", "missing", "too large", "no choice", "missing root"])
def test_encode_refuses_what_has_no_row(space, name):
    configuration, message = MISTAKES[name]
    with pytest.raises(SpaceError, match=message.split(";")[0]):
        space.encode([GOOD, configuration])


def test_encode_ignores_inactive_values_and_missing_constants(space):
    loose = {"learning_rate": 0.01, "layers": 2, "solver": "adam", "momentum": 0.5}
    (row,) = space.encode([loose])

    assert np.isnan(row).sum() == 1
    assert space.decode(row[None]) == [{"layers": 2, "learning_rate": 0.01, "loss": "hinge", "solver": "adam"}]


def test_encode_says_which_configuration_it_was(space):
    with pytest.raises(SpaceError, match=r"the configuration is .*'layers': 1"):
        space.encode([GOOD, {"layers": 1, "solver": "adam"}])


def test_long_values_are_cut(space):
    with pytest.raises(SpaceError) as caught:
        space.check({**GOOD, "solver": "x" * 5000})
    assert len(str(caught.value)) < 300


def test_a_space_where_nearly_everything_is_forbidden_ends_the_search():
    names = ("x", "y")
    configuration_space = ConfigurationSpace()
    configuration_space.add([Integer(name, (1, 10**6), default=1) for name in names], Constant("one", 1))
    configuration_space.add(
        [ForbiddenGreaterThanRelation(configuration_space[n], configuration_space["one"]) for n in names]
    )

    with pytest.raises(SpaceError, match=r"leave \(nearly\) nothing .* relax one of: x > one; y > one"):
        SearchSpace(configuration_space).sample(1, np.random.default_rng(0))


def test_rare_legal_configurations_are_found():
    space = read_space(
        {
            "x": {"type": "categorical", "choices": list(range(1000)), "default": 0},
            "y": [0.0, 1.0],
            "forbidden": [{"x": list(range(1, 1000))}],
        }
    )
    rows = space.sample(20, np.random.default_rng(0))

    assert rows.shape == (20, 2)
    assert {values["x"] for values in space.decode(rows)} == {0}
    assert len({values["y"] for values in space.decode(rows)}) == 20
