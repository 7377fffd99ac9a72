"""The two search spaces."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from .hyperparameters import ACTIVATIONS, BASELINE_MODES, OPTIMIZERS, Hyperparameters

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

Bounds = tuple[float, float, bool]
"""Smallest and largest value, and whether the scale is logarithmic."""

_SMALL: Mapping[str, Bounds | tuple[str, ...]] = {
    "n_units_1": (8, 128, True),
    "n_units_2": (8, 128, True),
    "batch_size": (8, 256, True),
    "learning_rate": (1e-7, 1e-1, True),
    "discount": (0.0, 1.0, False),
    "likelihood_ratio_clipping": (0.0, 1.0, False),
    "entropy_regularization": (0.0, 1.0, False),
}

_FULL: Mapping[str, Bounds | tuple[str, ...]] = {
    "n_units_1": (8, 64, True),
    "n_units_2": (8, 64, True),
    "batch_size": (8, 256, True),
    "learning_rate": (1e-7, 1e-1, True),
    "discount": (0.0, 1.0, False),
    "likelihood_ratio_clipping": (0.0, 1.0, False),
    "activation_1": ACTIVATIONS,
    "activation_2": ACTIVATIONS,
    "optimizer_type": OPTIMIZERS,
    "optimization_steps": (1, 10, False),
    "baseline_mode": BASELINE_MODES,
    "baseline_n_units_1": (8, 128, True),
    "baseline_n_units_2": (8, 128, True),
    "baseline_learning_rate": (1e-7, 1e-1, True),
    "baseline_optimization_steps": (1, 10, False),
    "baseline_optimizer_type": OPTIMIZERS,
}

SPACES: Mapping[str, Mapping[str, Bounds | tuple[str, ...]]] = {"small": _SMALL, "full": _FULL}
"""Those of the cartpole benchmark of the BOHB paper (Falkner, Klein, Hutter 2018): the seven hyperparameters that it
tunes, and the sixteen of its agent."""

_ROLLOUT: Bounds = (64, 4096, True)


def build_space(name: str, update: str, fixed: Collection[str] = ()) -> "ConfigurationSpace":
    """One of the spaces.

    Args:
        name: Of `SPACES`.
        update: ``episodes``, or ``steps``, where ``rollout_steps`` stands for ``batch_size``.
        fixed: Hyperparameters to leave out.
    """
    from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer

    space = ConfigurationSpace(name=f"ppo-{name}")
    default = Hyperparameters()
    for published, values in SPACES[name].items():
        own, bounds = (
            ("rollout_steps", _ROLLOUT) if (published, update) == ("batch_size", "steps") else (published, values)
        )
        if own in fixed:
            continue
        value: Any = getattr(default, own)
        made: Any
        if isinstance(bounds[0], str):
            made = Categorical(own, list(bounds), default=value)
        else:
            low, high, log = bounds
            kind: Any = Integer if isinstance(value, int) else Float
            made = kind(own, (low, high), default=value, log=log)
        space.add(made)
    return space
