"""Checks of the options of a worker; messages name the option, its value and the remedy."""

from collections.abc import Collection, Iterable
from typing import Any

from bohb_service.errors import StudyError
from bohb_service.suggestions import did_you_mean


def known(options: Iterable[str], names: Collection[str]) -> None:
    """Raise if an option has none of the names.

    Args:
        options: Names that were given.
        names: Those that there are.

    Raises:
        StudyError: One is unknown.
    """
    for key in options:
        if key not in names:
            there = sorted(names)
            hint = did_you_mean(key, there) or f"there are: {', '.join(there)}"
            raise StudyError(f"worker_options.{key}: no such option; {hint}")


def one_of(key: str, value: Any, choices: Collection[Any]) -> None:
    """Raise unless the value is one of the choices.

    Raises:
        StudyError: It is not.
    """
    if not any(value is choice or (type(value) is type(choice) and value == choice) for choice in choices):
        known = [str(choice) for choice in choices if choice is not None]
        hint = did_you_mean(value, known)
        raise StudyError(
            f"worker_options.{key}: {value!r}; {f'{hint} ' if hint else ''}choose from: {', '.join(known)}"
        )


def number(key: str, value: Any, low: float, high: float, *, is_integer: bool = False, is_open: bool = False) -> None:
    """Raise unless the value is a number of a range.

    Raises:
        StudyError: It is not.
    """
    kinds = (int,) if is_integer else (int, float)
    is_number = isinstance(value, kinds) and not isinstance(value, bool)
    if not is_number or not (low < value < high if is_open else low <= value <= high):
        what = "a whole number" if is_integer else "a number"
        span = f"between {low:g} and {high:g}, both excluded" if is_open else f"from {low:g} to {high:g}"
        raise StudyError(f"worker_options.{key}: must be {what} {span}, not {value!r}")


def boolean(key: str, value: Any) -> None:
    """Raise unless the value is true or false.

    Raises:
        StudyError: It is not.
    """
    if not isinstance(value, bool):
        raise StudyError(f"worker_options.{key}: must be true or false, not {value!r}")


def names(key: str, value: Any, what: str = "names") -> tuple[str, ...]:
    """The value as a tuple, if it is a list of names.

    Raises:
        StudyError: It is not.
    """
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise StudyError(f"worker_options.{key}: must be a list of {what}, not {value!r}")
    return tuple(value)


def text(key: str, value: Any) -> None:
    """Raise unless the value is text, and not empty.

    Raises:
        StudyError: It is not.
    """
    if not isinstance(value, str) or not value:
        raise StudyError(f"worker_options.{key}: must be text, not {value!r}")
