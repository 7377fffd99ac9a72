"""Environments that the tests of the target `ppo` register."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Shuffled(gymnasium.ActionWrapper):
    """Takes another action than the agent says, at random: what it does is of no consequence."""

    def action(self, action: Any) -> Any:
        """A random action."""
        return self.unwrapped.np_random.integers(self.action_space.n)


class Corridor(gymnasium.Env):
    """Episodes of a fixed length; the reward of a step is the action, or for an array the first of its numbers."""

    def __init__(self, length: int = 5, observations: str = "box", actions: str = "discrete") -> None:
        self.observation_space = {
            "box": spaces.Box(-np.inf, np.inf, (2,)),
            "discrete": spaces.Discrete(length + 1, start=3),
            "image": spaces.Box(0, 255, (8, 8, 3), np.uint8),
            "dict": spaces.Dict({"a": spaces.Discrete(2)}),
        }[observations]
        self.action_space = {
            "discrete": spaces.Discrete(3, start=-1),
            "box": spaces.Box(np.array([-3.0, 0.0]), np.array([5.0, 1.0]), dtype=np.float64),
            "free": spaces.Box(-np.inf, np.inf, (1, 2)),
            "whole": spaces.Box(0, 5, (2,), np.int64),
            "several": spaces.MultiDiscrete([2, 2]),
        }[actions]
        self.length = length
        self.taken = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """The first observation tells the seed."""
        super().reset(seed=seed)
        self.taken = []
        self._start = float(self.np_random.uniform())
        return self._observation(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step on."""
        assert self.action_space.contains(action) or not np.isfinite(getattr(self.action_space, "high", 0)).all()
        self.taken.append(action)
        return self._observation(), float(np.ravel(action)[0]), len(self.taken) == self.length, False, {}

    def _observation(self) -> Any:
        if isinstance(self.observation_space, spaces.Discrete):
            return 3 + len(self.taken)
        return np.array([self._start, len(self.taken)], np.float32)


def _shuffled() -> gymnasium.Env:
    return Shuffled(gymnasium.make("CartPole-v1"))


class Broken(gymnasium.Env):
    """Cannot be made: it needs a package that nobody has."""

    def __init__(self) -> None:
        import a_package_that_nobody_has  # noqa: F401


class Moody(Corridor):
    """Its first observation depends on how often episodes have begun in this process, whatever their seeds."""

    begun = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Another beginning each time."""
        super().reset(seed=seed, options=options)
        Moody.begun += 1
        self._start = float(Moody.begun)
        return self._observation(), {}


def _register(name: str, entry_point: Any, **options: Any) -> None:
    if name not in gymnasium.registry:
        gymnasium.register(name, entry_point, **options)


_register("ShuffledCartPole-v0", _shuffled, max_episode_steps=200, reward_threshold=195)
_register("Corridor-v0", Corridor)
_register("Endless-v0", lambda: Corridor(length=10**9))
_register("Broken-v0", Broken)
_register("Moody-v0", Moody)
