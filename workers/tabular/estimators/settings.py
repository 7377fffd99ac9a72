"""What users give to the estimators beside rows: each value is checked under its own name."""

from os import PathLike
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from bohb_service.workers.common.draws import LARGEST_SEED
from bohb_service.workers.common.shown import pythonic, shown

from .search import Budgets

_INFINITE = float("inf")


def check_whole(name: str, value: Any, least: int) -> None:
    """Raise unless the value is a whole number that is large enough.

    Args:
        name: Of the parameter.
        value: Its value.
        least: Smallest one.

    Raises:
        ValueError: It is not.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number from {least} on, not {shown(value)}")


def check_seconds(name: str, value: Any) -> None:
    """Raise unless the value is a time.

    Args:
        name: Of the parameter.
        value: Its value.

    Raises:
        ValueError: It is not.
    """
    if not _is_above_zero(value):
        raise ValueError(f"{name} must be a number of seconds above 0, not {shown(value)}")


def check_path(name: str, value: Any) -> None:
    """Raise unless the value is a path.

    Args:
        name: Of the parameter.
        value: Its value.

    Raises:
        ValueError: It is not.
    """
    is_path = isinstance(value, str | PathLike)
    if not is_path:
        raise ValueError(f"{name} must be a path, not {shown(value)}")


def check_budgets(usual: Budgets, low: Any, high: Any) -> None:
    """Raise unless ``min_budget`` and ``max_budget`` are budgets in their order.

    Args:
        usual: Budgets of the fidelity.
        low: ``min_budget``; None for the usual one.
        high: ``max_budget``; None for the usual one.

    Raises:
        ValueError: They are not.
    """
    for name, value in (("min_budget", low), ("max_budget", high)):
        if value is not None and (not _is_above_zero(value) or (usual.integer and value % 1)):
            what = "a whole number from 1 on" if usual.integer else "a number above 0"
            raise ValueError(f"{name} must be {what}, not {shown(value)}")
    top = usual.max if high is None else high
    if low is not None and low > top:
        raise ValueError(f"min_budget must be at most max_budget, which is {top:g}, not {shown(low)}")


def seed_of(random_state: Any) -> int:
    """A seed, in ``[0, 2**31 - 1)``.

    Args:
        random_state: A number, a ``numpy.random.RandomState``, or None for another seed at each call.

    Raises:
        ValueError: It is none of these.
    """
    try:
        return int(check_random_state(random_state).randint(LARGEST_SEED))
    except ValueError as error:
        raise ValueError(
            "random_state must be a whole number from 0 to 4294967295, a numpy.random.RandomState or None, not "
            f"{shown(random_state)}"
        ) from error


def _is_above_zero(value: Any) -> bool:
    plain = pythonic(value)
    return isinstance(plain, int | float) and not isinstance(plain, bool) and 0 < plain < _INFINITE
