"""What evaluations leave in the directory of their configuration: predictions of folds, and whole evaluations.

fold-K/prediction.bin      the fold's prediction, so that it is not computed again: when more folds are asked for, or
                           after a preemption
kept/BUDGET/               prediction.bin and model/, with the option `keep`
"""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from bohb_service.workers.common.checkpoint import Checkpoint, keep_checkpoint, load_checkpoint, save_checkpoint

from .columns import FloatArray
from .saved import Member, save_model
from .task import Task

_PREDICTION = "prediction.bin"
_KEPT = "kept"
_MODEL = "model"
_ANY = "kept evaluation"


def keep_fold(folder: Path, mark: str, prediction: FloatArray) -> dict[str, Any]:
    """Keep the prediction of a fold, if that is possible.

    Args:
        folder: Of configuration and fold.
        mark: Of the training.
        prediction: For the rows of the fold that are judged on.

    Returns:
        What there is to tell of it, as `keep_checkpoint`.
    """
    return keep_checkpoint(folder / _PREDICTION, mark, Checkpoint(np.zeros(1), {"prediction": prediction}))


def load_fold(folder: Path, mark: str) -> FloatArray | None:
    """The prediction that was kept for the same training, or None.

    Args:
        folder: Of configuration and fold.
        mark: Of the training.
    """
    kept = load_checkpoint(folder / _PREDICTION, mark, 1)
    return None if kept is None else kept.arrays["prediction"]


def save_evaluation(
    directory: Path,
    budget: float,
    *,
    predictions: Sequence[FloatArray],
    task: Task,
    members: Sequence[Member],
    facts: Mapping[str, Any],
) -> None:
    """Keep an evaluation for an ensemble.

    Args:
        directory: Of the configuration.
        budget: Of the evaluation.
        predictions: For the rows judged on, of each fold in order.
        task: What is predicted.
        members: The trained models of the folds.
        facts: As for `save_model`.

    Raises:
        OSError: A file cannot be written.
    """
    folder = _folder(directory, budget)
    save_model(folder / _MODEL, task, members, facts)
    # Last: where there is a prediction, there is a model.
    save_checkpoint(folder / _PREDICTION, _ANY, Checkpoint(np.zeros(1), {"prediction": np.concatenate(predictions)}))


def load_evaluation(directory: Path, budget: float) -> tuple[FloatArray, Path] | None:
    """Prediction, for the rows judged on of all folds one after the other, and folder of the model; None if not kept.

    Args:
        directory: Of the configuration.
        budget: Of the evaluation.
    """
    folder = _folder(directory, budget)
    kept = load_checkpoint(folder / _PREDICTION, _ANY, 1)
    return None if kept is None else (kept.arrays["prediction"], folder / _MODEL)


def count_evaluations(configurations: Path) -> int:
    """How many evaluations are kept, those that are just being written included.

    Args:
        configurations: The directory that has one for each configuration.
    """
    return sum(1 for _ in configurations.glob(f"*/{_KEPT}/*/{_MODEL}"))


def drop_evaluation(directory: Path, budget: float) -> None:
    """Remove what was kept of an evaluation, if there is anything.

    Args:
        directory: Of the configuration.
        budget: Of the evaluation.
    """
    folder = _folder(directory, budget)
    with suppress(IsADirectoryError):
        (folder / _PREDICTION).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _folder(directory: Path, budget: float) -> Path:
    return directory / _KEPT / f"{budget:.12g}"
