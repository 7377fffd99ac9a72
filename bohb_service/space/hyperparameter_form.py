"""One hyperparameter in the short form of study files."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from ConfigSpace.hyperparameters import (
    BetaFloatHyperparameter,
    BetaIntegerHyperparameter,
    CategoricalHyperparameter,
    Constant,
    Hyperparameter,
    NormalFloatHyperparameter,
    NormalIntegerHyperparameter,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)

from bohb_service.space.axis import LARGEST_INTEGER, frozen
from bohb_service.space.priors import is_usable
from bohb_service.space.wording import Place, listing, show, suggest

_DECIMALS = 13
"""What ConfigSpace keeps of a float."""
_LARGEST_FLOAT = 1e30
_LARGEST_SHAPE = 1e6
_NUMBER_AS_TEXT = re.compile(r"\s*[-+]?(\d[\d_]*\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
_KINDS = {True: "a whole number", False: "a number"}


def read_hyperparameter(name: str, form: Any, place: Place) -> Hyperparameter[Any, Any]:
    """The hyperparameter that a short form stands for.

    Args:
        name: Its name.
        form: A mapping with the key ``type``, a list, or a single value.
        place: Where the form stands, for messages.

    Raises:
        SpaceError: The form has a mistake.
    """
    match form:
        case Mapping():
            return _full(name, form, place)
        case list() | tuple():
            return _short_list(name, form, place)
        case str() | bool() | int() | float():
            _scalar(form, place)
            return Constant(name, form)
    raise place.error(
        f"{show(form)} describes no hyperparameter; write [low, high], a list of choices, a single constant value, "
        "or a mapping with the key 'type'"
    )


def _full(name: str, form: Mapping[str, Any], place: Place) -> Hyperparameter[Any, Any]:
    if "type" not in form:
        raise place.error(f"the key 'type' is missing; allowed: {listing(_READERS)}")
    kind = form["type"]
    if not isinstance(kind, str) or kind not in _READERS:
        raise place.at("type").error(f"{show(kind)} is no type of hyperparameter; {suggest(kind, _READERS)}")
    needed, optional, read = _READERS[kind]
    for key in form:
        if key not in (*needed, *optional, "type", "when"):
            raise place.at(key).error(f"unknown key; {suggest(key, (*needed, *optional, 'when'))}")
    for key in needed:
        if key not in form:
            raise place.error(f"the key {key!r} is missing; a hyperparameter of type {kind} needs {listing(needed)}")
    return read(name, form, place)


def _short_list(name: str, form: Sequence[Any], place: Place) -> Hyperparameter[Any, Any]:
    """``[low, high]`` of two numbers is a range, other lists are choices."""
    if form and all(_is_number(item) for item in form):
        if len(form) != 2:
            raise place.error(
                f"{show(list(form))} could be choices or steps; write {{type: categorical, choices: [...]}}, "
                "{type: ordinal, sequence: [...]}, or [low, high]"
            )
        kind = "int" if all(isinstance(item, int) for item in form) else "float"
        return _numeric(name, {"type": kind, "low": form[0], "high": form[1]}, place)
    if form and all(isinstance(item, str) and _NUMBER_AS_TEXT.fullmatch(item) for item in form):
        raise place.error(
            f"the numbers {show(list(form))} are text; write them without quotes and with a decimal point, "
            "such as 1.0e-4, or write {type: categorical, choices: [...]} if text is meant"
        )
    return _categorical(name, {"choices": form}, place)


def _numeric(name: str, form: Mapping[str, Any], place: Place) -> Hyperparameter[Any, Any]:
    is_integer = form["type"] == "int"
    low, high = (_number(form[key], is_integer, place.at(key)) for key in ("low", "high"))
    if low == high:
        raise place.error(f"low and high are both {low}; write the value alone for a constant")
    if low > high:
        raise place.error(f"low is {low} and high is {high}; low must be less than high")
    log = form.get("log", False)
    if not isinstance(log, bool):
        raise place.at("log").error(f"{show(log)} is no switch; allowed: true, false")
    if log and low <= 0:
        raise place.at("low").error(f"{low} has no logarithm; write a positive bound, or log: false")
    largest = LARGEST_INTEGER if is_integer else _LARGEST_FLOAT
    if max(-low, high, high - low) > largest:
        raise place.error(
            f"the range from {show(low)} to {show(high)} is beyond {largest:.1g}; tune the exponent, or another unit"
        )
    if not is_integer and (round(high - low, _DECIMALS) <= 0 or (log and round(low, _DECIMALS) <= 0)):
        raise place.at("low").error(
            f"{low} is too small: ConfigSpace keeps {_DECIMALS} decimals of a float; "
            "tune the exponent instead, or the value in another unit"
        )
    options: dict[str, Any] = {"lower": low, "upper": high, "log": log}
    if "default" in form:
        default = _number(form["default"], is_integer, place.at("default"))
        if not low <= default <= high:
            raise place.at("default").error(f"{default} is out of range; allowed: {low} to {high}")
        options["default_value"] = default
    return _with_prior(name, form, options, place.at("prior"))


def _with_prior(name: str, form: Mapping[str, Any], options: dict[str, Any], place: Place) -> Hyperparameter[Any, Any]:
    is_integer = form["type"] == "int"
    if "prior" not in form:
        return (
            UniformIntegerHyperparameter(name, **options) if is_integer else UniformFloatHyperparameter(name, **options)
        )
    prior = form["prior"]
    if not isinstance(prior, Mapping) or len(prior) != 1:
        raise place.error(f"{show(prior)} is no prior; write {{normal: [mean, deviation]}} or {{beta: [alpha, beta]}}")
    ((shape, values),) = prior.items()
    place = place.at(shape)
    if shape not in ("normal", "beta"):
        raise place.error(f"unknown prior; {suggest(shape, ('normal', 'beta'))}")
    if not isinstance(values, (list, tuple)) or len(values) != 2:
        raise place.error(f"{show(values)} is not a list of two numbers")
    first, second = (_number(value, False, place.at(i)) for i, value in enumerate(values))  # noqa: FBT003 - a float
    if shape == "beta":
        if not 1 <= min(first, second) <= max(first, second) <= _LARGEST_SHAPE:
            raise place.error(f"{show(list(values))} has a number that is not from 1 to {_LARGEST_SHAPE:g}")
        beta = BetaIntegerHyperparameter if is_integer else BetaFloatHyperparameter
        return beta(name, first, second, **options)
    if second <= 0:
        raise place.at(1).error(f"the deviation {second} is not positive; raise it")
    if options["log"]:
        raise place.error(
            "cannot be combined with log: true, because ConfigSpace gives the deviation no usable meaning there; "
            "use a beta prior, or tune the exponent"
        )
    extent = options["upper"] - options["lower"]
    if not is_usable((first - options["lower"]) / extent, second / extent):
        raise place.error(f"{show(list(values))} is degenerate on this range; choose numbers of the size of the range")
    normal = NormalIntegerHyperparameter if is_integer else NormalFloatHyperparameter
    return normal(name, first, second, **options)


def _categorical(name: str, form: Mapping[str, Any], place: Place) -> Hyperparameter[Any, Any]:
    choices = _values(form["choices"], place.at("choices"))
    options = _default(form, choices, place)
    if "weights" in form:
        weights, place = form["weights"], place.at("weights")
        if not isinstance(weights, (list, tuple)) or len(weights) != len(choices):
            raise place.error(f"{show(weights)} is not a list of {len(choices)} numbers, one for each choice")
        options["weights"] = [_number(weight, False, place.at(i)) for i, weight in enumerate(weights)]  # noqa: FBT003
        if min(options["weights"]) < 0 or not 0 < sum(options["weights"]) < math.inf:
            raise place.error(f"{show(weights)} must be 0 or more, not all 0, and of a finite sum")
    return CategoricalHyperparameter(name, choices, **options)


def _ordinal(name: str, form: Mapping[str, Any], place: Place) -> Hyperparameter[Any, Any]:
    sequence = _values(form["sequence"], place.at("sequence"))
    return OrdinalHyperparameter(name, sequence, **_default(form, sequence, place))


def _constant(name: str, form: Mapping[str, Any], place: Place) -> Hyperparameter[Any, Any]:
    _scalar(form["value"], place.at("value"))
    return Constant(name, frozen(form["value"]))


def _values(values: Any, place: Place) -> list[Any]:
    if not isinstance(values, (list, tuple)) or not values:
        raise place.error(f"{show(values)} is not a list of at least one value")
    for position, value in enumerate(values):
        _scalar(value, place.at(position))
        if value in values[:position]:
            raise place.at(position).error(f"{show(value)} equals an earlier value; remove one of them")
    return [frozen(value) for value in values]


def _default(form: Mapping[str, Any], values: Sequence[Any], place: Place) -> dict[str, Any]:
    if "default" not in form:
        return {}
    default = frozen(form["default"])
    if default not in values:
        raise place.at("default").error(f"{show(default)} is not one of the values; allowed: {listing(values)}")
    return {"default_value": default}


def _scalar(value: Any, place: Place) -> None:
    items = value if isinstance(value, (list, tuple)) else [value]
    for item in items:
        is_plain = item is None or isinstance(item, (str, bool, int, float))
        if not is_plain or (isinstance(item, float) and not math.isfinite(item)):
            raise place.error(
                f"{show(value)} cannot be a value; use text, numbers, true, false, null, or lists of these"
            )


def _number(value: Any, is_integer: bool, place: Place) -> Any:  # noqa: FBT001 - internal
    if isinstance(value, str) and _NUMBER_AS_TEXT.fullmatch(value):
        _fail_text(value, place)
    if not _is_number(value) or (is_integer and not isinstance(value, int)):
        raise place.error(f"{show(value)} is not {_KINDS[is_integer]}")
    if not math.isfinite(value):
        raise place.error(f"{show(value)} is not finite")
    return value if is_integer else float(value)


def _fail_text(value: str, place: Place) -> NoReturn:
    raise place.error(
        f"{value!r} is text, not a number; write it without quotes and, for YAML, with a decimal point, such as 1.0e-4"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_Reader = Callable[[str, Mapping[str, Any], Place], Hyperparameter[Any, Any]]
_READERS: dict[str, tuple[tuple[str, ...], tuple[str, ...], _Reader]] = {
    "float": (("low", "high"), ("log", "default", "prior"), _numeric),
    "int": (("low", "high"), ("log", "default", "prior"), _numeric),
    "categorical": (("choices",), ("weights", "default"), _categorical),
    "ordinal": (("sequence",), ("default",), _ordinal),
    "constant": (("value",), (), _constant),
}
"""Of each type: the keys that it needs, the keys that it may have beside `when`, and its reader."""
