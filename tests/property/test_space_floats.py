"""Floats of any magnitude: what a configuration holds survives every conversion."""

import math

import numpy as np
from ConfigSpace import ConfigurationSpace, UniformFloatHyperparameter, UniformIntegerHyperparameter
from hypothesis import assume, given
from hypothesis import strategies as st

from bohb_service.space import SearchSpace

COORDINATES = np.concatenate([np.linspace(0.0, 1.0, 101), np.random.default_rng(0).random(200)])[:, None]


def space_of(hyperparameter):
    space = ConfigurationSpace()
    space.add(hyperparameter)
    return SearchSpace(space)


def assert_stable(space, hyperparameter):
    rows = space.snap(COORDINATES)
    values = space.decode(COORDINATES)

    assert ((rows >= 0.0) & (rows <= 1.0)).all()
    assert np.array_equal(space.snap(rows), rows)
    assert space.decode(rows) == values
    assert space.decode(space.encode(values)) == values
    assert np.array_equal(space.encode(values), rows)
    assert all(hyperparameter.lower <= value["x"] <= hyperparameter.upper for value in values)
    assert values[0]["x"] == hyperparameter.lower
    assert values[100]["x"] == hyperparameter.upper
    numbers = [value["x"] for value in values[:101]]
    assert numbers == sorted(numbers)
    return rows


@given(st.floats(-1e12, 1e12), st.floats(1e-9, 1e12))
def test_linear(low, extent):
    assume(extent > 1e-12 * abs(low))
    hyperparameter = UniformFloatHyperparameter("x", low, low + extent)
    rows = assert_stable(space_of(hyperparameter), hyperparameter)

    # The grid is never coarser than 13 decimals and a few units in the last place.
    coarseness = (1e-13 + 2e-14 * max(abs(low), abs(low + extent))) / extent
    assert np.abs(rows - COORDINATES).max() <= coarseness


@given(st.floats(-12, 12), st.floats(0.01, 20))
def test_logarithmic(exponent, extent):
    low, high = 10.0**exponent, 10.0 ** (exponent + extent)
    assume(0 < round(low, 13) < round(high, 13))
    hyperparameter = UniformFloatHyperparameter("x", low, high, log=True)
    rows = assert_stable(space_of(hyperparameter), hyperparameter)

    tolerance = (1e-13 / hyperparameter.lower + 1e-12) / (extent * math.log(10))
    assert np.abs(rows - COORDINATES).max() <= tolerance


@given(st.integers(-(2**40), 2**40), st.integers(1, 2**40))
def test_integers(low, extent):
    hyperparameter = UniformIntegerHyperparameter("x", low, low + extent)
    rows = assert_stable(space_of(hyperparameter), hyperparameter)

    assert np.abs(rows - COORDINATES).max() <= 0.5 / (extent + 1) + 1e-15 * (1 + abs(low) / extent)


@given(st.integers(1, 2**30), st.integers(1, 2**40))
def test_logarithmic_integers(low, extent):
    hyperparameter = UniformIntegerHyperparameter("x", low, low + extent, log=True)
    assert_stable(space_of(hyperparameter), hyperparameter)


@given(st.floats(1e-6, 100.0), st.floats(0.01, 1.0), st.booleans())
def test_short_decimals_come_back_as_they_were_written(high, share, log):
    """0.1 stays 0.1: a configuration that a user writes is found unchanged in the results."""
    low = float(f"{high / 1000:.3g}") if log else 0.0
    high = float(f"{high:.6g}")
    value = float(f"{low + share * (high - low):.6g}")
    hyperparameter = UniformFloatHyperparameter("x", low, high, log=log)
    value = round(min(max(value, hyperparameter.lower), hyperparameter.upper), 13)
    space = space_of(hyperparameter)

    assert space.decode(space.encode([{"x": value}])) == [{"x": value}]
