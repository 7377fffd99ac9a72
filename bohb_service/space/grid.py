"""Coordinates of the unit cube to numbers and back, for all dimensions of a space at once.

Every dimension is one affine map between its coordinate and its scale, logarithmic scales with one more logarithm:

=====================  =======================  ========================================
dimension              scale                    coordinate 0 and 1 stand for
=====================  =======================  ========================================
continuous             value, or its logarithm  the bounds
integer                value, or its logarithm  half a unit outside the bounds
ordinal                position                 half a position outside the first and last
categorical            position                 position 0 and 1 (the column is the position)
=====================  =======================  ========================================

Numbers are rounded to what a configuration can hold: whole integers and positions, and floats to 13 decimals, which is
what ConfigSpace keeps of them. Where the arithmetic of floats is not exact to 13 decimals (large values, values above 1
on a logarithmic scale), fewer are kept. So a value survives any number of conversions to a coordinate and back.
"""

import math
from collections.abc import Sequence

import numpy as np

from bohb_service.space.axis import Axis, NumericAxis
from bohb_service.space.dimension import FloatArray

_DECIMALS = 13
_DIGITS_ON_LOG_SCALE = 13
_COARSEST = 22
_ROUNDING = 1.5 * 2.0**-53
"""Relative error of one operation, with a reserve."""
_POWERS = np.array([10.0**exponent for exponent in range(_COARSEST + 1)])  # all exact


class Grid:
    """The maps of all dimensions.

    Args:
        axes: One for each column.
    """

    def __init__(self, axes: Sequence[Axis]) -> None:
        columns = [_column(axis) for axis in axes]
        table = np.array(columns, dtype=np.float64).reshape(len(columns), 5).T
        self._offset, ends, self._steps, self._low, self._high = np.ascontiguousarray(table)
        self._extent = ends - self._offset
        numeric = [(i, axis) for i, axis in enumerate(axes) if isinstance(axis, NumericAxis)]
        self._log = np.array([i for i, axis in numeric if axis.log], dtype=np.intp)
        self._log_start, self._log_end = self._offset[self._log], ends[self._log]
        # Values above 1 on a logarithmic scale: their number of decimals depends on the value.
        self._wide = np.array([i for i, x in numeric if x.log and not x.is_integer and x.upper > 1.0], dtype=np.intp)
        bounds = np.array([self._low, self._high])
        inner = np.array([self._on_steps(bounds[:1], np.ceil)[0], self._on_steps(bounds[1:], np.floor)[0]])
        edges = np.where(self._on_steps(bounds, np.rint) == bounds, bounds, inner)
        self._edges = None if np.array_equal(edges, bounds) else edges
        self.default_numbers: FloatArray = self.rounded(np.array([[axis.default for axis in axes]]))[0]
        self.default_units: FloatArray = self.units(self.default_numbers[None])[0]

    def numbers(self, units: FloatArray) -> FloatArray:
        """The nearest numbers.

        Args:
            units: Coordinates, shape ``(n, d)``, without NaN. What lies outside a dimension is moved to its near end.

        Returns:
            Values of floats and integers, positions of ordinals and categoricals, shape ``(n, d)``.
        """
        scaled: FloatArray = units * self._extent
        scaled += self._offset
        if self._log.size:
            logs = scaled.take(self._log, axis=1)
            np.minimum(logs, self._log_end, out=logs)  # or exp overflows far outside
            scaled[:, self._log] = np.exp(logs, out=logs)
        return self.rounded(scaled)

    def units(self, numbers: FloatArray) -> FloatArray:
        """The coordinates of numbers, shape ``(n, d)``; NaN stays NaN."""
        if self._log.size:
            numbers = numbers.copy()
            logs = np.log(numbers.take(self._log, axis=1))
            # One implementation of the logarithm made the bounds, another one may make these.
            np.maximum(logs, self._log_start, out=logs)
            numbers[:, self._log] = np.minimum(logs, self._log_end, out=logs)
        units: FloatArray = numbers - self._offset
        units /= self._extent
        return units

    def rounded(self, numbers: FloatArray) -> FloatArray:
        """The nearest numbers that a configuration can hold, shape ``(n, d)``; NaN stays NaN."""
        numbers = self._on_steps(numbers, np.rint)
        if self._edges is not None:
            # A bound with more decimals than are kept takes the place of the steps next to it.
            lowest, highest = self._edges
            np.copyto(numbers, self._low, where=numbers <= lowest)
            np.copyto(numbers, self._high, where=numbers >= highest)
        np.maximum(numbers, self._low, out=numbers)
        np.minimum(numbers, self._high, out=numbers)
        return numbers

    def rounded_one(self, column: int, number: float) -> float:
        """The nearest number of one dimension that a configuration can hold."""
        numbers = self.default_numbers.copy()
        numbers[column] = number
        return float(self.rounded(numbers[None])[0, column])

    def _on_steps(self, numbers: FloatArray, whole: np.ufunc) -> FloatArray:
        """Multiples of the steps of each dimension, shape ``(n, d)``; ``whole`` makes a multiple of what is none."""
        steps: FloatArray = numbers * self._steps
        whole(steps, out=steps)
        steps /= self._steps
        if self._wide.size:
            wide = numbers.take(self._wide, axis=1)
            # Numbers below 0.1 keep no more decimals than those above; and NaN needs some number of decimals.
            decimals = (_DIGITS_ON_LOG_SCALE - 1) - np.floor(np.log10(np.fmax(wide, 0.1))).astype(np.intp)
            # Two powers, because those of a negative exponent are not exact.
            up, down = _POWERS[np.clip(decimals, 0, _DECIMALS)], _POWERS[np.clip(-decimals, 0, _COARSEST)]
            steps[:, self._wide] = whole(wide * up / down) * down / up
        return steps


def _column(axis: Axis) -> tuple[float, float, float, float, float]:
    """Start and end of the scale, steps per unit, lowest and highest number."""
    if isinstance(axis, NumericAxis):
        half = 0.5 if axis.is_integer else 0.0
        steps = 1.0 if axis.is_integer else _steps(axis)
        low, high = axis.lower - half, axis.upper + half
        if axis.log:
            low, high = math.log(low), math.log(high)
        return low, high, steps, axis.lower, axis.upper
    last = float(len(axis.choices) - 1)
    return (-0.5, last + 0.5, 1.0, 0.0, last) if axis.is_ordered else (0.0, 1.0, 1.0, 0.0, last)


def _steps(axis: NumericAxis) -> float:
    """Steps per unit of a float: the most decimals of which a half survives a conversion to a coordinate and back."""
    if axis.log:
        return 10.0**_DECIMALS
    # To the coordinate and back are three operations on the distance from the lower bound and one on the value.
    error = _ROUNDING * (3.0 * (axis.upper - axis.lower) + max(abs(axis.lower), abs(axis.upper)))
    decimals = math.floor(-math.log10(2.0 * error))
    return 10.0 ** min(decimals, _DECIMALS)
