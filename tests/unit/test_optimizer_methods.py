"""Building schedules and samplers by name, and the errors on the way."""

import subprocess
import sys

import numpy as np
import pytest
from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, UniformFloatHyperparameter

from bohb_service.errors import SpaceError, StudyError
from bohb_service.optimizer.brackets import HyperbandSchedule, Rung, SizeRule
from bohb_service.optimizer.methods import METHODS, sampler_of, schedule_of
from bohb_service.optimizer.model_options import ModelOptions
from bohb_service.optimizer.observation import Observation
from bohb_service.optimizer.seeding import Purpose, generator
from bohb_service.space import SearchSpace
from bohb_service.testing.sampler_conformance import conditional_space, mixed_space


@pytest.mark.parametrize(
    ("name", "first", "cycle"),
    [("bohb", (9, 3, 1), 3), ("hyperband", (9, 3, 1), 3), ("successive-halving", (9, 3, 1), 1), ("random", (1,), 1)],
)
def test_schedules(name, first, cycle):
    schedule = schedule_of(name, 1, 9, 3, "paper", integer=False)

    assert tuple(rung.size for rung in schedule.bracket(0)) == first
    assert schedule.cycle == cycle
    assert schedule.bracket(0)[-1].budget == 9


def test_size_rule_and_whole_budgets_are_passed_on():
    whole = schedule_of("hyperband", 1, 80, 3, SizeRule.HPBANDSTER, integer=True)

    assert whole.bracket(1) == (Rung(9, 9), Rung(3, 27), Rung(1, 80))
    assert schedule_of("bohb", 1, 81, 3, "paper", integer=False).bracket(1) == HyperbandSchedule(
        1, 81, 3, SizeRule.PAPER
    ).bracket(1)


def test_importing_the_registry_is_cheap():
    code = (
        "import sys, bohb_service.optimizer.methods as m;"
        "m.schedule_of('bohb', 1, 9, 3, 'paper', False);"
        "print({'numpy', 'scipy', 'ConfigSpace', 'statsmodels'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout == "set()\n", done.stderr


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: schedule_of("hyperbnad", 1, 9, 3, "paper", integer=False),
            r"method\.name: .*'hyperbnad'; did you mean",
        ),
        (lambda: schedule_of("x", 1, 9, 3, "paper", integer=False), r"method\.name: .*'x'; known are bohb, hyperband"),
        (
            lambda: schedule_of("bohb", 1, 9, 3, "papre", integer=False),
            r"method\.sizes: .*paper, hpbandster.*'papre'",
        ),
        (lambda: sampler_of("bhob", mixed_space(), 0), r"method\.name: .*'bhob'; did you mean 'bohb'"),
        (lambda: sampler_of("bohb", mixed_space(), 0, {"num_sample": 3}), r"method\.num_sample: .*'num_samples'"),
        (lambda: sampler_of("bohb", mixed_space(), 0, {"x": 3}), r"method\.x: no such option .* known are min_points"),
        (lambda: sampler_of("random", mixed_space(), 0, {"num_samples": 3}), r"method\.num_samples: only .*'bohb'"),
    ],
)
def test_wrong_names_are_explained(build, message):
    with pytest.raises(StudyError, match=message):
        build()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("min_points_in_model", 0),
        ("min_points_in_model", 2.5),
        ("top_n_percent", 0),
        ("top_n_percent", 100),
        ("num_samples", 0),
        ("num_samples", True),
        ("random_fraction", -0.1),
        ("random_fraction", 1.1),
        ("random_fraction", "1/3"),
        ("bandwidth_factor", 0),
        ("bandwidth_factor", float("inf")),
        ("min_bandwidth", 0),
        ("min_bandwidth", float("nan")),
        ("min_bandwidth", 0.6),
        ("density", "scipy"),
    ],
)
def test_wrong_options_are_named_with_their_value(key, value):
    with pytest.raises(StudyError, match=rf"method\.{key}: must be .* got ") as error:
        ModelOptions.from_mapping({key: value})
    assert str(error.value).endswith(repr(value))


def test_options_default_to_those_of_the_paper():
    options = ModelOptions.from_mapping({})

    assert options == ModelOptions(
        min_points_in_model=None,
        top_n_percent=15,
        num_samples=64,
        random_fraction=1 / 3,
        bandwidth_factor=3,
        min_bandwidth=1e-3,
        density="own",
    )
    assert ModelOptions.from_mapping({"num_samples": 7, "min_points_in_model": None}).num_samples == 7


def test_missing_statsmodels_is_said_when_the_sampler_is_built(monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels.nonparametric.kernel_density", None)

    with pytest.raises(StudyError, match=r"method\.density: .*pip install bohb-service\[reference\]"):
        sampler_of("bohb", mixed_space(), 0, {"density": "statsmodels"})


@pytest.mark.parametrize("name", METHODS)
def test_initial_configurations_come_first(name):
    space = conditional_space()
    initial = [
        {"activation": "elu", "depth": 1, "optimizer": "adam"},
        {"nesterov": False, "momentum": 0.5, "depth": 2, "optimizer": "sgd", "activation": "relu"},
    ]
    sampler, plain = sampler_of(name, space, 5, {}, initial), sampler_of(name, space, 5)
    taken = []
    for number in range(4):
        suggestion = sampler.suggest(number, [], taken)
        taken.append(suggestion.values)
        if number < 2:
            assert (suggestion.values, suggestion.origin) == (initial[number], "initial")
        else:
            assert suggestion == plain.suggest(number, [], taken[:number])


def test_initial_configurations_get_their_constants():
    space = mixed_space()
    given = {key: value for key, value in space.default().items() if key != "version"}

    assert sampler_of("bohb", space, 0, {}, [given]).suggest(0, [], []).values == space.default()


def test_wrong_initial_configurations_are_named():
    space = mixed_space()
    wrong = {**space.default(), "layers": 9}

    with pytest.raises(SpaceError, match=r"initial\[1\]: layers: .*9"):
        sampler_of("bohb", space, 0, {}, [space.default(), wrong])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"activation": "tanh", "depth": 3, "optimizer": "adam"}, r"initial\[0\]: .*forbidden"),
        (
            {"activation": "relu", "depth": 3, "optimizer": "adam", "momentum": 0.5},
            r"initial\[0\]: momentum: .*inactive",
        ),
        ({"activation": "relu", "depth": 3, "optimizer": "sgd", "momentum": 0.5}, r"initial\[0\]: nesterov: .*missing"),
    ],
)
def test_initial_configurations_are_checked_strictly(wrong, message):
    with pytest.raises(SpaceError, match=message):
        sampler_of("bohb", conditional_space(), 0, {}, [wrong])


def test_prior_draws_avoid_what_is_taken():
    space = ConfigurationSpace()
    space.add(CategoricalHyperparameter("c", list(range(50)), weights=[50] + 49 * [1]))
    space = SearchSpace(space)
    taken = [{"c": value} for value in range(49)]

    for seed in range(10):
        assert sampler_of("random", space, seed).suggest(49, [], taken).values == {"c": 49}
    everything = [{"c": value} for value in range(50)]
    assert sampler_of("random", space, 0).suggest(50, [], everything).values in everything


def test_shrunken_lists_are_read_anew():
    """Another study's history, shorter or with other content, is not mistaken for the old one."""
    space = ConfigurationSpace()
    space.add(UniformFloatHyperparameter("x", 0.0, 1.0))
    space = SearchSpace(space)
    rows = [Observation(i, {"x": (i + 0.5) / 40}, 1.0, i / 40) for i in range(40)]
    mirrored = [Observation(i, o.values, 1.0, -o.loss) for i, o in enumerate(rows)]
    sampler = sampler_of("bohb", space, 0, {"random_fraction": 0})

    def mean(observations):
        return np.mean([sampler.suggest(number, observations, []).values["x"] for number in range(20)])

    assert mean(rows) < 0.3
    assert mean(mirrored) > 0.7
    assert mean(rows[:20]) < 0.3
    assert mean([]) == pytest.approx(0.5, abs=0.2)


def test_replaced_suggestions_are_no_longer_taken():
    space = ConfigurationSpace()
    space.add(CategoricalHyperparameter("c", [0, 1, 2]))
    sampler = sampler_of("random", SearchSpace(space), 0)

    for first, second in ((0, 1), (1, 2), (2, 0), (0, 1)):
        for number in range(5):
            values = sampler.suggest(number, [], [{"c": first}, {"c": second}]).values
            assert values == {"c": 3 - first - second}


def test_generators_depend_on_all_three_arguments():
    def first(*arguments):
        return generator(*arguments).random()

    draws = {first(seed, purpose, index) for seed in (0, 1, 2**63) for purpose in Purpose for index in range(4)}

    assert len(draws) == 3 * len(Purpose) * 4
    assert first(7, Purpose.SUGGEST, 3) == first(7, Purpose.SUGGEST, 3)
    # The meaning of a seed must not change between versions.
    assert first(0, Purpose.SUGGEST, 0) == 0.5651317655614634
