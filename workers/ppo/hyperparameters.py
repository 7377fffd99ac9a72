"""The hyperparameters of an agent: their meaning, their defaults and what values they can have."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from bohb_service.errors import SpaceError
from bohb_service.suggestions import did_you_mean
from bohb_service.workers.common.shown import pythonic, shown

ACTIVATIONS = ("tanh", "relu")
OPTIMIZERS = ("adam", "rmsprop")
BASELINE_MODES = ("states", "network")


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """An agent and how it learns.

    Attributes:
        n_units_1: Units of the policy's first hidden layer.
        n_units_2: Units of its second hidden layer.
        batch_size: Episodes of each update, with the option ``update: episodes``.
        rollout_steps: Environment steps of each update, with ``update: steps``.
        learning_rate: Of the policy.
        discount: Of rewards, per step, in [0, 1].
        likelihood_ratio_clipping: How far the ratio of new to old probability of an action is rewarded, in [0, 1].
        entropy_regularization: Weight of the policy's entropy, which is maximised.
        activation_1: ``tanh`` or ``relu``, of policy and baseline.
        activation_2: The same for the second layer.
        optimizer_type: ``adam`` or ``rmsprop``, of the policy.
        optimization_steps: Passes over the batch in each update of the policy; optimiser steps, if the batch is not
            divided.
        baseline_mode: What the value network sees: ``states``, or the policy ``network``'s second hidden layer.
        baseline_n_units_1: Units of the value network's first hidden layer.
        baseline_n_units_2: Units of its second hidden layer.
        baseline_learning_rate: Of the value network.
        baseline_optimization_steps: Passes over the batch in each update of the value network.
        baseline_optimizer_type: ``adam`` or ``rmsprop``.
        gae_lambda: Of generalised advantage estimation, in [0, 1]; 1: none, advantages are returns less values.
        minibatch_size: Steps of a minibatch; 0: the batch is not divided.
        normalise_advantages: Whether those of a minibatch have mean 0 and deviation 1.
        normalise_observations: Whether observations are scaled by what was seen in earlier updates.
        normalise_rewards: Whether rewards are divided by the deviation of discounted returns so far.
        max_grad_norm: Longer gradients are cut to this norm, each network's by itself; 0: none are.
        initial_log_std: Logarithm of the standard deviation that continuous actions begin with.
    """

    n_units_1: int = 64
    n_units_2: int = 64
    batch_size: int = 64
    rollout_steps: int = 2048
    learning_rate: float = 1e-3
    discount: float = 0.99
    likelihood_ratio_clipping: float = 0.2
    entropy_regularization: float = 0.01
    activation_1: str = "tanh"
    activation_2: str = "tanh"
    optimizer_type: str = "adam"
    optimization_steps: int = 10
    baseline_mode: str = "states"
    baseline_n_units_1: int = 64
    baseline_n_units_2: int = 64
    baseline_learning_rate: float = 1e-3
    baseline_optimization_steps: int = 10
    baseline_optimizer_type: str = "adam"
    gae_lambda: float = 1.0
    minibatch_size: int = 0
    normalise_advantages: bool = True
    normalise_observations: bool = False
    normalise_rewards: bool = False
    max_grad_norm: float = 0.0
    initial_log_std: float = 0.0

    @classmethod
    def from_config(cls, config: Mapping[str, Any], fixed: Mapping[str, Any] | None = None) -> "Hyperparameters":
        """The hyperparameters of a configuration.

        Args:
            config: Values of a built-in space, or of one in the study file.
            fixed: Values of others; all else keeps its default.

        Raises:
            SpaceError: A name is unknown, or a value impossible.
        """
        values = pythonic({**(fixed or {}), **config})
        for name, value in values.items():
            check_value(name, value)
        return cls(**values)


KINDS: Mapping[str, Any] = {field.name: field.type for field in fields(Hyperparameters)}
"""Type of each hyperparameter by name."""

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "activation_1": ACTIVATIONS,
    "activation_2": ACTIVATIONS,
    "optimizer_type": OPTIMIZERS,
    "baseline_mode": BASELINE_MODES,
    "baseline_optimizer_type": OPTIMIZERS,
}

_RANGES: Mapping[str, tuple[float, float]] = {
    "rollout_steps": (2, 10**7),
    "learning_rate": (0, 1),
    "baseline_learning_rate": (0, 1),
    "discount": (0, 1),
    "likelihood_ratio_clipping": (0, 1),
    "entropy_regularization": (0, 1e6),
    "gae_lambda": (0, 1),
    "minibatch_size": (0, 10**7),
    "max_grad_norm": (0, 1e6),
    "initial_log_std": (-10, 10),
}
"""Smallest and largest value; all others are whole numbers of 1 to `_MOST`."""

_MOST = 10**5


def check_value(name: str, value: Any) -> None:
    """Raise unless the hyperparameter can have the value.

    Args:
        name: Of the hyperparameter.
        value: Its value.

    Raises:
        SpaceError: It cannot, or there is no such hyperparameter.
    """
    if name not in KINDS:
        hint = did_you_mean(name, KINDS) or f"choose from: {', '.join(KINDS)}"
        raise SpaceError(f"hyperparameter {name!r} is unknown to ppo; {hint}")
    kind = KINDS[name]
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            hint = did_you_mean(value, _CHOICES[name])
            advice = f"{hint} choose from: {', '.join(_CHOICES[name])}".lstrip()
            raise SpaceError(f"hyperparameter {name!r}: {shown(value)} is none of its values; {advice}")
    elif kind is bool:
        if not isinstance(value, bool):
            raise SpaceError(f"hyperparameter {name!r} must be true or false, not {shown(value)}")
    else:
        low, high = _RANGES.get(name, (1, _MOST))
        is_number = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high:
            what = "a whole number" if kind is int else "a number"
            raise SpaceError(f"hyperparameter {name!r} must be {what} from {low:g} to {high:g}, not {shown(value)}")
