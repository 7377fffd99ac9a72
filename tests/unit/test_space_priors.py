"""Draws follow the priors: ConfigSpace's own draws, and the formulas, are what they are compared with."""

import numpy as np
import pytest
from ConfigSpace import (
    BetaFloatHyperparameter,
    BetaIntegerHyperparameter,
    CategoricalHyperparameter,
    ConfigurationSpace,
    NormalFloatHyperparameter,
    NormalIntegerHyperparameter,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from scipy import stats

from bohb_service.errors import SpaceError
from bohb_service.space import SearchSpace

N = 20_000


def draws(hyperparameter, seed=1, n=N):
    space = ConfigurationSpace()
    space.add(hyperparameter)
    search_space = SearchSpace(space)
    return [values["x"] for values in search_space.decode(search_space.sample(n, np.random.default_rng(seed)))]


def theirs(hyperparameter):
    return [hyperparameter.to_value(v) for v in hyperparameter.sample_vector(N, seed=np.random.RandomState(2))]


FLOATS = {
    "uniform": UniformFloatHyperparameter("x", -2.0, 5.0),
    "log": UniformFloatHyperparameter("x", 1e-5, 1e2, log=True),
    "normal": NormalFloatHyperparameter("x", 0.9, 0.1, 0.0, 1.0),
    "normal, mean above": NormalFloatHyperparameter("x", 3.0, 0.5, 0.0, 1.0),
    "normal, mean below": NormalFloatHyperparameter("x", -3.0, 0.5, 0.0, 1.0),
    "normal, mean far below": NormalFloatHyperparameter("x", -20.0, 0.5, 0.0, 1.0),
    "normal, mean far above": NormalFloatHyperparameter("x", 1e5, 0.5, 0.0, 1.0),
    "normal, very wide": NormalFloatHyperparameter("x", 0.0, 1e5, 0.0, 1.0),
    "normal, wide": NormalFloatHyperparameter("x", 10.0, 30.0, -5.0, 25.0),
    "normal, log": NormalFloatHyperparameter("x", 10.0, 20.0, 1.0, 100.0, log=True),
    "beta": BetaFloatHyperparameter("x", 2, 5, -1.0, 3.0),
    "beta, log": BetaFloatHyperparameter("x", 3, 1.5, 1e-3, 10.0, log=True),
}


@pytest.mark.parametrize("name", FLOATS)
def test_floats(name):
    result = stats.ks_2samp(draws(FLOATS[name]), theirs(FLOATS[name]))
    assert result.pvalue > 1e-3, result


INTEGERS = {
    "uniform": UniformIntegerHyperparameter("x", -1, 5),
    "log, few": UniformIntegerHyperparameter("x", 1, 4, log=True),
    "log": UniformIntegerHyperparameter("x", 3, 40, log=True),
    "normal": NormalIntegerHyperparameter("x", 2, 1.5, 1, 6),
    "normal, mean outside": NormalIntegerHyperparameter("x", 9, 2, 1, 6),
    "normal, log": NormalIntegerHyperparameter("x", 8, 5, 1, 30, log=True),
    "beta": BetaIntegerHyperparameter("x", 2, 4, 0, 9),
    "beta, log": BetaIntegerHyperparameter("x", 2, 2, 1, 50, log=True),
    "ordinal": OrdinalHyperparameter("x", ["s", "m", "l"]),
    "categorical": CategoricalHyperparameter("x", ["a", "b", "c", "d", "e"]),
    "weights": CategoricalHyperparameter("x", ["a", "b", "c"], weights=[0.7, 0.0, 0.3]),
}


def is_stepped(hyperparameter):
    """ConfigSpace draws these in equal steps of the logarithm; the draws here are only rounded."""
    return getattr(hyperparameter, "log", False) and not isinstance(hyperparameter, UniformIntegerHyperparameter)


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_and_choices(name):
    hyperparameter = INTEGERS[name]
    ours, other = draws(hyperparameter), theirs(hyperparameter)
    values = sorted({*ours, *other})
    if is_stepped(hyperparameter):
        assert np.mean(np.log(ours)) == pytest.approx(np.mean(np.log(other)), abs=0.05)
        assert np.std(np.log(ours)) == pytest.approx(np.std(np.log(other)), abs=0.05)
        return
    table = np.array([[ours.count(value), other.count(value)] for value in values])
    assert stats.chi2_contingency(table[table.sum(axis=1) >= 10]).pvalue > 1e-3, table


def test_weights_by_hand():
    values = draws(INTEGERS["weights"])
    shares = [values.count(choice) / N for choice in ("a", "b", "c")]

    assert shares == pytest.approx([0.7, 0.0, 0.3], abs=0.015)


def test_a_truncated_normal_by_hand():
    values = draws(FLOATS["normal"])
    expected = stats.truncnorm((0 - 0.9) / 0.1, (1 - 0.9) / 0.1, 0.9, 0.1)

    assert stats.kstest(values, expected.cdf).pvalue > 1e-3


def test_a_log_uniform_by_hand():
    assert stats.kstest(np.log10(draws(FLOATS["log"])), stats.uniform(-5, 7).cdf).pvalue > 1e-3


def test_draws_are_independent_between_columns():
    space = ConfigurationSpace()
    space.add([UniformFloatHyperparameter(f"x{i}", 0, 1) for i in range(4)])
    space.add(BetaFloatHyperparameter("y", 2, 5, 0, 1))
    rows = SearchSpace(space).sample(5000, np.random.default_rng(0))
    correlations = np.corrcoef(rows.T)[~np.eye(5, dtype=bool)]

    assert np.abs(correlations).max() < 0.05


def test_the_ends_of_the_uniform_numbers_are_legal():
    class Ends:
        """A generator that draws nothing but the smallest and largest number."""

        def random(self, shape):
            rows = np.zeros(shape)
            rows[1::2] = np.nextafter(1.0, 0.0)
            return rows

    no_first = CategoricalHyperparameter("x", ["a", "b", "c", "d"], weights=[0, 1, 1, 0])
    assert set(draws(no_first, n=200)) == {"b", "c"}
    for hyperparameter in (*FLOATS.values(), *INTEGERS.values(), no_first):
        space = ConfigurationSpace()
        space.add(hyperparameter)
        search_space = SearchSpace(space)
        for values in search_space.decode(search_space.sample(2, Ends())):
            search_space.check(values)
            assert hyperparameter is not no_first or values["x"] in ("b", "c")


def test_a_normal_prior_without_width_is_refused():
    space = ConfigurationSpace()
    space.add(NormalFloatHyperparameter("x", 0.6, 0.499999, 0.5, 2.0, log=True))
    space["x"].sigma = 0.5  # log(0.5 + 0.5) is 0, which ConfigSpace divides by

    with pytest.raises(
        SpaceError, match=r"^x: the normal prior with mean 0.6 and deviation 0.5 is degenerate on the scale"
    ):
        SearchSpace(space)
