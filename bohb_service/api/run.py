"""A whole study in one call, from a script or a notebook."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bohb_service.api.study_run import StudyRun
from bohb_service.errors import StudyError
from bohb_service.results.run import Run
from bohb_service.study import parse_study
from bohb_service.worker.base import Worker

_WAIT_S = 0.25


def run(
    worker: type[Worker] | str,
    *,
    fidelity: Mapping[str, Any],
    name: str | None = None,
    run_dir: Path | str | None = None,
    workers: int = 1,
    **settings: Any,
) -> Run:
    """The results of a study, run to its end with local worker processes.

    The same call again returns the finished results at once, or goes on with what was interrupted.

    Args:
        worker: A `Worker` subclass, or what a study file would name. A class must be importable by other
            processes: defined in a module or a script, not in a notebook cell.
        fidelity: As in a study file, e.g. ``{"name": "epochs", "min": 1, "max": 27}``.
        name: Name of the study; the class's name by default.
        run_dir: Where the run is stored; ``runs/NAME`` by default.
        workers: Number of worker processes, at least 1.
        **settings: Everything else of a study file: ``space``, ``method``, ``stop``, ``seed``, ...

    Returns:
        The run; ``run(...).incumbent`` is the best trial.

    Raises:
        StudyError: An argument is wrong, or the class cannot be imported by other processes.
        JournalError: The run directory cannot be used.
    """
    if workers < 1:
        raise StudyError(f"workers: must be at least 1, not {workers}")
    spec = worker if isinstance(worker, str) else _spec_of(worker)
    title = name or (worker.rpartition(":")[2] if isinstance(worker, str) else worker.__name__)
    data = {"name": title, "worker": spec, "fidelity": dict(fidelity), **settings}
    study = parse_study(data, base=Path.cwd(), source="run()")
    directory = Path(run_dir) if run_dir is not None else Path("runs") / study.name
    with StudyRun(study, directory, workers=workers) as study_run:
        while not study_run.wait(_WAIT_S):
            pass
    return study_run.results()


def _spec_of(worker: type[Worker]) -> str:
    """How another process can import a class."""
    if worker.__qualname__ != worker.__name__:
        raise StudyError(
            f"worker {worker.__qualname__} is defined inside a function or class; move it to the top of a module"
        )
    if worker.__module__ != "__main__":
        return f"{worker.__module__}:{worker.__name__}"
    try:
        file = Path(inspect.getfile(worker)).resolve(strict=True)
    except (TypeError, OSError) as error:
        raise StudyError(
            f"worker {worker.__name__} is defined where other processes cannot import it; put it into a .py file"
        ) from error
    return f"{file}:{worker.__name__}"
