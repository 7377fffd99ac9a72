"""Which workers are there, and why the others are not: everyone that comes or goes is in the journal."""

from collections.abc import Callable

from bohb_service.clock import Clock
from bohb_service.master.books import Books
from bohb_service.master.sessions import Session, Sessions
from bohb_service.master.terms import Terms
from bohb_service.rpc.messages import FAULT, WorkerInfo
from bohb_service.scheduler.events import WorkerJoined, WorkerLeft
from bohb_service.scheduler.outcomes import Released

_MAX_PROCESS_CHECKS = 20
_REPLACED = "its process was replaced by another of the same name"


class Presence:
    """Admits workers, and gives up those that are lost: with a reason, and with the leases that they held.

    Workers that the journal knows as joined and not left are expected back for one lease term after a restart.

    Args:
        books: Where leases end and facts are written.
        sessions: The workers that are there.
        terms: How long to wait for whom.
        clock: Time.
    """

    def __init__(self, books: Books, sessions: Sessions, terms: Terms, clock: Clock) -> None:
        self._books = books
        self._sessions = sessions
        self._terms = terms
        self._clock = clock
        self._expected = dict(books.scheduler.state.workers)
        self._expected_until = clock.monotonic() + terms.lease_s

    def admit(self, info: WorkerInfo) -> Session:
        """The session of a worker; another process of its name that is gone is given up.

        Raises:
            ProtocolError: A connected worker has that name.
        """
        before = self._expected.pop(info.worker, None)
        if before is not None and not _is_same_process(before, info):
            self._give_up(info.worker, _REPLACED)
        session, is_new, replaced = self._sessions.admit(info, self._clock.monotonic())
        if replaced is not None:
            self._give_up(replaced.name, _REPLACED)
        if is_new:
            joined = WorkerJoined(info.worker, info.host, info.pid, info.version, info.started, info.machine)
            self._books.note(joined)
        return session

    def let_go(self, session: Session, reason: str) -> None:
        """Note an orderly farewell, or one that tells of a fault."""
        self._sessions.remove(session)
        self._note_leave(session.name, reason.removeprefix(FAULT), is_lost=reason.startswith(FAULT))

    def lose(self, name: str, reason: str) -> None:
        """Give up a worker that is there or expected: all that it holds is done again."""
        self._expected.pop(name, None)
        session = self._sessions.named(name)
        if session is not None:
            self._sessions.remove(session)
        self._give_up(name, reason)

    def lose_all(self, is_dead: Callable[[str], bool], reason: str) -> None:
        """Give up all workers that are known to be dead, of those that are there, expected or hold leases.

        Args:
            is_dead: Tells it by the worker's name.
            reason: How that is known.
        """
        state = self._books.scheduler.state
        for name in dict.fromkeys([*state.workers, *(trial.worker for trial in state.current.values())]):
            if is_dead(name):
                self.lose(name, reason)

    def lose_if_gone(self, session: Session) -> bool:
        """Give up a worker whose process has ended, as far as that can be seen from here; whether it has."""
        if session.is_process_gone:
            self.lose(session.name, "its process died")
            return True
        return False

    def tick(self) -> None:
        """Give up whose time is over."""
        now, terms = self._clock.monotonic(), self._terms
        # Each look at a process costs system calls: a hundred broken connections at once must not stop the loop.
        for session in self._sessions.broken(_MAX_PROCESS_CHECKS):
            self.lose_if_gone(session)
        for session in self._sessions.broken_before(now - terms.grace_s):
            self.lose(session.name, f"its connection broke and it did not return within {terms.grace_s:g} s")
        for session in self._sessions.silent_since(now - terms.silent_s):
            self.lose(session.name, f"it was silent for {now - session.seen:.0f} s")
        if self._expected and now >= self._expected_until:
            for name in list(self._expected):
                self.lose(name, f"the master was restarted and it did not come back within {terms.lease_s:g} s")

    def _give_up(self, name: str, reason: str) -> None:
        for lease in self._books.leases.held_by(name):
            self._books.end_lease(lease, Released("lost", f"worker {name}: {reason}"))
        self._note_leave(name, reason, is_lost=True)

    def _note_leave(self, name: str, reason: str, *, is_lost: bool) -> None:
        if name in self._books.scheduler.state.workers:
            self._books.note(WorkerLeft(name, reason, is_lost))


def _is_same_process(before: WorkerJoined, info: WorkerInfo) -> bool:
    if not before.machine:  # the journal was begun by a version that did not write it down
        return (before.host, before.pid) == (info.host, info.pid)
    return before.process == info.process
