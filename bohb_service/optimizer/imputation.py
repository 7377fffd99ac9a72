"""Values for inactive dimensions, so that a density over all dimensions can be fitted.

References:
    Falkner, Klein, Hutter (2018), "BOHB", arXiv:1807.01774: the paper is silent; its authors' implementation fills a
    gap from a random other point of the same set, and so does this.
"""

from collections.abc import Sequence

import numpy as np

from bohb_service.space import Dimension, FloatArray


def impute(points: FloatArray, dimensions: Sequence[Dimension], rng: np.random.Generator) -> FloatArray:
    """The points, a copy if any value is missing, in which missing values are copied from random rows that have them.

    Dimensions that are active in the same rows are filled from the same donor, so that values that were tried together
    stay together. A dimension that no row has active is filled uniformly at random.

    Args:
        points: Shape ``(n, d)``; NaN marks missing values.
        dimensions: The ``d`` dimensions.
        rng: Source of all random choices.
    """
    if not np.isnan(points.sum()):
        return points
    missing = np.isnan(points)
    result = points.copy()
    incomplete = np.flatnonzero(missing.any(axis=0))
    patterns, members = np.unique(missing[:, incomplete], axis=1, return_inverse=True)
    for index in range(patterns.shape[1]):
        group = incomplete[members == index]
        gaps = np.flatnonzero(patterns[:, index])
        donors = np.flatnonzero(~patterns[:, index])
        if len(donors) > 0:
            chosen = donors[rng.integers(len(donors), size=len(gaps))]
            result[np.ix_(gaps, group)] = points[np.ix_(chosen, group)]
        else:
            for j in group:
                result[gaps, j] = _uniform(dimensions[j], len(gaps), rng)
    return result


def _uniform(dimension: Dimension, n: int, rng: np.random.Generator) -> FloatArray:
    if dimension.kind == "continuous":
        return rng.random(n)
    levels = rng.integers(dimension.levels, size=n).astype(np.float64)
    return levels if dimension.kind == "categorical" else (levels + 0.5) / dimension.levels
