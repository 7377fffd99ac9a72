"""What the scheduler answers. "Job" is the message that carries a trial to a worker."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bohb_service.scheduler.trial import TrialId


@dataclass(frozen=True, slots=True)
class Job:
    """One lease of one trial.

    Attributes:
        lease: Number of the lease, unique in the study; the key under which the outcome is told.
        trial: What is evaluated. ``trial.rung == REFIT_RUNG``: call `refit`, not `compute`.
        attempt: From 1.
        config: Values of the active hyperparameters.
        budget: What it may spend.
        previous_budget: Largest budget at which this configuration was completed, or None.
        seed: Seed of the configuration, in ``[0, 2**31)``.
    """

    lease: int
    trial: TrialId
    attempt: int
    config: Mapping[str, Any]
    budget: float
    previous_budget: float | None
    seed: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be handed out now.

    Attributes:
        needs_suggestion: A configuration would have to be suggested first.
    """

    needs_suggestion: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """The study has ended and will hand out nothing more.

    Attributes:
        reason: The stopping rule that was met first.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """A command was taken.

    Attributes:
        duplicate: It said nothing new and changed nothing.
    """

    duplicate: bool = False


Reply = Job | Wait | Stop | Accepted
