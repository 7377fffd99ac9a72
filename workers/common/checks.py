"""Checks of the options of a worker, and of arguments; messages name it, its value and the remedy."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bohb_service.errors import StudyError
from bohb_service.suggestions import did_you_mean

from .shown import pythonic, shown


class OptionError(StudyError):
    """An option of a worker is wrong; as text it is named as a study file does, ``worker_options.NAME``.

    Args:
        option: Its name, and what is wrong within it: ``test.first``.
        words: What is wrong, and the remedy.
    """

    def __init__(self, option: str, words: str) -> None:
        super().__init__(option, words)
        self._option, self._words = option, words

    def __str__(self) -> str:
        return f"worker_options.{self._option}: {self._words}"

    def as_argument(self, names: Mapping[str, str]) -> str:
        """The message for one who gave an argument.

        Args:
            names: Of arguments, by options that are called otherwise.
        """
        return f"{names.get(self._option, self._option)}: {self._words}"


@contextmanager
def named_as_arguments(kind: type[Exception] = ValueError, names: Mapping[str, str] | None = None) -> Iterator[None]:
    """Options that are found wrong inside the block were given as arguments, and are named as such.

    Args:
        kind: Of the error that is raised instead.
        names: Of arguments, by options that are called otherwise.
    """
    try:
        yield
    except OptionError as error:
        raise kind(error.as_argument(names or {})) from error


def known(options: Iterable[str], names: Collection[str]) -> None:
    """Raise if an option has none of the names.

    Args:
        options: Names that were given.
        names: Those that there are.

    Raises:
        OptionError: One is unknown.
    """
    for key in options:
        if key not in names:
            there = sorted(names)
            hint = did_you_mean(key, there) or f"there are: {', '.join(there)}"
            raise OptionError(key, f"no such option; {hint}")


def one_of(key: str, value: Any, choices: Collection[Any]) -> None:
    """Raise unless the value is one of the choices.

    Raises:
        OptionError: It is not.
    """
    if not any(value is choice or (type(value) is type(choice) and value == choice) for choice in choices):
        known = [str(choice) for choice in choices if choice is not None]
        hint = did_you_mean(value, known)
        raise OptionError(key, f"{shown(value)}; {f'{hint} ' if hint else ''}choose from: {', '.join(known)}")


def number(key: str, value: Any, low: float, high: float, *, is_integer: bool = False, is_open: bool = False) -> None:
    """Raise unless the value is a number of a range.

    Raises:
        OptionError: It is not.
    """
    plain = pythonic(value)
    is_number = isinstance(plain, int if is_integer else int | float) and not isinstance(plain, bool)
    if not is_number or not (low < plain < high if is_open else low <= plain <= high):
        what = "a whole number" if is_integer else "a number"
        span = (
            f"between {_figure(low)} and {_figure(high)}, both excluded"
            if is_open
            else f"from {_figure(low)} to {_figure(high)}"
        )
        raise OptionError(key, f"must be {what} {span}, not {shown(value)}")


def _figure(bound: float) -> str:
    """A bound in as few digits as tell it."""
    short = f"{bound:g}"
    return short if float(short) == bound else str(bound)


def boolean(key: str, value: Any) -> None:
    """Raise unless the value is true or false.

    Raises:
        OptionError: It is not.
    """
    if not isinstance(value, bool):
        raise OptionError(key, f"must be true or false, not {shown(value)}")


def names(key: str, value: Any, what: str = "names") -> tuple[str, ...]:
    """The value as a tuple, if it is a list of names.

    Raises:
        OptionError: It is not.
    """
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise OptionError(key, f"must be a list of {what}, not {shown(value)}")
    return tuple(value)


def text(key: str, value: Any) -> None:
    """Raise unless the value is text, and not empty.

    Raises:
        OptionError: It is not.
    """
    if not isinstance(value, str) or not value:
        raise OptionError(key, f"must be text, not {shown(value)}")
