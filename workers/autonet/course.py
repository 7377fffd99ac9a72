"""The course of one training: prepare, continue from the checkpoint, learn until the budget is spent, keep all."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from bohb_service.workers.common.checkpoint import Checkpoint, keep_checkpoint, load_checkpoint
from bohb_service.workers.common.draws import derived_seed
from bohb_service.workers.common.surroundings import torch_threads
from bohb_service.workers.tabular.rows import Fold, Rows
from bohb_service.workers.tabular.worker import Effort, Report

from .allowance import Allowance
from .hyperparameters import Hyperparameters
from .machine import find_device
from .model import TrainedNetwork
from .objective import Objective
from .options import NetworkOptions
from .preparation import Preparation, fit_preparation
from .stopping import set_aside
from .training import Batch, Training, Watch

_PREPARATION, _SET_ASIDE = 10, 11
"""Purposes of random numbers, the first element of the spawn key."""


def train_network(
    parameters: Hyperparameters,
    effort: Effort,
    fold: Fold,
    *,
    options: NetworkOptions,
    seed: int,
    path: Path,
    mark: str,
    report: Report,
) -> TrainedNetwork:
    """The network of a fold.

    Args:
        parameters: Of network and training.
        effort: Epochs or seconds in total.
        fold: What it learns from; its judging rows are predicted for the learning curve, and their targets not used.
        options: Horizon, early stopping, device, threads.
        seed: Of all that is random.
        path: The checkpoint.
        mark: Of the checkpoint.
        report: Gets the prediction after each epoch that is trained now.

    Raises:
        StudyError: The budget is not one of the fidelity, or the device is missing.
        FloatingPointError: The training diverged.
    """
    allowance = Allowance.of(effort, options.horizon)
    with torch_threads(options.threads, "sklearn.linear_model"):
        preparation, objective, training = _begin(parameters, fold, options, seed)
        resumed = _resume(training, allowance, load_checkpoint(path, mark, allowance.epochs))
        judge = Batch.of(preparation.transform(fold.judge.features), training.device)
        seconds_before = allowance.spent
        while allowance.has_room(training.epochs) and not training.is_over:
            began = time.perf_counter()
            training.train_epoch()
            allowance.spent += time.perf_counter() - began
            if len(fold.judge):
                report(training.epochs, training.predict(judge))
        info: dict[str, Any] = {
            "epochs_trained": training.epochs - resumed,
            "epochs_resumed": resumed,
            "n_weights": training.n_weights,
            "train_s": allowance.spent - seconds_before,
            "device": str(training.device),
        }
        if training.is_over:
            info["stopped_early"] = True
        if training.epochs > resumed:
            arrays = {**training.state(), "spent": np.asarray(allowance.spent)}
            info |= keep_checkpoint(path, mark, Checkpoint(np.asarray(training.losses), arrays))
        return TrainedNetwork(parameters, preparation, objective, training.final_weights(), info)


def _begin(
    parameters: Hyperparameters, fold: Fold, options: NetworkOptions, seed: int
) -> tuple[Preparation, Objective, Training]:
    """A training before its first epoch."""
    is_classification = fold.task.is_classification
    device = find_device(options.device)
    parts = None
    if options.early_stopping:
        parts = set_aside(fold.train, derived_seed(seed, _SET_ASIDE))
    learned, watched = parts or (fold.train, None)
    n_levels = [None if column.levels is None else len(column.levels) for column in fold.encoder.columns]
    preparation = fit_preparation(
        parameters, learned, n_levels, derived_seed(seed, _PREPARATION), is_classification=is_classification
    )
    objective = Objective.of(learned.target, fold.task.n_outputs, is_classification=is_classification)

    def batch(rows: Rows) -> Batch:
        return Batch.of(preparation.transform(rows.features), device)

    watch = None
    if watched is not None:
        watch = Watch(batch(watched), objective.encode(watched.target).to(device), options.early_stopping)
    training = Training(
        parameters,
        preparation,
        objective,
        batch(learned),
        learned.target,
        seed=seed,
        horizon=options.horizon,
        watch=watch,
    )
    return preparation, objective, training


def _resume(training: Training, allowance: Allowance, checkpoint: Checkpoint | None) -> int:
    """Put the training where the checkpoint is, if it is not beyond what is allowed; return its epochs."""
    if checkpoint is None:
        return 0
    spent = float(checkpoint.arrays["spent"])
    if spent > allowance.seconds:
        return 0
    training.restore(checkpoint.arrays, checkpoint.curve.tolist())
    allowance.spent = spent
    return training.epochs
