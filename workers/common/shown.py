"""Values as users know them: NumPy's numbers are Python's, in what is kept and in what is told."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bohb_service.worker import verdicts


def pythonic(value: Any) -> Any:
    """The value with Python's numbers, texts and truth values in place of NumPy's, in mappings and lists too.

    Args:
        value: Of any type; what else it holds stays as it is.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {pythonic(key): pythonic(each) for key, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(pythonic(each) for each in value)
    return value


def shown(value: Any) -> str:
    """The value for a message, at most 80 characters; ``inf``, not ``np.float64(inf)``.

    Args:
        value: Of any type.
    """
    return verdicts.shown(pythonic(value))
