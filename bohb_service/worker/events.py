"""What a supervisor tells its worker, and the limits that it enforces."""

from dataclasses import dataclass

from bohb_service.scheduler.outcomes import Outcome
from bohb_service.scheduler.replies import Job


@dataclass(frozen=True, slots=True)
class Limits:
    """What one evaluation may use.

    Attributes:
        seconds: Wall time, or None.
        memory_mib: Resident size with all descendants, or None.
        setup_s: Wall time to load the class and, again, to run its `setup`.
    """

    seconds: float | None = None
    memory_mib: float | None = None
    setup_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Started:
    """The process is at this job now."""

    job: Job


@dataclass(frozen=True, slots=True)
class Reported:
    """The running job added a point to its curve."""

    lease: int
    step: float
    loss: float


@dataclass(frozen=True, slots=True)
class Finished:
    """A job has ended.

    Attributes:
        job: The job.
        outcome: How.
        n_bytes: About the size of the outcome, packed.
    """

    job: Job
    outcome: Outcome
    n_bytes: int = 1000


@dataclass(frozen=True, slots=True)
class SetupFailed:
    """The objective process could not be set up for its first job, which has not begun and is not held any more.

    Attributes:
        job: The job.
        message: One line for people.
    """

    job: Job
    message: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """A job that nobody wanted any more is gone without an outcome."""

    job: Job


@dataclass(frozen=True, slots=True)
class Broken:
    """No job can be done here.

    Attributes:
        message: One line for people.
        detail: Traceback or last lines of output; may be empty.
    """

    message: str
    detail: str = ""


SupervisorEvent = Started | Reported | Finished | SetupFailed | Dropped | Broken
