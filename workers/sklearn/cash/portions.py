"""Fits estimators that scikit-learn can warm-start, which may have to leave between two iterations."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .lesson import Lesson

_PORTION_S = 0.5
"""Seconds of training between two questions to a forest, about."""

_FIRST_TREES, _MOST_GROWTH = 8, 8

_STEPS_OF_LOSS = ("gradient", "gradient_hessian")
"""With one of these each iteration of hist gradient boosting begins."""

MustLeave = Callable[[], bool]
"""Whether to end now; asked only while there is something left to do."""


class _LeavingError(Exception):
    """Ends a fit from inside."""


def fit_until(estimator: Any, parameter: str, wanted: int, lesson: Lesson, must_leave: MustLeave) -> int:
    """Train until the estimator has had this many iterations; where it leaves off, another call goes on.

    Args:
        estimator: Unfitted, or fitted by an earlier call.
        parameter: Its constructor argument with the number of iterations.
        wanted: Iterations that it shall have had.
        lesson: What it learns.
        must_leave: Asked between two iterations.

    Returns:
        How many it has had.
    """
    from sklearn.ensemble import (
        GradientBoostingClassifier,
        GradientBoostingRegressor,
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
    )

    estimator.set_params(warm_start=True)
    if isinstance(estimator, HistGradientBoostingClassifier | HistGradientBoostingRegressor):
        estimator.set_params(**{parameter: wanted})
        return _histograms(estimator, lesson, must_leave)
    if isinstance(estimator, GradientBoostingClassifier | GradientBoostingRegressor):
        estimator.set_params(**{parameter: wanted})
        lesson.teach(estimator, monitor=lambda number, *_: number + 1 < wanted and must_leave())
        return len(estimator.estimators_)
    return _forest(estimator, parameter, wanted, lesson, must_leave)


def has_stopped(estimator: Any) -> bool:
    """Whether an estimator has stopped by itself: it would go on if it were asked for more.

    Args:
        estimator: Fitted.
    """
    if not getattr(estimator, "do_early_stopping_", False):
        return False
    return bool(estimator._should_stop(list(estimator.validation_score_)))  # noqa: SLF001 (it has no public name)


def _forest(estimator: Any, parameter: str, wanted: int, lesson: Lesson, must_leave: MustLeave) -> int:
    """In portions: to fit again costs a forest hardly anything."""
    first = done = len(getattr(estimator, "estimators_", ()))
    size, began = _FIRST_TREES, time.monotonic()
    while done < wanted and not (done > first and must_leave()):
        done = min(wanted, done + size)
        estimator.set_params(**{parameter: done})
        lesson.teach(estimator)
        trees_a_second = (done - first) / max(time.monotonic() - began, 1e-9)
        size = max(1, min(int(_PORTION_S * trees_a_second), _MOST_GROWTH * size))
    return done


def _histograms(estimator: Any, lesson: Lesson, must_leave: MustLeave) -> int:
    """In one go, out of which the loss leads: to fit again would cost a quarter of all the time before it."""
    get_loss, losses, n_begun = estimator._get_loss, [], 0  # noqa: SLF001 (there is no public way in)

    def asking(step: Callable[..., Any]) -> Callable[..., Any]:
        def ask_first(*arguments: Any, **named: Any) -> Any:
            nonlocal n_begun
            if n_begun and must_leave():
                raise _LeavingError
            n_begun += 1
            return step(*arguments, **named)

        return ask_first

    def get_asking_loss(sample_weight: Any) -> Any:
        loss = get_loss(sample_weight)
        losses.append(loss)
        for name in _STEPS_OF_LOSS:
            setattr(loss, name, asking(getattr(loss, name)))
        return loss

    estimator._get_loss = get_asking_loss  # noqa: SLF001
    try:
        lesson.teach(estimator)
    except _LeavingError:
        # What is left for `fit` to do after its last iteration.
        estimator.train_score_ = np.asarray(estimator.train_score_)
        estimator.validation_score_ = np.asarray(estimator.validation_score_)
        del estimator._in_fit  # noqa: SLF001
    finally:
        del estimator._get_loss  # noqa: SLF001
        for loss in losses:
            for name in _STEPS_OF_LOSS:
                delattr(loss, name)
    return int(estimator.n_iter_)
