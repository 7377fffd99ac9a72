"""Reads a file into plain values and tells where each of them stands. Knows no study."""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bohb_service.study.problems import KeyPath, Problem, show
from bohb_service.study.yaml_reader import YamlError, read_yaml

STUDY_SUFFIXES = (".yaml", ".yml", ".toml")
SPACE_SUFFIXES = (".json", ".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Document:
    """What a file holds.

    Attributes:
        value: Its content; None if nothing could be read.
        lines: Line of each key and list item by its path, from 1; empty if the format does not tell.
        problems: Mistakes that concern the format.
    """

    value: Any = None
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def read_document(path: Path, suffixes: tuple[str, ...]) -> Document:
    """Content of a file, or a document that says why it has none.

    Args:
        path: The file.
        suffixes: Endings that are allowed; they tell the format.
    """
    text = _read_text(path, suffixes)
    if isinstance(text, Problem):
        return Document(problems=(text,))
    try:
        if path.suffix == ".json":
            return _read_json(text)
        if path.suffix == ".toml":
            return Document(tomllib.loads(text))
        value, lines, problems = read_yaml(text)
        return Document(value, lines, tuple(problems))
    except YamlError as error:
        problem = Problem((), error.text, error.line)
    except json.JSONDecodeError as error:
        problem = Problem((), f"not valid JSON: {error.msg}; check commas, quotes and brackets", error.lineno)
    except tomllib.TOMLDecodeError as error:
        problem = _toml_problem(str(error), text)
    except RecursionError:
        problem = Problem((), "nested too deeply; write fewer levels of lists and mappings")
    except ValueError:
        problem = Problem((), "a number of too many digits; write a shorter one")
    return Document(problems=(problem,))


def _read_text(path: Path, suffixes: tuple[str, ...]) -> str | Problem:
    """The text of a file, or why it has none."""
    try:
        if path.is_dir():
            return Problem((), "is a directory; give the path of a file")
        if path.suffix not in suffixes:
            if not path.exists():
                return Problem((), "does not exist; check the path")
            ending = f"ends in {show(path.suffix)}" if path.suffix else "has no ending"
            return Problem((), f"the file name {ending}; it must end in {', '.join(suffixes[:-1])} or {suffixes[-1]}")
        raw = path.read_bytes()
    except FileNotFoundError:
        return Problem((), "does not exist; check the path")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the path has a null character"
        return Problem((), f"cannot be read ({reason}); check the path and its permissions")
    if b"\0" in raw:
        return Problem((), "is not a text file (it has null bytes); give a text file in UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return Problem((), f"is not UTF-8 text (byte 0x{raw[error.start]:02x}); save it as UTF-8", line)


def _read_json(text: str) -> Document:
    """Content of a JSON text; equal keys are problems."""
    problems: list[Problem] = []

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = sorted({key for key in keys if keys.count(key) > 1})
            problems.extend(Problem((), f"the key {show(key)} is given twice; remove one of them") for key in twice)
        return result

    value = json.loads(text, object_pairs_hook=mapping)
    return Document(value, problems=tuple(problems))


def _toml_problem(message: str, text: str) -> Problem:
    """What the TOML parser says, with its line apart."""
    found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    what = message[: found.start()] if found else message
    line = int(found[1]) if found and found[1] else text.rstrip().count("\n") + 1 if found else None
    what = " ".join(what.split())
    return Problem((), f"not valid TOML: {what}; TOML needs 'key = value', with text in quotes", line)
