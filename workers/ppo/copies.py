"""Opens the lanes of an environment: copies of it, or for CartPole all of them in one."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from .actor import Actions, Floats
from .cartpole import CartPoleLanes
from .environments import Interface, make_environment
from .lanes import Indices, Lanes, Steps
from .options import CARTPOLE, PPOOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    import gymnasium


class GymnasiumLanes(Lanes):
    """Any environment, one copy after the other.

    Args:
        environments: The copies.
        interface: Of each of them.
    """

    def __init__(self, environments: "Sequence[gymnasium.Env[Any, Any]]", interface: Interface) -> None:
        self._environments = environments
        self._interface = interface

    def reset(self, lane: int, seed: int) -> Floats:
        """As `Lanes.reset`."""
        observation, _ = self._environments[lane].reset(seed=seed)
        first: Floats = self._interface.see([observation])[0]
        return first

    def step(self, lanes: Indices, actions: Actions) -> Steps:
        """As `Lanes.step`."""
        n = len(lanes)
        observations: list[Any] = []
        rewards, terminated, truncated = np.empty(n), np.empty(n, np.bool_), np.empty(n, np.bool_)
        for number, (lane, action) in enumerate(zip(lanes, self._interface.actions.convert(actions), strict=True)):
            observation, rewards[number], terminated[number], truncated[number], _ = self._environments[lane].step(
                action
            )
            observations.append(observation)
        return Steps(self._interface.see(observations), rewards, terminated, truncated)

    def close(self) -> None:
        """As `Lanes.close`."""
        with ExitStack() as stack:
            for environment in self._environments:
                stack.callback(environment.close)


def open_lanes(options: PPOOptions, interface: Interface, count: int) -> Lanes:
    """Lanes of the environment that the options name.

    Args:
        options: Of the target.
        interface: Of the environment.
        count: Number of lanes.

    Raises:
        StudyError: The environment cannot be made.
    """
    first = make_environment(options.env, options.env_kwargs, options.max_episode_steps)
    spec = first.spec
    if spec is not None and spec.entry_point == CartPoleLanes.ENTRY_POINT and spec.id == CARTPOLE and not spec.kwargs:
        first.close()
        return CartPoleLanes(count, spec.max_episode_steps)
    with ExitStack() as stack:
        stack.callback(first.close)
        environments = [first]
        for _ in range(count - 1):
            environments.append(make_environment(options.env, options.env_kwargs, options.max_episode_steps))
            stack.callback(environments[-1].close)
        stack.pop_all()
    return GymnasiumLanes(environments, interface)
