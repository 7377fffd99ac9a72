"""The parts of the model-based sampler: bandwidths, imputation, candidates."""

import numpy as np
import pytest
from scipy import stats

from bohb_service.optimizer.bandwidths import BandwidthRule, normal_reference
from bohb_service.optimizer.candidates import CandidateGenerator
from bohb_service.optimizer.imputation import impute
from bohb_service.space import Dimension

NAN = np.nan


def rng(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


def test_two_levels_and_continuous_dimensions_have_the_reference_bandwidth():
    dims = [Dimension("c", "categorical", 2), Dimension("x", "continuous", 0)]
    points = np.column_stack((rng().integers(2, size=50), rng().random(50)))

    np.testing.assert_allclose(BandwidthRule(dims, 1e-3)(points), normal_reference(points), rtol=1e-12)


def test_the_order_of_categories_does_not_matter():
    dims = [Dimension("c", "categorical", 5), Dimension("x", "continuous", 0), Dimension("d", "categorical", 3)]
    points = np.column_stack((rng().integers(4, size=30), rng().random(30), rng().integers(3, size=30)))
    shuffled = points.copy()
    shuffled[:, 0] = np.array([4, 2, 0, 1, 3])[points[:, 0].astype(int)]
    rule = BandwidthRule(dims, 1e-3)

    np.testing.assert_allclose(rule(points), rule(shuffled), rtol=1e-12)


@pytest.mark.parametrize("levels", [2, 5, 30])
def test_unseen_levels_get_the_probability_of_jeffreys_prior(levels):
    bandwidth = BandwidthRule([Dimension("c", "categorical", levels)], 1e-3)(np.zeros((9, 1)))[0]

    assert bandwidth / (levels - 1) == pytest.approx(0.5 / (9 + 0.5 * levels))


def test_equal_points_have_the_smallest_bandwidths():
    dims = [Dimension("x", "continuous", 0), Dimension("n", "integer", 4), Dimension("o", "ordinal", 4)]
    rule = BandwidthRule(dims, 1e-3)
    bandwidths = rule(np.full((9, 3), 0.125))

    np.testing.assert_allclose(bandwidths[:2], [1e-3, 0.125])
    np.testing.assert_allclose(rule.spread(bandwidths), [1e-3, 0.125, 0.125])


def test_gaps_of_each_kind_are_filled_evenly_whatever_the_other_values_are():
    dims = [
        Dimension("x", "continuous", 0),
        Dimension("n", "integer", 4),
        Dimension("o", "ordinal", 3),
        Dimension("c", "categorical", 5),
    ]
    points = np.full((2010, 4), NAN)
    points[2000:] = [0.9, 0.125, 0.5, 3]
    filled = impute(points, dims, rng())
    np.testing.assert_array_equal(filled[2000:], points[2000:])
    filled = filled[:2000]

    assert stats.kstest(filled[:, 0], "uniform").pvalue > 1e-3
    for column, levels in ((1, [0.125, 0.375, 0.625, 0.875]), (2, [1 / 6, 0.5, 5 / 6]), (3, range(5))):
        values, counts = np.unique(filled[:, column], return_counts=True)
        np.testing.assert_allclose(values, levels)
        assert stats.chisquare(counts).pvalue > 1e-3


def test_complete_points_stay_and_nothing_is_overwritten():
    dims = [Dimension("a", "continuous", 0), Dimension("b", "continuous", 0)]
    complete, incomplete = np.array([[0.1, 0.2]]), np.array([[0.1, NAN], [0.3, 0.4]])

    np.testing.assert_array_equal(impute(complete, dims, rng()), complete)
    np.testing.assert_array_equal(~np.isnan(incomplete), impute(incomplete, dims, rng()) == incomplete)
    assert np.isnan(incomplete[0, 1])


@pytest.mark.parametrize(("centre", "scale"), [(0.5, 0.1), (0.0, 0.3), (0.97, 0.05), (0.2, 3.0), (1.0, 1e-3)])
def test_numeric_candidates_follow_a_truncated_normal(centre, scale):
    generator = CandidateGenerator([Dimension("x", "continuous", 0)])
    drawn = generator.draw(np.array([[centre]]), np.array([scale]), np.array([1.0]), 4000, rng())[:, 0]
    expected = stats.truncnorm((0 - centre) / scale, (1 - centre) / scale, loc=centre, scale=scale)

    assert 0 <= drawn.min() <= drawn.max() <= 1
    assert stats.kstest(drawn, expected.cdf).pvalue > 1e-3


@pytest.mark.parametrize("bandwidth", [1e-3, 0.3, 0.8])
def test_categories_are_kept_or_drawn_uniformly(bandwidth):
    generator = CandidateGenerator([Dimension("c", "categorical", 4)])
    drawn = generator.draw(np.array([[2.0]]), np.array([NAN]), np.array([bandwidth]), 20000, rng())[:, 0]
    expected = np.full(4, bandwidth / 4)
    expected[2] += 1 - bandwidth

    assert stats.chisquare(np.bincount(drawn.astype(int), minlength=4), 20000 * expected).pvalue > 1e-3


def test_candidates_surround_all_centres():
    dims = [Dimension("c", "categorical", 3), Dimension("x", "continuous", 0)]
    centres = np.array([[0, 0.1], [1, 0.5], [2, 0.9]])
    drawn = CandidateGenerator(dims).draw(centres, np.array([1.0, 1e-3]), np.array([1e-9, 1e-3]), 300, rng())
    nearest = np.abs(drawn[:, 1:] - centres[:, 1]).argmin(axis=1)

    np.testing.assert_array_equal(drawn[:, 0], nearest)
    assert np.bincount(nearest).min() > 60
