import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from bohb_service.workers.ppo.actor import Actor
from bohb_service.workers.ppo.advantages import discounted_sums, estimate
from bohb_service.workers.ppo.convergence import ConvergenceDetector, area, final_return, smoothed
from bohb_service.workers.ppo.distributions import Categorical, Gaussian
from bohb_service.workers.ppo.networks import Network, Optimiser
from bohb_service.workers.ppo.normalisation import Eyes, Moments, forward_sums
from bohb_service.workers.ppo.objective import clipped_objective, objective_slope


def network(sizes=(3, 5, 4, 2), activations=("tanh", "relu"), n_extra=0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    made = Network(sizes, activations, output_gain=1.0, generator=generator, n_extra=n_extra)
    made.parameters += 0.1 * torch.randn(len(made.parameters), generator=generator)
    return made


# Objective


def test_a_clipped_ratio_may_be_infinite():
    ratio, advantages = torch.tensor([torch.inf, torch.inf]), torch.tensor([1.0, 0.0])
    assert objective_slope(ratio, advantages, 0.2).tolist() == [0.0, 0.0]


def test_the_clipped_objective_is_that_of_the_paper():
    ratio = torch.tensor([0.5, 0.9, 1.0, 1.1, 2.0, 0.5, 0.9, 1.0, 1.1, 2.0])
    advantages = torch.tensor([2.0] * 5 + [-2.0] * 5)

    # Worked out by hand with clipping 0.2: a gain counts up to ratio 1.2, a loss from ratio 0.8 on.
    expected = [1.0, 1.8, 2.0, 2.2, 2.4, -1.6, -1.8, -2.0, -2.2, -4.0]
    slopes = [1.0, 1.8, 2.0, 2.2, 0.0, 0.0, -1.8, -2.0, -2.2, -4.0]

    assert clipped_objective(ratio, advantages, 0.2).tolist() == pytest.approx(expected)
    assert objective_slope(ratio, advantages, 0.2).tolist() == pytest.approx(slopes)


@pytest.mark.parametrize("clipping", [0.05, 0.2, 1.0])
def test_the_slope_is_the_derivative_of_the_objective(clipping):
    generator = torch.Generator().manual_seed(3)
    log_ratio = torch.randn(500, generator=generator, dtype=torch.float64).requires_grad_()
    advantages = torch.randn(500, generator=generator, dtype=torch.float64)

    clipped_objective(log_ratio.exp(), advantages, clipping).sum().backward()

    assert torch.allclose(log_ratio.grad, objective_slope(log_ratio.detach().exp(), advantages, clipping))


def test_with_clipping_0_the_first_step_has_a_slope_and_later_ones_only_back():
    one, advantages = torch.ones(2), torch.tensor([1.0, -1.0])

    assert objective_slope(one, advantages, 0.0).tolist() == [1.0, -1.0]
    assert objective_slope(torch.tensor([1.1, 0.9]), advantages, 0.0).tolist() == [0.0, 0.0]


# Distributions


def batch(kind, seed=1):
    """A distribution of outputs that need a gradient, those outputs and extra parameters, and PyTorch's own."""
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(20, 3, generator=generator, dtype=torch.float64).requires_grad_()
    if kind == "discrete":
        actions = torch.randint(3, (20,), generator=generator)
        theirs = torch.distributions.Categorical(logits=outputs)
        ours = Categorical(outputs.detach(), actions)
        return ours, outputs, torch.zeros(0, dtype=torch.float64, requires_grad=True), theirs, actions
    extra = torch.tensor([0.3, -0.5, 0.1], dtype=torch.float64).requires_grad_()
    actions = torch.randn(20, 3, generator=generator, dtype=torch.float64)
    theirs = torch.distributions.Independent(torch.distributions.Normal(outputs, extra.exp()), 1)
    return Gaussian(outputs.detach(), extra.detach(), actions), outputs, extra, theirs, actions


@pytest.mark.parametrize("kind", ["discrete", "continuous"])
def test_probabilities_entropies_and_their_slopes_are_those_of_pytorch(kind):
    ours, outputs, extra, theirs, actions = batch(kind)
    weights = torch.linspace(-1, 2, 20, dtype=torch.float64)

    assert torch.allclose(ours.log_probabilities, theirs.log_prob(actions))
    assert torch.allclose(ours.entropies, theirs.entropy())

    ((theirs.log_prob(actions) * weights).sum() + 0.7 * theirs.entropy().sum() + 0 * extra.sum()).backward()
    of_outputs, of_extra = ours.slopes(weights, 0.7)

    assert torch.allclose(of_outputs, outputs.grad)
    assert torch.allclose(of_extra, extra.grad)


def test_along_the_slope_of_the_entropy_the_entropy_grows():
    logits, actions = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0])
    before = Categorical(logits, actions)

    of_outputs, _ = before.slopes(torch.zeros(1), 1.0)
    after = Categorical(logits + 0.1 * of_outputs, actions)

    assert after.entropies > before.entropies
    means, log_std = torch.zeros(1, 2), torch.zeros(2)
    gaussian = Gaussian(means, log_std, means)
    of_means, of_log_std = gaussian.slopes(torch.zeros(1), 1.0)
    assert of_log_std.tolist() == [1.0, 1.0]
    assert of_means.tolist() == [[0.0, 0.0]]


# Networks


@pytest.mark.parametrize("activations", [("tanh", "tanh"), ("relu", "tanh"), ("tanh", "relu")])
def test_gradients_by_hand_are_those_of_autograd(activations):
    made = network(activations=activations, n_extra=2)
    inputs, slope = torch.randn(7, 3), torch.randn(7, 2)

    done = made.forward(inputs)
    made.backward(done, slope)
    of_all = made.parameters.grad.clone()

    parameters = made.parameters.detach().clone().requires_grad_()
    first, second, third, extra = parameters[:20], parameters[20:44], parameters[44:54], parameters[54:]
    hidden = getattr(torch, activations[0])(inputs @ first[:15].view(3, 5) + first[15:])
    hidden = getattr(torch, activations[1])(hidden @ second[:20].view(5, 4) + second[20:])
    outputs = hidden @ third[:8].view(4, 2) + third[8:]
    ((outputs * slope).sum() + 0 * extra.sum()).backward()
    assert torch.allclose(done.outputs, outputs, atol=1e-6)
    assert torch.allclose(done.hidden_2, made.features(inputs))
    assert torch.allclose(of_all, parameters.grad, atol=1e-5)


def test_what_acts_is_what_learns():
    made = network()
    inputs = torch.randn(6, 3)

    before = made.layers(inputs.numpy())
    assert np.allclose(before, made.forward(inputs).outputs.numpy(), atol=1e-6)

    made.parameters.grad.fill_(1.0)
    Optimiser(made, "adam", 0.1, 0.0).step()
    assert not np.allclose(before, made.layers(inputs.numpy()))
    assert np.allclose(made.layers(inputs.numpy()), made.forward(inputs).outputs.numpy(), atol=1e-6)


def test_initial_weights_are_orthogonal_and_repeat():
    generator = torch.Generator().manual_seed(5)
    made = Network((4, 6, 6, 2), ("tanh", "tanh"), output_gain=0.01, generator=generator)
    weights = made.layers.weights

    assert np.allclose(weights[1].T @ weights[1], 2 * np.eye(6), atol=1e-5)
    assert np.allclose(weights[2].T @ weights[2], 1e-4 * np.eye(2), atol=1e-8)
    assert all((bias == 0).all() for bias in made.layers.biases)
    again = Network((4, 6, 6, 2), ("tanh", "tanh"), output_gain=0.01, generator=torch.Generator().manual_seed(5))
    assert torch.equal(made.parameters, again.parameters)


@pytest.mark.parametrize("kind", ["adam", "rmsprop"])
def test_a_step_goes_down_and_long_gradients_are_cut(kind):
    made = network()
    before = made.parameters.clone()
    made.parameters.grad.copy_(torch.randn(len(before)) * 100)
    gradient = made.parameters.grad.clone()

    Optimiser(made, kind, 1e-3, 0.5).step()

    assert made.parameters.grad.norm() == pytest.approx(0.5, rel=1e-4)
    assert torch.equal((before - made.parameters).sign(), gradient.sign())


def test_short_gradients_are_left_alone():
    made = network()
    made.parameters.grad.fill_(1e-3)

    Optimiser(made, "adam", 1e-3, 0.5).step()

    assert torch.allclose(made.parameters.grad, torch.full_like(made.parameters, 1e-3))


# Actions


def test_discrete_actions_have_the_probabilities_of_the_network():
    made = network((3, 5, 4, 3))
    actor = Actor(made.layers, "discrete", np.zeros(0, np.float32))
    observation = np.array([[0.3, -1.0, 2.0]], np.float32)
    probabilities = functional.softmax(made.forward(torch.from_numpy(observation)).outputs, 1)[0].numpy()

    noise = (np.arange(10_000, dtype=np.float32) + 0.5) / 10_000
    drawn = actor.sample(observation.repeat(10_000, 0), noise)

    assert np.bincount(drawn, minlength=3) / 10_000 == pytest.approx(probabilities, abs=2e-4)
    assert actor.mode(observation)[0] == probabilities.argmax()
    # Noise of almost 1 does not lead beyond the last action.
    assert actor.sample(observation, np.array([np.nextafter(np.float32(1), np.float32(0))]))[0] == 2


def test_continuous_actions_are_gaussian():
    made = network((3, 5, 4, 2))
    actor = Actor(made.layers, "continuous", np.log(np.array([0.5, 2.0], np.float32)))
    observation = np.array([[0.3, -1.0, 2.0]], np.float32)
    mean = made.layers(observation)

    assert actor.mode(observation) == pytest.approx(mean)
    drawn = actor.sample(observation, np.array([[1.0, -2.0]], np.float32))
    assert drawn == pytest.approx(mean + np.array([[0.5, -4.0]]))
    assert actor.noise(np.random.default_rng(0), 5).shape == (5, 2)


# Advantages


def test_generalised_advantages_are_those_worked_out_by_hand():
    rewards, values = np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, 1.5])
    # discount 0.5, lambda 0.5; errors: 1 + 0.5 - 0.5, 2 + 0.75 - 1, 3 + 0 - 1.5
    advantages, targets = estimate(rewards, values, 0.0, discount=0.5, gae_lambda=0.5)

    assert advantages == pytest.approx([1.0 + 0.25 * (1.75 + 0.25 * 1.5), 1.75 + 0.25 * 1.5, 1.5])
    assert targets == pytest.approx(advantages + values)


def test_where_an_episode_was_cut_off_the_value_of_what_follows_counts():
    rewards, values = np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, 1.5])

    terminated, _ = estimate(rewards, values, 0.0, discount=0.5, gae_lambda=0.5)
    cut_off, _ = estimate(rewards, values, 4.0, discount=0.5, gae_lambda=0.5)

    # The last error is larger by 0.5 * 4, and passed on with 0.5 * 0.5 per step.
    assert cut_off - terminated == pytest.approx([2.0 / 16, 2.0 / 4, 2.0])


def test_without_gae_advantages_are_discounted_returns_less_values():
    rng = np.random.default_rng(0)
    rewards, values = rng.normal(size=50), rng.normal(size=50)
    returns = np.zeros(50)
    following = 0.3
    for step in reversed(range(50)):
        following = returns[step] = rewards[step] + 0.9 * following

    advantages, targets = estimate(rewards, values, 0.3, discount=0.9, gae_lambda=1.0)

    assert advantages == pytest.approx(returns - values, abs=1e-12)
    assert targets == pytest.approx(returns, abs=1e-12)


def test_with_discount_0_only_the_reward_of_the_step_counts():
    rewards, values = np.array([1.0, -2.0, 3.0]), np.array([0.5, 1.0, 1.5])

    advantages, targets = estimate(rewards, values, 9.0, discount=0.0, gae_lambda=0.95)

    assert targets == pytest.approx(rewards)
    assert advantages == pytest.approx(rewards - values)


def test_sums_forward_and_backward():
    assert discounted_sums(np.array([1.0, 2.0, 4.0]), 0.5) == pytest.approx([3.0, 4.0, 4.0])
    assert forward_sums(np.array([1.0, 2.0, 4.0]), 0.5) == pytest.approx([1.0, 2.5, 5.25])


# Normalisation


def test_running_moments_are_those_of_all_rows():
    rows = np.random.default_rng(2).normal([5, -3], [0.1, 30], size=(100, 2))
    moments = Moments(2)
    assert (moments.mean == 0).all()
    assert moments.deviation == pytest.approx(1.0)

    for part in (rows[:1], rows[1:40], rows[40:]):
        moments.update(part)

    assert moments.count == 100
    assert moments.mean == pytest.approx(rows.mean(axis=0))
    assert moments.variance == pytest.approx(rows.var(axis=0))


def test_scaled_observations_are_at_most_10_away():
    eyes = Eyes(np.array([1.0, 0.0], np.float32), np.array([2.0, 0.1], np.float32))

    seen = eyes.see(np.array([[3.0, 5.0], [1.0, -0.05]], np.float32))

    assert seen == pytest.approx(np.array([[1.0, 10.0], [0.0, -0.5]]))
    assert seen.dtype == np.float32


# Convergence


def stops_at(returns, threshold=200.0, window=20):
    detector = ConvergenceDetector(threshold, window)
    for value in returns:
        if detector.take(value):
            break
    return detector.episodes, detector.is_solved


def test_the_detector_stops_at_the_first_episode_at_which_the_mean_is_reached():
    assert stops_at([200.0] * 100) == (20, True)
    assert stops_at([200.0] * 19) == (19, False)
    assert stops_at([9.0] * 57 + [200.0] * 100) == (77, True)
    assert stops_at([9.0] * 10 + [200.0] * 19 + [199.0] + [200.0] * 30) == (50, True)
    assert stops_at([200.0, 199.0] * 1500) == (3000, False)


def test_the_detector_on_recorded_returns():
    """Recorded from a trial: a policy that is nearly there fails now and then."""
    rng = np.random.default_rng(11)
    recorded = np.where(rng.random(400) < 0.06, rng.integers(100, 199, 400), 200).astype(float)
    expected = next((end for end in range(20, 401) if recorded[end - 20 : end].mean() == 200), None)

    assert stops_at(recorded) == (expected, True)
    assert expected > 20


def test_other_thresholds_and_windows():
    assert stops_at([1.0, 2.0, 3.0, 4.0], threshold=2.5, window=2) == (3, True)
    assert stops_at([-500.0, -100.0, -90.0], threshold=-95.0, window=2) == (3, True)


def test_worth_of_a_course():
    returns, lengths = np.array([1.0, 3.0, 8.0]), np.array([1, 2, 7])

    assert smoothed(returns, 2) == pytest.approx([1.0, 2.0, 5.5])
    assert final_return(returns, 2) == 5.5
    assert final_return(returns, 20) == 4.0
    assert area(returns, lengths, 2) == pytest.approx((1 * 1 + 2 * 2 + 7 * 5.5) / 10)
    assert math.isclose(area(returns[:1], lengths[:1], 5), 1.0)
