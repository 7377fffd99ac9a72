"""Dataclasses from the JSON values that were written of them."""

import math
from contextlib import suppress
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

Restored = TypeVar("Restored")


def restored(kind: type[Restored], data: Any) -> Restored:
    """The object of which `dataclasses.asdict` gave this data, with lists for tuples.

    Args:
        kind: A dataclass. Its fields are texts, truth values, whole numbers, finite numbers, None, literals,
            dataclasses, tuples of any length of one of these, or unions of them.
        data: JSON values.

    Raises:
        ValueError: A name is missing or unknown, or a value is not of the type of its field.
    """
    types = get_type_hints(kind)
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # that it is a dataclass, no type says
    if not isinstance(data, dict) or data.keys() != set(names):
        raise ValueError(f"{kind.__name__}: must have the names {', '.join(names)}")
    return kind(**{name: _value(types[name], data[name], f"{kind.__name__}.{name}") for name in names})


def _value(kind: Any, value: Any, where: str) -> Any:
    arguments = get_args(kind)
    if is_dataclass(kind):
        return restored(kind, value)  # type: ignore[arg-type]  # an instance is a dataclass too, says its type
    if get_origin(kind) is UnionType:
        for argument in arguments:
            with suppress(ValueError):
                return _value(argument, value, where)
    if get_origin(kind) is tuple and isinstance(value, list):
        return tuple(_value(arguments[0], each, where) for each in value)
    if get_origin(kind) is Literal and isinstance(value, str) and value in arguments:
        return value
    if kind is float:
        if type(value) in (int, float) and math.isfinite(value):
            return float(value)
    elif type(value) is kind:
        return value
    raise ValueError(f"{where}: {value!r:.100}")
