"""Gymnasium's CartPole for many episodes at once, bit for bit."""

import math
from typing import ClassVar

import numpy as np

from .actor import Actions, Floats
from .lanes import Indices, Lanes, Steps

_GRAVITY = 9.8
_POLE_MASS = 0.1
_TOTAL_MASS = _POLE_MASS + 1.0
_HALF_LENGTH = 0.5
_POLE_MOMENT = _POLE_MASS * _HALF_LENGTH
_FORCE = 10.0
_SECONDS = 0.02
_FARTHEST = 2.4
_STEEPEST = 12 * 2 * math.pi / 360
_START = 0.05


class CartPoleLanes(Lanes):
    """Poles to be balanced; the reward of each step is 1.

    Gymnasium's own vectorised CartPole has one stream of random numbers for all of its copies, so that an episode
    would depend on its neighbours. Here each episode equals that of ``gymnasium.make("CartPole-v1")`` with its seed.

    Args:
        count: Number of lanes.
        step_limit: Longest episode; None: without end.
    """

    ENTRY_POINT: ClassVar[str] = "gymnasium.envs.classic_control.cartpole:CartPoleEnv"
    """What is the same as this."""

    def __init__(self, count: int, step_limit: int | None) -> None:
        self._state = np.zeros((4, count))
        self._steps: Indices = np.zeros(count, np.int64)
        self._limit = step_limit or np.iinfo(np.int64).max

    def reset(self, lane: int, seed: int) -> Floats:
        """As `Lanes.reset`."""
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
        self._state[:, lane] = generator.uniform(-_START, _START, 4)
        self._steps[lane] = 0
        return self._state[:, lane].astype(np.float32)

    def step(self, lanes: Indices, actions: Actions) -> Steps:
        """As `Lanes.step`."""
        x, speed, angle, turn = self._state[:, lanes]
        force = np.where(actions == 1, _FORCE, -_FORCE)
        cosine, sine = np.cos(angle), np.sin(angle)
        # The order of the operations is Gymnasium's: another one would differ in the last digit.
        pushed = (force + _POLE_MOMENT * np.square(turn) * sine) / _TOTAL_MASS
        angular = (_GRAVITY * sine - cosine * pushed) / (
            _HALF_LENGTH * (4.0 / 3.0 - _POLE_MASS * np.square(cosine) / _TOTAL_MASS)
        )
        acceleration = pushed - _POLE_MOMENT * angular * cosine / _TOTAL_MASS
        state = np.stack(
            (
                x + _SECONDS * speed,
                speed + _SECONDS * acceleration,
                angle + _SECONDS * turn,
                turn + _SECONDS * angular,
            )
        )
        self._state[:, lanes] = state
        self._steps[lanes] += 1
        terminated = (np.abs(state[0]) > _FARTHEST) | (np.abs(state[2]) > _STEEPEST)
        truncated = self._steps[lanes] >= self._limit
        return Steps(state.T.astype(np.float32), np.ones(len(lanes)), terminated, truncated)

    def close(self) -> None:
        """As `Lanes.close`."""
