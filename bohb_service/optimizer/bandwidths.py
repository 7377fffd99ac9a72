"""How wide the kernels are: the normal reference rule, kept legal for each kind of dimension.

Deviations from the paper, which treats integers as continuous and refuses ordinals:

- The kernel of an integer or ordinal dimension is at least half a cell wide. When all good values are equal, the rule
  gives 0 and the floor of 1e-3 is far below the distance of two values, so that the neighbours of a good value would
  have no density and never be proposed. With half a cell a neighbour's kernel is e^-2 of the kernel at its centre.
- The rule's standard deviation is turned into the parameter of a Wang-Ryzin kernel with that standard deviation. The
  rule's own number, in units of levels, exceeds 1 as soon as there are a few levels, and a Wang-Ryzin parameter must
  not.
- The bandwidth of a categorical dimension is at most ``(levels - 1) / levels``, where the kernel is uniform. Beyond
  that a data point would repel its own level.
"""

from collections.abc import Sequence

import numpy as np

from bohb_service.space import Dimension, FloatArray

_SMALLEST_CELL_FRACTION = 0.5


class BandwidthRule:
    """Bandwidths for the points of one search space.

    Args:
        dimensions: The space's dimensions.
        minimum: Floor of all bandwidths, in the units of the rule; positive.
    """

    def __init__(self, dimensions: Sequence[Dimension], minimum: float) -> None:
        kinds = np.array([dimension.kind for dimension in dimensions])
        levels = np.array([max(dimension.levels, 1) for dimension in dimensions], dtype=np.float64)
        self._ordinal = kinds == "ordinal"
        self._has_ordinal = bool(self._ordinal.any())
        self._levels = levels[self._ordinal]
        has_cells = (kinds == "integer") | self._ordinal
        self._lowest = np.where(has_cells, np.maximum(_SMALLEST_CELL_FRACTION / levels, minimum), minimum)
        self._highest = np.where(kinds == "categorical", np.maximum((levels - 1) / levels, minimum), np.inf)

    def __call__(self, points: FloatArray) -> FloatArray:
        """Bandwidths for a density with a kernel on each of ``points``, shape ``(n, d)``; result has shape ``(d,)``."""
        result = np.minimum(np.maximum(normal_reference(points), self._lowest), self._highest)
        if self._has_ordinal:
            result[self._ordinal] = wang_ryzin_parameter(result[self._ordinal] * self._levels)
        return result

    def spread(self, bandwidths: FloatArray) -> FloatArray:
        """Standard deviation of each kernel in units of the cube's edge; of no meaning for categorical dimensions."""
        if not self._has_ordinal:
            return bandwidths
        result = bandwidths.copy()
        parameter = bandwidths[self._ordinal]
        result[self._ordinal] = np.sqrt(parameter * (1 + parameter)) / (1 - parameter) / self._levels
        return result


def normal_reference(points: FloatArray) -> FloatArray:
    """Scott's rule of thumb ``1.06 * std * n^(-1 / (4 + d))`` for each column of ``points``, shape ``(n, d)``.

    References:
        Silverman (1986), "Density Estimation for Statistics and Data Analysis", equation 3.28.
    """
    n, d = points.shape
    # Products and not `sum` or `std`, which are slow along the long axis of a narrow array.
    deviations = points - np.ones(n) @ points / n
    variance = np.einsum("nd,nd->d", deviations, deviations) / n
    result: FloatArray = 1.06 * np.sqrt(variance) * n ** (-1.0 / (4 + d))
    return result


def wang_ryzin_parameter(deviation: FloatArray) -> FloatArray:
    """The parameter, in (0, 1), of the Wang-Ryzin kernel whose standard deviation is ``deviation`` levels.

    The variance of the kernel is ``h * (1 + h) / (1 - h)^2``.
    """
    square = deviation * deviation
    result: FloatArray = 2 * square / (1 + 2 * square + np.sqrt(1 + 8 * square))
    return result
