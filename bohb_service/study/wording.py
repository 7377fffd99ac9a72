"""Says in plain words what the validation library found."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from bohb_service.study.problems import KeyPath, MisplacedError, Problem, kind, show, suggest

Sections = Mapping[tuple[str, ...], type[BaseModel]]

_WANTED = {
    "string_type": "text",
    "path_type": "text (a path)",
    "float_type": "a number",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number of less than 20 digits",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "tuple_type": "a list",
}
_BOUNDS = {
    "greater_than": "more than",
    "greater_than_equal": "at least",
    "less_than": "less than",
    "less_than_equal": "at most",
}
_SWITCHES = {
    **dict.fromkeys(("yes", "y", "on", "1"), "true"),
    **dict.fromkeys(("no", "n", "off", "0"), "false"),
    "true": "true without quotes",
    "false": "false without quotes",
}
_NUMBER = re.compile(r"\s*[-+]?(\d[\d_,]*\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")


def explain(error: ValidationError, sections: Sections) -> list[Problem]:
    """The problems behind a validation error, worded for the author of the file.

    Args:
        error: What the validation raised.
        sections: The model of each mapping of known keys, by its path.
    """
    return [Problem(_path(details), _word(details, sections)) for details in error.errors(include_url=False)]


def _path(details: ErrorDetails) -> KeyPath:
    """The key to change, usually the one that was looked at."""
    error = details.get("ctx", {}).get("error")
    return error.path if isinstance(error, MisplacedError) else tuple(details["loc"])


def _word(details: ErrorDetails, sections: Sections) -> str:
    path, value, context = tuple(details["loc"]), details["input"], details.get("ctx", {})
    field = _field(path, sections)
    example = _example(field, path)
    match details["type"]:
        case "value_error":
            return str(context["error"])
        case "missing":
            return f"is missing: {field.description if field else 'it is needed'}; add it{example}"
        case "extra_forbidden":
            return _unknown_key(path, sections)
        case "literal_error":
            allowed = re.findall(r"'([^']+)'", context["expected"])
            return f"{show(value)} is not known; {suggest(str(value), allowed, 'choose another')}"
        case bound if bound in _BOUNDS:
            limit = show(next(iter(context.values()))).removesuffix(".0")
            return f"must be {_BOUNDS[bound]} {limit}, not {show(value)}; write another value{example}"
        case wrong if wrong in _WANTED:
            return _wrong_type(_WANTED[wrong], value, example)
        case "json_invalid":
            return "not valid JSON, so nothing of it can be read; restore it from a copy"
        case _:
            return f"{show(value)} cannot be used; write another value{example}"


def _example(field: FieldInfo | None, path: KeyPath) -> str:
    """``, such as`` a value that would be right at the path; or what the field is, if it has no example."""
    if field is None:
        return ""
    if not field.examples:
        return f" ({field.description})"
    value = field.examples[0]
    return f", such as {show(value[0] if isinstance(value, list) and isinstance(path[-1], int) else value)}"


def _wrong_type(wanted: str, value: Any, example: str) -> str:
    """What was wanted, what is there, and how to mend it."""
    found = f"must be {wanted}, but {'is empty' if value is None else f'{show(value)} is {kind(value)}'}"
    if isinstance(value, str) and wanted.endswith("number") and _NUMBER.fullmatch(value):
        number = re.sub(r"[_,\s]", "", value)
        return f"{found}; write {number} {'with digits only' if number != value else 'without quotes'}"
    if wanted == "a whole number" and isinstance(value, float):
        return f"{found} with a fraction; write {round(value)}"
    if wanted == "true or false" and isinstance(value, (str, int)) and str(value).lower() in _SWITCHES:
        return f"{found}; write {_SWITCHES[str(value).lower()]}"
    if wanted == "text" and isinstance(value, (bool, int, float)):
        return f"{found}; put it in quotes"
    if wanted == "a list" and isinstance(value, (str, Mapping)):
        return f"{found}; write it in brackets: [{show(value, 40)}]"
    return f"{found}; write {wanted}{example}"


def _unknown_key(path: KeyPath, sections: Sections) -> str:
    """What may be meant by a key that no model has: a near one, or one of another section."""
    key = path[-1]
    allowed = list(sections[path[:-1]].model_fields)
    homes = [f"'{'.'.join((*section, key))}'" for section, model in sections.items() if key in model.model_fields]
    if homes:
        return f"unknown key here; did you mean {' or '.join(homes)}? (allowed: {', '.join(allowed)})"
    return f"unknown key; {suggest(key, allowed, 'remove it')}"


def _field(path: KeyPath, sections: Sections) -> FieldInfo | None:
    """The field at a path, or the one that contains it."""
    for end in range(len(path), 0, -1):
        model = sections.get(path[: end - 1])
        if model is not None and path[end - 1] in model.model_fields:
            return model.model_fields[path[end - 1]]
    return None
