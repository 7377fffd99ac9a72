"""Values as strict JSON allows them."""

from collections.abc import Mapping
from math import isfinite
from typing import Any


def strict(value: Any) -> Any:
    """The value with null in place of every number that JSON does not know, i.e. NaN and the infinities.

    Args:
        value: Plain data: None, bool, int, float, str, and sequences and mappings of these.
    """
    # In order of frequency: a large run has millions of values.
    if isinstance(value, float):
        return value if isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    return value
