"""Joins scheduler, leases, journal, proposals and clock into the service that workers talk to.

Theory of operation:

1. Everything here runs on the event loop's thread, so there are no locks. Two threads help: the committer
   makes events durable, the proposer computes suggestions; both come back through ``post``.
2. An exchange is answered only when all events so far are durable: what a worker was told is never lost.
3. A worker that finds no job waits in its exchange (`Pending`) and costs nothing; it is served when an event
   makes a job available, or answered empty at its deadline.
4. A lease ends by an outcome, by expiry, or when its worker is lost (`Presence`). The last two are nobody's
   fault: the trial is done again.
5. If the journal or the sampler fails, nothing more is answered and the run ends with that error.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from bohb_service.clock import Clock
from bohb_service.errors import ProtocolError
from bohb_service.journal.journal import Journal
from bohb_service.master.books import Books
from bohb_service.master.committer import Committer, Entry
from bohb_service.master.complaints import Complaints
from bohb_service.master.dispatcher import Dispatcher
from bohb_service.master.pace import MAX_PREFETCH
from bohb_service.master.placement import Placement
from bohb_service.master.presence import Presence
from bohb_service.master.proposer import Proposer
from bohb_service.master.sessions import Pending, Session, Sessions
from bohb_service.master.status import status_of
from bohb_service.master.terms import StudyFacts, Terms, about_of, registration_of
from bohb_service.master.unfit import UnfitWatch
from bohb_service.optimizer.observation import Suggestion
from bohb_service.optimizer.sampler import Sampler
from bohb_service.rpc.about import About
from bohb_service.rpc.messages import FAULT, Answer, Registration, Request, WorkerInfo
from bohb_service.scheduler.commands import Halt, Suggest
from bohb_service.scheduler.outcomes import Outcome, Released
from bohb_service.scheduler.replies import Job
from bohb_service.scheduler.scheduler import Scheduler
from bohb_service.study.worker_name import is_same_class

log = logging.getLogger("bohb_service.master")

_SHOWN_LEASES = 10

End = Literal["finished", "interrupted", "failed"]


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
        scheduler: State of the study.
        sessions: The workers that are there.
        books: Leases, last failures and curve points.
        ended: Set when the study is finished, interrupted or failed.
        left: Set once it has ended and the last worker has left.
        end: How it ended, once `ended` is set.
        error: The error that ended it, or None.
        is_draining: Whether nothing more is handed out.
        n_foreign: How many leases of another history of the study workers have told of.
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
        self.n_foreign = 0
        self._clock = clock
        self._complaints = Complaints(clock)
        self._post = post
        self._suggestions: deque[tuple[int, Suggestion]] = deque()
        self._min_workers = min_workers
        self._began = clock.monotonic()
        self._committer = Committer(journal, post, on_events, self.fail)
        self._proposer = Proposer(
            make_sampler,
            scheduler.state.observations,
            [configuration.values for configuration in scheduler.state.configurations],
            self._deliver,
            lambda error: post(lambda: self.fail(error)),
        )
        placement = Placement(scheduler.state, self.sessions, self.terms.hold_s, clock.monotonic())
        self.books = Books(scheduler, self._committer, clock, self.terms.lease_s, placement)
        self._presence = Presence(self.books, self.sessions, self.terms, clock)
        self._unfit = UnfitWatch()
        self._dispatcher = Dispatcher(self.books, self.sessions, self._proposer, self._answer)

    @property
    def elapsed_s(self) -> float:
        """Working time of the study so far, earlier masters included, waiting for workers not, in seconds."""
        if self._min_workers:
            return self.facts.seconds_before
        return self.facts.seconds_before + self._clock.monotonic() - self._began

    @property
    def min_workers(self) -> int:
        """How many workers must have joined before anything is handed out; 0 as soon as they have."""
        return self._min_workers

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
        state = self.scheduler.state
        foreign = tuple(lease for lease, epoch in info.running if state.epoch_of(lease) != epoch)
        if self.error is not None:  # nothing changes any more
            session, _, _ = self.sessions.admit(info, self._clock.monotonic())
            return registration_of(session.key, self.facts, self.terms, state.epoch, foreign)
        session = self._presence.admit(info)
        if foreign:
            self.n_foreign += len(foreign)
            self._complaints.add(
                "leases of another history of the study are ignored: was an older journal restored?",
                {"worker": info.worker, "leases": list(foreign[:_SHOWN_LEASES]), "count": len(foreign)},
            )
        known = {lease for lease, _ in info.running}.difference(foreign)
        session.running = {lease for lease in known if state.holds(lease, info.worker)}
        for lease in self.books.leases.held_by(info.worker):
            if lease in session.running:
                self.books.leases.renew(lease, self._clock.monotonic())
            else:
                # The answer that carried it was lost, with a connection or with an earlier master.
                self.books.end_lease(lease, Released("unstarted", f"worker {info.worker} never got it"))
        if self._min_workers and len(self.sessions) >= self._min_workers:
            self._min_workers, self._began = 0, self._clock.monotonic()
        self._serve_waiting()
        return registration_of(session.key, self.facts, self.terms, state.epoch, foreign)

    def exchange(self, session_key: str, request: Request, reply: Callable[[Answer], None]) -> None:
        """Take outcomes, renew leases, hand out jobs; answer now or later.

        Raises:
            UnknownSessionError: The worker must register again.
        """
        session = self.sessions.get(session_key)
        if self.error is not None:
            return
        now = self._clock.monotonic()
        self.sessions.heard(session, now)
        self.books.hear_place(session.name, request.place)
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
                self.books.reports[report.lease] = report
        lost = tuple([lease for lease in request.running if not self.scheduler.state.holds(lease, session.name)])
        session.running = set(request.running).difference(lost)
        for lease in session.running:
            self.books.leases.renew(lease, now)
        if request.turnaround_s:
            self._dispatcher.pace.record_turnaround(request.turnaround_s)
        acks = tuple([lease for lease, _ in request.results])
        wait_s = min(max(request.wait_s, 0.0), self.terms.wait_s)
        # Whoever does not say what it holds gets no more for that.
        room = MAX_PREFETCH - self.books.leases.n_held_by(session.name)
        pending = Pending(request.seq, reply, acks, lost, max(0, min(request.max_jobs, room)), now + wait_s)
        self.sessions.park(session, pending)
        self._serve_waiting()
        if session.pending is pending and wait_s == 0.0:
            self._answer(session, ())

    def goodbye(self, session_key: str, unstarted: tuple[int, ...], reason: str) -> None:
        """Let a worker go: what it has not begun, and what it still held, goes back."""
        session = self.sessions.find(session_key)
        if session is None or self.error is not None:
            return
        why = f"worker {session.name} left: {reason.removeprefix(FAULT)}"
        for lease in self.books.leases.held_by(session.name):
            kind: Literal["unstarted", "preempted"] = "unstarted" if lease in unstarted else "preempted"
            self.books.end_lease(lease, Released(kind, why))
        self._presence.let_go(session, reason)
        self._serve_waiting()

    def when_durable(self, callback: Callable[[], None]) -> None:
        """Run a callback when all that has happened so far is durable; never, once the run has failed."""
        self._committer.when_durable(callback)

    def disconnected(self, session_key: str) -> None:
        """Hear that a connection broke; a worker whose process is gone is given up at once."""
        session = self.sessions.find(session_key)
        if session is None or self.error is not None:
            return
        self.sessions.broke(session, self._clock.monotonic())
        if self._presence.lose_if_gone(session):
            self._serve_waiting()

    def tick(self) -> None:
        """Give up lost workers, expire leases, answer exchanges whose time is over, watch the clock."""
        if self.error is not None:
            return
        now = self._clock.monotonic()
        self._presence.tick()
        self._unfit.look(self, now)
        for lease in self.books.leases.expired(now):
            trial = self.scheduler.state.trial_of(lease)
            holder = trial.worker if trial else "?"
            message = f"no sign of life from worker {holder} for {self.terms.lease_s:g} s"
            self.books.end_lease(lease, Released("lost", message))
        limit = self.facts.seconds_limit
        if limit is not None and self.elapsed_s >= limit and self.scheduler.state.stop_reason is None:
            self.books.handle(Halt("seconds"))
        self._serve_waiting()
        for session in self.sessions.overdue(now):
            self._answer(session, ())

    def release(self, is_dead: Callable[[str], bool], reason: str) -> None:
        """Give up workers that are known to be dead, e.g. from before a restart.

        Args:
            is_dead: Tells it by the worker's name.
            reason: How that is known.
        """
        if self.error is None:
            self._presence.lose_all(is_dead, reason)
            self._serve_waiting()

    # -- calls of commands -----------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """What is going on, as plain values."""
        return status_of(self, self._clock.monotonic())

    def about(self, peer: str) -> About:
        """What this master is, for a peer of this address."""
        return about_of(self.facts, self._clock.now(), peer)

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

    def now(self) -> float:
        """The time by which sessions are judged, monotonic seconds."""
        return self._clock.monotonic()

    def dismiss(self, groups: Iterable[frozenset[str]], reason: str) -> None:
        """Let workers go that have nothing to do.

        Args:
            groups: Names of those who may go, together or not at all: if one has got a job meanwhile, its group stays.
            reason: What they are told.
        """
        for names in groups:
            sessions = [self.sessions.named(name) for name in names]
            there = [session for session in sessions if session is not None and session.is_idle]
            if len(there) == len(sessions) and self.error is None:
                for session in there:
                    self._answer(session, (), reason)

    # -- inside ----------------------------------------------------------------------------------------------

    def _take(self, session: Session, lease: int, outcome: Outcome) -> None:
        if not self.scheduler.state.was_granted(lease, session.name):
            self._complaints.add(
                "outcome of a lease that is not the worker's", {"worker": session.name, "lease": lease}
            )
            return
        is_new = self.books.end_lease(lease, outcome)
        if is_new and not isinstance(outcome, Released):
            session.n_finished += 1
            session.busy_s += outcome.seconds
            if (trial := self.scheduler.state.trial_of(lease)) is not None:
                self._dispatcher.pace.record(trial.budget, outcome.seconds)

    def _deliver(self, number: int, suggestion: Suggestion) -> None:
        """Pass on a suggestion from the proposer's thread; those that come until the loop looks are taken together."""
        self._suggestions.append((number, suggestion))
        if len(self._suggestions) == 1:
            self._post(self._take_suggestions)

    def _take_suggestions(self) -> None:
        while self._suggestions:
            number, suggestion = self._suggestions.popleft()
            if self.error is None:
                self.books.handle(Suggest(number, suggestion.values, suggestion.origin))
        if self.error is None and self.sessions.n_waiting:
            self._serve_waiting()

    def _serve_waiting(self) -> None:
        """Hand out what can be handed out, then see that enough is proposed and whether all is done."""
        if self._is_drained():
            for session, _ in self.sessions.waiting():
                self._answer(session, ())
        elif not self.is_draining:
            if self._min_workers:
                self._dispatcher.propose(0)
            else:
                self._dispatcher.serve()
        if self.end is None:
            if self.scheduler.is_finished:
                self._finish("finished")
            elif self._is_drained():
                self._finish("interrupted")
        elif not len(self.sessions):
            self._note_all_left()

    def _is_drained(self) -> bool:
        return self.is_draining and self.scheduler.state.running == 0

    def _answer(self, session: Session, jobs: tuple[Job, ...], stop: str | None = None) -> None:
        """Answer a session's exchange as soon as everything so far is durable."""
        pending = self.sessions.unpark(session)
        if pending is None:
            return
        over = self.books.placement.take_over(session)
        stop = stop or self._stop_text()
        answer = Answer(pending.acks, jobs, pending.lost, self._dispatcher.prefetch, stop, over)
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
                self._note_all_left()
            self._committer.when_durable(self.ended.set)

    def _note_all_left(self) -> None:
        """Say that nobody is there any more, once the last goodbye is durable and was answered."""
        self._committer.when_durable(lambda: self._post(self.left.set))

    def fail(self, error: Exception) -> None:
        """End the run with an error and stop answering: nothing that is not durable is ever acknowledged."""
        if self.error is None:
            self.error, self.end = error, "failed"
            self._committer.stop()
            self.ended.set()
