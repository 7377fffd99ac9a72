import copy

import gymnasium
import numpy as np
import pytest
import torch

from bohb_service.errors import SpaceError, StudyError
from bohb_service.workers.ppo import train_ppo
from bohb_service.workers.ppo.agent import Agent
from bohb_service.workers.ppo.collector import Collector
from bohb_service.workers.ppo.copies import open_lanes
from bohb_service.workers.ppo.hyperparameters import KINDS, Hyperparameters
from bohb_service.workers.ppo.learner import Learner
from bohb_service.workers.ppo.options import PPOOptions
from bohb_service.workers.ppo.spaces import build_space
from bohb_service.workers.ppo.task import Task
from bohb_service.workers.ppo.trial import run_trial

GOOD = {
    "batch_size": 8,
    "learning_rate": 3e-3,
    "entropy_regularization": 1e-3,
    "gae_lambda": 0.95,
    "minibatch_size": 64,
    "baseline_learning_rate": 3e-3,
}
"""Solves CartPole within about a hundred episodes."""

OWN = "tests.ppo_environments"


def learning(config=None, **options):
    """A learner, and a rollout that its agent has collected."""
    parameters = Hyperparameters.from_config(config or {})
    task = Task.of(PPOOptions.parse(options))
    lanes = open_lanes(task.options, task.interface, 8)
    learner = Learner(parameters, task.interface, seed=2)
    collector = Collector(lanes, 8, learner.actor, task.interface.observations, seed=2)
    return learner, collector.collect_episodes(8, learner.eyes, 10**9)


def same(first, second):
    ours, theirs = first.agent.arrays(), second.agent.arrays()
    return np.array_equal(first.returns, second.returns) and all(np.array_equal(ours[k], theirs[k]) for k in ours)


# Trials


def test_a_good_configuration_solves_cartpole_and_the_agent_can_do_it():
    trial = train_ppo(GOOD, seed=1)

    assert trial.is_solved
    assert trial.loss == len(trial.returns) == len(trial.lengths) < 200
    assert trial.returns[-20:].tolist() == [200.0] * 20
    means = np.convolve(trial.returns, np.full(20, 1 / 20), "valid")
    assert (means[:-1] < 199.9).all()
    assert np.array_equal(trial.returns, trial.lengths)
    # The episodes of the last batch after the one that solved the task ran, but do not count.
    assert trial.n_steps >= trial.lengths.sum()

    environment = gymnasium.make("CartPole-v1", max_episode_steps=200)
    observation, _ = environment.reset(seed=12345)
    for _ in range(200):
        observation, _, terminated, truncated, _ = environment.step(trial.agent.act(observation))
    assert truncated
    assert not terminated


def test_with_shuffled_actions_nothing_is_solved():
    trial = train_ppo(GOOD, env=f"{OWN}:ShuffledCartPole-v0", seed=1, max_episodes=200, solved_at=200)

    assert not trial.is_solved
    assert trial.loss == 200
    assert trial.returns[-50:].mean() < 40


def test_a_trial_that_is_not_solved_counts_as_many_episodes_as_it_may_have():
    trial = train_ppo({"learning_rate": 1e-6, "batch_size": 30}, max_episodes=70)

    assert (trial.loss, trial.is_solved, len(trial.returns)) == (70.0, False, 70)
    assert trial.n_steps == trial.lengths.sum()


def test_the_same_seed_gives_the_same_trial_and_another_one_another():
    config = {**GOOD, "batch_size": 10}
    first, again, other = (train_ppo(config, seed=seed, max_episodes=40) for seed in (3, 3, 4))

    assert same(first, again)
    assert not same(first, other)


@pytest.mark.parametrize("n_envs", [1, 3])
def test_the_number_of_environments_does_not_matter_where_updates_wait_for_episodes(n_envs):
    few, many = (train_ppo({"batch_size": 10}, seed=3, max_episodes=60, n_envs=numbers) for numbers in (n_envs, None))

    assert few.returns.tolist() == many.returns.tolist()


@pytest.mark.parametrize("update", ["steps", "episodes"])
@pytest.mark.parametrize("loss", ["final_return", "area"])
def test_a_trial_of_a_number_of_steps_takes_exactly_these(update, loss):
    size = {"rollout_steps": 300} if update == "steps" else {"batch_size": 10}
    trial = train_ppo(size, loss=loss, update=update, steps=1001, seed=5)

    assert trial.n_steps == 1001
    assert trial.lengths.sum() <= 1001
    assert not trial.is_solved
    worth = trial.returns[-20:].mean() if loss == "final_return" else None
    assert worth is None or trial.loss == pytest.approx(-worth)
    assert -60 < trial.loss < -8


def test_a_trial_in_which_no_episode_ends_has_no_return():
    with pytest.raises(StudyError, match="steps: no episode of 'Endless-v0' ended within 100 steps; write more"):
        train_ppo(env="Endless-v0", loss="area", steps=100)


def test_continuous_actions_are_learned():
    """In the corridor the reward is the first number of the action, at most 5."""
    config = {"rollout_steps": 200, "learning_rate": 1e-2, "discount": 0.5, "minibatch_size": 50}
    env = {"env": f"{OWN}:Corridor-v0", "env_kwargs": {"actions": "box"}, "loss": "final_return"}
    short, long = (train_ppo(config, steps=steps, seed=1, **env) for steps in (200, 10_000))

    # At first an action is in the middle on average, 1, times 5 steps.
    assert -10 < short.loss < 0
    assert long.loss < -22
    action = long.agent.act([0.5, 0.0])
    assert action.shape == (2,)
    assert action[0] > 4.5


def test_discrete_observations_are_learned():
    config = {"rollout_steps": 200, "learning_rate": 1e-2}
    env = {"env": f"{OWN}:Corridor-v0", "env_kwargs": {"observations": "discrete"}}
    trial = train_ppo(config, loss="final_return", steps=6000, seed=1, **env)

    # The best action, numbered 1, has a reward of 1.
    assert trial.loss < -4.5
    assert trial.agent.act(3) == 1
    assert trial.agent.act([3, 4]).tolist() == [1, 1]


def test_a_training_that_diverges_never_solves_the_task(monkeypatch):
    update = Learner.update

    def broken(self, rollout):
        update(self, rollout)
        if self.n_updates == 3:
            self.actor.layers.weights[1][0, 0] = np.nan

    monkeypatch.setattr(Learner, "update", broken)
    trial = train_ppo({"batch_size": 10}, max_episodes=1000)

    assert (trial.loss, trial.is_solved, len(trial.returns)) == (1000.0, False, 30)
    with pytest.raises(FloatingPointError, match="its training diverged"):
        train_ppo({"rollout_steps": 100}, loss="area", steps=1000)


# Learning


@pytest.mark.parametrize("options", [{}, {"env": "Pendulum-v1", "loss": "area"}])
def test_the_first_step_has_ratio_1(options, monkeypatch):
    ratios = []
    slope = Learner._learn_policy.__globals__["objective_slope"]
    monkeypatch.setitem(
        Learner._learn_policy.__globals__,
        "objective_slope",
        lambda ratio, *others: ratios.append(ratio.clone()) or slope(ratio, *others),
    )
    learner, rollout = learning({"optimization_steps": 3}, **options)

    learner.update(rollout)

    assert len(ratios) == 3
    assert torch.equal(ratios[0], torch.ones(len(rollout)))
    assert not torch.allclose(ratios[1], ratios[0], atol=1e-4)


def entropy(learner, rollout):
    outputs = learner._policy.forward(torch.from_numpy(rollout.observations)).outputs
    distribution = learner._distribution(outputs, torch.from_numpy(rollout.actions))
    return float(distribution.entropies.mean())


@pytest.mark.parametrize("options", [{}, {"env": "Pendulum-v1", "loss": "area"}])
def test_more_entropy_regularization_leaves_more_entropy(options):
    found = []
    for weight in (0.0, 0.1, 1.0):
        learner, rollout = learning({"entropy_regularization": weight, "learning_rate": 1e-2}, **options)
        for _ in range(5):
            learner.update(rollout)
        found.append(entropy(learner, rollout))

    assert found[0] < found[1] < found[2]


def test_an_update_makes_good_actions_likelier():
    learner, rollout = learning({"discount": 0.0, "learning_rate": 1e-2}, env=f"{OWN}:Corridor-v0", loss="area")
    observations = torch.from_numpy(rollout.observations)

    before = learner._policy.forward(observations).outputs.softmax(1)
    learner.update(rollout)
    after = learner._policy.forward(observations).outputs.softmax(1)

    assert (after[:, 2] > before[:, 2]).all()
    assert (after[:, 0] < before[:, 0]).all()


def test_the_value_network_learns_discounted_returns():
    learner, rollout = learning(
        {"discount": 0.0, "baseline_learning_rate": 1e-2, "learning_rate": 0.0, "baseline_optimization_steps": 300}
    )

    learner.update(rollout)

    # With discount 0 each state is worth 1.
    values = learner._values(torch.from_numpy(rollout.observations))
    assert values == pytest.approx(np.ones(len(rollout)), abs=0.05)


@pytest.mark.parametrize("is_cut_off", [True, False])
def test_what_follows_a_time_limit_counts_and_what_follows_an_end_does_not(is_cut_off):
    corridor = {"env": f"{OWN}:Corridor-v0", "loss": "area"}
    learner, rollout = learning({"discount": 0.5}, **({"max_episode_steps": 5} if is_cut_off else corridor))
    assert all(stretch.is_terminated != is_cut_off for stretch in rollout.stretches)
    afterwards = torch.from_numpy(np.stack([stretch.last for stretch in rollout.stretches]))

    _, targets = learner._estimates(rollout, torch.from_numpy(rollout.observations), afterwards)

    # Each of the episodes has five steps.
    following = 0.5 * learner._values(afterwards) if is_cut_off else 0.0
    assert targets.numpy()[4::5] == pytest.approx(rollout.rewards[4::5] + following, abs=1e-6)
    assert np.abs(learner._values(afterwards)).min() > 1e-4


def test_a_network_baseline_does_not_change_the_policy():
    rates = {"learning_rate": 0.0, "baseline_mode": "network"}
    learner, rollout = learning(rates)
    before = learner._policy.parameters.clone()

    learner.update(rollout)

    assert torch.equal(learner._policy.parameters, before)


def test_rewards_are_scaled_by_the_deviation_of_returns():
    plain, rollout = learning({"normalise_rewards": False})
    scaled, _ = learning({"normalise_rewards": True})
    rewards = 1000.0 * rollout.rewards
    parts = [slice(0, len(rollout))]

    assert plain._scaled(rewards, parts) is rewards
    once = scaled._scaled(rewards, parts)
    assert 0 < once[0] < 1
    again, _ = learning({"normalise_rewards": True})
    assert again._scaled(rollout.rewards, parts) == pytest.approx(once)


def test_scaled_observations_are_of_earlier_updates():
    learner, rollout = learning({"normalise_observations": True})
    assert learner.eyes.mean.tolist() == [0.0] * 4
    assert learner.eyes.deviation == pytest.approx([1.0] * 4)

    learner.update(rollout)

    assert learner.eyes.mean == pytest.approx(rollout.observations.mean(axis=0), abs=1e-5)
    assert learner.eyes.deviation == pytest.approx(rollout.observations.std(axis=0), abs=1e-3)
    assert learner.agent().eyes.mean.tolist() == learner.eyes.mean.tolist()


def test_an_agent_scales_what_it_sees_as_in_training():
    learner, rollout = learning({"normalise_observations": True}, env="Pendulum-v1", loss="area")
    learner.update(rollout)
    agent, observations = learner.agent(), rollout.observations

    acted = agent.act(observations)

    convert = agent.interface.actions.convert
    assert np.array_equal(acted, convert(learner.actor.mode(learner.eyes.see(observations))))
    assert not np.allclose(acted, convert(learner.actor.mode(observations)))


def test_an_agent_does_not_change_when_its_learner_goes_on():
    learner, rollout = learning()
    agent = learner.agent()
    before = copy.deepcopy(agent.arrays())
    assert isinstance(agent, Agent)

    learner.update(rollout)

    assert all(np.array_equal(before[name], array) for name, array in agent.arrays().items())


# Hyperparameters


OTHER = {
    "n_units_1": 16,
    "n_units_2": 16,
    "batch_size": 11,
    "rollout_steps": 90,
    "learning_rate": 2e-3,
    "discount": 0.9,
    "likelihood_ratio_clipping": 0.01,
    "entropy_regularization": 0.5,
    "activation_1": "relu",
    "activation_2": "relu",
    "optimizer_type": "rmsprop",
    "optimization_steps": 4,
    "baseline_mode": "network",
    "baseline_n_units_1": 16,
    "baseline_n_units_2": 16,
    "baseline_learning_rate": 1e-2,
    "baseline_optimization_steps": 4,
    "baseline_optimizer_type": "rmsprop",
    "gae_lambda": 0.5,
    "minibatch_size": 40,
    "normalise_advantages": False,
    "normalise_observations": True,
    "normalise_rewards": True,
    "max_grad_norm": 0.01,
    "initial_log_std": -1.0,
}
BASE = {"n_units_1": 8, "n_units_2": 8, "learning_rate": 1e-2}
SIZES = {"steps": {"rollout_steps": 80}, "episodes": {"batch_size": 10}}


def outcome(name, config):
    update = "steps" if name in {"rollout_steps", "initial_log_std"} else "episodes"
    options = {"loss": "final_return", "steps": 600, "seed": 1, "update": update}
    config = {**SIZES[update], **config}
    if name == "initial_log_std":
        return train_ppo(config, env=f"{OWN}:Corridor-v0", env_kwargs={"actions": "box"}, **options)
    return train_ppo(config, **options)


@pytest.mark.parametrize("name", KINDS)
def test_every_hyperparameter_has_an_effect(name):
    # With advantages of any size a reward's scale and the length of gradients matter.
    base = {**BASE, "normalise_advantages": False} if name == "normalise_rewards" else BASE

    before, after = outcome(name, base), outcome(name, {**base, name: OTHER[name]})

    assert base.get(name, getattr(Hyperparameters(), name)) != OTHER[name]
    assert not same(before, after)


@pytest.mark.parametrize(("space", "size"), [("small", 7), ("full", 16)])
def test_every_hyperparameter_of_a_space_is_walked_above(space, size):
    for update in ("episodes", "steps"):
        names = set(build_space(space, update))
        assert len(names) == size
        assert names <= set(OTHER)
        assert ("rollout_steps" in names) == (update == "steps") == ("batch_size" not in names)


@pytest.mark.parametrize("space", ["small", "full"])
def test_any_configuration_of_a_space_can_be_tried(space):
    drawn = build_space(space, "episodes")
    drawn.seed(3)
    task = Task.of(PPOOptions.parse({"max_episodes": 60}))

    for config in [drawn.get_default_configuration(), *drawn.sample_configuration(5)]:
        trial = run_trial(Hyperparameters.from_config(dict(config)), task, 1)
        assert 20 <= trial.loss <= 60


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"lerning_rate": 1e-3}, "hyperparameter 'lerning_rate' is unknown to ppo; did you mean 'learning_rate'"),
        ({"activation_1": "tahn"}, "'activation_1': 'tahn' is none of its values; did you mean 'tanh'. choose from"),
        ({"discount": 1.5}, "'discount' must be a number from 0 to 1, not 1.5"),
        ({"batch_size": 2.5}, "'batch_size' must be a whole number from 1 to 100000, not 2.5"),
        ({"n_units_1": True}, "'n_units_1' must be a whole number"),
        ({"learning_rate": float("nan")}, "'learning_rate' must be a number from 0 to 1, not nan"),
        ({"normalise_rewards": 1}, "'normalise_rewards' must be true or false, not 1"),
    ],
)
def test_wrong_hyperparameters_are_told(config, words):
    with pytest.raises(SpaceError, match=words):
        train_ppo(config)


def test_defaults_are_never_changed():
    config, before = {"batch_size": 20, "discount": 0.5}, Hyperparameters()
    given = dict(config)

    train_ppo(config, max_episodes=20)

    assert config == given
    assert Hyperparameters() == before == Hyperparameters.from_config({})
    assert Hyperparameters().batch_size == 64
