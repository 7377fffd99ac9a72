from itertools import pairwise

import gymnasium
import numpy as np
import pytest

from bohb_service.errors import StudyError
from bohb_service.workers.ppo import copies
from bohb_service.workers.ppo.actor import Actor, Layers
from bohb_service.workers.ppo.cartpole import CartPoleLanes
from bohb_service.workers.ppo.collector import Collector
from bohb_service.workers.ppo.copies import GymnasiumLanes, open_lanes
from bohb_service.workers.ppo.environments import identity, interface_of, make_environment, source_digest
from bohb_service.workers.ppo.options import PPOOptions
from bohb_service.workers.ppo.task import Task
from tests.ppo_environments import Corridor

EVER = 10**9


def task(**options):
    return Task.of(PPOOptions.parse(options))


def lanes_of(count, **options):
    made = task(**options)
    return open_lanes(made.options, made.interface, count), made.interface


def actor(observations, outputs, kind="discrete"):
    """What acts at random, differently in each state."""
    rng = np.random.default_rng(0)
    sizes = (observations, 4, 4, outputs)
    weights = [(0.3 * rng.normal(size=shape)).astype(np.float32) for shape in pairwise(sizes)]
    biases = [(0.1 * rng.normal(size=size)).astype(np.float32) for size in sizes[1:]]
    log_std = np.zeros(0 if kind == "discrete" else outputs, np.float32)
    return Actor(Layers(tuple(weights), tuple(biases), ("tanh", "tanh")), kind, log_std)


# CartPole


def test_cartpole_is_gymnasiums_bit_for_bit():
    rng = np.random.default_rng(0)
    seeds = rng.integers(0, 2**31, 60).tolist()
    lanes, _ = lanes_of(len(seeds))
    assert isinstance(lanes, CartPoleLanes)
    theirs = [gymnasium.make("CartPole-v1", max_episode_steps=200) for _ in seeds]
    seen = np.stack([lanes.reset(lane, seed) for lane, seed in enumerate(seeds)])
    expected = np.stack([each.reset(seed=seed)[0] for each, seed in zip(theirs, seeds, strict=True)])
    assert np.array_equal(seen, expected)
    active, n_steps, n_truncated = np.arange(len(seeds)), 0, 0
    while len(active):
        # The more even lanes fall soon, the others are held up for the most part.
        held = (expected[active, 2] + 0.5 * expected[active, 3] > 0).astype(np.int64)
        actions = np.where((active % 3 == 0) & (rng.random(len(active)) < 0.5), 1 - held, held)
        steps = lanes.step(active, actions)
        for index, lane in enumerate(active):
            observation, reward, terminated, truncated, _ = theirs[lane].step(actions[index])
            expected[lane] = observation
            assert np.array_equal(steps.observations[index], observation)
            assert (steps.rewards[index], steps.terminated[index], steps.truncated[index]) == (
                reward,
                terminated,
                truncated,
            )
        n_steps += len(active)
        n_truncated += int(steps.truncated.sum())
        active = active[~(steps.terminated | steps.truncated)]
    assert n_steps > 5000
    assert 0 < n_truncated < len(seeds)


def test_a_lane_of_cartpole_begins_anew_beside_others():
    lanes, _ = lanes_of(3)
    first = [lanes.reset(lane, lane) for lane in range(3)]
    for _ in range(5):
        lanes.step(np.arange(3), np.array([0, 1, 0]))

    assert np.array_equal(lanes.reset(1, 2), first[2])
    steps = lanes.step(np.array([0, 1]), np.array([1, 1]))
    assert steps.observations.shape == (2, 4)
    alone, _ = lanes_of(1)
    alone.reset(0, 2)
    assert np.array_equal(alone.step(np.array([0]), np.array([1])).observations[0], steps.observations[1])


@pytest.mark.parametrize(
    ("options", "is_ours", "limit"),
    [
        ({}, True, 200),
        ({"max_episode_steps": 50}, True, 50),
        ({"loss": "area"}, True, 500),
        ({"env_kwargs": {"sutton_barto_reward": True}}, False, 200),
        ({"env": "CartPole-v0"}, False, 200),
    ],
)
def test_only_the_plain_cartpole_is_replaced(options, is_ours, limit):
    lanes, _ = lanes_of(1, **options)

    assert isinstance(lanes, CartPoleLanes) == is_ours
    lanes.reset(0, 3)
    for step in range(1, limit + 1):
        # Held up by a simple rule.
        x, speed, angle, turn = lanes._state[:, 0] if is_ours else lanes._environments[0].unwrapped.state
        done = lanes.step(np.zeros(1, np.int64), np.array([int(angle + 0.5 * turn + 0.05 * x + 0.1 * speed > 0)]))
        assert not done.terminated[0]
        assert done.truncated[0] == (step == limit)


@pytest.mark.parametrize("name", ["CartPole", "gymnasium:CartPole-v1", "gymnasium:CartPole"])
@pytest.mark.parametrize("options", [{}, {"loss": "area"}, {"max_episode_steps": 70}, {"update": "steps"}])
def test_every_spelling_of_a_name_is_the_same_task(name, options):
    plain, spelled = task(**options), task(env=name, **options)

    assert spelled.options.max_episode_steps == plain.options.max_episode_steps
    assert (spelled.threshold, spelled.interface) == (plain.threshold, plain.interface)
    assert spelled.facts == plain.facts
    lanes, others = lanes_of(1, **options)[0], lanes_of(1, env=name, **options)[0]
    assert isinstance(others, CartPoleLanes)
    assert others._limit == lanes._limit


def test_other_environments_have_other_marks():
    names = ("CartPole-v1", "CartPole-v0", "ShuffledCartPole-v0", "Acrobot-v1")

    assert len({identity(name) for name in names}) == len(names)
    assert task(env="CartPole-v0").facts != task(env="CartPole-v1").facts


# Interfaces


def test_discrete_actions_and_observations_may_begin_anywhere():
    lanes, interface = lanes_of(
        1, env="tests.ppo_environments:Corridor-v0", loss="area", env_kwargs={"observations": "discrete"}
    )

    assert lanes.reset(0, 1).tolist() == [1, 0, 0, 0, 0, 0]
    steps = lanes.step(np.zeros(1, np.int64), np.array([2]))
    assert steps.observations.tolist() == [[0, 1, 0, 0, 0, 0]]
    assert steps.rewards.tolist() == [1.0]
    assert interface.actions.convert(np.array([0, 2])).tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("actions", "said", "done"),
    [
        ("box", [[-1.0, 1.0], [0.0, 0.0], [9.0, -9.0]], [[-3.0, 1.0], [1.0, 0.5], [5.0, 0.0]]),
        ("free", [[-7.0, 9.0]], [[[-7.0, 9.0]]]),
    ],
)
def test_bounded_actions_are_scaled_and_free_ones_are_not(actions, said, done):
    _, interface = lanes_of(1, env="tests.ppo_environments:Corridor-v0", loss="area", env_kwargs={"actions": actions})

    assert interface.actions.convert(np.array(said, np.float32)).tolist() == done


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"env": "CartPol-v1"},
            r"worker_options.env: there is no environment 'CartPol-v1'; did you mean 'CartPole-v1'\?",
        ),
        ({"env": "pendulum-v1"}, "did you mean 'Pendulum-v1'"),
        ({"env": "CartPole-v7"}, "there is no environment 'CartPole-v7'; did you mean 'CartPole-v1'"),
        ({"env": "CartPol"}, "there is no environment 'CartPol'; did you mean 'CartPole-v"),
        ({"env": "Pendulum-v0"}, "there is no environment 'Pendulum-v0'; did you mean 'Pendulum-v1'"),
        ({"env": "what is this?"}, "there is no environment 'what is this"),
        ({"env": "Zzz-v0"}, "there is no environment 'Zzz-v0'; see gymnasium.registry for names"),
        (
            {"env": "no_such_module:Own-v0"},
            "env: 'no_such_module:Own-v0': there is no module 'no_such_module' on the path",
        ),
        ({"env": "tests.ppo_environments:Corrdor-v0"}, "did you mean 'Corridor-v0'"),
        ({"env": "nowhere/own.py:Own-v0"}, "env: 'nowhere/own.py:Own-v0': there is no file .*nowhere/own.py"),
        ({"env": "Broken-v0"}, "'Broken-v0' needs a package that is not installed here: No module named 'a_package"),
        ({"env": "Hopper-v5"}, r"'Hopper-v5' needs a package that is not installed here: .*mujoco"),
        (
            {"env": "Pendulum-v1", "env_kwargs": {"mass": 3}},
            r"env_kwargs: \{'mass': 3\} do not suit 'Pendulum-v1'.*mass",
        ),
        ({"env": "Pendulum-v1"}, "solved_at: 'Pendulum-v1' does not say at which return it is solved; write a number"),
        (
            {"env": "Corridor-v0", "env_kwargs": {"observations": "image"}},
            r"observations of 'Corridor-v0' are Box.*8, 8",
        ),
        (
            {"env": "Corridor-v0", "env_kwargs": {"observations": "dict"}},
            "observations of 'Corridor-v0' are Dict.*wrapper",
        ),
        ({"env": "Corridor-v0", "env_kwargs": {"actions": "whole"}}, "actions of 'Corridor-v0' are Box.*of floats"),
        ({"env": "Corridor-v0", "env_kwargs": {"actions": "several"}}, "actions of 'Corridor-v0' are MultiDiscrete"),
    ],
)
def test_what_cannot_be_used_is_told(options, words):
    with pytest.raises(StudyError, match=words):
        task(**options)


def test_when_an_environment_is_solved():
    assert task().threshold == 200
    assert task(max_episode_steps=500).threshold == 500
    assert task(solved_at=150).threshold == 150
    assert task(env="CartPole-v0").threshold == 200
    assert task(env="MountainCar-v0").threshold == -110
    assert task(env="Pendulum-v1", loss="area").threshold is None
    assert task(env="Pendulum-v1", loss="area", solved_at=-200).threshold == -200


# Collecting


def corridor(count, length=5, n_lanes=None):
    environments = [make_environment("Corridor-v0", {"length": length}, None) for _ in range(n_lanes or count)]
    interface = interface_of("Corridor-v0", environments[0])
    lanes = GymnasiumLanes(environments, interface)
    return Collector(lanes, len(environments), actor(2, 3), 2, seed=4), environments


@pytest.mark.parametrize("n_lanes", [1, 3, 8])
def test_episodes_do_not_depend_on_what_runs_beside_them(n_lanes):
    alone, _ = corridor(1)
    beside, _ = corridor(8, n_lanes=n_lanes)
    expected = [alone.collect_episodes(1, None, EVER) for _ in range(8)]

    rollout = beside.collect_episodes(8, None, EVER)

    assert [each.number for each in rollout.episodes] == list(range(8))
    assert list(rollout.episodes) == [one.episodes[0] for one in expected]
    assert np.array_equal(rollout.observations, np.concatenate([one.observations for one in expected]))
    assert np.array_equal(rollout.actions, np.concatenate([one.actions for one in expected]))
    assert len({one.observations[0, 0] for one in expected}) == 8
    totals = [float(part.sum()) for part in np.split(rollout.rewards, 8)]
    assert [each.total for each in rollout.episodes] == totals
    assert len(set(totals)) > 2


def test_cartpole_episodes_do_not_depend_on_what_runs_beside_them():
    made = actor(4, 2)
    rollouts = []
    for count in (1, 4, 16):
        lanes, _ = lanes_of(count)
        rollouts.append(Collector(lanes, count, made, 4, seed=9).collect_episodes(16, None, EVER))

    assert len({episode.length for episode in rollouts[0].episodes}) > 5
    for other in rollouts[1:]:
        assert list(other.episodes) == list(rollouts[0].episodes)
        assert np.array_equal(other.actions, rollouts[0].actions)
        assert np.allclose(other.observations, rollouts[0].observations)


def test_stretches_fit_their_rows():
    lanes, _ = lanes_of(4)
    rollout = Collector(lanes, 4, actor(4, 2), 4, seed=9).collect_episodes(10, None, EVER)

    lengths = [stretch.end - stretch.first for stretch in rollout.stretches]
    assert [stretch.episode for stretch in rollout.stretches] == list(range(10))
    assert lengths == [episode.length for episode in rollout.episodes]
    assert sum(lengths) == len(rollout)
    starts = np.cumsum([0, *lengths[:-1]])
    # Each begins near the middle, and after its last step the pole has fallen.
    assert (np.abs(rollout.observations[starts]) <= 0.05).all()
    assert all(stretch.is_terminated for stretch in rollout.stretches)
    fallen = np.array([stretch.last for stretch in rollout.stretches])
    assert ((np.abs(fallen[:, 2]) > 0.2094) | (np.abs(fallen[:, 0]) > 2.4)).all()


def test_steps_go_on_where_they_ended():
    collector, _ = corridor(2, length=5)

    first, second = collector.collect_steps(7, None), collector.collect_steps(13, None)

    # Lane 0 has 4 steps and lane 1 has 3; then they end their episodes of 5 and begin others.
    assert [(each.episode, each.end - each.first) for each in first.stretches] == [(0, 4), (1, 3)]
    assert first.episodes == []
    assert [each.is_terminated for each in first.stretches] == [False, False]
    assert first.stretches[0].last[1] == 4
    expected = [(0, 1), (1, 2), (2, 5), (3, 4), (4, 1)]
    assert [(each.episode, each.end - each.first) for each in second.stretches] == expected
    assert [each.number for each in second.episodes] == [0, 1, 2]
    assert all(each.length == 5 for each in second.episodes)
    assert second.observations[:, 1].tolist() == [4, 3, 4, *range(5), *range(4), 0]


def test_returns_are_those_of_whole_episodes_though_a_rollout_ends_between():
    parts, _ = corridor(2, length=5)
    whole, _ = corridor(2, length=5)
    told = [episode for _ in range(4) for episode in parts.collect_steps(8, None).episodes]

    assert told == list(whole.collect_steps(32, None).episodes)


def test_no_step_is_taken_beyond_the_limit():
    collector, environments = corridor(4, length=5)

    rollout = collector.collect_episodes(8, None, 11)

    assert len(rollout) == 11
    assert sum(len(environment.unwrapped.taken) for environment in environments) == 11
    assert [each.end - each.first for each in rollout.stretches] == [3, 3, 3, 2]
    assert rollout.episodes == []


def test_long_episodes_draw_noise_again_and_again():
    collector, _ = corridor(2, length=1000)

    rollout = collector.collect_episodes(2, None, EVER)

    assert len(rollout) == 2000
    assert isinstance(rollout.episodes[0].total, float)
    assert Corridor(length=3).length == 3
    # 256 numbers are drawn at once; a block that came twice would show as equal actions where the state is the same.
    first = rollout.actions[:1000]
    assert not np.array_equal(first[100:256], first[356:512])


def test_an_environment_of_your_own_is_a_file_and_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_own_environment.py").write_text(
        "import gymnasium\n"
        "from tests.ppo_environments import Corridor\n"
        "gymnasium.register('MyOwn-v3', Corridor, max_episode_steps=4, reward_threshold=2)\n"
    )

    for name in ("my_own_environment.py:MyOwn-v3", "my_own_environment:MyOwn-v3"):
        assert task(env=name).threshold == 2
        lanes, _ = lanes_of(1, env=name)
        lanes.reset(0, 1)
        assert [lanes.step(np.zeros(1, np.int64), np.array([2])).truncated[0] for _ in range(4)] == [False] * 3 + [True]


def test_where_episodes_are_counted_they_must_have_an_end():
    with pytest.raises(StudyError, match=r"worker_options.max_episode_steps: 'Endless-v0' does not say how long"):
        task(env="Endless-v0", solved_at=1)
    assert task(env="Endless-v0", solved_at=1, max_episode_steps=9).threshold == 1


def test_categories_are_those_of_the_environment():
    interface = task(env="Corridor-v0", env_kwargs={"observations": "discrete"}, loss="final_return").interface
    first, last = interface.first_category, interface.first_category + interface.observations - 1
    assert interface.see([first, last]).sum(axis=1).tolist() == [1, 1]
    for wrong in (first - 1, last + 1, first + 0.5):
        with pytest.raises(ValueError, match=f"must be whole numbers from {first} to {last}"):
            interface.see([wrong])


def test_copies_are_closed_if_a_later_one_cannot_be_made(monkeypatch):
    closed, made = [], []

    class Port(Corridor):
        def close(self):
            closed.append(self)

    def make(*_):
        if len(made) == 3:
            raise StudyError("no licence is left")
        made.append(Port())
        return made[-1]

    described = task(env="Corridor-v0", loss="final_return")
    monkeypatch.setattr(copies, "make_environment", make)
    with pytest.raises(StudyError, match="no licence"):
        open_lanes(described.options, described.interface, 8)
    assert len(closed) == 3


def test_a_change_of_ones_own_environment_is_noticed(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("reward = 1")
    before = source_digest(f"{path}:Mine-v0")
    path.write_text("reward = 2")
    assert None is source_digest("CartPole-v1") is source_digest("module:Mine-v0")
    assert before != source_digest(f"{path}:Mine-v0") is not None
