"""How long a run has been worked on, and how much of their time the workers spent on results."""

from dataclasses import dataclass

from bohb_service.scheduler.events import (
    Event,
    MasterStarted,
    StudyStopped,
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
        seconds: Working time up to the last record taken; never falls, even if the clock is set back.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._before = 0.0
        self._began: float | None = None

    def take(self, at: float, event: Event) -> None:
        """Go on to the next event, which happened `at` this time, in seconds since the epoch."""
        if self._began is None or isinstance(event, MasterStarted):
            self._before, self._began = self.seconds, at
        self.seconds = max(self.seconds, self._before + at - self._began)


@dataclass(slots=True)
class _Presence:
    """A worker under one master.

    Attributes:
        since: When it became available.
        latest: Number of its latest lease.
        ended: When one of its leases ended last.
        has_left: Whether it gave back or lost the latest one.
    """

    since: float
    latest: int
    ended: float
    has_left: bool = False


class WorkerUsage:
    """Share of the workers' time that went into evaluations with a result.

    Under one master, a worker is available from its first lease until the search stops or, if it does not stop
    under this master, until the last end of a lease, whoever held it: waiting for others is idle time. A worker
    whose latest lease was lost or given back has left, and was available until the last end of a lease of its own;
    one that leaves when it holds nothing cannot be told from one that waits. Useful are the seconds of those
    evaluations that completed or failed: both are results. What was lost, given back or overtaken by another
    worker's result is not. The final training does not count. Where an evaluation outlived its master, its part
    under the next master counts there.
    """

    def __init__(self) -> None:
        self._useful = 0.0
        self._closed = 0.0
        self._holders: dict[int, str] = {}
        self._began = 0.0
        self._first_lease = 0
        self._workers: dict[str, _Presence] = {}
        self._last_end: float | None = None
        self._stopped: float | None = None

    def take(self, at: float, event: Event) -> None:
        """Go on to the next event, which happened `at` this time, in seconds since the epoch."""
        match event:
            case MasterStarted():
                self._closed += self._open
                self._workers.clear()
                self._began, self._first_lease = at, len(self._holders)
                self._last_end = self._stopped = None
            case StudyStopped():
                self._stopped = at
            case TrialLeased():
                self._holders[event.lease] = event.worker
                if event.trial.rung != REFIT_RUNG:
                    worker = self._workers.setdefault(event.worker, _Presence(at, event.lease, at))
                    worker.latest, worker.has_left = event.lease, False
            case TrialCompleted() | TrialFailed() if event.trial.rung != REFIT_RUNG:
                since = at
                if event.lease < self._first_lease:
                    since = max(self._began, at - event.seconds)
                worker = self._workers.setdefault(self._holders[event.lease], _Presence(since, event.lease, at))
                worker.since = min(worker.since, since)
                self._useful += min(event.seconds, max(0.0, at - worker.since))
                self._end(event.lease, at, has_left=False)
            case TrialRequeued() | TrialAbandoned() if event.trial.rung != REFIT_RUNG:
                self._end(event.lease, at, has_left=event.reason != "stopped")

    def _end(self, lease: int, at: float, *, has_left: bool) -> None:
        self._last_end = at
        worker = self._workers.get(self._holders[lease])
        if worker is None:  # it has done nothing under this master
            return
        worker.ended = at
        if lease == worker.latest:
            worker.has_left = has_left

    @property
    def share(self) -> float | None:
        """Useful seconds by available seconds, in [0, 1]; None before any evaluation has ended."""
        available = self._closed + self._open
        return min(1.0, self._useful / available) if available > 0 else None

    @property
    def _open(self) -> float:
        """Available seconds under the present master."""
        end = self._stopped if self._stopped is not None else self._last_end
        if end is None:
            return 0.0
        return sum(
            max(0.0, (worker.ended if worker.has_left else end) - worker.since) for worker in self._workers.values()
        )
