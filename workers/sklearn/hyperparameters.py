"""The hyperparameters of the network: their meaning, their defaults, and the space that a study searches."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from bohb_service.errors import SpaceError
from bohb_service.workers.common.shown import shown

from .options import suggestion

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """A network and how to train it; the defaults are those of scikit-learn's ``MLPClassifier()``.

    Attributes:
        hidden_layers: Number of hidden layers, at least 1.
        width: Units of each hidden layer.
        activation: ``relu``, ``tanh``, ``logistic`` or ``identity``.
        solver: ``adam`` or ``sgd`` (with Nesterov's momentum).
        learning_rate_init: Learning rate of the first epoch.
        learning_rate_decay: Factor on the learning rate after each epoch, in ``(0, 1]``. Given per epoch, not per
            training, so that the first epochs do not depend on how many will follow.
        batch_size: Rows per step; no more than there are.
        alpha: Weight of the L2 penalty.
        momentum: Of ``sgd``, in ``[0, 1)``.
    """

    hidden_layers: int = 1
    width: int = 100
    activation: str = "relu"
    solver: str = "adam"
    learning_rate_init: float = 1e-3
    learning_rate_decay: float = 1.0
    batch_size: int = 200
    alpha: float = 1e-4
    momentum: float = 0.9

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Hyperparameters":
        """The hyperparameters of a configuration; what it leaves out keeps its default.

        Args:
            config: Values of the active hyperparameters, of the built-in space or of one in the study file.

        Raises:
            SpaceError: A name is unknown, or the solver cannot train by epochs.
        """
        known = [field.name for field in fields(cls)]
        for name in config:
            if name not in known:
                raise SpaceError(f"hyperparameter {name!r} is unknown to sklearn-mlp; {suggestion(name, known)}")
        parameters = cls(**config)
        if parameters.solver not in ("adam", "sgd"):
            raise SpaceError(
                f"solver: {shown(parameters.solver)} cannot train epoch by epoch; "
                f"{suggestion(parameters.solver, ('adam', 'sgd'))}"
            )
        return parameters


def build_space() -> "ConfigurationSpace":
    """The search space: 9 hyperparameters, of which ``momentum`` is active with ``solver: sgd`` only.

    The bounds keep an epoch on the letter data near half a second of one core, and its training finite in every
    corner; on a small data set the largest learning rate of ``sgd`` may diverge.
    """
    from ConfigSpace import (
        Categorical,
        ConfigurationSpace,
        EqualsCondition,
        Float,
        Integer,
    )

    default = Hyperparameters()
    solver = Categorical("solver", ["adam", "sgd"], default=default.solver)
    momentum = Float("momentum", (0.5, 0.95), default=default.momentum)
    space = ConfigurationSpace(name="sklearn-mlp")
    space.add(
        Integer("hidden_layers", (1, 3), default=default.hidden_layers),
        Integer("width", (16, 256), log=True, default=default.width),
        Categorical("activation", ["relu", "tanh"], default=default.activation),
        solver,
        Float("learning_rate_init", (1e-4, 1e-1), log=True, default=default.learning_rate_init),
        Float("learning_rate_decay", (0.8, 1.0), default=default.learning_rate_decay),
        Integer("batch_size", (16, 512), log=True, default=default.batch_size),
        Float("alpha", (1e-6, 1e-1), log=True, default=default.alpha),
        momentum,
        EqualsCondition(momentum, solver, "sgd"),
    )
    return space
