"""A product-kernel density over mixed dimensions, evaluated for all queries with one matrix product.

The kernels are those of statsmodels' ``KDEMultivariate``: Gaussian for continuous and integer dimensions, Wang-Ryzin
for ordinal ones (over level numbers), Aitchison-Aitken for categorical ones. For the same data and bandwidths the two
agree to rounding, with one exception: the number of levels of a categorical dimension comes from the search space, not
from the data. A level that the data lack then has a small positive density, where the other divides by zero if the data
hold one level only.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from bohb_service.optimizer.kernels import factors
from bohb_service.space import BoolArray, Dimension, FloatArray

_SMALLEST_EXACT_SUM = 1e-280
"""Below this, kernels that underflow to zero could matter to a sum of kernels."""

_BLOCK = 1024
"""Data points that are treated at once."""


class Density(Protocol):
    """A density over the points of a search space."""

    @classmethod
    def fit(cls, points: FloatArray, dimensions: Sequence[Dimension], bandwidths: FloatArray) -> Self:
        """The density with a kernel on each point.

        Args:
            points: Shape ``(n, d)``, without missing values; coordinates as in ``SearchSpace``.
            dimensions: The ``d`` dimensions.
            bandwidths: Shape ``(d,)``: the standard deviation of a continuous or integer dimension's kernel in units of
                the cube's edge; a number in (0, 1) for the kernel of an ordinal or categorical dimension.
        """
        ...

    def log_density(self, queries: FloatArray) -> FloatArray:
        """Natural logarithm of the density at each query.

        Args:
            queries: Shape ``(m, d)``. Missing values (NaN) mark inactive dimensions; the result is then the marginal
                density over the active ones, which for a product kernel is the product of the active factors.

        Returns:
            Shape ``(m,)``.
        """
        ...


class ProductKernelDensity:
    """The default density; its logarithm is finite everywhere.

    Args:
        points: See :meth:`Density.fit`.
        dimensions: See :meth:`Density.fit`.
        bandwidths: See :meth:`Density.fit`.

    References:
        Falkner, Klein, Hutter (2018), "BOHB", arXiv:1807.01774, section 3.2.
    """

    def __init__(self, points: FloatArray, dimensions: Sequence[Dimension], bandwidths: FloatArray) -> None:
        self._points = points
        self._factors = factors(dimensions, bandwidths)
        self._n_features = sum(factor.n_features for factor in self._factors) + 1

    @classmethod
    def fit(cls, points: FloatArray, dimensions: Sequence[Dimension], bandwidths: FloatArray) -> Self:
        """The density with a kernel on each point; see :meth:`Density.fit`."""
        return cls(points, dimensions, bandwidths)

    def log_density(self, queries: FloatArray) -> FloatArray:
        """Natural logarithm of the density at each query, shape ``(m,)``; see :meth:`Density.log_density`."""
        transposed = np.ascontiguousarray(queries.T)
        active = None
        missing = np.isnan(transposed)
        if missing.any():
            active = ~missing
            transposed = np.where(active, transposed, 0.0)
        sums = np.zeros(len(queries))
        prepared = self._prepare(transposed, active)
        for log_kernels in self._log_kernels(prepared):
            sums += np.exp(log_kernels, out=log_kernels) @ np.ones(log_kernels.shape[1])
        tiny = np.flatnonzero(sums < _SMALLEST_EXACT_SUM)
        sums[tiny] = 1.0
        result: FloatArray = np.log(sums, out=sums)
        if len(tiny) > 0:
            # Queries far from all data need logarithms of sums throughout, which are slow.
            result[tiny] = -np.inf
            far = self._prepare(transposed[:, tiny], None if active is None else active[:, tiny])
            for log_kernels in self._log_kernels(far):
                result[tiny] = np.logaddexp(result[tiny], np.logaddexp.reduce(log_kernels, axis=1))
        result += prepared.log_norm - math.log(len(self._points))
        return result

    def _prepare(self, queries: FloatArray, active: BoolArray | None) -> "_Queries":
        numbers = [factor.numbers(queries) for factor in self._factors]
        weights = np.empty((self._n_features, queries.shape[1]))
        # The queries' own part goes through the product as well: every exponent is then at most about zero.
        weights[-1] = 0.0
        log_norm = np.zeros(())
        row = 0
        for factor, own in zip(self._factors, numbers, strict=True):
            weights[row : row + factor.n_features], rest, norm = factor.weights(own, active)
            weights[-1] += rest
            log_norm = log_norm + norm
            row += factor.n_features
        return _Queries(numbers, active, weights.T, log_norm)

    def _log_kernels(self, queries: "_Queries") -> Iterator[FloatArray]:
        """Logarithms of all kernels at all queries, shape ``(m, b)``, one block of data points after another.

        They lack ``log_norm``. The array may be overwritten, by the caller and by the next block: blocks that stay in
        the processor's cache are much faster than new memory.
        """
        n, width = len(self._points), min(len(self._points), _BLOCK)
        features = np.ones((self._n_features, width))
        log_kernels = np.empty((len(queries.weights), width))
        for start in range(0, n, width):
            block = np.ascontiguousarray(self._points[start : start + width].T)
            features, log_kernels = features[:, : block.shape[1]], log_kernels[:, : block.shape[1]]
            points = [factor.numbers(block) for factor in self._factors]
            row = 0
            for factor, own in zip(self._factors, points, strict=True):
                factor.write_features(own, features[row : row + factor.n_features])
                row += factor.n_features
            np.matmul(queries.weights, features, out=log_kernels)
            for factor, own, other in zip(self._factors, points, queries.numbers, strict=True):
                factor.add_pairwise(log_kernels, own, other, queries.active)
            yield log_kernels


@dataclass(frozen=True, slots=True)
class _Queries:
    """Queries ready for the product with the features of points.

    Attributes:
        numbers: What each factor compares with points.
        active: Which dimensions count, shape ``(d, m)``; None if all do.
        weights: Shape ``(m, f + 1)``; the last column belongs to a feature that is always 1.
        log_norm: Logarithm of the normalising constant, shape ``(m,)`` or ``()``.
    """

    numbers: list[FloatArray]
    active: BoolArray | None
    weights: FloatArray
    log_norm: FloatArray
