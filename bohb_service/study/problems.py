"""Mistakes in a study file, and how they are worded and shown."""

import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bohb_service.errors import StudyError
from bohb_service.suggestions import did_you_mean

KeyPath = tuple[Any, ...]
"""Where a value is: keys of mappings, and positions in lists, from the outside in."""

MAX_SHOWN = 50
"""Most problems listed in one message."""

MAX_VALUE = 76
"""Most characters of a value shown in a message."""

MAX_PATH = 120
"""Most characters of a path of keys."""

_PLAIN_KEY = re.compile(r"[\w-]{1,40}")


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake.

    Attributes:
        path: Where it is; empty for the file as a whole.
        text: What is wrong, with the value, and what to do; one line.
        line: Line of the key in the file, from 1, if known.
        source: File or origin of the value, if it is not the one that is read.
        hides: Whether the value is lost, so that what is found later at this path or below follows from it.
    """

    path: KeyPath
    text: str
    line: int | None = None
    source: str | None = None
    hides: bool = True

    def render(self, source: str) -> str:
        """The mistake as one line, ``FILE:LINE: path.of.key: text``.

        Args:
            source: Name of the file that is read.
        """
        place = self.source or source
        if self.line is not None:
            place = f"{place}:{self.line}"
        return ": ".join(part for part in (place, show_path(self.path), self.text) if part)


class MisplacedError(ValueError):
    """A value is wrong because of another key, which is the one to change.

    Args:
        path: That key.
        text: What is wrong, with the value, and what to do.
    """

    def __init__(self, path: KeyPath, text: str) -> None:
        super().__init__(text)
        self.path = path


def study_error(problems: Sequence[Problem], source: str) -> StudyError:
    """One exception that lists the problems, one a line, in the order of the file.

    Args:
        problems: At least one mistake.
        source: Name of the file that was read.
    """
    ordered = sorted(
        problems, key=lambda problem: (problem.source is not None, problem.line is None, problem.line or 0)
    )
    lines = list(dict.fromkeys(problem.render(source) for problem in ordered))
    if len(lines) > MAX_SHOWN:
        lines[MAX_SHOWN:] = [f"{source}: and {len(lines) - MAX_SHOWN} more mistakes like these; mend the first ones"]
    return StudyError("\n".join(lines))


def show_path(path: KeyPath) -> str:
    """A path as a reader writes it, such as ``initial[0].alpha``; keys with odd characters are quoted."""
    text = ""
    for part in path:
        if isinstance(part, int) and not isinstance(part, bool):
            text += f"[{part}]"
        else:
            text += f".{_show_key(part)}" if text else _show_key(part)
    return text if len(text) <= MAX_PATH else f"{text[: MAX_PATH - 1]}…"


def show(value: Any, width: int = MAX_VALUE) -> str:
    """A value on one line, as a study file would have it, cut to at most ``width`` characters."""
    inner = width // 2 - 8
    if isinstance(value, str):
        text = repr(value[: width + 1])
    elif isinstance(value, int) and not isinstance(value, bool):
        text = str(value) if value.bit_length() < 4 * width else "a whole number of very many digits"
    elif isinstance(value, float) or value is None or isinstance(value, bool):
        text = json.dumps(value)
    elif inner < 0 and isinstance(value, (Mapping, list, tuple)):
        text = "…"
    elif isinstance(value, Mapping):
        items = [f"{_show_key(key)}: {show(item, inner)}" for key, item in _first(value.items(), width)]
        text = "{" + ", ".join(items) + "}"
    elif isinstance(value, (list, tuple)):
        text = "[" + ", ".join(show(item, inner) for item in _first(value, width)) + "]"
    else:
        text = " ".join(repr(value).split())
    return text if len(text) <= width else f"{text[: max(width - 1, 0)]}…"


def show_file(path: Path) -> str:
    """A file or directory in quotes; of a long path the end is shown, as that tells most."""
    text = repr(str(path))
    return text if len(text) <= MAX_VALUE else f"'…{text[2 - MAX_VALUE :]}"


def kind(value: Any) -> str:
    """What a value is, in plain words with an article."""
    words = (
        (bool, "a switch"),
        (int | float, "a number"),
        (str, "text"),
        (Mapping, "a mapping"),
        (list | tuple, "a list"),
    )
    if value is None:
        return "nothing"
    return next((word for types, word in words if isinstance(value, types)), f"of type {type(value).__name__}")


def suggest(word: str, allowed: Iterable[str], otherwise: str) -> str:
    """``did you mean 'x'? (allowed: x, y)``, with other advice in place of a guess if nothing is near.

    Args:
        word: What was written.
        allowed: What could have been meant.
        otherwise: The advice if there is no guess.
    """
    names = list(allowed)
    return f"{did_you_mean(word, names) or otherwise} (allowed: {', '.join(names)})"


def _show_key(key: Any) -> str:
    """A key as it is, or in quotes if it has odd characters."""
    return key if isinstance(key, str) and _PLAIN_KEY.fullmatch(key) else show(key, 40)


def _first(items: Iterable[Any], width: int) -> list[Any]:
    """As many items as may be seen in so many characters."""
    return list(itertools.islice(items, width // 3 + 1))
