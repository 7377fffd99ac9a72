"""What happened, in the past tense: the vocabulary of the journal.

Events are facts, never inputs: replaying them draws nothing and decides nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bohb_service.optimizer.brackets import Rung
from bohb_service.optimizer.observation import Observation, Origin
from bohb_service.scheduler.outcomes import Curve, FailureReason
from bohb_service.scheduler.trial import TrialId


@dataclass(frozen=True, slots=True)
class MasterStarted:
    """A master began or went on to serve the study; times between two of these are not all working time.

    Attributes:
        version: Version of this package.
        host: Name of its machine.
        pid: Its process id there.
        epoch: Random text that tells the leases granted from now on from those of another history of the study,
            where an older copy of the journal was restored; empty in journals of the first versions.
        min_workers: Until so many workers had joined it handed out nothing; that time is no working time.
    """

    version: str
    host: str
    pid: int
    epoch: str = ""
    min_workers: int = 0


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """A worker registered at this master.

    Attributes:
        worker: Its name.
        host: Name of its machine.
        pid: Its process id there.
        version: Version of this package that it runs.
        started: Start time of the process, seconds after its machine was booted; 0 in journals of the first versions.
        machine: Tells its machine from those of the same name; empty in journals of the first versions.
    """

    worker: str
    host: str
    pid: int
    version: str
    started: float = 0.0
    machine: str = ""

    @property
    def process(self) -> tuple[str, str, int, float]:
        """What tells its process from all others."""
        return self.host, self.machine, self.pid, self.started


@dataclass(frozen=True, slots=True)
class WorkerLeft:
    """A worker that had joined is not expected back, though it may join again.

    Attributes:
        worker: Its name.
        reason: Why, one line for people.
        is_lost: It said no goodbye, or one that tells of a fault.
    """

    worker: str
    reason: str
    is_lost: bool


@dataclass(frozen=True, slots=True)
class WorkerPlaced:
    """A worker keeps the directories of configurations somewhere else than was known; at first that is the master's.

    Attributes:
        worker: Its name.
        place: Equal for workers that keep them in the same folder; empty for the master's.
    """

    worker: str
    place: str


@dataclass(frozen=True, slots=True)
class WarmStarted:
    """Results of earlier runs were given to the model."""

    observations: tuple[Observation, ...]


@dataclass(frozen=True, slots=True)
class BracketOpened:
    """A bracket of the schedule was begun."""

    bracket: int
    rungs: tuple[Rung, ...]


@dataclass(frozen=True, slots=True)
class ConfigurationSuggested:
    """A configuration was proposed; brackets take them in order of their numbers."""

    configuration: int
    values: Mapping[str, Any]
    origin: Origin


@dataclass(frozen=True, slots=True)
class TrialLeased:
    """A trial was handed to a worker. The first lease of a rung-0 trial takes its configuration into the bracket."""

    trial: TrialId
    bracket: int
    budget: float
    lease: int
    attempt: int
    worker: str


@dataclass(frozen=True, slots=True)
class TrialCompleted:
    """The first valid result of a trial arrived.

    Attributes:
        continued_from: The budget that was not spent again; 0 in journals of the first versions.
    """

    trial: TrialId
    lease: int
    loss: float
    info: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    curve: Curve = ()
    continued_from: float = 0.0


@dataclass(frozen=True, slots=True)
class TrialFailed:
    """The objective failed on this trial."""

    trial: TrialId
    lease: int
    reason: FailureReason
    message: str
    detail: str = ""
    seconds: float = 0.0
    curve: Curve = ()


@dataclass(frozen=True, slots=True)
class TrialRequeued:
    """A lease came back without a result; the trial waits for another.

    Attributes:
        used_attempt: Whether the attempt counts towards the limit.
    """

    trial: TrialId
    lease: int
    reason: str
    message: str
    used_attempt: bool


@dataclass(frozen=True, slots=True)
class TrialAbandoned:
    """The last allowed attempt was lost; the model never sees the trial."""

    trial: TrialId
    lease: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class RungClosed:
    """All trials of a rung are final, and the best go on, best first."""

    bracket: int
    rung: int
    promoted: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StudyStopped:
    """The search ended.

    Attributes:
        reason: The stopping rule: ``brackets``, ``evaluations``, ``full_budgets``, ``loss``, ``seconds``
            or the text of whoever halted it.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class StudyReopened:
    """A stopped study goes on under wider stopping rules."""


Event = (
    MasterStarted
    | WorkerJoined
    | WorkerLeft
    | WorkerPlaced
    | WarmStarted
    | BracketOpened
    | ConfigurationSuggested
    | TrialLeased
    | TrialCompleted
    | TrialFailed
    | TrialRequeued
    | TrialAbandoned
    | RungClosed
    | StudyStopped
    | StudyReopened
)
