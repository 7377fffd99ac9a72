"""Candidates near good points: what the model gets to choose from."""

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr, ndtri

from bohb_service.space import Dimension, FloatArray


class CandidateGenerator:
    """Draws candidates around given points.

    Numeric coordinates come from a normal distribution truncated to [0, 1]; integers and ordinals are drawn as if they
    were continuous and moved to the nearest value later. A categorical value is kept with probability ``1 - bandwidth``
    and otherwise replaced by a uniformly random one, which may be the same.

    Args:
        dimensions: The space's dimensions.

    References:
        Falkner, Klein, Hutter (2018), "BOHB", arXiv:1807.01774, Algorithm 2, line 6.
    """

    def __init__(self, dimensions: Sequence[Dimension]) -> None:
        categorical = np.array([dimension.kind == "categorical" for dimension in dimensions], dtype=np.bool_)
        self._numeric = np.flatnonzero(~categorical)
        self._categorical = np.flatnonzero(categorical)
        self._levels = np.array([dimension.levels for dimension in dimensions], dtype=np.intp)[categorical]

    def draw(
        self, centres: FloatArray, spread: FloatArray, bandwidths: FloatArray, n: int, rng: np.random.Generator
    ) -> FloatArray:
        """``n`` candidates, shape ``(n, d)``.

        Args:
            centres: Points of which each candidate picks one at random, shape ``(k, d)``, without missing values.
            spread: Standard deviation of the normal distribution in each dimension, shape ``(d,)``.
            bandwidths: Probability of leaving a categorical value behind, shape ``(d,)``.
            n: How many.
            rng: Source of all random choices.
        """
        result: FloatArray = centres[rng.integers(len(centres), size=n)]
        if len(self._numeric) > 0:
            middle, scale = result[:, self._numeric], spread[self._numeric]
            lowest, highest = ndtr(-middle / scale), ndtr((1 - middle) / scale)
            quantile = lowest + (highest - lowest) * rng.random(middle.shape)
            result[:, self._numeric] = np.clip(middle + scale * ndtri(quantile), 0.0, 1.0)
        if len(self._categorical) > 0:
            kept = result[:, self._categorical]
            # One uniform number decides both: below the bandwidth it is uniform again once divided by it.
            uniform = rng.random(kept.shape) / bandwidths[self._categorical]
            replaced = np.minimum(np.floor(uniform * self._levels), self._levels - 1)
            result[:, self._categorical] = np.where(uniform < 1, replaced, kept)
        return result
