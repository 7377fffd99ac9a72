"""User data as plain Python that every peer can read: numbers, text, lists, mappings.

Array libraries are recognised by the name of their module, so that nothing here imports one.
"""

from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import PurePath
from typing import Any

from bohb_service.errors import BohbError

MAX_PACKED_BYTES = 1 << 20
"""Largest ``info`` of one evaluation, packed."""

MAX_DEPTH = 64
"""Deepest nesting of ``info``; a structure that holds itself ends here too."""

_ARRAY_LIBRARIES = frozenset({"numpy", "torch", "jax", "jaxlib", "tensorflow", "cupy", "pandas"})
_SMALLEST_INT, _LARGEST_INT = -(1 << 63), (1 << 64) - 1

_HINTS = {
    "bytes": "return its path after saving it to context.directory, or base64 text",
    "bytearray": "return its path after saving it to context.directory, or base64 text",
    "complex": "return [z.real, z.imag]",
    "datetime": "return its .isoformat()",
    "date": "return its .isoformat()",
    "timedelta": "return its .total_seconds()",
    "Timestamp": "return its .isoformat()",
    "Decimal": "return float(...) of it",
    "Fraction": "return float(...) of it",
    "DataFrame": "return its .to_dict('list')",
}
_HINT = "save it to context.directory and return the path, or return numbers, text, lists or dicts"


class UnserialisableError(BohbError):
    """A value has no plain form; the message has its path, its type, and what to return instead."""


def to_plain(value: Any, path: str, depth: int = 0) -> Any:
    """The value as ``None``, bool, int, float, str, list or dict with text keys, all the way down.

    NumPy scalars become Python numbers, arrays and tensors nested lists, tuples and sets lists,
    paths and keys text. Non-finite floats are kept.

    Args:
        value: Anything that an objective returns.
        path: How messages call the value, e.g. ``"info"``.
        depth: Nesting so far.

    Raises:
        UnserialisableError: Something inside has no plain form.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return _plain_scalar(value, path)
    if depth >= MAX_DEPTH:
        raise UnserialisableError(
            f"{path} is nested deeper than {MAX_DEPTH} levels, or contains itself; return a flatter structure"
        )
    if isinstance(value, Mapping):
        return _plain_mapping(value, path, depth)
    if isinstance(value, list | tuple):
        return [to_plain(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, set | frozenset):
        return to_plain(_ordered(value), path, depth)
    if isinstance(value, PurePath):
        return plain_text(str(value))
    if type(value).__module__.partition(".")[0] in _ARRAY_LIBRARIES:
        return _plain_array(value, path, depth)
    raise _refusal(value, path)


def plain_text(text: str) -> str:
    """The text as an exact `str` that can be encoded: lone surrogates become escapes."""
    exact = str.__str__(text)
    if exact.isascii():
        return exact
    return exact.encode("utf-8", "backslashreplace").decode("utf-8")


def type_name(value: Any) -> str:
    """Full name of the value's type, without ``builtins``."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _plain_scalar(value: float | str | None, path: str) -> float | str | None:
    """The value as an exact built-in type: NumPy has scalars and enum has members that are subclasses of these."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return plain_text(value)
    if not _SMALLEST_INT <= value <= _LARGEST_INT:
        raise UnserialisableError(f"{path} is an integer of more than 64 bits; return it as text or float")
    return int(value)


def _plain_mapping(value: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, item in value.items():
        name = _plain_key(key, path)
        if name in plain:
            raise UnserialisableError(f"{path} has two keys that become {name!r} as text; rename one of them")
        inner = f"{path}.{name}" if name.isidentifier() else f"{path}[{name!r}]"
        plain[name] = to_plain(item, inner, depth + 1)
    return plain


def _plain_key(key: Any, path: str) -> str:
    if isinstance(key, str):
        return plain_text(key)
    is_array_scalar = type(key).__module__.partition(".")[0] in _ARRAY_LIBRARIES and hasattr(key, "item")
    if key is None or isinstance(key, int | float | tuple | PurePath) or is_array_scalar:
        return plain_text(str(key))
    raise UnserialisableError(f"a key of {path} is of type {type_name(key)}; use text or numbers as keys")


def _ordered(value: set[Any] | frozenset[Any]) -> list[Any]:
    """The members in order where they have one, so that equal sets give equal data."""
    try:
        return sorted(value)
    except TypeError:
        return list(value)


def _plain_array(value: Any, path: str, depth: int) -> Any:
    """Nested lists of the array's values; the size is judged first, as conversion costs 30 times the array."""
    size = getattr(value, "size", None)
    if callable(size):
        numel = getattr(value, "numel", None)
        size = numel() if callable(numel) else None
    if isinstance(size, int) and size > MAX_PACKED_BYTES:
        raise UnserialisableError(
            f"{path} is of type {type_name(value)} with {size} elements, more than {MAX_PACKED_BYTES} bytes; "
            "save it to context.directory and return the path, or a summary"
        )
    if not hasattr(value, "tolist") and callable(getattr(value, "numpy", None)):
        value = value.numpy()
    convert = getattr(value, "tolist", None) or getattr(value, "item", None)
    if not callable(convert):
        raise _refusal(value, path)
    try:
        converted = convert()
    except (TypeError, ValueError, RuntimeError) as error:
        raise UnserialisableError(f"{path} is of type {type_name(value)} without readable values ({error})") from error
    if converted is value:
        raise _refusal(value, path)
    return to_plain(converted, path, depth + 1)


def _refusal(value: Any, path: str) -> UnserialisableError:
    if is_dataclass(value) and not isinstance(value, type):
        hint = "return dataclasses.asdict(...) of it"
    else:
        hint = _HINTS.get(type(value).__name__, _HINT)
    return UnserialisableError(f"{path} is of type {type_name(value)}, which has no plain form; {hint}")
