"""How long a run has been worked on, and how much of their time the workers spent on results."""

from bohb_service.scheduler.events import (
    Event,
    MasterStarted,
    TrialAbandoned,
    TrialCompleted,
    TrialFailed,
    TrialLeased,
    TrialRequeued,
)
from bohb_service.scheduler.trial import REFIT_RUNG


class WorkingTime:
    """Time in which a master served the study.

    Each master counts from its start to the last event before the next one starts; what lies between is a pause.

    Attributes:
        seconds: Working time up to the last record taken.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._before = 0.0
        self._began: float | None = None

    def take(self, at: float, event: Event) -> None:
        """Go on to the next event, which happened `at` this time, in seconds since the epoch."""
        if self._began is None or isinstance(event, MasterStarted):
            self._before, self._began = self.seconds, at
        # The wall clock may be set back, working time never runs backwards.
        self.seconds = max(self.seconds, self._before + at - self._began)


class WorkerUsage:
    """Share of the workers' time that went into evaluations with a result.

    Under one master, a worker is available from its first lease to the last end of one of its leases, however
    that ended. Useful are the seconds of those evaluations that completed or failed: both are results. What was
    lost, given back or overtaken by another worker's result is not. The final training does not count. Where an
    evaluation outlived its master, its part under the next master counts there.
    """

    def __init__(self) -> None:
        self._useful = 0.0
        self._closed = 0.0
        self._epoch_start = 0.0
        self._holders: dict[int, str] = {}
        self._first_lease = 0
        self._spans: dict[str, tuple[float, float]] = {}

    def take(self, at: float, event: Event) -> None:
        """Go on to the next event, which happened `at` this time, in seconds since the epoch."""
        match event:
            case MasterStarted():
                self._closed += self._open
                self._spans.clear()
                self._epoch_start = at
                self._first_lease = len(self._holders)
            case TrialLeased():
                self._holders[event.lease] = event.worker
                if event.trial.rung != REFIT_RUNG:
                    self._spans.setdefault(event.worker, (at, at))
            case TrialCompleted() | TrialFailed() if event.trial.rung != REFIT_RUNG:
                worker = self._holders[event.lease]
                first, _ = self._spans.get(worker, (at, at))
                if event.lease < self._first_lease:
                    first = min(first, max(self._epoch_start, at - event.seconds))
                self._spans[worker] = (first, at)
                self._useful += min(event.seconds, max(0.0, at - first))
            case TrialRequeued() | TrialAbandoned() if event.trial.rung != REFIT_RUNG:
                worker = self._holders[event.lease]
                if worker in self._spans:
                    self._spans[worker] = (self._spans[worker][0], at)

    @property
    def share(self) -> float | None:
        """Useful seconds by available seconds, in [0, 1]; None before any evaluation has ended."""
        available = self._closed + self._open
        return min(1.0, self._useful / available) if available > 0 else None

    @property
    def _open(self) -> float:
        return sum(max(0.0, last - first) for first, last in self._spans.values())
