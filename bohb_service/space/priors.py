"""Draws from the priors of the hyperparameters.

One uniform number makes one coordinate, by the inverse of the distribution function that ConfigSpace gives the
hyperparameter; so draws need nothing but a stream of uniform numbers, and no loop over rows or dimensions of one kind.

ConfigSpace states its distributions on the interval from the lower to the upper bound, also for integers, and there
cuts them into integers in a way that differs between kinds; this is followed here, which is why a logarithmic integer
needs a translation to the coordinate of `bohb_service.space.grid`, whose cells extend half a unit beyond the bounds.
One thing is not followed: normal and beta integers on a logarithmic scale are rounded directly, not by way of equal
steps of the logarithm, which are so wide near the upper bound that some integers are never drawn.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from ConfigSpace.hyperparameters import (
    BetaFloatHyperparameter,
    BetaIntegerHyperparameter,
    CategoricalHyperparameter,
    Hyperparameter,
    IntegerHyperparameter,
    NormalFloatHyperparameter,
    NormalIntegerHyperparameter,
    UniformIntegerHyperparameter,
)
from scipy.special import betaincinv, log_ndtr, ndtri_exp

from bohb_service.errors import SpaceError
from bohb_service.space.dimension import FloatArray

_EXTREME = 1e6
_TINY = 2.0**-54
"""Keeps uniform numbers off 0 and 1, where logarithms are infinite."""


class _Draw(Protocol):
    """Replaces the uniform numbers of its columns by coordinates."""

    def apply(self, units: FloatArray) -> None: ...


class Priors:
    """The priors of all dimensions.

    Args:
        hyperparameters: One for each column.

    Raises:
        SpaceError: A normal prior has no width.
    """

    def __init__(self, hyperparameters: Sequence[Hyperparameter[Any, Any]]) -> None:
        columns = list(enumerate(hyperparameters))
        uniform = [(i, h.size) for i, h in columns if isinstance(h, CategoricalHyperparameter) and h.weights is None]
        normal = [(i, h) for i, h in columns if isinstance(h, (NormalFloatHyperparameter, NormalIntegerHyperparameter))]
        beta = [(i, h) for i, h in columns if isinstance(h, (BetaFloatHyperparameter, BetaIntegerHyperparameter))]
        log = [(i, h) for i, h in columns if isinstance(h, IntegerHyperparameter) and h.log]
        self._draws: list[_Draw] = [
            _Weighted(i, h.weights)
            for i, h in columns
            if isinstance(h, CategoricalHyperparameter) and h.weights is not None
        ]
        if uniform:
            self._draws.append(_Choice(uniform))
        if normal:
            self._draws.append(_Normal(normal))
        if beta:
            self._draws.append(_Beta([(i, h.alpha, h.beta) for i, h in beta]))
        if log:
            self._draws.append(_LogInteger(log))

    def units(self, uniforms: FloatArray) -> FloatArray:
        """Coordinates that follow the priors; overwrites its argument.

        Args:
            uniforms: Uniform numbers from [0, 1), shape ``(n, d)``.

        Returns:
            Coordinates, shape ``(n, d)``; of integers and ordinals anywhere in their cells.
        """
        for draw in self._draws:
            draw.apply(uniforms)
        return uniforms


class _Choice:
    """Categoricals of equal weights."""

    def __init__(self, columns: Sequence[tuple[int, int]]) -> None:
        self._columns = _indices(columns)
        self._levels = np.array([size for _, size in columns], dtype=np.float64)

    def apply(self, units: FloatArray) -> None:
        positions = np.floor(units.take(self._columns, axis=1) * self._levels)
        units[:, self._columns] = np.minimum(positions, self._levels - 1.0)


class _Weighted:
    """A categorical with weights; choices of weight 0 are never drawn."""

    def __init__(self, column: int, weights: Sequence[float]) -> None:
        self._column = column
        sums = np.cumsum(np.asarray(weights, dtype=np.float64))
        self._sums = sums / sums[-1]

    def apply(self, units: FloatArray) -> None:
        units[:, self._column] = self._sums.searchsorted(units[:, self._column], side="right")


class _Normal:
    """Normal distributions, truncated to the bounds.

    The distribution function is inverted on a logarithmic scale and from the lower tail, so that a mean far outside of
    the bounds costs no precision.
    """

    def __init__(self, columns: Sequence[tuple[int, Any]]) -> None:
        self._columns = _indices(columns)
        mean, width = np.array([_mean_and_width(hyperparameter) for _, hyperparameter in columns]).T
        low, high = (0.0 - mean) / width, (1.0 - mean) / width
        is_upper_tail = low > 0.0
        self._mean, self._width = mean, np.where(is_upper_tail, -width, width)
        self._log_low = log_ndtr(np.where(is_upper_tail, -high, low))
        self._log_high = log_ndtr(np.where(is_upper_tail, -low, high))

    def apply(self, units: FloatArray) -> None:
        share = np.clip(units.take(self._columns, axis=1), _TINY, 1.0 - 2.0 * _TINY)
        log_mass = np.logaddexp(self._log_low + np.log1p(-share), self._log_high + np.log(share))
        units[:, self._columns] = np.clip(self._mean + self._width * ndtri_exp(log_mass), 0.0, 1.0)


class _Beta:
    """Beta distributions between the bounds."""

    def __init__(self, columns: Sequence[tuple[int, float, float]]) -> None:
        self._columns = _indices(columns)
        self._alpha = np.array([alpha for _, alpha, _ in columns])
        self._beta = np.array([beta for _, _, beta in columns])

    def apply(self, units: FloatArray) -> None:
        units[:, self._columns] = betaincinv(self._alpha, self._beta, units.take(self._columns, axis=1))


class _LogInteger:
    """Translates positions between the logarithms of the bounds into coordinates of logarithmic integers."""

    def __init__(self, columns: Sequence[tuple[int, Any]]) -> None:
        self._columns = _indices(columns)
        self._lower = np.array([float(hyperparameter.lower) for _, hyperparameter in columns])
        self._upper = np.array([float(hyperparameter.upper) for _, hyperparameter in columns])
        self._is_uniform = np.array([isinstance(h, UniformIntegerHyperparameter) for _, h in columns])
        self._any_uniform = bool(self._is_uniform.any())
        self._log_lower, self._log_upper = np.log(self._lower), np.log(self._upper)
        self._offset = np.log(self._lower - 0.5)
        self._extent = np.log(self._upper + 0.5) - self._offset

    def apply(self, units: FloatArray) -> None:
        logs = self._log_lower + units.take(self._columns, axis=1) * (self._log_upper - self._log_lower)
        if self._any_uniform:
            # ConfigSpace cuts [lower, upper] into intervals of equal length, one for each integer.
            size = self._upper - self._lower + 1.0
            cell = np.floor((np.exp(logs) - self._lower) / (self._upper - self._lower) * size)
            integer = np.clip(self._lower + cell, self._lower, self._upper)
            logs = np.where(self._is_uniform, np.log(integer), logs)
        units[:, self._columns] = (logs - self._offset) / self._extent


def is_usable(mean: float, width: float) -> bool:
    """Whether draws from a normal distribution, truncated to [0, 1], keep half of the digits of a float at least."""
    return abs(mean) <= _EXTREME and 1.0 / _EXTREME**2 <= width <= _EXTREME


def _mean_and_width(hyperparameter: NormalFloatHyperparameter | NormalIntegerHyperparameter) -> tuple[float, float]:
    """Mean and standard deviation in units of the distance of the bounds.

    ConfigSpace's rule for the standard deviation on a logarithmic scale is followed as it is.
    """
    lower, upper = float(hyperparameter.lower), float(hyperparameter.upper)
    mean, deviation = float(hyperparameter.mu), float(hyperparameter.sigma)
    if hyperparameter.log:
        extent = math.log(upper) - math.log(lower)
        mean = (math.log(mean) - math.log(lower)) / extent
        width = abs(math.log(lower + deviation) / extent) if lower + deviation > 0.0 else 0.0
    else:
        mean = (mean - lower) / (upper - lower)
        width = deviation / (upper - lower)
    if not is_usable(mean, width):
        raise SpaceError(
            f"{hyperparameter.name}: the normal prior with mean {hyperparameter.mu} and deviation {deviation} is "
            f"degenerate on the scale from {lower} to {upper}; choose numbers of the size of that range"
        )
    return mean, width


def _indices(columns: Sequence[tuple[Any, ...]]) -> npt.NDArray[np.intp]:
    return np.array([column[0] for column in columns], dtype=np.intp)
