"""Our densities against statsmodels, for random data of all kinds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from bohb_service.optimizer.bandwidths import BandwidthRule, normal_reference, wang_ryzin_parameter
from bohb_service.optimizer.density import ProductKernelDensity
from bohb_service.optimizer.statsmodels_density import StatsmodelsDensity
from bohb_service.space import Dimension

kernel_density = pytest.importorskip("statsmodels.nonparametric.kernel_density")
LETTERS = {"continuous": "c", "integer": "c", "ordinal": "o", "categorical": "u"}


@st.composite
def dimensions(draw, most_levels=40):
    kinds = draw(st.lists(st.sampled_from(list(LETTERS)), min_size=1, max_size=6))
    return [
        Dimension(f"h{j}", kind, 0 if kind == "continuous" else draw(st.integers(2, most_levels)))
        for j, kind in enumerate(kinds)
    ]


def draw_points(dims, n, rng, spread=1.0):
    """Points in a random part of the cube; among many points every category occurs."""
    points = np.empty((n, len(dims)))
    for j, dimension in enumerate(dims):
        uniform = 0.5 + spread * (rng.random(n) - 0.5)
        if dimension.kind == "continuous":
            points[:, j] = uniform
        else:
            levels = np.floor(uniform * dimension.levels)
            if dimension.kind == "categorical":
                levels[: dimension.levels] = np.arange(dimension.levels)[:n]
                points[:, j] = levels
            else:
                points[:, j] = (levels + 0.5) / dimension.levels
    return points


def numbered(points, dims):
    """As statsmodels wants them: ordinals are level numbers."""
    result = points.copy()
    for j, dimension in enumerate(dims):
        if dimension.kind == "ordinal":
            result[:, j] = np.rint(points[:, j] * dimension.levels - 0.5)
    return result


def oracle(points, dims, bandwidths, queries):
    kde = kernel_density.KDEMultivariate(
        data=numbered(points, dims),
        var_type="".join(LETTERS[dimension.kind] for dimension in dims),
        bw=bandwidths,
        rng=np.random.Generator(np.random.PCG64(0)),
    )
    return np.atleast_1d(kde.pdf(numbered(queries, dims)))


def assert_agree(log_density, pdf):
    assert np.isfinite(log_density).all()
    # Where the other's product of kernels leaves the normal floating-point numbers, only the size can be compared.
    exact = pdf > 1e-250
    np.testing.assert_allclose(np.exp(log_density[exact]), pdf[exact], rtol=1e-10)
    assert (log_density[~exact] < np.log(1e-249)).all()


@given(dimensions(), st.integers(0, 2**32), st.integers(1, 100), st.sampled_from([0.02, 0.3, 1.0]))
def test_density_equals_statsmodels(dims, seed, extra, spread):
    rng = np.random.Generator(np.random.PCG64(seed))
    points = draw_points(dims, 40 + extra, rng, spread)
    bandwidths = BandwidthRule(dims, 1e-3)(points)
    queries = np.concatenate((draw_points(dims, 9, rng, spread), draw_points(dims, 9, rng), points[:2]))

    assert_agree(
        ProductKernelDensity.fit(points, dims, bandwidths).log_density(queries),
        oracle(points, dims, bandwidths, queries),
    )


@given(dimensions(), st.integers(0, 2**32), st.floats(-3, 0))
def test_density_equals_statsmodels_for_any_bandwidth(dims, seed, exponent):
    """From wide kernels down to those for which expanded squares would cancel."""
    rng = np.random.Generator(np.random.PCG64(seed))
    points = draw_points(dims, 60, rng)
    bandwidths = np.minimum(10.0 ** (exponent * rng.random(len(dims))), 0.999)
    queries = points[rng.integers(60, size=20)]
    for j, dimension in enumerate(dims):
        if dimension.kind == "continuous":
            queries[:, j] = np.clip(queries[:, j] + bandwidths[j] * rng.normal(size=20), 0.0, 1.0)

    assert_agree(
        ProductKernelDensity.fit(points, dims, bandwidths).log_density(queries),
        oracle(points, dims, bandwidths, queries),
    )


@given(dimensions(), st.integers(0, 2**32))
def test_inactive_dimensions_are_left_out(dims, seed):
    rng = np.random.Generator(np.random.PCG64(seed))
    points = draw_points(dims, 50, rng)
    bandwidths = BandwidthRule(dims, 1e-3)(points)
    for j, dimension in enumerate(dims):
        if dimension.kind == "continuous" and rng.random() < 0.5:
            bandwidths[j] = 2e-3  # so narrow that pairs are compared one by one
    queries = np.concatenate((draw_points(dims, 4, rng), points[rng.integers(50, size=8)]))
    queries[rng.random(queries.shape) < 0.4] = np.nan
    ours = ProductKernelDensity.fit(points, dims, bandwidths).log_density(queries)
    theirs = StatsmodelsDensity.fit(points, dims, bandwidths).log_density(queries)

    for i, query in enumerate(queries):
        active = np.flatnonzero(~np.isnan(query))
        if len(active) == 0:
            assert ours[i] == pytest.approx(0.0, abs=1e-12)
            assert theirs[i] == 0.0
            continue
        chosen = [dims[j] for j in active]
        pdf = oracle(points[:, active], chosen, bandwidths[active], query[active][np.newaxis])
        assert_agree(ours[i : i + 1], pdf)
        assert_agree(np.maximum(theirs[i : i + 1], -1e3), pdf)


def test_queries_are_not_changed():
    dims = [Dimension("x", "continuous", 0)]
    queries = np.array([[0.2], [np.nan]])

    ProductKernelDensity.fit(np.array([[0.1], [0.9]]), dims, np.array([0.1])).log_density(queries)

    np.testing.assert_array_equal(queries, [[0.2], [np.nan]])


@given(st.integers(1, 3000), st.integers(0, 2**32))
def test_blocks_add_up(n, seed):
    """Any number of points, that is any number of blocks, against the sum over all pairs."""
    rng = np.random.Generator(np.random.PCG64(seed))
    dims = [Dimension("x", "continuous", 0), Dimension("c", "categorical", 3)]
    points = np.column_stack((rng.random(n), rng.integers(3, size=n)))
    queries = np.column_stack((rng.random(5), rng.integers(3, size=5)))
    kernels = np.exp(-0.5 * ((queries[:, :1] - points[:, 0]) / 0.05) ** 2) / 0.05 / np.sqrt(2 * np.pi)
    kernels *= np.where(queries[:, 1:] == points[:, 1], 0.6, 0.2)

    result = ProductKernelDensity.fit(points, dims, np.array([0.05, 0.4])).log_density(queries)

    np.testing.assert_allclose(result, np.log(kernels.mean(axis=1)), rtol=1e-9)


def test_far_queries_have_exact_logarithms():
    """Exponents down to -0.5 * (0.8 / 1e-3)^2 = -320000, a thousand times what a float can hold."""
    dims = [Dimension("x", "continuous", 0), Dimension("y", "continuous", 0)]
    points = np.column_stack((np.full(2500, 0.1), np.linspace(0.2, 0.1, 2500)))
    queries = np.array([[0.9, 0.1], [0.5, 0.9], [0.1, 0.1], [0.1, 0.9]])
    scaled = (queries[:, np.newaxis] - points) / np.array([1e-3, 1e-2])
    expected = logsumexp(-0.5 * (scaled**2).sum(axis=2), axis=1) - np.log(2500 * 2 * np.pi * 1e-3 * 1e-2)

    result = ProductKernelDensity.fit(points, dims, np.array([1e-3, 1e-2])).log_density(queries)

    np.testing.assert_allclose(result, expected, rtol=1e-12)


def test_narrow_kernels_lose_no_digits():
    """The expanded square of a difference would have lost five: its terms are 250000 times what is left of them."""
    dims = [Dimension("x", "continuous", 0)]
    points, queries = np.array([[0.99], [0.01]]), np.array([[0.9913], [0.0097]])
    expected = -0.5 * (np.array([0.0013, 0.0003]) / 1e-3) ** 2 - np.log(2 * np.sqrt(2 * np.pi) * 1e-3)

    result = ProductKernelDensity.fit(points, dims, np.array([1e-3])).log_density(queries)

    np.testing.assert_allclose(result, expected, rtol=1e-12)


def test_a_level_that_the_data_lack_has_a_density():
    """Statsmodels counts levels in the data: with one level it divides by zero and says infinity."""
    dims = [Dimension("c", "categorical", 4)]
    points, queries, bandwidths = np.zeros((6, 1)), np.array([[0.0], [3.0]]), np.array([0.3])

    ours = ProductKernelDensity.fit(points, dims, bandwidths).log_density(queries)
    theirs = StatsmodelsDensity.fit(points, dims, bandwidths).log_density(queries)

    np.testing.assert_allclose(np.exp(ours), [0.7, 0.1], rtol=1e-12)
    assert theirs[1] == np.inf


def test_statsmodels_takes_fewer_points_than_dimensions():
    dims = [Dimension(f"x{j}", "continuous", 0) for j in range(5)]
    rng = np.random.Generator(np.random.PCG64(0))
    points, queries, bandwidths = rng.random((3, 5)), rng.random((4, 5)), np.full(5, 0.2)

    np.testing.assert_allclose(
        StatsmodelsDensity.fit(points, dims, bandwidths).log_density(queries),
        ProductKernelDensity.fit(points, dims, bandwidths).log_density(queries),
        rtol=1e-10,
    )


@given(st.integers(2, 200), st.integers(1, 8), st.integers(0, 2**32), st.floats(1e-6, 1))
def test_bandwidths_are_those_of_statsmodels(n, d, seed, scale):
    rng = np.random.Generator(np.random.PCG64(seed))
    points = scale * rng.random((n + d, d))
    kde = kernel_density.KDEMultivariate(
        data=points, var_type="c" * d, bw="normal_reference", rng=np.random.Generator(np.random.PCG64(0))
    )

    np.testing.assert_allclose(normal_reference(points), kde.bw, rtol=1e-9)


@given(dimensions(most_levels=50), st.integers(1, 60), st.integers(0, 2**32), st.floats(0.0, 1.0))
def test_bandwidths_are_legal(dims, n, seed, spread):
    points = draw_points(dims, n, np.random.Generator(np.random.PCG64(seed)), spread)
    rule = BandwidthRule(dims, 1e-3)
    bandwidths = rule(points)
    spreads = rule.spread(bandwidths)

    for j, dimension in enumerate(dims):
        if dimension.kind == "continuous":
            assert bandwidths[j] >= 1e-3
        elif dimension.kind == "integer":
            assert bandwidths[j] >= 0.5 / dimension.levels
        elif dimension.kind == "categorical":
            assert 1e-3 <= bandwidths[j] <= (dimension.levels - 1) / dimension.levels
        else:
            assert 0 < bandwidths[j] < 1
            assert spreads[j] >= 0.5 / dimension.levels * (1 - 1e-9)


@given(st.floats(0.05, 20))
def test_wang_ryzin_parameter_has_the_asked_deviation(deviation):
    parameter = wang_ryzin_parameter(np.array([deviation]))[0]
    steps = np.arange(1, 5000)
    kernel = 0.5 * (1 - parameter) * parameter**steps

    assert np.sqrt(2 * (kernel * steps**2).sum()) == pytest.approx(deviation, rel=1e-6)
