"""A study with local worker processes and a deadline."""

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bohb_service.api.study_run import StudyRun
from bohb_service.fleet.local import find_local_workers
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.results.run import Run
from bohb_service.space.serial import load_space
from bohb_service.study import Study, parse_study
from bohb_service.worker.describe import Description

_WAIT_S = 0.25
_GRACE_S = 1.0
_CLEAN_LOOKS = 2
_PAUSE_S = 0.05
_TIDY_SHARE = 0.02
"""Of the time, at most, so that a large run directory does not keep a core busy."""


@dataclass(frozen=True, slots=True)
class Budgets:
    """The usual budgets of a fidelity.

    Attributes:
        min: Smallest budget of an evaluation.
        max: Largest budget.
        integer: Whether budgets are whole numbers.
    """

    min: float
    max: float
    integer: bool = False

    def within(self, low: float | None, high: float | None) -> "Budgets":
        """With other bounds, where they are given.

        Args:
            low: Smallest budget.
            high: Largest budget.
        """
        top = self.max if high is None else high
        return Budgets(min(self.min, top) if low is None else low, top, self.integer)


COMMON_BUDGETS: Mapping[str, Budgets] = {"subsample": Budgets(100 / 9, 100), "folds": Budgets(1, 5, integer=True)}
"""Of the fidelities that all targets have."""


def study_of(
    name: str,
    worker: str,
    options: Mapping[str, Any],
    description: Description,
    *,
    budgets: Budgets,
    seed: int,
    seconds: float,
    evaluations: int | None,
    evaluation_seconds: float,
    memory_mb: int | None,
) -> Study:
    """The study of a `fit`: BOHB, beginning with the default configuration and those that the worker recommends.

    Args:
        name: Of the study.
        worker: As a study file names it.
        options: Of the worker.
        description: What the worker class says of itself; it has a space of its own.
        budgets: Of an evaluation.
        seed: Of all random numbers.
        seconds: Time to search.
        evaluations: Evaluations to start, or None.
        evaluation_seconds: Time limit of one evaluation.
        memory_mb: Memory limit of one evaluation, or None.

    Raises:
        StudyError: A value is wrong.
    """
    assert description.space is not None
    default = dict(load_space(description.space).get_default_configuration())
    stop = {"seconds": seconds, **({} if evaluations is None else {"evaluations": int(evaluations)})}
    data = {
        "name": name,
        "worker": worker,
        "worker_options": dict(options),
        "fidelity": {"min": budgets.min, "max": budgets.max, "integer": budgets.integer},
        "stop": stop,
        "seed": seed,
        "limits": {
            "seconds": evaluation_seconds,
            **({} if memory_mb is None else {"memory_mb": int(memory_mb)}),
        },
        "initial": [default],
        "portfolio": bool(description.recommended),
        "refit": False,
    }
    return parse_study(data, base=Path.cwd(), source=name)


def search(
    study: Study,
    directory: Path,
    description: Description,
    *,
    workers: int,
    deadline: float,
    tidy: Callable[[], None],
) -> Run:
    """The results of a study that is run until it ends, or the time is over.

    Whatever happens, also on an interrupt, no worker process is left when this returns or raises. Needs no main thread
    and installs no signal handler.

    Args:
        study: The study; ``stop.seconds`` is its own affair, and should come before the deadline.
        directory: Its run directory.
        description: What its worker class says of itself.
        workers: Number of processes.
        deadline: By `time.monotonic`; what still runs a moment later is given up.
        tidy: Called again and again meanwhile, the less often the longer it takes.

    Raises:
        BohbError: As `StudyRun` does.
    """
    try:
        with StudyRun(study, directory, workers=workers, description=description) as run:
            next_tidy = 0.0
            while not run.wait(_WAIT_S):
                began = time.monotonic()
                if began >= next_tidy:
                    tidy()
                    next_tidy = began + (time.monotonic() - began) / _TIDY_SHARE
                if time.monotonic() > deadline + _GRACE_S:
                    run.abort()
    except BaseException:
        # An interrupt may come while the run is being put together or taken apart.
        _end_workers(RunDirectory(directory))
        raise
    return run.results()


def _end_workers(directory: RunDirectory) -> None:
    """Kill the local workers of a run; looks until two looks in a row have found none.

    One that is just being started has for a moment no command line by which it could be known.
    """
    clean_looks = 0
    while clean_looks < _CLEAN_LOOKS:
        processes = [worker.process for worker in find_local_workers(directory)]
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(processes, timeout=_GRACE_S)
        clean_looks = 0 if processes else clean_looks + 1
        time.sleep(_PAUSE_S)
