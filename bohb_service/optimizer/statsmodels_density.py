"""The density of statsmodels itself, to check the default one against and for those who want the original.

With the same seed both give the same proposals, as long as every level of each categorical dimension occurs among the
good and among the bad points. Otherwise statsmodels takes the number of levels from the data: its kernel is then
another one, and infinite if only one level occurs.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from bohb_service.errors import StudyError
from bohb_service.space import Dimension, FloatArray

_TYPES = {"continuous": "c", "integer": "c", "ordinal": "o", "categorical": "u"}


class StatsmodelsDensity:
    """``statsmodels.nonparametric.kernel_density.KDEMultivariate`` behind the interface of ``Density``.

    Args:
        points: See ``Density.fit``.
        dimensions: See ``Density.fit``.
        bandwidths: See ``Density.fit``.

    Raises:
        StudyError: statsmodels is not installed.
    """

    def __init__(self, points: FloatArray, dimensions: Sequence[Dimension], bandwidths: FloatArray) -> None:
        self._estimator = kde_multivariate()
        self._types = np.array([_TYPES[dimension.kind] for dimension in dimensions])
        self._levels = np.array([dimension.levels for dimension in dimensions], dtype=np.float64)
        self._bandwidths = bandwidths
        # statsmodels refuses as few points as dimensions; with every point repeated the density is the same.
        self._points = np.tile(self._numbered(points), (len(dimensions) // len(points) + 1, 1))

    @classmethod
    def fit(cls, points: FloatArray, dimensions: Sequence[Dimension], bandwidths: FloatArray) -> Self:
        """The density with a kernel on each point; see ``Density.fit``."""
        return cls(points, dimensions, bandwidths)

    def log_density(self, queries: FloatArray) -> FloatArray:
        """Natural logarithm of the density at each query, shape ``(m,)``; minus infinity where it underflows."""
        numbered = self._numbered(queries)
        patterns, members = np.unique(~np.isnan(queries), axis=0, return_inverse=True)
        density = np.ones(len(queries))
        for index, active in enumerate(patterns):
            rows = np.flatnonzero(members == index)
            if active.any():
                # A categorical dimension of which the data hold one level divides by zero inside.
                with np.errstate(divide="ignore", invalid="ignore"):
                    kde = self._estimator(
                        data=self._points[:, active],
                        var_type="".join(self._types[active]),
                        bw=self._bandwidths[active],
                    )
                    density[rows] = kde.pdf(numbered[np.ix_(rows, active)])
        with np.errstate(divide="ignore"):
            return np.log(density)

    def _numbered(self, points: FloatArray) -> FloatArray:
        """A copy in which ordinal coordinates, cell centres ``(i + 0.5) / levels``, are level numbers ``i``."""
        result = points.copy()
        ordinal = self._types == "o"
        result[:, ordinal] = np.floor(result[:, ordinal] * self._levels[ordinal])
        return result


def kde_multivariate() -> Callable[..., Any]:
    """The constructor of ``KDEMultivariate``.

    Raises:
        StudyError: statsmodels is not installed.
    """
    try:
        from statsmodels.nonparametric.kernel_density import KDEMultivariate
    except ImportError:
        raise StudyError(
            "method.density: 'statsmodels' needs the package statsmodels, which is not installed; "
            "run `pip install bohb-service[reference]`, or use the default 'own', which gives the same results faster"
        ) from None
    if "rng" in inspect.signature(KDEMultivariate).parameters:
        # Not used for given bandwidths, but newer releases would reach for NumPy's global generator.
        return functools.partial(KDEMultivariate, rng=np.random.Generator(np.random.PCG64(0)))
    return KDEMultivariate  # type: ignore[no-any-return]
