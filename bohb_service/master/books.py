"""Scheduler, leases and journal, kept in step: whatever changes a study goes through here."""

from collections import deque
from typing import TYPE_CHECKING

from bohb_service.clock import Clock
from bohb_service.master.committer import Committer
from bohb_service.scheduler.commands import Ask, Command, Tell
from bohb_service.scheduler.events import TrialFailed, WorkerJoined, WorkerLeft, WorkerPlaced
from bohb_service.scheduler.lease_table import LeaseTable
from bohb_service.scheduler.outcomes import Failed, Outcome
from bohb_service.scheduler.replies import Job, Reply
from bohb_service.scheduler.scheduler import Scheduler, Transition

if TYPE_CHECKING:
    from bohb_service.master.placement import Placement
    from bohb_service.master.sessions import Session
    from bohb_service.rpc.messages import Report

_KEPT_FAILURES = 20


class Books:
    """All methods are called on the event loop's thread.

    Args:
        scheduler: State of the study, replayed; each of its current leases gets one fresh term.
        committer: Makes events durable.
        clock: Time.
        term_s: Length of a lease, in seconds.
        placement: Which worker should continue which trial.

    Attributes:
        placement: As given.
        scheduler: The scheduler.
        leases: The current leases.
        failures: The last failed trials.
        reports: The last curve point of each current lease that has one.
    """

    def __init__(
        self, scheduler: Scheduler, committer: Committer, clock: Clock, term_s: float, placement: "Placement"
    ) -> None:
        self.scheduler = scheduler
        self.placement = placement
        self.leases = LeaseTable(term_s)
        self.failures: deque[TrialFailed] = deque(maxlen=_KEPT_FAILURES)
        self.reports: dict[int, Report] = {}
        self._committer = committer
        self._clock = clock
        for lease, trial in scheduler.state.current.items():
            self.leases.grant(lease, trial.worker, clock.monotonic())

    def handle(self, command: Command) -> Reply:
        """Have the scheduler decide, and write down what it decided."""
        return self._handle(command).reply

    def _handle(self, command: Command) -> Transition:
        transition = self.scheduler.handle(command)
        if transition.events:
            at = self._clock.now()
            self._committer.add([(at, event) for event in transition.events])
            self.placement.take(transition.events, self._clock.monotonic())
        return transition

    def note(self, fact: WorkerJoined | WorkerLeft | WorkerPlaced) -> None:
        """Write down what nobody decided."""
        self.scheduler.state.apply(fact)
        self._committer.add([(self._clock.now(), fact)])
        self.placement.take((fact,), self._clock.monotonic())

    def hear_place(self, worker: str, place: str) -> None:
        """Write down where a worker keeps the directories of configurations, if that is news."""
        if place != self.scheduler.state.places.get(worker, ""):
            self.note(WorkerPlaced(worker, place))

    def ask(self, session: "Session") -> Reply:
        """Lease the next job for a worker to it, if there is one."""
        now = self._clock.monotonic()
        first, later = self.placement.wishes(session, now)
        reply = self.handle(Ask(session.name, session.info.labels, first, later))
        if isinstance(reply, Job):
            self.leases.grant(reply.lease, session.name, now)
        return reply

    def end_lease(self, lease: int, outcome: Outcome) -> bool:
        """Tell the scheduler how a lease ended; whether that was news."""
        transition = self._handle(Tell(lease, outcome))
        self.leases.drop(lease)
        self.reports.pop(lease, None)
        if isinstance(outcome, Failed):
            self.failures.extend(event for event in transition.events if isinstance(event, TrialFailed))
        return bool(transition.events)
