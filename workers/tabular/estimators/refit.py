"""Training a member of the ensemble on all rows."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bohb_service.worker.base import EvaluationContext
from bohb_service.worker.loader import load_worker
from bohb_service.workers.common.draws import derived_seed
from bohb_service.workers.tabular.saved import SavedModel

from .evaluated import Chosen

_MODEL = "model"


def refitted(
    member: Chosen,
    worker: str,
    options: Mapping[str, Any],
    directory: Path,
    load: Callable[[Path], SavedModel],
    *,
    seed: int,
) -> Chosen:
    """The member with a model that learned from all rows, by its worker's `refit`, in this process.

    Args:
        member: A member of an ensemble.
        worker: As a study file names it.
        options: Of the worker; no row is kept for a test.
        directory: For the files of the training.
        load: Reads the model.
        seed: Of the training; each configuration gets its own.

    Raises:
        StudyError: The rows do not fit the worker.
    """
    trial = member.trial
    folder = directory / trial.trial
    folder.mkdir()
    own = derived_seed(seed, trial.configuration)
    instance = load_worker(worker)(**{**options, "model": str(folder / _MODEL)})
    instance.setup()
    try:
        told = instance.refit(
            trial.config,
            trial.budget,
            EvaluationContext(trial.trial, trial.configuration, trial.budget, None, own, folder),
        )
    finally:
        instance.teardown()
    return replace(member, model=load(Path(told["model"])))
