"""What the scheduler can be asked to do, in the imperative."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bohb_service.optimizer.observation import Observation, Origin
from bohb_service.scheduler.needs import Labels
from bohb_service.scheduler.outcomes import Outcome
from bohb_service.scheduler.trial import TrialId


@dataclass(frozen=True, slots=True)
class Ask:
    """Lease one job to a worker; answered by `Job`, `Wait` or `Stop`.

    Attributes:
        worker: Its name.
        labels: What it has of that which trials may need.
        first: Trials that it should get before others, if they are queued where it is served.
        later: Trials that it must not get now, because another worker should.
    """

    worker: str
    labels: Labels = field(default_factory=dict)
    first: frozenset[TrialId] = frozenset()
    later: frozenset[TrialId] = frozenset()


@dataclass(frozen=True, slots=True)
class Suggest:
    """Add a configuration that a sampler proposed; answered by `Accepted`.

    Attributes:
        number: The configuration's number; only the next one is taken, any other is a duplicate.
        values: Values of its active hyperparameters.
        origin: Where it comes from.
    """

    number: int
    values: Mapping[str, Any]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Tell:
    """Report the outcome of a lease; answered by `Accepted`."""

    lease: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class WarmStart:
    """Give the model results of earlier runs, before anything else; answered by `Accepted`."""

    observations: tuple[Observation, ...]


@dataclass(frozen=True, slots=True)
class Halt:
    """End the search now, running evaluations included; answered by `Accepted`.

    Attributes:
        reason: A stopping rule that lies outside the scheduler, e.g. ``seconds``.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Reopen:
    """Go on with a stopped study if its stopping rules now allow more, or with its final training if that failed.

    Answered by `Accepted`.

    Attributes:
        even_after: Reasons of `Halt` that hold no longer.
    """

    even_after: frozenset[str] = frozenset()


Command = Ask | Suggest | Tell | WarmStart | Halt | Reopen
