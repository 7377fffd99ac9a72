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
    WorkerJoined,
    WorkerLeft,
)
from bohb_service.scheduler.trial import REFIT_RUNG


class WorkingTime:
    """Time in which a master served the study.

    Each master counts from its start, or from when as many workers have joined as it waits for, to the last event
    before the next one starts; what lies between is a pause. That workers come and go after it is no work either.

    Attributes:
        seconds: Working time up to the last record taken; never falls, even if the clock is set back.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._before = 0.0
        self._began: float | None = None
        self._min_workers = 0
        self._workers: set[str] = set()

    def take(self, at: float, event: Event) -> None:
        """Go on to the next event, which happened `at` this time, in seconds since the epoch."""
        if isinstance(event, MasterStarted):
            self._before, self._began = self.seconds, at
            self._min_workers = event.min_workers
            self._workers.clear()
        elif isinstance(event, WorkerJoined | WorkerLeft):
            self._follow(at, event)
            return
        if self._began is None:
            self._began = at
        if not self._min_workers:
            self.seconds = max(self.seconds, self._before + at - self._began)

    def _follow(self, at: float, event: WorkerJoined | WorkerLeft) -> None:
        """Begin to count when enough workers are there."""
        if not self._min_workers:
            return
        if isinstance(event, WorkerJoined):
            self._workers.add(event.worker)
        else:
            self._workers.discard(event.worker)
        if len(self._workers) >= self._min_workers:
            self._min_workers, self._began = 0, at


@dataclass(slots=True)
class _Presence:
    """A worker under one master.

    Attributes:
        since: When it became available.
        latest: Number of its latest lease.
        ended: When one of its leases ended last, or when it left.
        has_left: Whether it left, or, in a journal that does not tell, gave back or lost its latest lease.
    """

    since: float
    latest: int
    ended: float
    has_left: bool = False

    def seconds(self, end: float) -> float:
        """How long it was available, when nothing happened after `end`."""
        return max(0.0, (min(end, self.ended) if self.has_left else end) - self.since)


class WorkerUsage:
    """Share of the workers' time that went into evaluations with a result.

    Under one master, a worker is available from its first lease until the search stops or, if it does not stop
    under this master, until the last end of a lease, whoever held it: waiting for others is idle time. One that
    leaves earlier is available until then. Journals of the first versions do not tell who left: there, a worker
    whose latest lease was lost or given back has left at the last end of a lease of its own, and one that leaves
    when it holds nothing cannot be told from one that waits. Useful are the seconds of those
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
        self._gone: list[_Presence] = []
        self._joined: set[str] = set()
        self._last_end: float | None = None
        self._stopped: float | None = None

    def take(self, at: float, event: Event) -> None:
        """Go on to the next event, which happened `at` this time, in seconds since the epoch."""
        match event:
            case MasterStarted():
                self._closed += self._open
                self._workers.clear()
                self._gone.clear()
                self._joined.clear()
                self._began, self._first_lease = at, len(self._holders)
                self._last_end = self._stopped = None
            case StudyStopped():
                self._stopped = at
            case WorkerJoined():
                self._joined.add(event.worker)
            case WorkerLeft():
                self._leave(event.worker, at)
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

    def _leave(self, name: str, at: float) -> None:
        self._joined.discard(name)
        worker = self._workers.pop(name, None)
        if worker is not None:
            worker.ended, worker.has_left = at, True
            self._gone.append(worker)

    def _end(self, lease: int, at: float, *, has_left: bool) -> None:
        self._last_end = at
        worker = self._workers.get(self._holders[lease])
        if worker is None:  # it has done nothing under this master
            return
        worker.ended = at
        if lease == worker.latest:
            worker.has_left = has_left and self._holders[lease] not in self._joined

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
        return sum(worker.seconds(end) for worker in (*self._workers.values(), *self._gone))
