"""Hands out jobs to those who wait, and has configurations proposed in time.

A worker gets one job, or several short ones. Of what is left to hand out nobody gets more than an even share, so
that no trial of a rung waits behind others of its worker while other workers idle. There is no taking back: what may
be held ahead lasts for two exchanges, and a worker could not be told sooner; and where the running job turns out to
be a long one, the worker gives the others back by itself.
"""

import math
from collections.abc import Callable

from bohb_service.master.books import Books
from bohb_service.master.pace import MAX_PREFETCH, Pace
from bohb_service.master.proposer import Proposer
from bohb_service.master.sessions import Pending, Session, Sessions
from bohb_service.scheduler.replies import Job, Reply, Stop, Wait

_REFILLED_BELOW = 0.75
"""Share of what is wanted ahead; asking for each suggestion by itself would wake the other thread for each."""


class Dispatcher:
    """Serves the sessions that wait, longest waiting first.

    Args:
        books: Where jobs are leased.
        sessions: The workers.
        proposer: Makes configurations ahead of demand.
        answer: Answers a session's exchange with jobs.

    Attributes:
        pace: How long evaluations and exchanges take.
    """

    def __init__(
        self,
        books: Books,
        sessions: Sessions,
        proposer: Proposer,
        answer: Callable[[Session, tuple[Job, ...]], None],
    ) -> None:
        self.pace = Pace()
        self._books = books
        self._sessions = sessions
        self._proposer = proposer
        self._answer = answer
        self._last_budget = books.scheduler.settings.max_budget

    @property
    def prefetch(self) -> int:
        """How many jobs a worker may hold at once, judged by the budget that was leased last."""
        return self._prefetch(self._last_budget)

    def serve(self) -> None:
        """Answer those who wait with jobs as far as there are any, then see that enough is proposed."""
        needs_suggestion = False
        # All that cannot take the same trials find nothing once one of them has found nothing.
        idle: set[tuple[tuple[bool, ...], str]] = set()
        for session, pending in self._sessions.waiting():
            kind = self._kind(session)
            if kind in idle:
                continue
            jobs, reply = self._assign(session, pending)
            if jobs or isinstance(reply, Stop):
                self._answer(session, jobs)
            else:
                needs_suggestion |= isinstance(reply, Wait) and reply.needs_suggestion
                if not self._tells_workers_apart:
                    break
                idle.add(kind)
        self.propose(self._sessions.n_waiting if needs_suggestion else 0)

    @property
    def _tells_workers_apart(self) -> bool:
        return bool(self._books.scheduler.settings.needs.rules) or self._books.placement.has_holds

    def _kind(self, session: Session) -> tuple[tuple[bool, ...], str]:
        """Equal for workers that are handed the same jobs."""
        ability = self._books.scheduler.settings.needs.ability(session.info.labels)
        return ability, self._books.placement.place_of(session.name) if self._books.placement.has_holds else ""

    def propose(self, n_waiting: int) -> None:
        """Ask for suggestions: for so many that wait for one now, and some ahead of demand."""
        workers, scheduler = len(self._sessions), self._books.scheduler
        ahead = 0 if workers <= 1 else max(1, workers * self.prefetch // 4)
        n_made = len(scheduler.state.configurations)
        there_or_coming = len(scheduler.state.unassigned) + self._proposer.target - n_made
        if there_or_coming < n_waiting + math.ceil(_REFILLED_BELOW * ahead) and (
            n_missing := scheduler.outlook.missing_suggestions(n_waiting + ahead)
        ):
            self._proposer.request(n_made + n_missing)

    def _assign(self, session: Session, pending: Pending) -> tuple[tuple[Job, ...], Reply | None]:
        """Lease jobs to a waiting session: one, or several short ones."""
        jobs: list[Job] = []
        reply: Reply | None = None
        at_most = pending.max_jobs
        while len(jobs) < at_most:
            reply = self._books.ask(session)
            if not isinstance(reply, Job):
                break
            jobs.append(reply)
            self._last_budget = reply.budget
            if at_most > 1:
                at_most = min(at_most, self._prefetch(reply.budget) - len(session.running))
            if len(jobs) == 1 and at_most > 1:
                at_most = min(at_most, self._even_share())
        session.running.update([job.lease for job in jobs])
        return tuple(jobs), reply

    def _even_share(self) -> int:
        """What each worker may take of the trials that are left, the one included that was just leased."""
        workers = len(self._sessions)
        return math.ceil((1 + self._books.scheduler.outlook.supply(workers * MAX_PREFETCH)) / workers)

    def _prefetch(self, budget: float) -> int:
        # A single worker always sees every result before the next proposal: its run is the same run every time.
        return self.pace.prefetch(budget) if len(self._sessions) > 1 else 1
