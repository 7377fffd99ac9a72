"""Ensemble selection against the rule, computed the slow way."""

import time

import numpy as np
import pytest

from bohb_service.workers.tabular.ensemble import select_ensemble
from bohb_service.workers.tabular.metrics import METRICS


def library(seed, n_models, n_rows=60, n_classes=4):
    """Models of various quality, and the truth."""
    draw = np.random.default_rng(seed)
    target = draw.integers(n_classes, size=n_rows)
    logits = draw.normal(size=(n_models, n_rows, n_classes))
    logits[:, np.arange(n_rows), target] += draw.uniform(0, 2, size=(n_models, 1))
    weights = np.exp(logits)
    return list(weights / weights.sum(axis=2, keepdims=True)), target


def acceptable_picks(predictions, target, loss, chosen):
    """All models that are as good as any other to add to those that were chosen."""
    losses = [
        loss(
            target,
            sum((predictions[i] for i in chosen), np.zeros_like(candidate)) * (1 / (len(chosen) + 1))
            + candidate * (1 / (len(chosen) + 1)),
        )
        for candidate in predictions
    ]
    return {i for i, value in enumerate(losses) if value <= min(losses) + 1e-12}


def picks(predictions, target, loss, size, **arguments):
    """The models in the order in which they were added, seen from ensembles of each size."""
    order, before = [], np.zeros(len(predictions))
    for n in range(1, size + 1):
        counts = np.rint(select_ensemble(predictions, target, loss, size=n, **arguments) * n)
        (added,) = np.flatnonzero(counts - before)
        assert (counts - before)[added] == 1
        order.append(int(added))
        before = counts
    return order


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("metric", ["error", "log_loss", "rmse"])
def test_each_pick_is_that_of_the_brute_force_reference(seed, metric):
    loss = METRICS[metric].loss
    predictions, target = library(seed, n_models=3 + seed % 7)
    if metric == "rmse":
        predictions = [prediction[:, 0] + 0.3 * target for prediction in predictions]

    order = picks(predictions, target, loss, size=12, seed=seed)

    for n, model in enumerate(order):
        assert model in acceptable_picks(predictions, target, loss, order[:n])


@pytest.mark.parametrize("seed", range(10))
def test_ensemble_of_size_one_is_the_best_single_model(seed):
    predictions, target = library(seed, n_models=20)
    loss = METRICS["log_loss"].loss

    weights = select_ensemble(predictions, target, loss, size=1, seed=seed)

    assert np.flatnonzero(weights).tolist() == [int(np.argmin([loss(target, p) for p in predictions]))]


def test_weights_are_shares_of_the_rounds_and_models_come_again():
    predictions, target = library(3, n_models=6)

    weights = select_ensemble(predictions, target, METRICS["log_loss"].loss, size=50, seed=0)

    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(weights * 50, np.rint(weights * 50), atol=1e-9)
    assert weights.max() > 1 / 50


def test_only_the_best_models_are_looked_at():
    predictions, target = library(5, n_models=12)
    loss = METRICS["log_loss"].loss
    best = np.argsort([loss(target, p) for p in predictions])[:2]

    pruned = select_ensemble(predictions, target, loss, size=30, seed=0, most=2)
    whole = select_ensemble(predictions, target, loss, size=30, seed=0)

    assert set(np.flatnonzero(pruned)) <= set(best)
    assert not set(np.flatnonzero(whole)) <= set(best)


def test_a_single_model_is_taken_without_any_round():
    calls = []

    def loss(_target, _prediction):
        calls.append(1)
        return 0.5

    assert select_ensemble([np.ones(3)], np.ones(3), loss, size=50, seed=0).tolist() == [1.0]
    assert len(calls) == 1


def test_ties_are_broken_at_random_and_by_the_seed():
    predictions, target = [np.ones(4)] * 5, np.zeros(4)
    loss = METRICS["rmse"].loss

    first = [int(select_ensemble(predictions, target, loss, size=1, seed=seed).argmax()) for seed in range(60)]
    again = [int(select_ensemble(predictions, target, loss, size=1, seed=seed).argmax()) for seed in range(60)]

    assert set(first) == set(range(5))
    assert first == again


@pytest.mark.parametrize(("n_models", "size", "most"), [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_nothing_to_choose_is_an_error(n_models, size, most):
    with pytest.raises(ValueError, match="cannot be chosen"):
        select_ensemble([np.ones(2)] * n_models, np.ones(2), METRICS["rmse"].loss, size=size, seed=0, most=most)


def test_a_large_library_takes_little_time():
    predictions, target = library(0, n_models=60, n_rows=3000, n_classes=26)

    began = time.process_time()
    select_ensemble(predictions, target, METRICS["error"].loss, size=50, seed=0)

    # 1.5 s when this was written.
    assert time.process_time() - began < 15
