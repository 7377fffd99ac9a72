"""From a file, or a mapping, to a study, or to one error that lists every mistake."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bohb_service.study.document import STUDY_SUFFIXES, read_document
from bohb_service.study.effect import without_effect
from bohb_service.study.files import resolve_files
from bohb_service.study.model import SECTIONS, Study
from bohb_service.study.plain import to_plain
from bohb_service.study.problems import KeyPath, Problem, kind, study_error
from bohb_service.study.wording import explain

_NULL_IS_DEFAULT = ("worker_options", "method", "stop", "limits", "needs", "initial", "warm_start")


def load_study(path: Path) -> Study:
    """The study in a file.

    Args:
        path: A ``.yaml``, ``.yml`` or ``.toml`` file.

    Raises:
        StudyError: Anything is wrong with the file or its content; every mistake has its line.
    """
    document = read_document(path, STUDY_SUFFIXES)
    source = str(path)
    if document.value is None and document.problems:
        raise study_error(document.problems, source)
    if document.value is None:
        raise study_error([Problem((), "the file is empty; a study needs name, worker and fidelity")], source)
    if not isinstance(document.value, dict):
        told = f"must be a mapping of keys, but the file holds {kind(document.value)}; write 'name: ...' and so on"
        raise study_error([*document.problems, Problem((), told, document.lines.get(()))], source)
    problems = list(document.problems)
    study, found = _build(document.value, path.absolute().parent)
    problems += [_locate(problem, document.lines) for problem in _news(found, problems)]
    return _result(study, problems, source)


def parse_study(data: Mapping[str, Any], *, base: Path, source: str) -> Study:
    """The study that a mapping describes.

    Args:
        data: What a study file would hold.
        base: Directory to which its paths are relative.
        source: Where the mapping is from, for messages.

    Raises:
        StudyError: Anything is wrong with it.
    """
    study, problems = _build(data, base)
    return _result(study, problems, source)


def _build(data: Mapping[str, Any], base: Path) -> tuple[Study | None, list[Problem]]:
    """The study, if it is one, and all that is wrong with it."""
    plain, problems = to_plain(_without_empty_sections(data))
    resolved, missing = resolve_files(plain, base)
    problems += missing
    try:
        study = Study.model_validate(resolved)
    except ValidationError as error:
        return None, problems + _news(explain(error, SECTIONS), problems)
    return study, [*problems, *without_effect(study)]


def _result(study: Study | None, problems: list[Problem], source: str) -> Study:
    if problems or study is None:
        raise study_error(problems, source)
    return study


def _news(later: list[Problem], earlier: list[Problem]) -> list[Problem]:
    """Those later problems that do not follow from an earlier one at the same place or around it."""
    lost = {problem.path for problem in earlier if problem.path and problem.hides and problem.source is None}

    def follows(problem: Problem) -> bool:
        return problem.source is None and any(problem.path[:end] in lost for end in range(1, len(problem.path) + 1))

    return [problem for problem in later if not follows(problem)]


def _without_empty_sections(data: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which a section whose lines are all commented out is as if it were absent."""
    return {key: value for key, value in data.items() if value is not None or key not in _NULL_IS_DEFAULT}


def _locate(problem: Problem, lines: Mapping[KeyPath, int]) -> Problem:
    """The problem with the line of its key, or of the nearest key around it."""
    if problem.source is not None:
        return problem
    for end in range(len(problem.path), 0, -1):
        if problem.path[:end] in lines:
            return Problem(problem.path, problem.text, lines[problem.path[:end]])
    return problem
