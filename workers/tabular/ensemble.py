"""Ensemble selection: which evaluated models are averaged, with which weights."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .columns import FloatArray

Loss = Callable[[NDArray[Any], FloatArray], float]
"""Of targets and predictions, to be minimised; see `Metric`."""

MOST_MODELS = 50
"""Size of the library: only so many of the best models are looked at."""


def select_ensemble(
    predictions: Sequence[FloatArray],
    target: NDArray[Any],
    loss: Loss,
    *,
    size: int,
    seed: int,
    most: int = MOST_MODELS,
) -> FloatArray:
    """Weights of the models, shape ``(models,)``, not negative, with sum 1.

    Begins with nothing. In each of `size` rounds that model is added, again and again if need be, with which the mean
    prediction of all that were added has the smallest loss; ties are broken at random. A weight is the share of the
    rounds in which the model was added. An ensemble of size 1 is the best model.

    Args:
        predictions: Of each model for the same rows: probabilities, shape ``(n, classes)``, or values, ``(n,)``.
        target: Class numbers or values of these rows, which no model has learned from; shape ``(n,)``.
        loss: Of the target and a prediction.
        size: Number of rounds, at least 1.
        seed: Of the choice among equals.
        most: Only so many models, those of smallest loss, may be chosen; at least 1.

    Raises:
        ValueError: There is no model, or a number is below 1.

    References:
        Caruana, Niculescu-Mizil, Crew, Ksikes (2004), "Ensemble selection from libraries of models".
    """
    if not len(predictions) or size < 1 or most < 1:
        raise ValueError(f"an ensemble of size {size} cannot be chosen from {len(predictions)} models, {most} at most")
    losses = np.array([loss(target, prediction) for prediction in predictions])
    library = np.argsort(losses, kind="stable")[:most]
    counts = np.zeros(len(predictions))
    if len(library) == 1:
        counts[library] = 1.0
        return counts
    draw = np.random.default_rng(seed)
    total = np.zeros_like(predictions[0], dtype=np.float64)
    mean = np.empty_like(total)
    for n_chosen in range(size):
        for place, model in enumerate(library):
            np.add(total, predictions[model], out=mean)
            mean /= n_chosen + 1
            losses[place] = loss(target, mean)
        trials = losses[: len(library)]
        chosen = library[draw.choice(np.flatnonzero(trials == trials.min()))]
        counts[chosen] += 1
        total += predictions[chosen]
    weights: FloatArray = counts / counts.sum()
    return weights
