"""Plain values: null, booleans, numbers, text, lists, mappings with text keys. Nothing else may be in a study.

A study travels as JSON into the journal and as bytes to the workers; what would not survive is refused here.
"""

import math
from collections.abc import Mapping
from typing import Any

from bohb_service.study.problems import KeyPath, Problem, kind, show

MAX_DEPTH = 50
"""Most levels of lists and mappings."""

MAX_PROBLEMS = 200
"""After so many problems the rest is not looked at."""

_WHOLE = range(-(2**63), 2**64)


def to_plain(value: Any) -> tuple[Any, list[Problem]]:
    """A copy made of dicts, lists and scalars, and what could not be copied.

    Args:
        value: Anything; tuples become lists.
    """
    problems: list[Problem] = []
    return _copy(value, (), problems), problems


def _copy(value: Any, path: KeyPath, problems: list[Problem]) -> Any:
    fault = _fault(value)
    if fault is None and len(path) > MAX_DEPTH:
        fault = f"nested more than {MAX_DEPTH} levels deep; write fewer levels"
    if len(problems) >= MAX_PROBLEMS:
        return None
    if fault is not None:
        problems.append(Problem(path, fault))
        return None
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                told = f"the key {show(key)} is {kind(key)}, but keys are text; write it in quotes"
                problems.append(Problem((*path, key), told))
        return {key: _copy(item, (*path, key), problems) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copy(item, (*path, index), problems) for index, item in enumerate(value)]
    return value


def _fault(value: Any) -> str | None:
    """What is wrong with one value, its parts aside."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return f"{show(value)} is no valid text (half of a character pair); write the character itself"
        return None
    if isinstance(value, float) and not math.isfinite(value):
        told = "not a number" if math.isnan(value) else "infinite (or too large for a number)"
        return f"{show(value)} is {told}; write a finite number"
    if isinstance(value, int) and value not in _WHOLE:
        return (
            f"{show(value)} does not fit into 64 bits; write a smaller whole number, or a number with a decimal point"
        )
    if value is None or isinstance(value, (int, float, Mapping, list, tuple)):
        return None
    return (
        f"{show(value)} is {kind(value)}; write a number, text, a list or a mapping (a date is text: put it in quotes)"
    )
