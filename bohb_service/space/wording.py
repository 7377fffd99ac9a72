"""How places, values and names appear in messages."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from bohb_service.errors import SpaceError
from bohb_service.suggestions import did_you_mean

_WIDTH = 76
_LISTED = 12


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a description of a space something stands.

    Attributes:
        source: Name of the file; empty if there is none.
        path: Keys and positions from the outside in, such as ``space.momentum.prior.normal[0]``.
    """

    source: str = ""
    path: str = ""

    def at(self, key: Any) -> Self:
        """The place of a key of a mapping, or of a position in a list."""
        if isinstance(key, int) and not isinstance(key, bool):
            return type(self)(self.source, f"{self.path}[{key}]")
        return type(self)(self.source, f"{self.path}.{key}" if self.path else str(key))

    def error(self, text: str) -> SpaceError:
        """The mistake, with its place in front."""
        return SpaceError(": ".join(part for part in (self.source, self.path, text) if part))


def show(value: Any) -> str:
    """The value as Python writes it, cut to one line."""
    text = repr(value)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def listing(values: Iterable[Any]) -> str:
    """The first values, separated by commas."""
    shown = [show(value) for value in values]
    return ", ".join(shown[:_LISTED]) + (f", … ({len(shown)} in all)" if len(shown) > _LISTED else "")


def suggest(word: Any, allowed: Iterable[str]) -> str:
    """``did you mean 'x'? allowed: 'x', 'y'``, without the guess if nothing is near."""
    names = list(allowed)
    return f"{did_you_mean(word, names)} allowed: {listing(names) or 'nothing'}".lstrip()
