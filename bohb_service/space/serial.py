"""Spaces in ConfigSpace's own serialised form, so that files can be exchanged with everything else that uses it."""

import contextlib
import io
import json
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace

from bohb_service.errors import SpaceError
from bohb_service.space.axis import frozen
from bohb_service.space.wording import Place, show

_REFUSALS = (ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, TypeError, ValueError)
"""What ConfigSpace raises about forms that it cannot decode."""

_NOWHERE = Place()
_VALUE_KEYS = ("value", "default_value", "default")
_LIST_KEYS = ("choices", "sequence", "values")
_PARTS = ("hyperparameters", "conditions", "forbiddens")


def dump_space(space: ConfigurationSpace) -> str:
    """The space as JSON.

    Raises:
        SpaceError: A value has no JSON form.
    """
    try:
        return json.dumps(space.to_serialized_dict(), default=_plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SpaceError(
            f"the space has no JSON form: {error}; use text, numbers, booleans, null, or lists of these"
        ) from error


def load_space(source: str | Mapping[str, Any], place: Place = _NOWHERE) -> ConfigurationSpace:
    """The space of a serialised form.

    Args:
        source: JSON, or what it stands for.
        place: Where it stands, for messages.

    Raises:
        SpaceError: The text is not JSON, or the form is not of a space; the message has the path of the part at fault.
    """
    if isinstance(source, str):
        try:
            source = json.loads(source)
        except json.JSONDecodeError as error:
            raise place.error(f"not valid JSON: {error}") from error
    if not isinstance(source, Mapping) or not isinstance(source.get("hyperparameters"), list):
        raise place.at("hyperparameters").error("must be a list of mappings, as ConfigSpace writes it")
    try:
        return _decode(source)
    except _REFUSALS as error:
        raise _diagnosis(source, place, error) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps ConfigSpace from talking: it warns about old files, and some releases print while they check a clause."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _decode(form: Mapping[str, Any]) -> ConfigurationSpace:
    with _quiet():
        return ConfigurationSpace.from_serialized_dict(_prepared(form))


def _prepared(form: Any) -> Any:
    """A copy, because decoding takes the mappings apart; in it, values that are lists are tuples.

    JSON makes lists of tuples, and ConfigSpace cannot look for lists among values.
    """
    if isinstance(form, list):
        return [_prepared(item) for item in form]
    if not isinstance(form, Mapping):
        return form
    return {
        key: frozen(item)
        if key in _VALUE_KEYS
        else [frozen(each) for each in item]
        if key in _LIST_KEYS and isinstance(item, (list, tuple))
        else _prepared(item)
        for key, item in form.items()
    }


def _diagnosis(form: Mapping[str, Any], place: Place, error: Exception) -> SpaceError:
    """What is wrong, and where: the parts are tried one by one."""
    for part in _PARTS:
        items = form.get(part) or []
        if not isinstance(items, list):
            return place.at(part).error(f"must be a list of mappings, not {show(items)}")
        for position, item in enumerate(items):
            context = {} if part == "hyperparameters" else {"hyperparameters": form["hyperparameters"]}
            try:
                _decode({**context, part: [item]})
            except _REFUSALS as problem:
                return place.at(part).at(position).error(f"{_text(problem)}; it is {show(item)}")
    return place.error(_text(error))


def _text(error: Exception) -> str:
    """The message of an exception of ConfigSpace with that of its cause, on one line."""
    if isinstance(error, KeyError) and len(error.args) == 1 and " " not in str(error.args[0]):
        return f"{error.args[0]!r} is missing or unknown"
    causes = f" ({error.__cause__})" if error.__cause__ is not None else ""
    return " ".join(f"{error}{causes}".split()) or type(error).__name__


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{show(value)} is of type {type(value).__name__}")
