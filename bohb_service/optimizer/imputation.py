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
    missing = np.ascontiguousarray(np.isnan(points).T)
    groups: dict[bytes, list[int]] = {}
    for j in np.flatnonzero(missing.any(axis=1)).tolist():
        groups.setdefault(missing[j].tobytes(), []).append(j)
    result = points.copy()
    for group in groups.values():
        pattern = missing[group[0]]
        gaps, donors = np.flatnonzero(pattern), np.flatnonzero(~pattern)
        chosen = donors[rng.integers(len(donors), size=len(gaps))] if len(donors) > 0 else None
        for j in group:
            result[gaps, j] = _uniform(dimensions[j], len(gaps), rng) if chosen is None else points[chosen, j]
    return result


def _uniform(dimension: Dimension, n: int, rng: np.random.Generator) -> FloatArray:
    if dimension.kind == "continuous":
        return rng.random(n)
    levels = rng.integers(dimension.levels, size=n).astype(np.float64)
    return levels if dimension.kind == "categorical" else (levels + 0.5) / dimension.levels
