"""One hyperparameter: its values as plain Python values, and as numbers that arrays can hold.

The *number* of a value is the value itself for floats and integers, and its position for ordinals, categoricals and
constants. `bohb_service.space.grid` maps numbers to coordinates, for all hyperparameters at once.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ConfigSpace.hyperparameters import (
    CategoricalHyperparameter,
    Constant,
    FloatHyperparameter,
    Hyperparameter,
    IntegerHyperparameter,
    OrdinalHyperparameter,
)

from bohb_service.errors import SpaceError
from bohb_service.space.dimension import Dimension
from bohb_service.space.wording import listing, show

LARGEST_INTEGER = 2**50
"""Beyond, half a unit is no longer more than the errors of conversions."""


class NotAllowedError(ValueError):
    """A value does not belong to a hyperparameter; the message says why and what is allowed."""


@dataclass(frozen=True, slots=True)
class NumericAxis:
    """A float or integer hyperparameter.

    Attributes:
        name: Its name.
        lower: Smallest value.
        upper: Largest value.
        log: The scale is logarithmic.
        is_integer: Only whole numbers are values.
        default: The default value.
    """

    name: str
    lower: float
    upper: float
    log: bool
    is_integer: bool
    default: float

    @property
    def dimension(self) -> Dimension:
        """The column of this hyperparameter."""
        if self.is_integer:
            return Dimension(self.name, "integer", int(self.upper) - int(self.lower) + 1)
        return Dimension(self.name, "continuous", 0)

    @property
    def allowed(self) -> str:
        """The values in words."""
        kind, cast = ("a whole number", int) if self.is_integer else ("a number", float)
        return f"{kind} from {cast(self.lower)} to {cast(self.upper)}"

    def number(self, value: Any) -> float:
        """The value as a float.

        Raises:
            NotAllowedError: It is not a number, not whole where it must be, or out of range.
        """
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise NotAllowedError(f"{show(value)} has the wrong type {type(value).__name__}; allowed: {self.allowed}")
        if not self.lower <= value <= self.upper:
            raise NotAllowedError(f"{show(value)} is out of range; allowed: {self.allowed}")
        if self.is_integer and value != int(value):
            raise NotAllowedError(f"{show(value)} is not whole; allowed: {self.allowed}")
        return float(value)

    def value(self, number: float) -> float | int:
        """The plain Python value of a number."""
        return int(number) if self.is_integer else number


@dataclass(frozen=True, slots=True)
class ChoiceAxis:
    """An ordinal, categorical or constant hyperparameter.

    Attributes:
        name: Its name.
        choices: All values, as plain Python values.
        is_ordered: Their order has a meaning.
        default: Position of the default value.
    """

    name: str
    choices: tuple[Any, ...]
    is_ordered: bool
    default: float
    _positions: dict[Any, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_positions", {frozen(choice): i for i, choice in enumerate(self.choices)})

    @property
    def dimension(self) -> Dimension:
        """The column of this hyperparameter."""
        return Dimension(self.name, "ordinal" if self.is_ordered else "categorical", len(self.choices))

    @property
    def allowed(self) -> str:
        """The values in words."""
        return listing(self.choices)

    def number(self, value: Any) -> float:
        """The position of the value.

        Raises:
            NotAllowedError: It is none of the choices.
        """
        try:
            position = self._positions.get(frozen(value))
        except TypeError:  # a mapping or a set, which no choice is
            position = None
        if position is None:
            raise NotAllowedError(f"{show(value)} is not one of its values; allowed: {self.allowed}")
        return float(position)

    def value(self, number: float) -> Any:
        """The plain Python value of a position."""
        return self.choices[int(number)]


Axis = NumericAxis | ChoiceAxis


def make_axis(hyperparameter: Hyperparameter[Any, Any]) -> Axis:
    """The axis of a hyperparameter of ConfigSpace.

    Raises:
        SpaceError: Its kind is unknown, or its integers are too large.
    """
    name = hyperparameter.name
    match hyperparameter:
        case FloatHyperparameter() | IntegerHyperparameter():
            is_integer = isinstance(hyperparameter, IntegerHyperparameter)
            lower, upper = hyperparameter.lower, hyperparameter.upper
            if is_integer and max(-lower, upper, upper - lower) > LARGEST_INTEGER:
                raise SpaceError(
                    f"{name}: the range from {lower} to {upper} has integers that floats cannot tell apart; "
                    "use a float, or a narrower range near 0"
                )
            default = float(hyperparameter.default_value)
            return NumericAxis(name, float(lower), float(upper), bool(hyperparameter.log), is_integer, default)
        case CategoricalHyperparameter():
            return _choice_axis(name, hyperparameter.choices, hyperparameter.default_value, is_ordered=False)
        case OrdinalHyperparameter():
            return _choice_axis(name, hyperparameter.sequence, hyperparameter.default_value, is_ordered=True)
        case Constant():
            return _choice_axis(name, (hyperparameter.value,), hyperparameter.value, is_ordered=False)
        case _:
            raise SpaceError(
                f"{name}: hyperparameters of the kind {type(hyperparameter).__name__} are not supported; "
                "use a float, integer, ordinal, categorical or constant"
            )


def _choice_axis(name: str, values: Any, default: Any, *, is_ordered: bool) -> ChoiceAxis:
    choices = tuple(_plain(value) for value in values)
    try:
        axis = ChoiceAxis(name, choices, is_ordered, 0.0)
    except TypeError as error:
        raise SpaceError(
            f"{name}: one of the values {listing(choices)} can change, such as a mapping does; "
            "use text, numbers, booleans, null, or lists of these"
        ) from error
    return ChoiceAxis(name, choices, is_ordered, axis.number(default))


def _plain(value: Any) -> Any:
    """The value without types of NumPy."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return value


def frozen(value: Any) -> Any:
    """The value with tuples instead of lists: the wire and JSON turn the former into the latter."""
    return tuple(frozen(item) for item in value) if isinstance(value, (list, tuple)) else value
