"""What a worker says of a lease: one of three outcomes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Curve = tuple[tuple[float, float], ...]
"""Learning-curve points ``(step, loss)`` in the order in which the objective reported them."""

FailureReason = Literal[
    "exception",  # the objective raised
    "bad-result",  # it returned something that is no loss
    "non-finite",  # the loss is NaN or infinite
    "unserialisable",  # info holds a value that has no plain form
    "exit",  # it ended its process by itself
    "crash",  # its process died of a fault, e.g. a segmentation fault
    "timeout",  # it passed the time limit of the study
    "memory",  # it passed the memory limit of the study
]


@dataclass(frozen=True, slots=True)
class Completed:
    """The objective returned a finite loss.

    Attributes:
        loss: Finite.
        info: Plain data that the objective returned beside the loss.
        seconds: Wall time of the evaluation.
        curve: Reported learning-curve points.
        continued_from: The budget that was not spent again, since it went on from a checkpoint; 0 if it began anew.
    """

    loss: float
    info: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    curve: Curve = ()
    continued_from: float = 0.0


@dataclass(frozen=True, slots=True)
class Failed:
    """The objective is to blame: it ranks last and the model learns from it.

    Attributes:
        reason: Kind of the failure.
        message: One line for people.
        detail: Last lines of output, and a traceback if there is one; may be empty.
        seconds: Wall time until the failure.
        curve: Points reported before it.
    """

    reason: FailureReason
    message: str
    detail: str = ""
    seconds: float = 0.0
    curve: Curve = ()


@dataclass(frozen=True, slots=True)
class Released:
    """Nobody is to blame: the lease goes back and the trial is done again, never shown to the model.

    Attributes:
        reason: ``lost`` (worker or its child died, or the lease expired), ``preempted`` or ``unstarted``.
        message: One line for people.
    """

    reason: Literal["lost", "preempted", "unstarted"]
    message: str


Outcome = Completed | Failed | Released
