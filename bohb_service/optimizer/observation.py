"""What samplers are told and what they answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Origin = Literal["prior", "model", "initial"]
"""Where a suggestion came from: a draw of the space's prior, the model, or the user's list."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One finished evaluation of one configuration at one budget.

    Attributes:
        configuration: Number of the configuration within the study, from 0.
        values: Value of each active hyperparameter.
        budget: What the evaluation was allowed to spend; positive.
        loss: What the objective returned, minimised; infinity if the evaluation failed.
    """

    configuration: int
    values: Mapping[str, Any]
    budget: float
    loss: float


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A configuration to evaluate.

    Attributes:
        values: Value of each active hyperparameter.
        origin: What made it.
    """

    values: Mapping[str, Any]
    origin: Origin
