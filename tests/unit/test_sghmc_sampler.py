import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from bohb_service.workers.sghmc.noise import SMALLEST_VARIANCE, noise_variance
from bohb_service.workers.sghmc.sampler import EPSILON, Sampler, draw, gradient_of


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def sampler(start=((0.0, 0.0),), l_rate=0.05, mdecay=0.1, seed=3):
    return Sampler(double(start), l_rate=l_rate, mdecay=mdecay, seed=seed)


# The noise


@pytest.mark.parametrize("l_rate", [1e-6, 1e-4, 1e-2, 3e-2, 1e-1])
@pytest.mark.parametrize("mdecay", [0.0, 1e-6, 0.05, 0.3, 1.0])
def test_the_variance_of_the_noise_is_that_of_the_formula(l_rate, mdecay):
    scales = [1e-8, 0.001, 0.5, 1.0, 7.0, 1e6]

    variance, n_clamped = noise_variance(double(scales), l_rate, mdecay)

    # Exact arithmetic: no rounding is shared with what is tested.
    rate, decay = Fraction(l_rate), Fraction(mdecay)
    exact = [2 * rate**2 * decay * Fraction(scale) - rate**4 for scale in scales]
    for found, wanted in zip(variance.tolist(), exact, strict=True):
        clamped = max(wanted, Fraction(SMALLEST_VARIANCE))
        # Relative to the larger term: their difference may be much smaller than both.
        assert abs(Fraction(found) - clamped) <= Fraction(1e-12) * max(clamped, rate**4)
    assert int(n_clamped) == sum(wanted < Fraction(SMALLEST_VARIANCE) for wanted in exact)


def test_without_friction_all_noise_is_clamped_and_with_all_friction_none():
    scales = double([[0.5, 1.0, 2.0]])
    assert [int(noise_variance(scales, 0.1, mdecay)[1]) for mdecay in (0.0, 1.0)] == [3, 0]
    assert noise_variance(scales, 0.1, 0.0)[0].tolist() == [[1e-16] * 3]


def test_the_variance_leaves_the_scales_as_they_are():
    scales = double([0.5, 1.0])
    noise_variance(scales, 0.1, 0.1)
    assert scales.tolist() == [0.5, 1.0]


def test_clamped_noise_is_counted_in_all_steps_and_chains():
    chains = sampler(start=np.zeros((3, 2)), l_rate=0.1, mdecay=0.0)
    for number in range(5):
        chains.step(torch.ones((3, 2), dtype=torch.float64), adapt=number < 2)
    assert chains.n_clamped == 5 * 3 * 2

    fine = sampler(mdecay=0.5)
    fine.step(torch.ones((1, 2), dtype=torch.float64), adapt=False)
    assert fine.n_clamped == 0


# The update


def reference(gradients, noise, adapting, l_rate, mdecay):
    """The published update of one parameter, with plain numbers."""
    theta, momentum, tau, mean, square = 0.0, 0.0, 1.0, 1.0, 1.0
    path = []
    for number, (gradient, normal) in enumerate(zip(gradients, noise, strict=True)):
        if number < adapting:
            weight = 1 / (tau + 1)
            tau += 1 - tau * mean**2 / (square + EPSILON)
            mean += weight * (gradient - mean)
            square += weight * (gradient**2 - square)
        scale = 1 / (math.sqrt(square) + EPSILON)
        variance = max(2 * l_rate**2 * mdecay * scale - l_rate**4, 1e-16)
        momentum += -(l_rate**2) * scale * gradient - mdecay * momentum + math.sqrt(variance) * normal
        theta += momentum
        path.append(theta)
    return path


@pytest.mark.parametrize(("l_rate", "mdecay"), [(0.05, 0.1), (0.1, 0.0), (0.3, 1.0), (1e-4, 0.05)])
def test_each_step_is_the_published_one(l_rate, mdecay):
    rng = np.random.default_rng(0)
    gradients = rng.normal(2.0, 3.0, size=(40, 20))
    # Twenty parameters, so that the noise comes from the generator in one piece.
    chain = Sampler(torch.zeros((1, 20), dtype=torch.float64), l_rate=l_rate, mdecay=mdecay, seed=11)
    same = torch.Generator().manual_seed(11)
    noise = torch.stack([torch.empty((1, 20)).normal_(generator=same) for _ in gradients]).double().numpy()[:, 0]

    path = []
    for number, gradient in enumerate(gradients):
        chain.step(torch.from_numpy(gradient[None]), adapt=number < 25)
        path.append(chain.position.numpy()[0].copy())

    for parameter in range(20):
        wanted = reference(gradients[:, parameter], noise[:, parameter], 25, l_rate, mdecay)
        np.testing.assert_allclose(np.array(path)[:, parameter], wanted, rtol=1e-10, atol=1e-14)


def test_scales_change_while_they_adapt_and_never_after():
    chain = sampler()
    gradient = gradient_of(lambda theta: (theta**2).sum())
    before = chain.scale.clone()
    draw(chain, gradient, until=10, adapting=10)
    adapted = chain.scale.clone()
    draw(chain, gradient, until=50, adapting=10)

    assert not torch.equal(before, adapted)
    assert torch.equal(chain.scale, adapted)


def test_a_restored_chain_goes_on_as_if_nothing_had_been():
    gradient = gradient_of(lambda theta: (theta**2).sum())
    # An odd number of parameters: the generator keeps half of a pair of normal numbers between two steps.
    start = np.zeros((1, 3))
    whole = sampler(start)
    path = draw(whole, gradient, until=60, adapting=25)
    for at in (7, 25, 41):
        first, second = sampler(start), sampler(start)
        draw(first, gradient, until=at, adapting=25)
        second.restore({name: array.copy() for name, array in first.state().items()})
        rest = draw(second, gradient, until=60, adapting=25)
        np.testing.assert_array_equal(rest[60], path[60])
        assert second.n_clamped == whole.n_clamped
        assert second.steps == 60


def test_positions_are_kept_at_multiples_and_never_while_scales_adapt():
    gradient = gradient_of(lambda theta: (theta**2).sum())
    kept = draw(sampler(), gradient, until=100, adapting=30, keep_every=20)
    assert list(kept) == [40, 60, 80, 100]
    assert list(draw(sampler(), gradient, until=40, adapting=40, keep_every=20)) == []


def test_chains_that_diverge_are_told():
    chain = sampler(start=((1.0, 1.0),), l_rate=10.0)
    with pytest.raises(FloatingPointError, match=r"diverged within \d+ steps; lower l_rate"):
        draw(chain, gradient_of(lambda theta: (theta**4).sum()), until=1000)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"l_rate": 0}, "l_rate: must be a number between 0 and inf, both excluded, not 0"),
        ({"l_rate": math.nan}, "l_rate: must be a number .* not nan"),
        ({"mdecay": 1.5}, r"mdecay: must be a number from 0 to 1, not 1\.5"),
        ({"seed": -1}, "seed: must be a whole number from 0 to 2147483647, not -1"),
        ({"seed": 1.5}, r"seed: must be a whole number .* not 1\.5"),
    ],
)
def test_wrong_arguments_of_a_sampler_are_named(given, words):
    with pytest.raises(ValueError, match=f"^{words}$"):
        sampler(**given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"until": -1}, r"until: must be a whole number from 0 to 1e\+09, not -1"),
        ({"until": 5, "adapting": 0.5}, r"adapting: must be a whole number .* not 0\.5"),
        ({"until": 5, "keep_every": 0}, r"keep_every: must be a whole number from 1 to 1e\+09, not 0"),
    ],
)
def test_wrong_numbers_of_steps_are_named(given, words):
    with pytest.raises(ValueError, match=f"^{words}$"):
        draw(sampler(), gradient_of(lambda position: position.square().sum()), **given)


def test_the_gradients_of_all_chains_are_each_their_own():
    positions = double([[1.0, 2.0], [-3.0, 0.5]])
    np.testing.assert_allclose(gradient_of(lambda theta: (theta**3).sum())(positions, 0), 3 * positions**2)


# What the chains sample


def test_a_gaussian_in_two_dimensions_is_recovered():
    mean, covariance = double([1.0, -2.0]), double([[1.0, 1.6], [1.6, 4.0]])
    precision = torch.linalg.inv(covariance)
    chains = sampler(start=np.zeros((16, 2)))

    kept = draw(chains, lambda theta, _: (theta - mean) @ precision, until=20_000, adapting=1000, keep_every=10)

    drawn = np.concatenate(list(kept.values()))
    assert chains.n_clamped == 0
    deviation = np.sqrt(np.diag(covariance))
    np.testing.assert_array_less(np.abs(drawn.mean(axis=0) - mean.numpy()) / deviation, 0.1)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, rtol=0.15)


def test_bayesian_linear_regression_is_that_of_the_closed_form():
    rng = np.random.default_rng(1)
    inputs, noise = torch.from_numpy(rng.normal(size=(40, 3))), 0.5
    target = inputs @ double([1.0, -1.0, 0.5]) + noise * torch.from_numpy(rng.normal(size=40))
    new = torch.from_numpy(rng.normal(size=(25, 3)) * 2)
    precision = inputs.T @ inputs / noise**2 + torch.eye(3, dtype=torch.float64)
    covariance = torch.linalg.inv(precision)
    wanted = new @ covariance @ inputs.T @ target / noise**2
    wanted_variance = ((new @ covariance) * new).sum(1) + noise**2

    def potential(theta):
        return 0.5 * (inputs @ theta - target).square().sum() / noise**2 + 0.5 * theta.square().sum()

    chains = sampler(start=np.zeros((50, 3)), l_rate=0.02)
    kept = draw(chains, gradient_of(potential), until=3000, adapting=1000, keep_every=10)

    predicted = np.concatenate(list(kept.values())) @ new.numpy().T
    deviation = wanted_variance.sqrt().numpy()
    np.testing.assert_array_less(np.abs(predicted.mean(axis=0) - wanted.numpy()) / deviation, 0.1)
    # The variance that the parameters bring is the smaller part; it is to be right by itself.
    np.testing.assert_allclose(predicted.var(axis=0), wanted_variance - noise**2, rtol=0.1)
