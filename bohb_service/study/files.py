"""Makes a study self-contained: relative paths become absolute, a space file becomes its content."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bohb_service.study.document import SPACE_SUFFIXES, read_document
from bohb_service.study.plain import to_plain
from bohb_service.study.problems import Problem, kind, show, show_file
from bohb_service.study.worker_name import split_worker


def resolve_files(data: Mapping[str, Any], base: Path) -> tuple[dict[str, Any], list[Problem]]:
    """The content of a study file without relative paths, and the files that are missing or unreadable.

    Args:
        data: Plain content of the file; values of a wrong type are passed through.
        base: Directory to which its paths are relative.
    """
    resolved = dict(data)
    problems: list[Problem] = []
    if isinstance(data.get("worker"), str):
        resolved["worker"] = _worker(data["worker"], base, problems)
    if isinstance(data.get("space"), str):
        resolved["space"] = _space(data["space"], base, problems)
    if isinstance(data.get("warm_start"), list):
        resolved["warm_start"] = _warm_start(data["warm_start"], base, problems)
    if isinstance(data.get("fleet"), dict):
        resolved["fleet"] = _fleet(data["fleet"], base)
    return resolved, problems


def _worker(text: str, base: Path, problems: list[Problem]) -> str:
    try:
        name = split_worker(text)
    except ValueError:
        return text
    if not name.is_file:
        return text
    file = _absolute(base, name.target)
    if not _exists(file, directory=False):
        problems.append(Problem(("worker",), f"the file {show_file(file)} does not exist; check the path"))
    return f"{file}:{name.class_name}"


def _space(text: str, base: Path, problems: list[Problem]) -> dict[str, Any] | None:
    if not text.endswith(SPACE_SUFFIXES):
        told = (
            "is text, but no path of a .json or .yaml file; write such a path, a mapping, or null for the worker's own"
        )
        problems.append(Problem(("space",), f"{show(text)} {told}"))
        return None
    file = _absolute(base, text)
    if not _exists(file, directory=False):
        problems.append(Problem(("space",), f"the file {show_file(file)} does not exist; check the path"))
        return None
    document = read_document(file, SPACE_SUFFIXES)
    value, faults = to_plain(document.value)
    found = [*document.problems, *faults]
    if not found and not isinstance(value, dict):
        found = [Problem((), f"must hold a mapping, but the file holds {kind(value)}; write a ConfigSpace file", 1)]
    problems.extend(
        Problem(fault.path, fault.text, fault.line or document.lines.get(fault.path), str(file)) for fault in found
    )
    return value if isinstance(value, dict) else None


def _warm_start(items: list[Any], base: Path, problems: list[Problem]) -> list[Any]:
    result: list[Any] = []
    for index, item in enumerate(items):
        if not isinstance(item, str):
            result.append(item)
            continue
        directory = str(_absolute(base, item))
        if not item or not _exists(Path(directory), directory=True):
            told = (
                f"the run directory {show_file(Path(directory)) if item else show(item)} does not exist; check the path"
            )
            problems.append(Problem(("warm_start", index), told))
        elif directory in result:
            problems.append(
                Problem(("warm_start", index), f"{show_file(Path(directory))} is given twice; remove one of them")
            )
        result.append(directory)
    return result


def _fleet(section: dict[str, Any], base: Path) -> dict[str, Any]:
    result = dict(section)
    for name, key in (("slurm", "folder"), ("dask", "scheduler_file")):
        part = section.get(name)
        if isinstance(part, dict) and isinstance(part.get(key), str):
            result[name] = {**part, key: str(_absolute(base, part[key]))}
    return result


def _absolute(base: Path, text: str) -> Path:
    try:
        return (base / text).resolve()
    except (OSError, ValueError):
        return base / text


def _exists(path: Path, *, directory: bool) -> bool:
    try:
        return path.is_dir() if directory else path.is_file()
    except (OSError, ValueError):
        return False
