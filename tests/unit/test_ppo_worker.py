import math
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from bohb_service.errors import SpaceError, StudyError
from bohb_service.study import load_study
from bohb_service.worker.base import EvaluationContext
from bohb_service.workers.ppo import PPO, load, train_ppo
from bohb_service.workers.ppo.agent import AGENT
from bohb_service.workers.ppo.options import PPOOptions
from bohb_service.workers.ppo.trial import run_trial
from tests.ppo_synthetic import DrawnPPO
from tests.sealing import facts_of, sealed_again

CONFIGS = Path(__file__).parents[2] / "configs"
QUICK = {"batch_size": 10, "n_units_1": 8, "n_units_2": 8}
SHORT = {"max_episodes": 30}


def context(directory, seed=7, curve=None):
    points = [] if curve is None else curve
    return EvaluationContext("0.0", 0, 1.0, None, seed, directory, report=lambda *point: points.append(point))


def evaluate(worker, config, budget, directory, seed=7):
    curve = []
    result = worker.compute(config, float(budget), context(directory, seed, curve))
    return result["loss"], curve, result["info"]


class CountingPPO(PPO):
    """Keeps the seeds of the trials that it runs."""

    def __init__(self, **options):
        super().__init__(**options)
        self.seeds = []

    def train(self, parameters, seed, **rest):
        self.seeds.append(seed)
        return super().train(parameters, seed, **rest)


# Package, options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"spce": "full"}, "worker_options.spce: no such option; did you mean 'space'"),
        ({"zzz": 1}, "worker_options.zzz: no such option; there are: env, env_kwargs, fixed"),
        ({"space": "ful"}, "worker_options.space: 'ful'; did you mean 'full'"),
        ({"loss": "final"}, "worker_options.loss: 'final'.*choose from: episodes, final_return, area"),
        ({"update": "step"}, "worker_options.update: 'step'; did you mean 'steps'"),
        ({"env": 3}, "worker_options.env: must be text, not 3"),
        ({"env": ""}, "worker_options.env: must be text, not ''"),
        ({"model": 3}, "worker_options.model: must be text, not 3"),
        ({"env_kwargs": [1]}, "worker_options.env_kwargs: must be a mapping"),
        ({"max_episode_steps": 0}, "worker_options.max_episode_steps: must be a whole number from 1"),
        ({"solved_at": "high"}, "worker_options.solved_at: must be a number"),
        ({"window": 0}, "worker_options.window: must be a whole number from 1"),
        ({"max_episodes": 0}, "worker_options.max_episodes: must be a whole number from 1 to"),
        ({"max_episodes": 10}, "worker_options.window: 20 episodes are more than the 10 of max_episodes"),
        ({"steps": 0}, "worker_options.steps: must be a whole number from 1"),
        ({"n_envs": 0}, "worker_options.n_envs: must be a whole number from 1"),
        ({"threads": 0}, "worker_options.threads: must be a whole number from 1"),
    ],
)
def test_wrong_options_are_told(options, words):
    with pytest.raises(StudyError, match=words):
        PPO(**options)


def test_an_unknown_environment_is_told_before_anything_runs():
    with pytest.raises(StudyError, match="there is no environment 'CartPol-v1'; did you mean 'CartPole-v1'"):
        PPO.configuration_space(env="CartPol-v1")
    # What a worker's machine may have and this one lacks is left to it.
    for env in ("CartPole", "Hopper-v5", "elsewhere.py:Own-v0"):
        assert len(PPO.configuration_space(env=env)) == 7


def test_fixed_hyperparameters_are_checked_and_leave_the_space():
    with pytest.raises(SpaceError, match="'gae_lamda' is unknown to ppo; did you mean 'gae_lambda'"):
        PPO(fixed={"gae_lamda": 0.9})
    with pytest.raises(SpaceError, match="'gae_lambda' must be a number from 0 to 1, not 2"):
        PPO.configuration_space(fixed={"gae_lambda": 2})
    assert set(PPO.configuration_space(fixed={"discount": 0.9, "gae_lambda": 0.9})) == set(
        PPO.configuration_space()
    ) - {"discount"}


def test_a_long_window_needs_no_more_episodes_where_they_are_not_counted():
    assert PPOOptions.parse({"loss": "final_return", "window": 5000}).window == 5000


@pytest.mark.parametrize(
    ("options", "config", "words"),
    [
        ({"fixed": {"discount": 0.5}}, {"discount": 0.9}, "'discount' is in the configuration and in `fixed`"),
        ({"update": "steps"}, {"batch_size": 8}, "'batch_size' has no effect with `update: steps`"),
        ({}, {"rollout_steps": 64}, "'rollout_steps' has no effect with `update: episodes`"),
    ],
)
def test_what_would_be_tuned_without_effect_is_refused(options, config, words):
    with pytest.raises(SpaceError, match=words):
        PPO(**SHORT, **options).compute(config, 1.0, context("/nowhere"))
    with pytest.raises(SpaceError, match=words):
        train_ppo(config, **options)


def test_fixed_hyperparameters_are_used():
    seen = []

    class Spy(PPO):
        def train(self, parameters, seed, **rest):
            seen.append(parameters)
            raise FloatingPointError

    worker = Spy(fixed={"discount": 0.5, "batch_size": 9}, **SHORT)
    with pytest.raises(FloatingPointError):
        worker.compute({"n_units_1": 11}, 1.0, context("/nowhere"))

    assert (seen[0].discount, seen[0].batch_size, seen[0].n_units_1) == (0.5, 9, 11)


def test_the_spaces_are_the_published_ones():
    small, full = PPO.configuration_space(), PPO.configuration_space(space="full")

    assert len(small) == 7
    assert len(full) == 16
    assert (small["batch_size"].lower, small["batch_size"].upper, small["batch_size"].log) == (8, 256, True)
    assert (small["learning_rate"].lower, small["learning_rate"].upper) == (1e-7, 1e-1)
    assert full["n_units_1"].upper == 64
    assert dict(small.get_default_configuration()) == {
        "batch_size": 64,
        "discount": 0.99,
        "entropy_regularization": 0.01,
        "learning_rate": 1e-3,
        "likelihood_ratio_clipping": 0.2,
        "n_units_1": 64,
        "n_units_2": 64,
    }


# Budgets


def test_a_budget_is_a_number_of_trials_with_different_seeds(tmp_path):
    worker = CountingPPO(**SHORT)

    loss, curve, info = evaluate(worker, QUICK, 3, tmp_path)

    assert len(info["all_runs"]) == len(set(worker.seeds)) == info["trials_run"] == 3
    assert loss == np.mean(info["all_runs"])
    assert curve == [(number, np.mean(info["all_runs"][:number])) for number in (1, 2, 3)]
    assert info["solved"] == 0


def test_each_trial_is_one_that_can_be_run_in_plain_python(tmp_path):
    worker = CountingPPO(env="CartPole-v1", loss="area", steps=400, fixed={"rollout_steps": 100})

    _, _, info = evaluate(worker, {"discount": 0.9}, 2, tmp_path)

    plain = [
        train_ppo({"discount": 0.9, "rollout_steps": 100}, seed=seed, loss="area", steps=400) for seed in worker.seeds
    ]
    assert info["all_runs"] == [trial.loss for trial in plain]
    assert info["steps"] == [400, 400]
    assert len(set(info["all_runs"])) == 2


def test_cost_is_linear_in_the_budget(tmp_path):
    worker = PPO(loss="area", steps=300, fixed={"rollout_steps": 100})

    steps = [sum(evaluate(worker, {}, budget, tmp_path / str(budget))[2]["steps"]) for budget in (1, 2, 4)]

    assert steps == [300, 600, 1200]


@pytest.mark.parametrize("options", [{"loss": "episodes"}, {"env": "Pendulum-v1", "loss": "final_return"}])
def test_continuing_equals_a_fresh_run_and_runs_only_what_is_missing(tmp_path, options):
    fixed = {"rollout_steps": 100, "normalise_observations": True}
    worker = CountingPPO(max_episodes=30, steps=1600, fixed=fixed, **options)

    fresh = evaluate(worker, {"n_units_1": 8}, 4, tmp_path / "fresh")
    seeds, worker.seeds = worker.seeds, []
    first = evaluate(worker, {"n_units_1": 8}, 1, tmp_path / "continued")
    then = evaluate(worker, {"n_units_1": 8}, 4, tmp_path / "continued")

    assert then[:2] == fresh[:2]
    assert then[2]["all_runs"] == fresh[2]["all_runs"]
    assert first[2]["all_runs"] == fresh[2]["all_runs"][:1]
    assert worker.seeds == seeds
    assert (first[2]["trials_run"], then[2]["trials_run"]) == (1, 3)
    # The smaller budget again, after the larger one.
    again = evaluate(worker, {"n_units_1": 8}, 1, tmp_path / "continued")
    assert (again[0], again[2]["trials_run"]) == (first[0], 0)


def test_trials_that_were_kept_are_told_as_budget_that_is_not_spent_again(tmp_path):
    worker = PPO(**SHORT)
    evaluate(worker, QUICK, 1, tmp_path)

    later = context(tmp_path)
    worker.compute(QUICK, 2.0, later)

    assert later.continued_from == 1.0


@pytest.mark.parametrize(
    ("config", "options", "seed"),
    [({"discount": 0.5}, {}, 7), ({}, {"window": 21}, 7), ({}, {"max_episode_steps": 50}, 7), ({}, {}, 8)],
)
def test_trials_of_another_course_are_not_taken_over(tmp_path, config, options, seed):
    evaluate(PPO(**SHORT), QUICK, 1, tmp_path)

    other = PPO(**{**SHORT, **options})
    _, _, info = evaluate(other, {**QUICK, **config}, 1, tmp_path, seed=seed)

    assert info["trials_run"] == 1


def test_a_damaged_trial_is_run_again(tmp_path):
    worker = PPO(**SHORT)
    expected = evaluate(worker, QUICK, 2, tmp_path)
    path = tmp_path / "trial-1.bin"
    path.write_bytes(path.read_bytes()[:-1] + b"x")

    found = evaluate(worker, QUICK, 2, tmp_path)

    assert found[0] == expected[0]
    assert found[2]["trials_run"] == 1


@pytest.mark.parametrize("content", [None, "mine"])
def test_a_folder_in_place_of_a_trial_costs_no_more_than_that_trial(tmp_path, content):
    worker = PPO(**SHORT)
    expected = evaluate(worker, QUICK, 2, tmp_path)
    path = tmp_path / "trial-1.bin"
    path.unlink()
    path.mkdir()
    if content:
        (path / "notes.txt").write_text(content)

    found = evaluate(worker, QUICK, 2, tmp_path)

    assert found[:2] == expected[:2]
    assert found[2]["trials_run"] == 1
    assert path.is_file() == (content is None)
    if content:
        assert "not empty" in found[2]["checkpoint_error"]
        assert (path / "notes.txt").read_text() == content


@pytest.mark.parametrize("budget", [0, 0.5, 1.5, 10**6])
def test_a_budget_that_is_no_number_of_trials_is_refused(tmp_path, budget):
    with pytest.raises(
        StudyError, match="is not a whole number of trials; declare the fidelity of the study as integer"
    ):
        evaluate(PPO(), QUICK, budget, tmp_path)


def test_the_noise_of_the_loss_falls_with_the_root_of_the_budget(tmp_path):
    worker = DrawnPPO()
    losses = {
        budget: [evaluate(worker, {"discount": 0.1}, budget, tmp_path / str(seed), seed)[0] for seed in range(150)]
        for budget in (1, 9)
    }

    assert np.mean(losses[9]) == pytest.approx(130, abs=6)
    assert np.std(losses[1]) / np.std(losses[9]) == pytest.approx(math.sqrt(9), rel=0.25)


# The final agent


def test_the_final_agent_is_that_of_the_best_trial_and_acts_the_same(tmp_path):
    options = {"solved_at": 27, "window": 4, "max_episodes": 60, "fixed": {"normalise_observations": True}}
    worker = CountingPPO(model=str(tmp_path / "agent"), **options)
    evaluate(worker, QUICK, 3, tmp_path)
    seen, worker.seeds = set(worker.seeds), []

    told = worker.refit(QUICK, 3.0, context(tmp_path))

    # The trials of the incumbent, then those of the default configuration with the same seeds.
    assert len(worker.seeds) == 6
    assert worker.seeds[:3] == worker.seeds[3:]
    assert not seen & set(worker.seeds)
    assert told["test_loss"] == np.mean(told["test_runs"])
    agent = load(told["model"])
    parameters = worker._parameters(QUICK)
    trials = [run_trial(parameters, worker.task, seed) for seed in worker.seeds[:3]]
    assert [trial.loss for trial in trials] == told["test_runs"]
    assert len(set(told["test_runs"])) == 3
    best = min(trials, key=lambda trial: trial.loss).agent
    default = [run_trial(worker._parameters({}), worker.task, seed).loss for seed in worker.seeds[:3]]
    assert told["baseline"]["test_loss"] == np.mean(default)
    assert all(np.array_equal(array, agent.arrays()[name]) for name, array in best.arrays().items())
    observations = np.random.default_rng(0).normal(size=(50, 4))
    assert np.array_equal(agent.act(observations), best.act(observations))
    assert {path.name for path in (tmp_path / "agent").iterdir()} == {"agent.json", "weights.safetensors"}
    assert 8 <= told["agent_return"] <= 200
    assert told["agent_return"] == worker.refit(QUICK, 3.0, context(tmp_path))["agent_return"]


def test_a_loaded_agent_acts_without_pytorch(tmp_path):
    agent = train_ppo({"rollout_steps": 100}, env="Pendulum-v1", loss="area", steps=1600).agent
    agent.save(tmp_path / "agent", {})
    code = (
        "import sys\n"
        "from bohb_service.workers.ppo import load\n"
        f"print(load({str(tmp_path / 'agent')!r}).act([1.0, 0.0, 0.5])[0])\n"
        "assert 'torch' not in sys.modules and 'gymnasium' not in sys.modules\n"
    )

    told = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True).stdout

    assert float(told) == agent.act([1.0, 0.0, 0.5])[0]


def test_actions_are_single_or_several_likeliest_or_drawn():
    trial = train_ppo({"rollout_steps": 100}, env="Pendulum-v1", loss="area", steps=1600)
    environment = gymnasium.make("Pendulum-v1")
    observation, _ = environment.reset(seed=0)

    one = trial.agent.act(observation)
    several = trial.agent.act(np.stack([observation, observation]))
    drawn = trial.agent.act(observation, np.random.default_rng(0))

    assert environment.action_space.contains(one)
    assert environment.action_space.contains(drawn)
    assert several.shape == (2, 1)
    assert np.allclose(several, one)
    assert not np.array_equal(one, drawn)
    assert np.array_equal(drawn, trial.agent.act(observation, np.random.default_rng(0)))
    with pytest.raises(ValueError, match=r"observations have shape \(1, 2\), but the agent learned from 3"):
        trial.agent.act([0.0, 1.0])
    for wrong in ("left", None, ["a", "b", "c"]):
        with pytest.raises(ValueError, match="observation: must be of numbers, not "):
            trial.agent.act(wrong)
    with pytest.raises(TypeError, match=r"rng: must be a numpy.random.Generator, such as .*, not 5"):
        trial.agent.act(observation, 5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"seed": -1}, r"^seed: must be a whole number from 0 to 2147483647, not -1$"),
        ({"seed": 1.5}, r"^seed: must be a whole number from 0 to 2147483647, not 1\.5$"),
        ({"seed": True}, r"^seed: must be a whole number .* not True$"),
        ({"seed": None}, r"^seed: must be a whole number .* not None$"),
        ({"seed": 2**31}, r"^seed: must be a whole number .* not 2147483648$"),
        ({"config": [1]}, r"^config: must be a mapping of hyperparameters to values, not \[1\]$"),
        ({"config": {"discount": 2}}, r"^hyperparameter 'discount' must be a number from 0 to 1, not 2$"),
        ({"env": None}, r"^env: must be text, not None$"),
        ({"env": "CartPol-v1"}, r"^env: there is no environment 'CartPol-v1'; did you mean 'CartPole-v1'\?"),
        ({"env_kwargs": {"mass": 3}}, r"^env_kwargs: \{'mass': 3\} do not suit 'CartPole-v1'"),
        ({"loss": "final"}, r"^loss: 'final'; choose from: "),
        ({"windw": 3}, r"^windw: no such option; did you mean 'window'\?$"),
        ({"env": "tests.ppo_environments:Endless-v0", "solved_at": 1}, "^max_episode_steps: .* write a number"),
        ({"config": {}, "loss": "area", "steps": 5}, "^steps: no episode of 'CartPole-v1' ended within 5 steps"),
    ],
)
def test_wrong_arguments_of_a_training_are_named(arguments, words):
    with pytest.raises(StudyError, match=words):
        train_ppo(**{"config": QUICK, **arguments})


def test_numbers_of_numpy_are_arguments_too():
    plain = train_ppo(QUICK, seed=3, max_episodes=20)
    given = {name: np.int64(value) for name, value in QUICK.items()}

    same = train_ppo(given, seed=np.int64(3), max_episodes=np.int32(20))

    assert np.array_equal(same.returns, plain.returns)


def test_a_saved_agent_that_is_missing_or_damaged_is_told(tmp_path):
    with pytest.raises(StudyError, match="there is no agent; a study with `refit: true` leaves one"):
        load(tmp_path / "nothing")
    agent = train_ppo(QUICK, max_episodes=20).agent
    folder, weights = tmp_path / "agent", tmp_path / "agent" / "weights.safetensors"
    agent.save(folder, {"a": 1})
    data, whole = facts_of(folder, AGENT), weights.read_bytes()
    interface = data["interface"]
    for wrong in (
        {"target": "other"},
        {"activations": ["tnah", "tanh"]},
        {"observations": {"mean": [0.0] * 3, "deviation": [1.0] * 3}},
        {"interface": {**interface, "observations": 5}},
        {"interface": {**interface, "observations": 10**15}},
        {"interface": {**interface, "observations": "4"}},
        {"interface": {**interface, "actions": {**interface["actions"], "size": 3}}},
        {"interface": {**interface, "actions": {**interface["actions"], "start": "0"}}},
        {"interface": {"observations": 4, "actions": interface["actions"]}},
    ):
        sealed_again(folder, AGENT, **{**data, **wrong})
        with pytest.raises(StudyError, match=r"an agent of 'other'|cannot be read .*copy the whole .*train it again"):
            load(folder)
    sealed_again(folder, AGENT, **data)
    for content in (b"x", whole[:-4], whole + b"x"):
        weights.write_bytes(content)
        with pytest.raises(StudyError, match=r"weights.safetensors: was changed since it was saved"):
            load(folder)
        sealed_again(folder, AGENT)
        with pytest.raises(StudyError, match=r"the agent cannot be read .*; copy the whole folder"):
            load(folder)
    weights.write_bytes(whole)
    sealed_again(folder, AGENT)
    assert all(np.array_equal(array, agent.arrays()[name]) for name, array in load(folder).arrays().items())


def test_shapes_of_continuous_actions_that_do_not_fit_are_told(tmp_path):
    train_ppo({"rollout_steps": 100}, env="Pendulum-v1", loss="area", steps=1600).agent.save(tmp_path / "agent", {})
    load(tmp_path / "agent")
    interface = facts_of(tmp_path / "agent", AGENT)["interface"]
    wrong = {**interface, "actions": {**interface["actions"], "shape": [3]}}
    sealed_again(tmp_path / "agent", AGENT, interface=wrong)
    with pytest.raises(StudyError, match="the agent cannot be read"):
        load(tmp_path / "agent")


def test_a_folder_for_the_agent_that_cannot_be_used_is_told_before_the_search(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StudyError, match=r"worker_options.model: .*file/agent: .*file is no folder"):
        PPO(model=str(tmp_path / "file" / "agent")).setup()
    PPO(model=str(tmp_path / "new" / "agent")).setup()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# Study files


@pytest.mark.parametrize("name", ["ppo", "ppo-published", "ppo-pendulum"])
def test_study_files_fit_the_worker(name):
    study = load_study(CONFIGS / f"{name}.yaml")

    assert study.worker == "ppo"
    assert study.fidelity.name == "trials"
    assert study.fidelity.integer
    worker = PPO(**study.worker_options)
    worker.setup()
    assert len(PPO.configuration_space(**study.worker_options)) >= 6
    assert isinstance(worker.ppo_options, PPOOptions)
