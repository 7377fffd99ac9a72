"""Losses of predictions, all to be minimised."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .columns import FloatArray
from .task import Kind

_SMALLEST = 1e-15


@dataclass(frozen=True, slots=True)
class Metric:
    """A loss.

    Attributes:
        name: What a study file says.
        kind: The kind of task that it is for.
        loss: Of targets, shape ``(n,)``, and predictions: probabilities of the classes, shape ``(n, classes)``; or
            values, shape ``(n,)``, or these and their variances, shape ``(n, 2)``. Smaller is better.
        needs_variance: Whether predictions must have variances.
    """

    name: str
    kind: Kind
    loss: Callable[[NDArray[Any], FloatArray], float]
    needs_variance: bool = False


def _error(target: NDArray[Any], prediction: FloatArray) -> float:
    """Share of rows whose likeliest class is wrong, in [0, 1]."""
    return float(np.mean(prediction.argmax(axis=1) != target))


def _balanced_error(target: NDArray[Any], prediction: FloatArray) -> float:
    """Mean over the classes that occur of the share of their rows that is wrong, in [0, 1]."""
    is_wrong = prediction.argmax(axis=1) != target
    counts = np.bincount(target, minlength=prediction.shape[1])
    wrong = np.bincount(target, weights=is_wrong, minlength=prediction.shape[1])
    occurs = counts > 0
    return float(np.mean(wrong[occurs] / counts[occurs]))


def _log_loss(target: NDArray[Any], prediction: FloatArray) -> float:
    """Mean negative log likelihood in nats; probabilities of 0 count as 1e-15."""
    return float(-np.mean(np.log(np.maximum(prediction[np.arange(len(target)), target], _SMALLEST))))


def _auc(target: NDArray[Any], prediction: FloatArray) -> float:
    """One minus the area under the ROC curve, in [0, 1]; the mean over the classes, each against the rest."""
    from sklearn.metrics import roc_auc_score

    classes = [1] if prediction.shape[1] == 2 else [c for c in np.unique(target) if not np.all(target == c)]
    if len(np.unique(target)) < 2:
        raise ValueError("the area under the curve needs rows of two classes, and there is only one to judge on")
    return 1.0 - float(np.mean([roc_auc_score(target == c, prediction[:, c]) for c in classes]))


def _mse(target: NDArray[Any], prediction: FloatArray) -> float:
    """Mean squared error."""
    return float(np.mean((_values(prediction) - target) ** 2))


def _rmse(target: NDArray[Any], prediction: FloatArray) -> float:
    """Root of the mean squared error, in units of the target."""
    return float(np.sqrt(_mse(target, prediction)))


def _mae(target: NDArray[Any], prediction: FloatArray) -> float:
    """Mean absolute error, in units of the target."""
    return float(np.mean(np.abs(_values(prediction) - target)))


def _r2(target: NDArray[Any], prediction: FloatArray) -> float:
    """One minus the coefficient of determination: squared error over that of the mean."""
    variance = float(np.var(target))
    return _mse(target, prediction) / (variance if variance > 0 else 1.0)


def _nll(target: NDArray[Any], prediction: FloatArray) -> float:
    """Mean negative log likelihood in nats, of normal distributions with the predicted means and variances."""
    mean, variance = prediction[:, 0], prediction[:, 1]
    return float(0.5 * np.mean(np.log(2 * np.pi * variance) + (target - mean) ** 2 / variance))


def _values(prediction: FloatArray) -> FloatArray:
    """The values of a prediction, with variances or without."""
    return prediction[:, 0] if prediction.ndim == 2 else prediction


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("error", "classification", _error),
        Metric("balanced_error", "classification", _balanced_error),
        Metric("log_loss", "classification", _log_loss),
        Metric("auc", "classification", _auc),
        Metric("rmse", "regression", _rmse),
        Metric("mse", "regression", _mse),
        Metric("mae", "regression", _mae),
        Metric("r2", "regression", _r2),
        Metric("nll", "regression", _nll, needs_variance=True),
    )
}

DEFAULT_METRIC: dict[Kind, str] = {"classification": "error", "regression": "rmse"}
