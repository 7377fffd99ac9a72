import math

import numpy as np
import pytest
import torch
from torch import nn

from bohb_service.workers.sghmc.layout import Layout
from bohb_service.workers.sghmc.posterior import (
    PUBLISHED_NOISE,
    Batches,
    BatchGradient,
    NoisePrior,
    Posterior,
)
from bohb_service.workers.sghmc.sampler import gradient_of


def posterior(kind, rows=30, noise=PUBLISHED_NOISE):
    """A posterior with three inputs; of three classes, or of values."""
    rng = np.random.default_rng(2)
    is_classification = kind == "classification"
    layout = Layout(3, 5, 4, 3 if is_classification else 1, is_classification)
    inputs = torch.from_numpy(rng.normal(size=(rows, 3)))
    target = rng.integers(0, 3, rows) if is_classification else rng.normal(size=rows)
    return Posterior(layout, inputs, torch.from_numpy(target), noise)


KINDS = pytest.mark.parametrize("kind", ["classification", "regression"])


# Network


def test_networks_are_those_of_pytorch():
    layout = Layout(3, 5, 4, 2, is_classification=True)
    vectors = layout.start(2, seed=1)
    vectors += 0.1 * torch.randn(vectors.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    inputs = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 7, 3)))
    parts = layout.parts(vectors)
    outputs = parts.outputs(inputs)

    assert outputs.shape == (2, 7, 2)
    for chain in range(2):
        network = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2)).double()
        with torch.no_grad():
            for linear, weights, biases in zip(network[::2], parts.weights, parts.biases, strict=True):
                linear.weight.copy_(weights[chain].T)
                linear.bias.copy_(biases[chain, 0])
            np.testing.assert_allclose(outputs[chain], network(inputs[chain]), rtol=1e-12)
    assert layout.size == layout.n_weights == sum(weights.numel() for weights in network.parameters())


def test_chains_start_apart_with_weights_of_the_published_size_and_biases_of_zero():
    layout = Layout(100, 200, 300, 1, is_classification=False)
    vectors = layout.start(3, seed=5, log_variance=-2.5)
    parts = layout.parts(vectors)
    for weights, inputs in zip(parts.weights, (100, 200, 300), strict=True):
        assert float(weights.var()) == pytest.approx(1 / inputs, rel=0.15)
        assert not torch.equal(weights[0], weights[1])
    assert all(not biases.any() for biases in parts.biases)
    assert parts.log_variance.flatten().tolist() == [-2.5] * 3
    assert layout.size == layout.n_weights + 1
    assert float(layout.start(1, seed=5)[0, -1]) == math.log(1e-3)
    assert torch.equal(layout.start(3, seed=5, log_variance=-2.5), vectors)
    assert not torch.equal(layout.start(3, seed=6, log_variance=-2.5), vectors)


# Potential and gradient


def test_the_potential_of_a_regression_is_the_negative_log_posterior():
    found = posterior("regression", noise=NoisePrior(start=-1.0, mean=-2.0, variance=0.5))
    rng = np.random.default_rng(0)
    vectors = torch.from_numpy(rng.normal(size=(2, found.layout.size)))

    def log_density(vector):
        outputs = found.layout.parts(vector[None]).outputs(found.inputs[None])[0, :, 0]
        deviation = torch.exp(vector[-1] / 2)
        weights = vector[:-1]
        normal = torch.distributions.Normal
        return (
            normal(outputs, deviation).log_prob(found.target).sum()
            + normal(-2.0, math.sqrt(0.5)).log_prob(vector[-1])
            - 0.5 * (weights**2).mean()
        )

    # Densities are known up to a factor.
    difference = found.potential(vectors[0]) - found.potential(vectors[1])
    assert float(difference) == pytest.approx(float(log_density(vectors[1]) - log_density(vectors[0])))


def test_the_potential_of_a_classification_is_the_negative_log_posterior():
    found = posterior("classification")
    vector = torch.from_numpy(np.random.default_rng(0).normal(size=found.layout.size))
    outputs = found.layout.parts(vector[None]).outputs(found.inputs[None])[0]
    likelihood = torch.softmax(outputs, 1)[torch.arange(30), found.target].log().sum()
    assert float(found.potential(vector)) == pytest.approx(float(0.5 * (vector**2).mean() - likelihood))


def test_the_published_prior_is_made_for_data_almost_without_noise():
    assert (PUBLISHED_NOISE.start, PUBLISHED_NOISE.mean) == (math.log(1e-3), math.log(1e-6))
    assert PUBLISHED_NOISE.variance == 0.01


@KINDS
@pytest.mark.parametrize("chains", [1, 3])
def test_the_gradient_written_by_hand_is_that_of_automatic_differentiation(kind, chains):
    found = posterior(kind, noise=NoisePrior(start=-1.0, mean=-1.0, variance=0.7))
    position = torch.from_numpy(np.random.default_rng(3).normal(size=(chains, found.layout.size)))

    whole = BatchGradient(found, position, Batches(30, 1000, chains, seed=0))(position, 0)

    np.testing.assert_allclose(whole, gradient_of(found.potential)(position, 0), rtol=1e-10, atol=1e-11)


@KINDS
def test_the_gradients_of_batches_are_unbiased(kind):
    found = posterior(kind)
    position = torch.from_numpy(np.random.default_rng(3).normal(size=(2, found.layout.size)))
    gradient = BatchGradient(found, position, Batches(30, 6, 2, seed=0))

    # One pass looks at each row once.
    mean = np.mean([gradient(position, step).numpy().copy() for step in range(5)], axis=0)

    np.testing.assert_allclose(mean, gradient_of(found.potential)(position, 0), rtol=1e-9, atol=1e-10)


# Batches


def test_each_chain_looks_at_each_row_once_in_a_pass_in_an_order_of_its_own():
    batches = Batches(20, 5, 2, seed=4)
    passes = [torch.stack([batches.rows(4 * number + step).view(2, 5) for step in range(4)], 1) for number in range(2)]
    for seen in passes:
        for chain in range(2):
            assert sorted(seen[chain].flatten().tolist()) == list(range(20))
        assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(passes[0], passes[1])


def test_rows_that_fill_no_batch_have_their_turn_in_another_pass():
    batches = Batches(7, 3, 1, seed=0)
    seen = [set(batches.rows(2 * number).tolist() + batches.rows(2 * number + 1).tolist()) for number in range(12)]
    assert {len(rows) for rows in seen} == {6}
    assert set.union(*seen) == set(range(7))


def test_batches_depend_on_seed_and_step_alone():
    one, other = Batches(50, 4, 2, seed=1), Batches(50, 4, 2, seed=1)
    wanted = [one.rows(step).tolist() for step in range(40)]
    assert [other.rows(step).tolist() for step in (39, 3, 20)] == [wanted[39], wanted[3], wanted[20]]
    assert Batches(50, 4, 2, seed=2).rows(0).tolist() != wanted[0]


def test_a_batch_of_all_rows_or_more_is_whole():
    assert Batches(7, 7, 1, seed=0).is_whole
    assert Batches(7, 100, 1, seed=0).size == 7
    assert not Batches(7, 6, 1, seed=0).is_whole
