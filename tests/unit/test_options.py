"""What targets check options and arguments with, and how their messages name and show them."""

import pickle

import numpy as np
import pytest

from bohb_service.errors import StudyError
from bohb_service.workers.autonet import AutoNet
from bohb_service.workers.common.checks import OptionError, named_as_arguments, number
from bohb_service.workers.common.draws import check_generator
from bohb_service.workers.common.shown import pythonic, shown
from bohb_service.workers.common.whole import whole_epochs
from bohb_service.workers.ppo import PPO
from bohb_service.workers.ppo.hyperparameters import Hyperparameters as AgentHyperparameters
from bohb_service.workers.sghmc import SGHMC
from bohb_service.workers.sghmc.hyperparameters import Hyperparameters as SamplerHyperparameters
from bohb_service.workers.sklearn import EstimatorWorker, SklearnMLP, SklearnPipeline


def test_an_option_is_named_as_it_was_given():
    with pytest.raises(StudyError, match=r"^worker_options\.steps: must be a whole number from 1 to 9, not 0$"):
        number("steps", 0, 1, 9, is_integer=True)
    with (
        pytest.raises(ValueError, match=r"^n_steps: must be a whole number from 1 to 9, not 0$"),
        named_as_arguments(ValueError, {"steps": "n_steps"}),
    ):
        number("steps", 0, 1, 9, is_integer=True)
    with pytest.raises(StudyError, match=r"^steps: must be") as caught, named_as_arguments(StudyError):
        number("steps", 0, 1, 9, is_integer=True)
    assert not isinstance(caught.value, OptionError)


def test_errors_of_options_survive_the_way_between_processes():
    error = OptionError("steps", "too many")

    copy = pickle.loads(pickle.dumps(error))

    assert str(copy) == str(error) == "worker_options.steps: too many"
    assert copy.as_argument({"steps": "n_steps"}) == "n_steps: too many"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float64("inf"), "inf"),
        (np.float32(0.5), "0.5"),
        (np.int64(-3), "-3"),
        (np.bool_(True), "True"),  # noqa: FBT003 (a value of NumPy)
        (np.str_("a"), "'a'"),
        ([np.float64(1.5), (np.int8(2),)], "[1.5, (2,)]"),
        ({"a": {np.str_("b"): np.float64("nan")}}, "{'a': {'b': nan}}"),
        ("text", "'text'"),
        (None, "None"),
    ],
)
def test_numbers_of_numpy_are_shown_as_numbers(value, text):
    assert shown(value) == text
    assert "np." not in repr(pythonic(value))


def test_long_values_are_cut():
    assert len(shown("x" * 500)) <= 80
    assert len(shown(list(range(500)))) <= 80


def test_bounds_are_told_in_full():
    for high, text in ((1e9, r"1e\+09"), (2**31 - 1, "2147483647"), (0.1, r"0\.1")):
        with pytest.raises(StudyError, match=f"from 0 to {text}, not -1"):
            number("seed", -1, 0, high)


def test_numbers_of_numpy_are_numbers():
    number("steps", np.int32(3), 1, 9, is_integer=True)
    number("share", np.float32(0.5), 0, 1, is_open=True)
    for wrong in (np.float64(1.5), np.bool_(True), np.str_("3")):  # noqa: FBT003 (a value of NumPy)
        with pytest.raises(StudyError, match="must be a whole number from 1 to 9"):
            number("steps", wrong, 1, 9, is_integer=True)


def test_what_is_no_generator_is_told():
    check_generator("rng", np.random.default_rng(0))
    with pytest.raises(TypeError, match=r"rng: must be a numpy.random.Generator, such as .*, not 5$"):
        check_generator("rng", 5)


@pytest.mark.parametrize(
    ("target", "options"),
    [
        (PPO, {"window": np.int64(0)}),
        (PPO, {"solved_at": np.float64("inf")}),
        (PPO, {"loss": np.float64(1)}),
        (PPO, {"env": np.float64(1)}),
        (PPO, {"env_kwargs": np.float64(1)}),
        (PPO, {"fixed": {"discount": np.float64("nan")}}),
        (PPO, {"fixed": {"batch_size": np.float64(8)}}),
        (PPO, {"fixed": {"normalise_rewards": np.float64(8)}}),
        (PPO, {"fixed": {"activation_1": np.float64(8)}}),
        (AutoNet, {"horizon": np.float64("inf")}),
        (AutoNet, {"space": np.int64(1)}),
        (AutoNet, {"validation": np.float64("inf")}),
        (AutoNet, {"test": {"first": np.float64(0.5)}}),
        (AutoNet, {"test": np.float64(2)}),
        (AutoNet, {"keep": np.float64(2)}),
        (AutoNet, {"drop": np.float64(2)}),
        (AutoNet, {"data": np.float64(2)}),
        (SGHMC, {"adaptation": np.float64(2.5)}),
        (SGHMC, {"chains": np.int64(0)}),
        (SklearnPipeline, {"learners": np.float64(2)}),
        (SklearnMLP, {"dataset": np.float64(2)}),
        (EstimatorWorker, {"estimator": np.float64(2)}),
        (EstimatorWorker, {"estimator": "a:B", "fixed": np.float64(2)}),
    ],
)
def test_options_are_shown_as_users_know_numbers(target, options):
    with pytest.raises(StudyError) as caught:
        target(**options)
    assert "np." not in str(caught.value)


@pytest.mark.parametrize("kind", [AgentHyperparameters, SamplerHyperparameters])
def test_hyperparameters_may_be_numbers_of_numpy(kind):
    given = kind.from_config({"n_units_1": np.int64(8), "n_units_2": np.int32(8)})

    assert (type(given.n_units_1), type(given.n_units_2)) == (int, int)
    with pytest.raises(StudyError, match=r"'n_units_1' must be a whole number from 1 to 100000, not 0\.5"):
        kind.from_config({"n_units_1": np.float64(0.5)})


def test_options_that_are_numbers_of_numpy_are_pythons_afterwards():
    assert type(PPO(window=np.int64(5)).ppo_options.window) is int
    assert type(AutoNet(validation=np.float64(0.5)).table_options.validation) is float
    assert type(AutoNet(horizon=np.int64(5)).network_options.horizon) is int
    assert type(SGHMC(chains=np.int64(5)).sampling_options.chains) is int


def test_budgets_are_shown_as_users_know_numbers():
    with pytest.raises(StudyError, match=r"budget 1\.5 is not a whole number of epochs"):
        whole_epochs(np.float64(1.5))
