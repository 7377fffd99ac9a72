"""Product kernels written as inner products of a feature vector of the data point and a weight vector of the query.

The logarithm of a product kernel is a sum over dimensions. Each term is an inner product of something that depends on
the query with something that depends on the data point: ``(x - p)^2 = x^2 - 2xp + p^2`` for a Gaussian, a row of a
table of levels times a one-hot vector for a discrete kernel. So the terms of all pairs of query and point are one
matrix product. Dimensions for which that would be inexact or wasteful are compared pair by pair.

Arrays hold one dimension per row: points have shape ``(d, n)``, queries and ``active`` shape ``(d, m)``.
"""

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bohb_service.space import BoolArray, Dimension, FloatArray

_SMALLEST_EXPANDED_BANDWIDTH = 1e-2
"""Below this, expanding the square of a difference could cost more than 1e-11 by cancellation."""

_MOST_TABLED_LEVELS = 32
"""Beyond this, comparing level numbers pair by pair is cheaper than a one-hot vector."""

_LOG_2 = math.log(2.0)
_LOG_2_PI = math.log(2.0 * math.pi)


class Factor(Protocol):
    """The part of a product kernel that covers the dimensions of some kinds."""

    n_features: int
    """Length ``f`` of a feature vector."""

    def numbers(self, coordinates: FloatArray) -> FloatArray:
        """What the kernels compare.

        Args:
            coordinates: Of all dimensions, as in ``SearchSpace``.

        Returns:
            One row for each dimension of this factor; this is what *points* and *queries* mean below.
        """
        ...

    def write_features(self, points: FloatArray, out: FloatArray) -> None:
        """Writes the feature vectors of ``points`` to ``out``, shape ``(f, n)``."""
        ...

    def weights(self, queries: FloatArray, active: BoolArray | None) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What to multiply the features with.

        Args:
            queries: Where the kernels are evaluated.
            active: Which of the dimensions *of the space* count for each query; None if all do.

        Returns:
            Weights, shape ``(f, m)``; the part of the logarithm that depends on the query alone, shape ``(m,)``; and
            the logarithm of the normalising constant, shape ``(m,)`` or ``()``.
        """
        ...

    def add_pairwise(
        self, log_kernels: FloatArray, points: FloatArray, queries: FloatArray, active: BoolArray | None
    ) -> None:
        """Adds the dimensions that the features do not cover to ``log_kernels``, shape ``(m, n)``."""
        ...


def factors(dimensions: Sequence[Dimension], bandwidths: FloatArray) -> list[Factor]:
    """The factors that together cover all dimensions."""
    discrete = [j for j, dimension in enumerate(dimensions) if dimension.kind in ("ordinal", "categorical")]
    gaussian = [j for j, dimension in enumerate(dimensions) if dimension.kind not in ("ordinal", "categorical")]
    result: list[Factor] = []
    if gaussian:
        result.append(GaussianFactor(np.array(gaussian), bandwidths))
    if discrete:
        result.append(DiscreteFactor(np.array(discrete), dimensions, bandwidths))
    return result


class GaussianFactor:
    """Gaussian kernels of the continuous and integer dimensions.

    Args:
        columns: Which dimensions these are.
        bandwidths: Of all dimensions of the space; standard deviations where they concern this factor.
    """

    def __init__(self, columns: npt.NDArray[np.intp], bandwidths: FloatArray) -> None:
        self._columns = columns
        h = bandwidths[columns, np.newaxis]
        self._precision = 1.0 / (h * h)
        self._norm = -np.log(h) - 0.5 * _LOG_2_PI
        is_narrow = h < _SMALLEST_EXPANDED_BANDWIDTH
        self._narrow = np.flatnonzero(is_narrow)
        # The pairs of narrow dimensions are compared one by one; with a zero here, their features do not count.
        self._expanded = np.where(is_narrow, 0.0, self._precision)
        self.n_features = 2 * len(columns)

    def numbers(self, coordinates: FloatArray) -> FloatArray:
        """The coordinates, centred so that the expanded squares are as small as they can be."""
        result: FloatArray = coordinates[self._columns]
        result -= 0.5
        return result

    def write_features(self, points: FloatArray, out: FloatArray) -> None:
        """Writes the coordinates and their squares."""
        out[: len(points)] = points
        np.multiply(points, points, out=out[len(points) :])

    def weights(self, queries: FloatArray, active: BoolArray | None) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What to multiply the features with, see `Factor.weights`."""
        precision, norm = self._expanded, self._norm
        if active is not None:
            precision, norm = precision * active[self._columns], norm * active[self._columns]
        weights = np.empty((self.n_features, queries.shape[1]))
        linear = np.multiply(queries, precision, out=weights[: len(queries)])
        weights[len(queries) :] = -0.5 * precision
        return weights, -0.5 * (linear * queries).sum(axis=0), norm.sum(axis=0)

    def add_pairwise(
        self, log_kernels: FloatArray, points: FloatArray, queries: FloatArray, active: BoolArray | None
    ) -> None:
        """Adds the narrow dimensions."""
        for j in self._narrow:
            difference = queries[j][:, np.newaxis] - points[j]
            difference *= difference
            difference *= -0.5 * self._precision[j, 0]
            log_kernels += difference if active is None else difference * active[self._columns[j], :, np.newaxis]


class DiscreteFactor:
    """Aitchison-Aitken and Wang-Ryzin kernels of the categorical and ordinal dimensions, over level numbers.

    Both have the form ``log K(x, p) = base + bonus * [x = p] + slope * |x - p|``: an Aitchison-Aitken kernel is ``1 -
    h`` at its own level and ``h / (levels - 1)`` at each other one, a Wang-Ryzin kernel ``1 - h`` at its own level and
    ``(1 - h) / 2 * h^|x - p|`` elsewhere.

    Args:
        columns: Which dimensions these are.
        dimensions: All dimensions of the space; their number of levels is that of the space, whatever the data hold.
        bandwidths: Of all dimensions of the space; in (0, 1) where they concern this factor.

    References:
        Aitchison, Aitken (1976), "Multivariate binary discrimination by the kernel method", Biometrika 63.
        Wang, van Ryzin (1981), "A class of smooth estimators for discrete distributions", Biometrika 68.
    """

    def __init__(self, columns: npt.NDArray[np.intp], dimensions: Sequence[Dimension], bandwidths: FloatArray) -> None:
        self._columns = columns
        h = bandwidths[columns, np.newaxis]
        levels = np.array([dimensions[j].levels for j in columns])
        ordinal = np.array([dimensions[j].kind == "ordinal" for j in columns])
        self._ordinal = np.flatnonzero(ordinal)
        self._ordinal_levels = levels[ordinal, np.newaxis].astype(np.float64)
        stay = np.log1p(-h)
        self._base = np.log(h / np.maximum(levels - 1, 1)[:, np.newaxis])
        self._bonus = stay - self._base
        self._slope: FloatArray | None = None
        if len(self._ordinal) > 0:
            self._base[ordinal] = stay[ordinal] - _LOG_2
            self._bonus[ordinal] = _LOG_2
            self._slope = np.where(ordinal[:, np.newaxis], np.log(h), 0.0)
        self._tabled = np.flatnonzero(levels <= _MOST_TABLED_LEVELS)
        self._pairwise = np.flatnonzero(levels > _MOST_TABLED_LEVELS)
        # A one-hot vector needs one entry less than there are levels: the last level is the origin.
        entries = levels[self._tabled] - 1
        self._last = entries[:, np.newaxis].astype(np.float64)
        self._owner = np.repeat(np.arange(len(entries)), entries)
        self._row = self._tabled[self._owner]
        self.n_features = len(self._owner)
        starts = np.cumsum(entries) - entries
        self._level = (np.arange(self.n_features) - starts[self._owner])[:, np.newaxis].astype(np.float64)

    def numbers(self, coordinates: FloatArray) -> FloatArray:
        """Level numbers; ordinal coordinates are cell centres ``(i + 0.5) / levels``."""
        result: FloatArray = coordinates[self._columns]
        if len(self._ordinal) > 0:
            result[self._ordinal] = np.floor(result[self._ordinal] * self._ordinal_levels)
        return result

    def write_features(self, points: FloatArray, out: FloatArray) -> None:
        """Writes one-hot vectors."""
        np.equal(points[self._row], self._level, out=out)

    def weights(self, queries: FloatArray, active: BoolArray | None) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What to multiply the features with, see `Factor.weights`."""
        origin = self._log_kernel(self._tabled, queries[self._tabled], self._last)
        weights = self._log_kernel(self._row, queries[self._row], self._level)
        weights -= origin[self._owner]
        if active is not None:
            origin *= active[self._columns[self._tabled]]
            weights *= active[self._columns[self._row]]
        return weights, origin.sum(axis=0), np.zeros(())

    def add_pairwise(
        self, log_kernels: FloatArray, points: FloatArray, queries: FloatArray, active: BoolArray | None
    ) -> None:
        """Adds the dimensions with many levels."""
        for j in self._pairwise:
            term = self._log_kernel(j, queries[j][:, np.newaxis], points[j])
            log_kernels += term if active is None else term * active[self._columns[j], :, np.newaxis]

    def _log_kernel(self, j: npt.NDArray[np.intp] | np.intp, x: FloatArray, p: FloatArray) -> FloatArray:
        result: FloatArray = (x == p) * self._bonus[j]
        result += self._base[j]
        if self._slope is not None:
            result += self._slope[j] * np.abs(x - p)
        return result
