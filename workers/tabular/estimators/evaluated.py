"""The models that the trials of a run have kept, and the ensemble of them.

A worker with the option ``keep: true`` leaves, in ``configurations/NUMBER/kept/BUDGET/`` of the run directory, the
predictions of each evaluation for the rows that it was judged on, and its model.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from bohb_service.errors import StudyError
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.results.rows import TrialResult
from bohb_service.results.run import Run, load_run
from bohb_service.scheduler.trial import TrialState
from bohb_service.workers.tabular.columns import FloatArray
from bohb_service.workers.tabular.ensemble import MOST_MODELS, Loss, select_ensemble
from bohb_service.workers.tabular.kept import count_evaluations, drop_evaluation, load_evaluation
from bohb_service.workers.tabular.saved import SavedModel


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What a trial has kept.

    Attributes:
        trial: The trial.
        prediction: For the rows judged on of all folds, one after the other.
        folder: Of its model.
    """

    trial: TrialResult
    prediction: FloatArray
    folder: Path


@dataclass(frozen=True, slots=True)
class Chosen:
    """A member of the ensemble.

    Attributes:
        trial: The trial that it comes from.
        weight: Above 0; those of all members have sum 1.
        model: What predicts: one model, or one for each fold.
    """

    trial: TrialResult
    weight: float
    model: SavedModel


def best_evaluated(run: Run, n_rows: int, most: int = MOST_MODELS) -> list[Evaluated]:
    """The completed trials of smallest loss that have kept what an ensemble needs, best first.

    Among equals those of larger budget come first. Trials that were judged on part of the rows are left out.

    Args:
        run: The run.
        n_rows: Number of rows judged on.
        most: How many to return at most.
    """
    configurations = RunDirectory(run.directory).configurations
    completed = [trial for trial in run.trials if trial.state is TrialState.COMPLETED and trial.loss is not None]
    found: list[Evaluated] = []
    for trial in sorted(completed, key=lambda trial: (trial.loss, -trial.budget)):
        if len(found) == most:
            break
        kept = load_evaluation(configurations / str(trial.configuration), trial.budget)
        if kept is not None and len(kept[0]) == n_rows:
            found.append(Evaluated(trial, *kept))
    return found


def prune(directory: Path, n_rows: int, most: int = MOST_MODELS) -> None:
    """Remove what completed trials have kept for nothing, if much has gathered: no ensemble would look at it.

    Does nothing while fewer than twice as many evaluations are kept as an ensemble looks at.

    Args:
        directory: Of the run, which may be going on.
        n_rows: Number of rows judged on.
        most: How many an ensemble looks at.
    """
    configurations = RunDirectory(directory).configurations
    if count_evaluations(configurations) < 2 * most:
        return
    run = load_run(directory)
    wanted = {entry.trial.trial for entry in best_evaluated(run, n_rows, most)}
    for trial in run.trials:
        if trial.state is TrialState.COMPLETED and trial.trial not in wanted:
            drop_evaluation(configurations / str(trial.configuration), trial.budget)


def choose(
    library: list[Evaluated],
    target: NDArray[Any],
    loss: Loss,
    load: Callable[[Path], SavedModel],
    *,
    size: int,
    seed: int,
) -> tuple[Chosen, ...]:
    """The members of the ensemble, heaviest first; see `select_ensemble`.

    A model that is damaged is left out, with a warning, and the others are chosen as if it had never been there.

    Args:
        library: The models to choose from.
        target: Of the rows judged on.
        loss: The metric's.
        load: Reads a model; only those of the members are read.
        size: Number of rounds.
        seed: Of the choice among equals.

    Returns:
        Nothing if there is no model, or none that is whole.
    """
    models: dict[Path, SavedModel] = {}
    while library:
        weights = select_ensemble([entry.prediction for entry in library], target, loss, size=size, seed=seed)
        members = [(entry, float(weight)) for entry, weight in zip(library, weights, strict=True) if weight > 0]
        damaged = set()
        for entry, _ in members:
            if entry.folder in models:
                continue
            try:
                models[entry.folder] = load(entry.folder)
            except StudyError as error:
                damaged.add(entry.folder)
                warnings.warn(f"trial {entry.trial.trial} is left out of the ensemble: {error}", stacklevel=3)
        if not damaged:
            chosen = [Chosen(entry.trial, weight, models[entry.folder]) for entry, weight in members]
            return tuple(sorted(chosen, key=lambda member: -member.weight))
        library = [entry for entry in library if entry.folder not in damaged]
    return ()
