"""Joins scheduler, leases, journal, proposals and clock into the service that workers talk to.

Theory of operation:

1. Everything here runs on the event loop's thread, so there are no locks. Two threads help: the committer
   makes events durable, the proposer computes suggestions; both come back through ``post``.
2. An exchange is answered only when all events so far are durable: what a worker was told is never lost.
3. A worker that finds no job waits in its exchange (`Pending`) and costs nothing; it is served when an event
   makes a job available, or answered empty at its deadline.
4. A lease ends by an outcome, by expiry, or when its worker's connection broke and it did not come back
   within the grace period. The last two are nobody's fault: the trial is done again.
5. If the journal or the sampler fails, nothing more is answered and the run ends with that error.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal

from bohb_service.clock import Clock
from bohb_service.errors import ProtocolError
from bohb_service.journal.journal import Journal
from bohb_service.master.committer import Committer, Entry
from bohb_service.master.pace import Pace
from bohb_service.master.proposer import Proposer
from bohb_service.master.sessions import Pending, Session, Sessions
from bohb_service.master.status import status_of
from bohb_service.master.terms import StudyFacts, Terms, registration_of
from bohb_service.optimizer.observation import Suggestion
from bohb_service.optimizer.sampler import Sampler
from bohb_service.rpc.messages import Answer, Registration, Report, Request, WorkerInfo
from bohb_service.scheduler.commands import Ask, Command, Halt, Suggest, Tell
from bohb_service.scheduler.events import TrialFailed
from bohb_service.scheduler.lease_table import LeaseTable
from bohb_service.scheduler.outcomes import Outcome, Released
from bohb_service.scheduler.replies import Accepted, Job, Reply, Stop, Wait
from bohb_service.scheduler.scheduler import Scheduler

log = logging.getLogger("bohb_service.master")

_KEPT = 20

End = Literal["finished", "interrupted", "failed"]


def is_same_class(one: str, other: str) -> bool:
    """Whether two worker specs may name the same class: equal, or files of the same name in different places."""
    return one == other or (".py:" in one and one.rpartition("/")[2] == other.rpartition("/")[2])


class Master:
    """The service of one study; see `bohb_service.rpc.server.Service` for the calls.

    Args:
        scheduler: State of the study, replayed.
        journal: Where its events go.
        facts: What workers are told.
        clock: Time.
        post: Runs a callback soon on the event loop's thread.
        make_sampler: Builds the sampler (in a thread of its own).
        terms: Times of the protocol.
        on_events: Hears of events once they are durable, on the event loop's thread.
        min_workers: Hand out nothing until so many workers have joined.

    Attributes:
        ended: Set when the study is finished, interrupted or failed.
        left: Set once it has ended and the last worker has left.
        end: How it ended, once `ended` is set.
        error: The error that ended it, or None.
    """

    def __init__(  # noqa: PLR0917  (the parts that it joins)
        self,
        scheduler: Scheduler,
        journal: Journal,
        facts: StudyFacts,
        clock: Clock,
        post: Callable[[Callable[[], None]], None],
        make_sampler: Callable[[], Sampler],
        *,
        terms: Terms | None = None,
        on_events: Callable[[Sequence[Entry]], None] = lambda _: None,
        min_workers: int = 0,
    ) -> None:
        self.scheduler = scheduler
        self.facts = facts
        self.terms = terms or Terms()
        self.sessions = Sessions()
        self.ended = threading.Event()
        self.left = threading.Event()
        self.end: End | None = None
        self.error: Exception | None = None
        self.is_draining = False
        self.lost_workers: deque[tuple[str, str]] = deque(maxlen=_KEPT)
        self.failures: deque[TrialFailed] = deque(maxlen=_KEPT)
        self.reports: dict[int, Report] = {}
        self._clock = clock
        self._pace = Pace()
        self._min_workers = min_workers
        self._started = clock.monotonic()
        self._last_lease_budget = scheduler.settings.max_budget
        self._leases = LeaseTable(self.terms.lease_s)
        self._committer = Committer(journal, post, on_events, self.fail)
        self._proposer = Proposer(
            make_sampler,
            scheduler.state.observations,
            [configuration.values for configuration in scheduler.state.configurations],
            lambda number, suggestion: post(lambda: self._suggested(number, suggestion)),
            lambda error: post(lambda: self.fail(error)),
        )
        for lease, trial in scheduler.state.current.items():
            self._leases.grant(lease, trial.worker, clock.monotonic())

    @property
    def elapsed_s(self) -> float:
        """Working time of the study so far, earlier masters included, in seconds."""
        return self.facts.seconds_before + self._clock.monotonic() - self._started

    def close(self) -> None:
        """Make the last events durable and end the threads."""
        self._proposer.close()
        self._committer.close()

    # -- calls of workers ------------------------------------------------------------------------------------

    def register(self, info: WorkerInfo) -> Registration:
        """Admit a worker; it keeps the leases that it still holds.

        Raises:
            ProtocolError: It runs another worker class, or its name is taken.
        """
        if info.spec and not is_same_class(info.spec, self.facts.worker_spec):
            raise ProtocolError(
                f"worker {info.worker} runs {info.spec!r}, but study {self.facts.study!r} needs "
                f"{self.facts.worker_spec!r}: start it without --worker, or with that one"
            )
        session, replaced = self.sessions.admit(info, self._clock.monotonic())
        if replaced is not None:
            self._forget(replaced, "its process was replaced by another of the same name")
        session.running = {lease for lease in info.running if self.scheduler.state.holds(lease, info.worker)}
        for lease in self._leases.held_by(info.worker):
            if lease in session.running:
                self._leases.renew(lease, self._clock.monotonic())
            elif self.error is None:
                # The answer that carried it was lost, with a connection or with an earlier master.
                self._end_lease(lease, Released("unstarted", f"worker {info.worker} never got it"))
        if len(self.sessions) >= self._min_workers:
            self._min_workers = 0
        log.info("worker joined", extra={"worker": info.worker, "host": info.host, "pid": info.pid})
        return registration_of(session.key, self.facts, self.terms)

    def exchange(self, session_key: str, request: Request, reply: Callable[[Answer], None]) -> None:
        """Take outcomes, renew leases, hand out jobs; answer now or later.

        Raises:
            UnknownSessionError: The worker must register again.
        """
        session = self.sessions.get(session_key)
        if self.error is not None:
            return
        now = self._clock.monotonic()
        session.seen, session.lost_since = now, None
        if session.pending is not None and session.pending.seq == request.seq:
            session.pending.reply = reply
            return
        if session.answered is not None and session.answered[0] == request.seq:
            answer = session.answered[1]
            self._committer.when_durable(lambda: reply(answer))
            return
        for lease, outcome in request.results:
            self._take(session, lease, outcome)
        for report in request.reports:
            if self.scheduler.state.holds(report.lease, session.name):
                self.reports[report.lease] = report
        lost = tuple(lease for lease in request.running if not self.scheduler.state.holds(lease, session.name))
        session.running = set(request.running).difference(lost)
        for lease in session.running:
            self._leases.renew(lease, now)
        acks = tuple(lease for lease, _ in request.results)
        wait_s = min(max(request.wait_s, 0.0), self.terms.wait_s)
        pending = Pending(request.seq, reply, acks, lost, max(0, request.max_jobs), now + wait_s)
        self.sessions.park(session, pending)
        self._serve_waiting()
        if session.pending is pending and wait_s == 0.0:
            self._answer(session, ())

    def goodbye(self, session_key: str, unstarted: tuple[int, ...], reason: str) -> None:
        """Let a worker go: what it has not begun, and what it still held, goes back."""
        session = self.sessions.find(session_key)
        if session is None or self.error is not None:
            return
        held = self._leases.held_by(session.name)
        for lease in held:
            kind: Literal["unstarted", "preempted"] = "unstarted" if lease in unstarted else "preempted"
            self._end_lease(lease, Released(kind, f"worker {session.name} left: {reason}"))
        self._forget(session, reason)
        self._serve_waiting()

    def disconnected(self, session_key: str) -> None:
        """Hear that a connection broke; a worker whose process is gone is given up at once."""
        session = self.sessions.find(session_key)
        if session is None or self.error is not None:
            return
        session.lost_since = self._clock.monotonic()
        self.sessions.unpark(session)  # nobody hears an answer; a worker that is back asks again
        self._give_up_if_gone(session, session.lost_since)
        self._serve_waiting()

    def tick(self) -> None:
        """Expire leases, give up lost workers, answer exchanges whose time is over, watch the clock."""
        if self.error is not None:
            return
        now = self._clock.monotonic()
        for session in self.sessions:
            if session.lost_since is not None:
                self._give_up_if_gone(session, now)
        for lease in self._leases.expired(now):
            trial = self.scheduler.state.trial_of(lease)
            holder = trial.worker if trial else "?"
            message = f"no sign of life from worker {holder} for {self.terms.lease_s:g} s"
            self._end_lease(lease, Released("lost", message))
        limit = self.facts.seconds_limit
        if limit is not None and self.elapsed_s >= limit and self.scheduler.state.stop_reason is None:
            self._handle(Halt("seconds"))
        self._serve_waiting()
        for session in self.sessions:
            if session.pending is not None and session.pending.deadline <= now:
                self._answer(session, ())

    def release(self, is_dead: Callable[[str], bool], reason: str) -> None:
        """Take back all leases of workers that are known to be dead, e.g. from before a restart.

        Args:
            is_dead: Tells it by the worker's name.
            reason: How that is known.
        """
        if self.error is not None:
            return
        for lease, trial in list(self.scheduler.state.current.items()):
            if is_dead(trial.worker):
                self._end_lease(lease, Released("lost", f"worker {trial.worker}: {reason}"))
        self._serve_waiting()

    # -- calls of commands -----------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """What is going on, as plain values."""
        return status_of(self, self._clock.monotonic())

    def drain(self) -> None:
        """Hand out nothing more; end when nothing runs. The study can go on later."""
        if not self.is_draining:
            self.is_draining = True
            log.info("draining", extra={"running": self.scheduler.state.running})
            self._serve_waiting()

    def abort(self) -> None:
        """End now; what runs is given up by this master, not by the study."""
        self.is_draining = True
        self._finish("interrupted")

    # -- inside ----------------------------------------------------------------------------------------------

    def _handle(self, command: Command) -> Reply:
        transition = self.scheduler.handle(command)
        if transition.events:
            at = self._clock.now()
            self._committer.add([(at, event) for event in transition.events])
            self.failures.extend(event for event in transition.events if isinstance(event, TrialFailed))
        return transition.reply

    def _end_lease(self, lease: int, outcome: Outcome) -> bool:
        """Tell the scheduler how a lease ended; whether that was news."""
        reply = self._handle(Tell(lease, outcome))
        self._leases.drop(lease)
        self.reports.pop(lease, None)
        return reply == Accepted()

    def _take(self, session: Session, lease: int, outcome: Outcome) -> None:
        if not self.scheduler.state.was_granted(lease, session.name):
            log.warning("outcome of a lease that is not the worker's", extra={"worker": session.name, "lease": lease})
            return
        is_new = self._end_lease(lease, outcome)
        if is_new and not isinstance(outcome, Released):
            session.n_finished += 1
            session.busy_s += outcome.seconds
            trial = self.scheduler.state.trial_of(lease)
            if trial is not None:
                self._pace.record(trial.budget, outcome.seconds)

    def _forget(self, session: Session, reason: str) -> None:
        self.sessions.remove(session)
        for lease in self._leases.held_by(session.name):
            self._end_lease(lease, Released("lost", f"worker {session.name}: {reason}"))
        self.lost_workers.append((session.name, reason))
        if self.end is not None and not len(self.sessions):
            self.left.set()
        log.info("worker left", extra={"worker": session.name, "reason": reason})

    def _give_up_if_gone(self, session: Session, now: float) -> None:
        """Forget a worker whose connection broke, if its process is gone or it had time enough to come back."""
        if session.is_process_gone:
            self._forget(session, "its process died")
        elif session.lost_since is not None and now - session.lost_since > self.terms.grace_s:
            self._forget(session, f"its connection broke and it did not return within {self.terms.grace_s:g} s")

    def _suggested(self, number: int, suggestion: Suggestion) -> None:
        if self.error is None:
            self._handle(Suggest(number, suggestion.values, suggestion.origin))
            self._serve_waiting()

    def _serve_waiting(self) -> None:
        """Hand out what can be handed out, then see that enough is proposed and whether all is done."""
        if self._is_drained():
            for session in self.sessions.waiting():
                self._answer(session, ())
        elif not self.is_draining:
            self._propose(self._hand_out())
        if self.end is None:
            if self.scheduler.is_finished:
                self._finish("finished")
            elif self._is_drained():
                self._finish("interrupted")

    def _is_drained(self) -> bool:
        return self.is_draining and self.scheduler.state.running == 0

    def _hand_out(self) -> int:
        """Answer those who wait with jobs, longest waiting first; the number of those who need a suggestion first."""
        waiting = self.sessions.waiting() if not self._min_workers else []
        for position, session in enumerate(waiting):
            jobs, reply = self._assign(session)
            if jobs or isinstance(reply, Stop):
                self._answer(session, jobs)
            elif isinstance(reply, Wait):
                return len(waiting) - position if reply.needs_suggestion else 0
        return 0

    def _assign(self, session: Session) -> tuple[tuple[Job, ...], Reply | None]:
        """Lease jobs to a waiting session: one, or several short ones."""
        jobs: list[Job] = []
        reply: Reply | None = None
        at_most = session.pending.max_jobs if session.pending else 0
        while len(jobs) < at_most:
            reply = self._handle(Ask(session.name))
            if not isinstance(reply, Job):
                break
            jobs.append(reply)
            self._leases.grant(reply.lease, session.name, self._clock.monotonic())
            self._last_lease_budget = reply.budget
            at_most = min(at_most, self._prefetch(reply.budget) - len(session.running))
        session.running.update(job.lease for job in jobs)
        return tuple(jobs), reply

    def _prefetch(self, budget: float) -> int:
        # A single worker always sees every result before the next proposal: its run is the same run every time.
        return self._pace.prefetch(budget) if len(self.sessions) > 1 else 1

    def _propose(self, n_waiting: int) -> None:
        """Ask for suggestions: for those who wait for one now, and some ahead of demand."""
        workers = len(self.sessions)
        per_worker = self._prefetch(self._last_lease_budget)
        ahead = 0 if workers <= 1 else max(1, workers * per_worker // 4)
        n_missing = self.scheduler.missing_suggestions(n_waiting + ahead)
        if n_missing:
            self._proposer.request(len(self.scheduler.state.configurations) + n_missing)

    def _answer(self, session: Session, jobs: tuple[Job, ...]) -> None:
        """Answer a session's exchange as soon as everything so far is durable."""
        pending = self.sessions.unpark(session)
        if pending is None:
            return
        answer = Answer(pending.acks, jobs, pending.lost, self._prefetch(self._last_lease_budget), self._stop_text())
        session.answered = (pending.seq, answer)
        self._committer.when_durable(lambda: pending.reply(answer))

    def _stop_text(self) -> str | None:
        if self.scheduler.is_finished:
            return f"the study is finished ({self.scheduler.state.stop_reason})"
        return "the master was asked to stop" if self._is_drained() else None

    def _finish(self, end: End) -> None:
        if self.end is None:
            self.end = end
            for session in self.sessions:
                self._answer(session, ())
            if not len(self.sessions):
                self.left.set()
            self._committer.when_durable(self.ended.set)

    def fail(self, error: Exception) -> None:
        """End the run with an error and stop answering: nothing that is not durable is ever acknowledged."""
        if self.error is None:
            self.error, self.end = error, "failed"
            self._committer.stop()
            self.ended.set()
