"""The target `ppo` with trials that are drawn instead of run: their losses are known."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from bohb_service.workers.ppo import PPO, train_ppo
from bohb_service.workers.ppo.course import Trial
from bohb_service.workers.ppo.hyperparameters import Hyperparameters

STEADY, NOISY = (120.0, 1.0), (130.0, 60.0)
"""Mean and deviation of the losses of two kinds of configurations."""


@cache
def any_trial() -> Trial:
    """A short trial, whose agent is of no matter."""
    return train_ppo({"batch_size": 20, "n_units_1": 8, "n_units_2": 8}, max_episodes=20)


def is_noisy(discount: float) -> bool:
    """Whether a configuration is of the noisy kind."""
    return discount < 0.5


class DrawnPPO(PPO):
    """Configurations with a small discount have losses that differ from trial to trial, and are worse on average."""

    def train(self, parameters: Hyperparameters, seed: int, **_: Any) -> Trial:
        """A trial with a loss drawn by its seed."""
        mean, deviation = NOISY if is_noisy(parameters.discount) else STEADY
        return replace(any_trial(), loss=float(np.random.default_rng(seed).normal(mean, deviation)))
