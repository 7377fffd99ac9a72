"""Values as strict JSON allows them."""

from collections.abc import Mapping
from math import isfinite
from typing import Any


def strict(value: Any) -> Any:
    """The value with null in place of every number that JSON does not know, i.e. NaN and the infinities.

    Args:
        value: Plain data: None, bool, int, float, str, and sequences and mappings of these.
    """
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    return value
