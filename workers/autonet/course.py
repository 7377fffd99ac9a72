"""The course of one training: prepare, continue from the checkpoint, learn until the budget is spent, keep all."""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from bohb_service.workers.common.checkpoint import Checkpoint, keep_checkpoint, load_checkpoint
from bohb_service.workers.common.draws import derived_seed
from bohb_service.workers.common.progress import Preempted, Progress, never
from bohb_service.workers.common.surroundings import torch_threads
from bohb_service.workers.common.unfinished import leave
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

_LONG_S = 2.0
"""An epoch of more seconds is not waited for when a training has to end early."""


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
    progress: Progress,
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
        progress: Asked between epochs, and in those that are long; told how much was taken over.

    Raises:
        StudyError: The budget is not one of the fidelity, or the device is missing.
        FloatingPointError: The training diverged.
        Preempted: It had to end early; the epochs that are done are in the checkpoint.
    """
    allowance = Allowance.of(effort, options.horizon)
    with torch_threads(options.threads, "sklearn.linear_model"):
        preparation, objective, training = _begin(parameters, fold, options, seed)
        resumed = _resume(training, allowance, load_checkpoint(path, mark, allowance.epochs))
        progress.took_over(*allowance.share(resumed))
        judge = Batch.of(preparation.transform(fold.judge.features), training.device)
        seconds_before = allowance.spent
        # Of the first one nobody knows how long it takes; what it would go back to is in the checkpoint already.
        epoch_s = math.inf
        while allowance.has_room(training.epochs) and not training.is_over:
            if training.epochs > resumed and progress.must_leave():
                leave(path, mark, _checkpoint(training, allowance))
            is_long = epoch_s > _LONG_S
            before = _checkpoint(training, allowance) if is_long and training.epochs > resumed else None
            began = time.perf_counter()
            is_done = training.train_epoch(progress.must_leave if is_long else never)
            if before is not None and not is_done:
                leave(path, mark, before)
            if not is_done:
                raise Preempted(f"the machine is to be taken away in epoch {training.epochs + 1}")
            epoch_s = time.perf_counter() - began
            allowance.spent += epoch_s
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
            info |= keep_checkpoint(path, mark, _checkpoint(training, allowance))
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


def _checkpoint(training: Training, allowance: Allowance) -> Checkpoint:
    """The training as it is now."""
    return Checkpoint(np.array(training.losses), {**training.state(), "spent": np.asarray(allowance.spent)})


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
