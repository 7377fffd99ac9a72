"""The rows of which a run consists: trials, incumbents, rungs, and groups of failures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bohb_service.optimizer.observation import Origin
from bohb_service.scheduler.outcomes import Curve
from bohb_service.scheduler.trial import TrialState


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One trial of the search that was begun.

    Attributes:
        trial: Name, ``"<configuration>.<rung>"``.
        configuration: Number of the configuration in the study, from 0.
        bracket: Number of its bracket, from 0.
        rung: Rung in that bracket, from 0.
        budget: What it might spend.
        state: Where it stands.
        loss: Finite once completed, infinite once failed, else None.
        info: What the objective returned beside the loss.
        origin: Where the configuration came from.
        config: Values of its active hyperparameters.
        reason: Kind of the failure, or of the last loss of an abandoned trial; else empty.
        message: What happened then, on one line; else empty.
        detail: Last output and traceback of a failure; may be empty.
        attempts: Leases that used up an attempt, the current one included.
        worker: Holder of the lease that ended it, or else of the last lease.
        seconds: Wall time of the evaluation, or None without a result.
        started_at: When that lease began, seconds since the epoch.
        finished_at: When it ended the trial, seconds since the epoch; None while the trial is not over.
        curve: Learning-curve points ``(step, loss)``.
        continued_from: The budget that was not spent again, since it went on from a checkpoint; 0 if it began anew.
    """

    trial: str
    configuration: int
    bracket: int
    rung: int
    budget: float
    state: TrialState
    loss: float | None
    origin: Origin
    config: Mapping[str, Any]
    attempts: int
    worker: str
    started_at: float
    finished_at: float | None = None
    seconds: float | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    message: str = ""
    detail: str = ""
    curve: Curve = ()
    continued_from: float = 0.0


@dataclass(frozen=True, slots=True)
class Continuation:
    """What promoted trials gained from the trials before them.

    Attributes:
        promoted: Promoted trials that completed.
        continued: Those of them that went on from a checkpoint.
        saved: The budget of earlier rungs that they did not spend again, in units of the largest budget.
    """

    promoted: int
    continued: int
    saved: float

    @property
    def share(self) -> float | None:
        """The share of promoted trials that continued, in [0, 1]; None without any."""
        return self.continued / self.promoted if self.promoted else None


@dataclass(frozen=True, slots=True)
class LostWorker:
    """A worker that left without a goodbye, or with one that tells of a fault.

    Attributes:
        name: The worker.
        reason: Why it is not there, one line.
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class IncumbentResult:
    """The best trial at the largest budget seen.

    Attributes:
        trial: Name of the trial.
        configuration: Number of its configuration.
        config: Values of its active hyperparameters.
        origin: Where the configuration came from.
        budget: Budget of the trial.
        loss: Its loss.
    """

    trial: str
    configuration: int
    config: Mapping[str, Any]
    origin: Origin
    budget: float
    loss: float


@dataclass(frozen=True, slots=True)
class TrajectoryPoint:
    """One completed trial on the way of a run.

    Attributes:
        seconds: Working time until then; the time between two masters does not count.
        spent: Budgets of all trials started until then, in units of the largest budget.
        budget: Budget of the trial.
        loss: Its loss.
        trial: Its name.
    """

    seconds: float
    spent: float
    budget: float
    loss: float
    trial: str


@dataclass(frozen=True, slots=True)
class RungResult:
    """What became of one rung.

    Attributes:
        bracket: Number of the bracket.
        rung: Number of the rung in it.
        budget: Budget of its trials.
        size: How many trials were planned.
        entered: How many configurations have come so far.
        completed: Trials with a loss.
        failed: Trials on which the objective failed.
        abandoned: Trials whose last attempt was lost.
        running: Trials that are leased.
        is_closed: Whether nothing more can come: the best have gone on, or the bracket is over.
        best: Lowest loss, or None.
    """

    bracket: int
    rung: int
    budget: float
    size: int
    entered: int
    completed: int
    failed: int
    abandoned: int
    running: int
    is_closed: bool
    best: float | None


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """All failures of one kind.

    Attributes:
        reason: The kind.
        count: How many trials failed in this way.
        message: The most frequent message among them, the earliest of equals.
        trial: The first trial that failed with it.
        detail: Last output and traceback of that trial.
    """

    reason: str
    count: int
    message: str
    trial: str
    detail: str
