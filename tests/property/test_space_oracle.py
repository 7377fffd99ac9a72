"""Random search spaces: ConfigSpace itself says what is right."""

import contextlib
import io

import numpy as np
import pytest
from ConfigSpace import Configuration
from ConfigSpace.exceptions import ForbiddenValueError
from hypothesis import given
from hypothesis import strategies as st

from bohb_service.errors import SpaceError
from bohb_service.space import SearchSpace
from tests.strategies import configuration_spaces, values_of

seeds = st.integers(0, 2**32 - 1)


def verdict(space, values):
    """What ConfigSpace says about a configuration: None if it is legal, otherwise the exception."""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            Configuration(space, values=values)
        except ValueError as error:
            return error
    return None


def our_verdict(space, values):
    try:
        space.check(values)
    except SpaceError as error:
        return error
    return None


def corners(space, rng, n):
    """Rows anywhere in the cube, with entries on its faces and NaN, not snapped."""
    rows = rng.random((n, len(space.dimensions)))
    rows[rng.random(rows.shape) < 0.1] = 0.0
    rows[rng.random(rows.shape) < 0.1] = 1.0
    levels = np.array([max(d.levels, 1) if d.kind == "categorical" else 1 for d in space.dimensions])
    rows *= levels
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows


def tolerance(hyperparameter):
    """How far a float may be from one with 13 decimals, or with as many significant digits."""
    if not hasattr(hyperparameter, "lower"):
        return {"rel": 0.0, "abs": 0.0}
    return {
        "rel": 1e-12,
        "abs": 0.0 if hyperparameter.log else 2e-14 * max(map(abs, (hyperparameter.lower, hyperparameter.upper))),
    }


def same(one, other):
    return np.array_equal(one, other, equal_nan=True)


@given(configuration_spaces(), seeds)
def test_every_draw_is_a_configuration_of_configspace(oracle, seed):
    space = SearchSpace(oracle)
    try:
        rows = space.sample(20, np.random.default_rng(seed))
    except SpaceError:
        assert oracle.forbidden_clauses
        return

    for values in space.decode(rows):
        assert verdict(oracle, values) is None
        assert our_verdict(space, values) is None
        assert list(values) == [name for name in oracle if name in values]
    assert space.is_legal(rows).all()
    assert same(space.snap(rows), rows)


@given(configuration_spaces(), seeds)
def test_snapped_rows_are_legal_exactly_if_configspace_says_so(oracle, seed):
    space = SearchSpace(oracle)
    rows = space.snap(corners(space, np.random.default_rng(seed), 30))

    for values, is_legal in zip(space.decode(rows), space.is_legal(rows), strict=True):
        told = verdict(oracle, values)
        assert (told is None) == is_legal
        assert is_legal or isinstance(told, ForbiddenValueError)
        assert (our_verdict(space, values) is None) == is_legal


@given(configuration_spaces(), seeds)
def test_values_survive_conversions(oracle, seed):
    space = SearchSpace(oracle)
    raw = corners(space, np.random.default_rng(seed), 30)
    rows = space.snap(raw)
    values = space.decode(raw)

    assert same(space.snap(rows), rows)
    assert same(space.active(rows), ~np.isnan(rows))
    assert same(space.active(raw), ~np.isnan(rows))
    assert values == space.decode(rows)
    assert space.decode(space.encode(values)) == values
    encoded = space.encode(values)
    for column, dimension in enumerate(space.dimensions):
        tolerance = 1e-12 if dimension.kind == "continuous" else 0.0
        assert np.allclose(encoded[:, column], rows[:, column], rtol=0.0, atol=tolerance, equal_nan=True)
    # One by one is the same as all at once.
    assert same(np.concatenate([space.snap(raw[i : i + 1]) for i in range(len(raw))]), rows)
    assert [space.decode(raw[i : i + 1])[0] for i in range(len(raw))] == values
    assert same(np.concatenate([space.encode([each]) for each in values]), encoded)


@given(configuration_spaces(), seeds)
def test_values_are_plain_and_what_configspace_makes_of_them(oracle, seed):
    space = SearchSpace(oracle)
    for values in space.decode(corners(space, np.random.default_rng(seed), 10)):
        for name, value in values.items():
            assert type(value) in (float, int, str, bool, type(None), tuple)
            assert not hasattr(oracle[name], "lower") or type(value) is type(oracle[name].lower)
            assert value == oracle[name].to_value(oracle[name].to_vector(value)) or isinstance(value, float)


@given(configuration_spaces(clauses=False))
def test_what_configspace_draws_is_encoded_and_passes(oracle):
    space = SearchSpace(oracle)
    for configuration in oracle.sample_configuration(10):
        values = dict(configuration)
        told = verdict(oracle, values)
        assert (told is None) == (our_verdict(space, values) is None)
        if told is None:
            (decoded,) = space.decode(space.encode([values]))
            assert decoded.keys() == values.keys()
            for name, value in decoded.items():
                assert value == (
                    pytest.approx(values[name], **tolerance(oracle[name])) if isinstance(value, float) else values[name]
                )


@given(st.data(), configuration_spaces(), seeds)
def test_a_changed_configuration_is_judged_as_by_configspace(data, oracle, seed):
    space = SearchSpace(oracle)
    (values,) = space.decode(corners(space, np.random.default_rng(seed), 1))
    for name in data.draw(st.lists(st.sampled_from(list(oracle)), min_size=1, max_size=3, unique=True)):
        if data.draw(st.booleans()):
            values.pop(name, None)
        else:
            values[name] = data.draw(values_of(oracle[name]))

    assert (verdict(oracle, values) is None) == (our_verdict(space, values) is None)


@given(configuration_spaces())
def test_the_default_is_that_of_configspace(oracle):
    space = SearchSpace(oracle)
    ours, theirs = space.default(), dict(oracle.get_default_configuration())

    assert list(ours) == list(theirs)
    for name, value in ours.items():
        assert value == (
            pytest.approx(theirs[name], **tolerance(oracle[name])) if isinstance(value, float) else theirs[name]
        )


@given(configuration_spaces(), seeds)
def test_the_json_form_gives_an_equal_space(oracle, seed):
    space = SearchSpace(oracle)
    again = SearchSpace.from_json(space.to_json())
    raw = corners(space, np.random.default_rng(seed), 10)

    assert again.dimensions == space.dimensions
    assert same(again.snap(raw), space.snap(raw))
    assert same(again.is_legal(space.snap(raw)), space.is_legal(space.snap(raw)))
    assert again.to_json() == space.to_json()


@given(configuration_spaces(), seeds)
def test_draws_depend_on_the_generator_alone(oracle, seed):
    space = SearchSpace(oracle)
    try:
        rows = space.sample(5, np.random.default_rng(seed))
    except SpaceError:
        return
    np.random.seed(seed)  # noqa: NPY002 - what must not matter

    assert same(SearchSpace(oracle).sample(5, np.random.default_rng(seed)), rows)
