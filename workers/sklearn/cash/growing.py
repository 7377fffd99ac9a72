"""Training an estimator by iterations, so that more of them continue from fewer."""

from typing import Any

import numpy as np

from bohb_service.workers.common.draws import derived_seed
from bohb_service.workers.common.progress import never

from .components import Iterations
from .lesson import Lesson
from .portions import MustLeave, fit_until, has_stopped

_PATIENCE = 10
"""Passes over the rows without progress after which a training ends."""

_LEAST_PROGRESS = 1e-4
"""Least decrease of the loss, and least change of the weights relative to the largest, that counts as progress."""


def grow(
    estimator: Any, iterations: Iterations, done: int, wanted: int, lesson: Lesson, *, must_leave: MustLeave = never
) -> int:
    """Train until the estimator has had this many iterations.

    Args:
        estimator: Unfitted if `done` is 0.
        iterations: How it is trained.
        done: Iterations that it has had.
        wanted: Iterations that it shall have had.
        lesson: What it learns.
        must_leave: Asked between two iterations, if it can go on from there.

    Returns:
        How many it has had: fewer than wanted if it had to leave, or had learned before what there is to learn.
    """
    if iterations.parameter is None:
        return _pass_by_pass(estimator, done, wanted, lesson, must_leave)
    if iterations.resumes:
        # One that stopped by itself would go on if it were asked for more, and differ from one that was asked at once.
        is_over = done and has_stopped(estimator)
        return done if is_over else fit_until(estimator, iterations.parameter, wanted, lesson, must_leave)
    estimator.set_params(**{iterations.parameter: wanted})
    lesson.teach(estimator)
    return wanted


def _pass_by_pass(estimator: Any, done: int, wanted: int, lesson: Lesson, must_leave: MustLeave) -> int:
    """Go over the rows once an iteration, each time in an order of its own."""
    arguments: dict[str, Any] = dict(lesson.arguments)
    if hasattr(estimator, "predict_proba") or hasattr(estimator, "decision_function"):
        arguments["classes"] = np.unique(lesson.target)
    for number in range(done, wanted):
        if _has_converged(estimator):
            return number
        estimator.set_params(random_state=derived_seed(lesson.seed, number))
        before = None if not hasattr(estimator, "coef_") else estimator.coef_.copy()
        estimator.partial_fit(lesson.features, lesson.target, **arguments)
        if hasattr(estimator, "coef_"):
            _note_change(estimator, before)
        if number + 1 < wanted and must_leave():
            return number + 1
    return wanted


def _note_change(estimator: Any, before: Any) -> None:
    """Count on the estimator for how many passes its weights have hardly changed."""
    largest = np.abs(estimator.coef_).max()
    moves = before is None or np.abs(estimator.coef_ - before).max() > _LEAST_PROGRESS * max(largest, 1e-300)
    estimator.still_passes_ = 0 if moves else getattr(estimator, "still_passes_", 0) + 1


def _has_converged(estimator: Any) -> bool:
    if hasattr(estimator, "loss_curve_"):
        curve = estimator.loss_curve_
        return len(curve) > _PATIENCE and min(curve[-_PATIENCE:]) > min(curve[:-_PATIENCE]) - _LEAST_PROGRESS
    return getattr(estimator, "still_passes_", 0) >= _PATIENCE
