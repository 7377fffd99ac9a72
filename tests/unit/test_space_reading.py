"""Search spaces from study files and from files of ConfigSpace."""

import json
import subprocess
import sys

import numpy as np
import pytest
import yaml
from ConfigSpace import (
    AndConjunction,
    ConfigurationSpace,
    Constant,
    EqualsCondition,
    Float,
    ForbiddenAndConjunction,
    ForbiddenEqualsClause,
    ForbiddenInClause,
    GreaterThanCondition,
    InCondition,
    Integer,
    LessThanCondition,
    NormalFloatHyperparameter,
    NotEqualsCondition,
    forbidden,
)

from bohb_service.errors import SpaceError
from bohb_service.space import SearchSpace, read_space

FULL = """\
learning_rate: {type: float, low: 1.0e-4, high: 1.0e-1, log: true, default: 0.01}
layers: {type: int, low: 1, high: 4, default: 2}
units: {type: int, low: 16, high: 512, log: true, prior: {beta: [2, 5]}}
momentum: {type: float, low: 0, high: 1, prior: {normal: [0.9, 0.1]}}
warmup: {type: float, low: 0, high: 1, prior: {beta: [2, 5]}}
depth: {type: int, low: 0, high: 9, prior: {normal: [3, 2]}}
activation: {type: categorical, choices: [relu, tanh], weights: [0.8, 0.2], default: tanh}
size: {type: ordinal, sequence: [small, medium, large], default: medium}
loss: {type: constant, value: hinge}
dropout: [0.0, 0.5]
heads: [1, 8]
solver: [adam, sgd]
flag: [true, false]
maybe: [auto, 0.5, null]
epochs: 10
verbose: false
beta: {type: float, low: 0.8, high: 0.99, when: {solver: adam}}
nesterov: {type: categorical, choices: [true, false], when: {solver: [sgd], layers: {gt: 1, lt: 4}, size: {ne: small}}}
forbidden:
  - {activation: tanh, layers: [3, 4]}
  - {heads: 8}
"""


@pytest.fixture(scope="module")
def full():
    return read_space(yaml.safe_load(FULL))


def test_hyperparameters_of_the_short_form(full):
    told = {name: str(hyperparameter) for name, hyperparameter in full.configuration_space.items()}

    assert told == {
        "learning_rate": "learning_rate, Type: UniformFloat, Range: [0.0001, 0.1], Default: 0.01, on log-scale",
        "layers": "layers, Type: UniformInteger, Range: [1, 4], Default: 2",
        "units": "units, Type: BetaInteger, Alpha: 2.0, Beta: 5.0, Range: [16, 512], Default: 32, on log-scale",
        "momentum": "momentum, Type: NormalFloat, Mu: 0.9, Sigma: 0.1, Range: [0.0, 1.0], Default: 0.9",
        "warmup": "warmup, Type: BetaFloat, Alpha: 2.0, Beta: 5.0, Range: [0.0, 1.0], Default: 0.2",
        "depth": "depth, Type: NormalInteger, Mu: 3.0, Sigma: 2.0, Range: [0, 9], Default: 3",
        "activation": "activation, Type: Categorical, Choices: {relu, tanh}, Default: tanh, Probabilities: [0.8 0.2]",
        "size": "size, Type: Ordinal, Sequence: {small, medium, large}, Default: medium",
        "loss": "loss, Type: Constant, Value: hinge",
        "dropout": "dropout, Type: UniformFloat, Range: [0.0, 0.5], Default: 0.25",
        "heads": "heads, Type: UniformInteger, Range: [1, 8], Default: 4",
        "solver": "solver, Type: Categorical, Choices: {adam, sgd}, Default: adam",
        "flag": "flag, Type: Categorical, Choices: {True, False}, Default: True",
        "maybe": "maybe, Type: Categorical, Choices: {auto, 0.5, None}, Default: auto",
        "epochs": "epochs, Type: Constant, Value: 10",
        "verbose": "verbose, Type: Constant, Value: False",
        "beta": "beta, Type: UniformFloat, Range: [0.8, 0.99], Default: 0.895",
        "nesterov": "nesterov, Type: Categorical, Choices: {True, False}, Default: True",
    }


def test_conditions_of_the_short_form(full):
    space = full.configuration_space
    child = space["nesterov"]

    assert space.parent_conditions_of["beta"] == [EqualsCondition(space["beta"], space["solver"], "adam")]
    assert space.parent_conditions_of["nesterov"] == [
        AndConjunction(
            InCondition(child, space["solver"], ["sgd"]),
            GreaterThanCondition(child, space["layers"], 1),
            LessThanCondition(child, space["layers"], 4),
            NotEqualsCondition(child, space["size"], "small"),
        )
    ]


def test_forbidden_combinations_of_the_short_form(full):
    space = full.configuration_space

    assert space.forbidden_clauses == [
        ForbiddenAndConjunction(
            ForbiddenEqualsClause(space["activation"], "tanh"), ForbiddenInClause(space["layers"], [3, 4])
        ),
        ForbiddenEqualsClause(space["heads"], 8),
    ]


def test_draws_of_the_short_form(full):
    for values in full.decode(full.sample(50, np.random.default_rng(0))):
        full.check(values)
        assert ("beta" in values) == (values["solver"] == "adam")
        assert values["verbose"] is False


@pytest.mark.parametrize(
    "parent",
    [
        {"type": "categorical", "choices": ["x", "y", "z"]},
        {"type": "ordinal", "sequence": ["w", "y", "z"]},
        {"type": "int", "low": 1, "high": 3},
        {"type": "float", "low": 0, "high": 2},
    ],
    ids=lambda form: form["type"],
)
def test_not_equal_is_not_met_where_the_parent_is_inactive(parent):
    other = {"categorical": "y", "ordinal": "y", "int": 2, "float": 1.0}[parent["type"]]
    space = read_space(
        {
            "a": {"type": "categorical", "choices": ["on", "off"], "default": "off"},
            "b": {**parent, "when": {"a": "on"}},
            "c": {"type": "float", "low": 0, "high": 1, "when": {"b": {"ne": other}}},
        }
    )
    for values in space.decode(space.sample(100, np.random.default_rng(0))):
        assert ("c" in values) == ("b" in values and values["b"] != other)
    space.check({"a": "off"})
    space.check({"a": "on", "b": other})


MISTAKES = {
    "no mapping": ([1], r"^space: \[1\] is no mapping"),
    "empty": ({}, "^space: the space has no hyperparameters; add one"),
    "only forbidden": ({"forbidden": []}, "^space: the space has no hyperparameters"),
    "name": ({3: [1, 2]}, "^space: the key 3 is no name"),
    "nothing": ({"x": None}, "^space.x: None describes no hyperparameter; write"),
    "empty list": ({"x": []}, r"^space.x.choices: \[\] is not a list of at least one value"),
    "many numbers": ({"x": [16, 32, 64]}, r"^space.x: \[16, 32, 64\] could be choices or steps; write"),
    "one number": ({"x": [16]}, r"^space.x: \[16\] could be"),
    "numbers as text": ({"x": ["1e-4", "1e-1"]}, r"^space.x: the numbers \['1e-4', '1e-1'\] are text; .* 1.0e-4"),
    "type missing": ({"x": {"low": 1}}, "^space.x: the key 'type' is missing; allowed: 'float', 'int'"),
    "type": ({"x": {"type": "flaot"}}, "^space.x.type: 'flaot' is no type of hyperparameter; did you mean 'float'"),
    "type of type": ({"x": {"type": []}}, r"^space.x.type: \[\] is no type"),
    "unknown key": (
        {"learning_rate": {"type": "float", "low": 0, "hihg": 1}},
        r"^space.learning_rate.hihg: unknown key; did you mean 'high'\? allowed: 'low', 'high', 'log', 'default'",
    ),
    "missing key": (
        {"x": {"type": "int", "low": 1}},
        "^space.x: the key 'high' is missing; a hyperparameter of type int",
    ),
    "bound": ({"x": {"type": "float", "low": "a", "high": 1}}, "^space.x.low: 'a' is not a number"),
    "text bound": ({"x": {"type": "float", "low": "1e-4", "high": 1}}, "^space.x.low: '1e-4' is text, not a number"),
    "fraction": ({"x": {"type": "int", "low": 1, "high": 2.5}}, "^space.x.high: 2.5 is not a whole number"),
    "switch": ({"x": {"type": "int", "low": True, "high": 2}}, "^space.x.low: True is not a whole number"),
    "infinite": ({"x": {"type": "float", "low": 0, "high": float("inf")}}, "^space.x.high: inf is not finite"),
    "order": ({"x": {"type": "float", "low": 2, "high": 1}}, "^space.x: low is 2.0 and high is 1.0; low must be less"),
    "one value": (
        {"x": {"type": "int", "low": 2, "high": 2}},
        "^space.x: low and high are both 2; write the value alone",
    ),
    "short one value": ({"x": [2, 2]}, "^space.x: low and high are both 2"),
    "log": ({"x": {"type": "float", "low": 0, "high": 1, "log": True}}, "^space.x.low: 0.0 has no logarithm"),
    "log switch": ({"x": {"type": "float", "low": 1, "high": 2, "log": "yes"}}, "^space.x.log: 'yes' is no switch"),
    "tiny": (
        {"x": {"type": "float", "low": 1e-15, "high": 1, "log": True}},
        "^space.x.low: 1e-15 is too small: .* 13 dec",
    ),
    "huge": ({"x": [0, 1e31]}, r"^space.x: the range from 0.0 to 1e\+31 is beyond 1e\+30"),
    "huge integers": ({"x": [0, 2**70]}, r"^space.x: the range from 0 to \d+ is beyond 1e\+15"),
    "narrow": ({"x": {"type": "float", "low": 0, "high": 1e-14}}, "^space.x.low: 0.0 is too small"),
    "default": ({"x": {"type": "int", "low": 1, "high": 4, "default": 5}}, "^space.x.default: 5 is out of range"),
    "default type": (
        {"x": {"type": "int", "low": 1, "high": 4, "default": 1.5}},
        "^space.x.default: 1.5 is not a whole",
    ),
    "default choice": (
        {"x": {"type": "categorical", "choices": ["a"], "default": "b"}},
        "^space.x.default: 'b' is not one of the values; allowed: 'a'",
    ),
    "prior": ({"x": {"type": "float", "low": 0, "high": 1, "prior": "normal"}}, "^space.x.prior: 'normal' is no prior"),
    "prior name": (
        {"x": {"type": "float", "low": 0, "high": 1, "prior": {"norml": [0, 1]}}},
        "^space.x.prior.norml: unknown prior; did you mean 'normal'",
    ),
    "prior length": (
        {"x": {"type": "float", "low": 0, "high": 1, "prior": {"normal": [0]}}},
        r"^space.x.prior.normal: \[0\] is not a list of two numbers",
    ),
    "prior number": (
        {"x": {"type": "float", "low": 0, "high": 1, "prior": {"normal": [0, "a"]}}},
        r"^space.x.prior.normal\[1\]: 'a' is not a number",
    ),
    "deviation": (
        {"x": {"type": "float", "low": 0, "high": 1, "prior": {"normal": [0, 0]}}},
        r"^space.x.prior.normal\[1\]: the deviation 0.0 is not positive",
    ),
    "degenerate": (
        {"x": {"type": "float", "low": 0, "high": 1, "prior": {"normal": [0, 1e300]}}},
        r"^space.x.prior.normal: \[0, 1e\+300\] is degenerate on this range",
    ),
    "log normal": (
        {"x": {"type": "float", "low": 1, "high": 9, "log": True, "prior": {"normal": [2, 1]}}},
        "^space.x.prior.normal: cannot be combined with log",
    ),
    "beta": (
        {"x": {"type": "float", "low": 0, "high": 1, "prior": {"beta": [0.5, 1]}}},
        r"^space.x.prior.beta: \[0.5, 1\] has a number that is not from 1 to 1e\+06",
    ),
    "choices": ({"x": {"type": "categorical", "choices": "relu"}}, "^space.x.choices: 'relu' is not a list"),
    "twice": ({"x": ["a", "b", "a"]}, r"^space.x.choices\[2\]: 'a' equals an earlier value"),
    "mapping as choice": ({"x": [{"a": 1}, "b"]}, r"^space.x.choices\[0\]: .* cannot be a value"),
    "infinite constant": ({"x": float("inf")}, r"^space.x: inf cannot be a value"),
    "constant": ({"x": {"type": "constant", "value": {}}}, r"^space.x.value: \{\} cannot be a value"),
    "weights": (
        {"x": {"type": "categorical", "choices": ["a", "b"], "weights": [1]}},
        r"^space.x.weights: \[1\] is not a list of 2 numbers",
    ),
    "negative weight": (
        {"x": {"type": "categorical", "choices": ["a", "b"], "weights": [1, -1]}},
        r"^space.x.weights: \[1, -1\] must be 0 or more",
    ),
    "when": (
        {"a": ["x", "y"], "b": {"type": "constant", "value": 1, "when": "a"}},
        "^space.b.when: 'a' is no condition",
    ),
    "when unknown": (
        {"solver": ["x", "y"], "b": {"type": "constant", "value": 1, "when": {"slover": "x"}}},
        "^space.b.when.slover: 'slover' is no hyperparameter of the space; did you mean 'solver'",
    ),
    "when itself": (
        {"a": ["x", "y"], "b": {"type": "constant", "value": 1, "when": {"b": 1}}},
        "^space.b.when.b: 'b' is the hyperparameter itself",
    ),
    "when value": (
        {"a": ["adam", "sgd"], "b": {"type": "constant", "value": 1, "when": {"a": "adma"}}},
        "^space.b.when.a: 'adma' is not one of its values; allowed: 'adam', 'sgd'",
    ),
    "when values": (
        {"a": ["adam", "sgd"], "b": {"type": "constant", "value": 1, "when": {"a": ["sgd", "adma"]}}},
        r"^space.b.when.a\[1\]: 'adma' is not one",
    ),
    "when no values": (
        {"a": ["adam", "sgd"], "b": {"type": "constant", "value": 1, "when": {"a": []}}},
        "^space.b.when.a: an empty list",
    ),
    "when nothing": (
        {"a": ["adam", "sgd"], "b": {"type": "constant", "value": 1, "when": {"a": {}}}},
        "^space.b.when.a: an empty mapping is no condition",
    ),
    "comparison": (
        {"a": [1, 5], "b": {"type": "constant", "value": 1, "when": {"a": {"gte": 2}}}},
        "^space.b.when.a.gte: unknown comparison; did you mean 'gt'",
    ),
    "no order": (
        {"a": ["x", "y"], "b": {"type": "constant", "value": 1, "when": {"a": {"gt": "x"}}}},
        "^space.b.when.a.gt: the values of 'a' have no order",
    ),
    "circle": (
        {
            "a": {"type": "int", "low": 1, "high": 2, "when": {"b": 1}},
            "b": {"type": "int", "low": 1, "high": 2, "when": {"a": 1}},
        },
        "^space: the conditions go in a circle: (a -> b -> a|b -> a -> b);",
    ),
    "forbidden": ({"a": [1, 5], "forbidden": {"a": 1}}, r"^space.forbidden: \{'a': 1\} is not a list of mappings"),
    "forbidden item": ({"a": [1, 5], "forbidden": ["a"]}, r"^space.forbidden\[0\]: 'a' is no forbidden combination"),
    "forbidden name": ({"abc": [1, 5], "forbidden": [{"abd": 1}]}, r"^space.forbidden\[0\].abd: .* did you mean 'abc'"),
    "forbidden value": ({"a": [1, 5], "forbidden": [{"a": 9}]}, r"^space.forbidden\[0\].a: 9 is out of range"),
    "forbidden values": ({"a": [1, 5], "forbidden": [{"a": [2, 9]}]}, r"^space.forbidden\[0\].a\[1\]: 9 is out of"),
    "forbidden default": (
        {"a": [1, 5], "forbidden": [{"a": 3}]},
        r"^space.forbidden: the default configuration \{'a': 3\} is forbidden, .* another 'default'",
    ),
    "too many": ({"a": [0, 2**60]}, r"^space.a: the range from 0 to 1152921504606846976 is beyond 1e\+15"),
    "serialised": ({"hyperparameters": [{"name": "x"}]}, r"^space.hyperparameters\[0\]: .*'type'"),
    "serialised type": (
        {"hyperparameters": [{"name": "x", "type": "uniform"}]},
        r"^space.hyperparameters\[0\]: No found decoder for 'uniform'",
    ),
    "serialised bounds": (
        {"hyperparameters": [{"name": "x", "type": "uniform_float", "lower": 2, "upper": 1}]},
        r"^space.hyperparameters\[0\]: Hyperparameter 'x' has illegal settings \(Upper bound",
    ),
    "serialised condition": (
        {
            "hyperparameters": [{"name": "x", "type": "uniform_float", "lower": 0, "upper": 1}],
            "conditions": [{"type": "EQ", "child": "x", "parent": "y", "value": 1}],
        },
        r"^space.conditions\[0\]: 'y' is missing or unknown",
    ),
    "serialised forbidden": (
        {
            "hyperparameters": [{"name": "x", "type": "uniform_float", "lower": 0, "upper": 1}],
            "forbiddens": [{"type": "EQUALS", "name": "x", "value": 7}],
        },
        r"^space.forbiddens\[0\]: Forbidden clause must be instantiated with a legal",
    ),
    "serialised list": (
        {"hyperparameters": [], "conditions": {"a": 1}},
        r"^space.conditions: must be a list of mappings",
    ),
    "serialised integers": (
        {"hyperparameters": [{"name": "x", "type": "uniform_int", "lower": 0, "upper": 2**60}]},
        "^space: x: the range from 0 to 1152921504606846976 has integers that",
    ),
    "serialised twice": (
        {"hyperparameters": [{"name": "x", "type": "constant", "value": 1}] * 2},
        "^space: Hyperparameter 'x' already exists",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name):
    form, message = MISTAKES[name]
    with pytest.raises(SpaceError, match=message) as caught:
        read_space(form)
    assert "\n" not in str(caught.value)


def test_lists_as_choices():
    space = read_space(
        {
            "layers": {"type": "categorical", "choices": [[64, 64], [32], "auto"], "default": [32]},
            "dropout": {"type": "float", "low": 0, "high": 1, "when": {"layers": [[64, 64]]}},
            "forbidden": [{"layers": ["auto"]}],
        }
    )

    assert space.default() == {"layers": (32,)}
    space.check({"layers": [64, 64], "dropout": 0.5})
    with pytest.raises(SpaceError, match="is forbidden"):
        space.check({"layers": "auto"})


def test_a_hyperparameter_may_be_called_hyperparameters():
    assert read_space({"hyperparameters": 3, "x": [1, 2]}).default() == {"hyperparameters": 3, "x": 2}


def test_the_form_is_left_as_it_was(full):
    form = yaml.safe_load(FULL)
    read_space(form)
    assert form == yaml.safe_load(FULL)

    serialised = json.loads(full.to_json())
    read_space(serialised)
    assert serialised == json.loads(full.to_json())


@pytest.mark.parametrize("ending", ["json", "yaml", "yml"])
@pytest.mark.parametrize("kind", ["short", "serialised"])
def test_files(tmp_path, full, ending, kind):
    content = yaml.safe_load(FULL) if kind == "short" else json.loads(full.to_json())
    file = tmp_path / f"space.{ending}"
    file.write_text(json.dumps(content) if ending == "json" else yaml.safe_dump(content, sort_keys=False))

    assert read_space(file).to_json() == full.to_json()


def test_files_are_exchanged_with_configspace(tmp_path, full):
    file = tmp_path / "ours.json"
    file.write_text(full.to_json())
    theirs = ConfigurationSpace.from_json(file)
    assert theirs == full.configuration_space

    for write, name in ((theirs.to_json, "theirs.json"), (theirs.to_yaml, "theirs.yaml")):
        write(tmp_path / name)
        assert read_space(tmp_path / name).to_json() == full.to_json()


BAD_FILES = {
    "space.toml": ("x = 1", r"space.toml: the kind of file '.toml' is unknown; allowed: '.json'"),
    "space.json": ("{", r"space.json: not valid JSON: "),
    "space.yaml": ("a: [", r"space.yaml: not valid YAML: "),
    "list.yaml": ("- 1", r"list.yaml: \[1\] is no mapping"),
    "empty.yaml": ("", r"empty.yaml: None is no mapping"),
    "wrong.yaml": ("lr: {type: float, low: 1, hihg: 2}", r"wrong.yaml: lr.hihg: unknown key; did you mean 'high'"),
    "wrong.json": ('{"hyperparameters": [{"type": "a"}]}', r"wrong.json: hyperparameters\[0\]: No found decoder"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files(tmp_path, name):
    text, message = BAD_FILES[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(SpaceError, match=message) as caught:
        read_space(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_missing_and_unreadable_files(tmp_path):
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    for name in ("none.json", "binary.json"):
        with pytest.raises(SpaceError, match=f"{name}: cannot be read: "):
            read_space(tmp_path / name)


def test_old_files_are_read_in_silence(recwarn):
    form = {
        "hyperparameters": [
            {"type": "uniform_float", "name": "x", "lower": 0.0, "upper": 1.0, "default": 0.5, "log": False, "q": 0.1},
            {"type": "categorical", "name": "c", "choices": ["a", "b"], "probabilities": [0.5, 0.5], "default": "b"},
        ],
        "conditions": [],
        "forbiddens": [],
    }

    assert read_space(form).default() == {"c": "b", "x": 0.5}
    assert list(recwarn) == []


@pytest.mark.skipif(
    not hasattr(forbidden, "ForbiddenGreaterThanEqualsClause"), reason="this ConfigSpace has no such clause"
)
def test_nothing_is_printed_while_a_file_is_read(capsys):
    space = ConfigurationSpace()
    space.add(Integer("x", (1, 9), default=1))
    space.add(forbidden.ForbiddenGreaterThanEqualsClause(space["x"], 5))
    text = SearchSpace(space).to_json()
    capsys.readouterr()
    again = SearchSpace.from_json(text)

    assert capsys.readouterr().out == ""
    assert max(values["x"] for values in again.decode(again.sample(200, np.random.default_rng(0)))) == 4


def test_json_that_is_none():
    with pytest.raises(SpaceError, match=r"^not valid JSON"):
        SearchSpace.from_json("{")
    with pytest.raises(SpaceError, match=r"^hyperparameters: must be a list"):
        SearchSpace.from_json("[]")


def test_values_without_a_json_form():
    space = ConfigurationSpace()
    space.add(NormalFloatHyperparameter("x", 0.5, 0.1, 0, 1, meta={"note": np.int64(1)}))
    assert json.loads(SearchSpace(space).to_json())["hyperparameters"][0]["meta"] == {"note": 1}

    infinite = ConfigurationSpace()
    infinite.add(Constant("x", float("inf")))
    with pytest.raises(SpaceError, match=r"the space has no JSON form: Out of range float"):
        SearchSpace(infinite).to_json()

    space.add(Float("y", (0.0, 1.0), meta={"note": object()}))
    with pytest.raises(SpaceError, match=r"the space has no JSON form: <object object at .*type object; use text"):
        SearchSpace(space).to_json()


def test_draws_do_not_depend_on_the_hash_seed():
    code = (
        "import yaml, sys, numpy as np\nfrom bohb_service.space import read_space\n"
        "s = read_space(yaml.safe_load(sys.stdin.read()))\nprint(s.decode(s.sample(3, np.random.default_rng(1))))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            input=FULL,
            env={"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(told) == 1
