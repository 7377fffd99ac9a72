"""What all log lines of this process are about: fields that each JSON line has, beside its own."""

from collections.abc import Mapping
from typing import Any

_bound: dict[str, Any] = {}


def bind(**fields: Any) -> None:
    """Add fields to every JSON line from now on, or change them.

    Args:
        **fields: E.g. ``study`` and ``worker``; a process works for one at a time. A line's own fields win.
    """
    _bound.update(fields)


def bound() -> Mapping[str, Any]:
    """The fields that there are now."""
    return _bound


def clear() -> None:
    """Forget all of them."""
    _bound.clear()
