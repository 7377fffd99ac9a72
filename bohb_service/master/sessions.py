"""The workers that a master knows, and what each of them is waiting for."""

import itertools
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bohb_service.errors import ProtocolError, UnknownSessionError
from bohb_service.master.processes import is_process_gone
from bohb_service.rpc.messages import Answer, WorkerInfo


@dataclass(slots=True)
class Pending:
    """An exchange that has not been answered yet.

    Attributes:
        seq: Its number.
        reply: Sends the answer; replaced when the worker repeats the exchange over a new connection.
        acks: Leases whose outcomes were taken.
        lost: Leases that the worker must end.
        max_jobs: How many jobs it can take.
        deadline: Until when it may wait, monotonic seconds.
    """

    seq: int
    reply: Callable[[Answer], None]
    acks: tuple[int, ...]
    lost: tuple[int, ...]
    max_jobs: int
    deadline: float


@dataclass(slots=True)
class Session:
    """One worker.

    Attributes:
        key: What the worker is known by on the wire.
        info: How it introduced itself.
        seen: When it was last heard of, monotonic seconds.
        running: Leases that it holds.
        pending: Its unanswered exchange, or None.
        answered: Number and answer of its last answered exchange.
        lost_since: When its connection broke, monotonic seconds, or None.
        idle_since: When it first asked for a job and had none, monotonic seconds, or None.
        n_finished: Number of outcomes it delivered.
        busy_s: Seconds of evaluation that it reported.
    """

    key: str
    info: WorkerInfo
    seen: float
    running: set[int] = field(default_factory=set)
    pending: Pending | None = None
    answered: tuple[int, Answer] | None = None
    lost_since: float | None = None
    idle_since: float | None = None
    n_finished: int = 0
    busy_s: float = 0.0

    @property
    def name(self) -> str:
        """The worker's name."""
        return self.info.worker

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do and waits for a job."""
        return self.pending is not None and self.pending.max_jobs > 0 and not self.running

    @property
    def is_process_gone(self) -> bool:
        """Whether its process has ended, as far as that can be seen from here."""
        return is_process_gone(self.info.machine, self.info.pid, self.info.started)


class Sessions:
    """All sessions by key and name, and queues of them, so that no call walks all of them.

    The queues are in order of time: of the last sign of life, of the break of the connection, of the begin of waiting.
    """

    def __init__(self) -> None:
        self._by_key: dict[str, Session] = {}
        self._by_name: dict[str, Session] = {}
        self._by_seen: OrderedDict[str, Session] = OrderedDict()
        self._broken: OrderedDict[str, Session] = OrderedDict()
        self._waiting: OrderedDict[str, Session] = OrderedDict()
        self._parked: dict[str, Session] = {}
        self._numbers = itertools.count()

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_key.values()))

    def __len__(self) -> int:
        return len(self._by_key)

    def admit(self, info: WorkerInfo, now: float) -> tuple[Session, bool, Session | None]:
        """The session of a worker, whether it is a new one, and the one of its name that it replaces, if any.

        The same process again gets its session back; a process that is gone is replaced.

        Raises:
            ProtocolError: A connected worker has that name.
        """
        known = self._by_name.get(info.worker)
        if known is not None and known.info.process == info.process:
            known.info, known.answered = info, None
            self.unpark(known)
            self.heard(known, now)
            return known, False, None
        if known is not None and known.lost_since is None and not known.is_process_gone:
            raise ProtocolError(
                f"a worker named {info.worker!r} is connected already (pid {known.info.pid} on {known.info.host}); "
                "give this one another --name"
            )
        if known is not None:
            self.remove(known)
        session = Session(f"{next(self._numbers)}-{secrets.token_hex(8)}", info, now)
        self._by_key[session.key] = self._by_name[info.worker] = session
        self.heard(session, now)
        return session, True, known

    def get(self, key: str) -> Session:
        """The session of this key.

        Raises:
            UnknownSessionError: There is none.
        """
        session = self._by_key.get(key)
        if session is None:
            raise UnknownSessionError("this master does not know the session; register again")
        return session

    def find(self, key: str) -> Session | None:
        """The session of this key, or None."""
        return self._by_key.get(key)

    def named(self, worker: str) -> Session | None:
        """The session of the worker of this name, or None."""
        return self._by_name.get(worker)

    def remove(self, session: Session) -> None:
        """Forget a session."""
        self.unpark(session)
        for known in (self._by_key, self._by_seen, self._broken):
            known.pop(session.key, None)
        if self._by_name.get(session.name) is session:
            del self._by_name[session.name]

    def heard(self, session: Session, now: float) -> None:
        """Note a sign of life."""
        session.seen, session.lost_since = now, None
        self._by_seen[session.key] = session
        self._by_seen.move_to_end(session.key)
        self._broken.pop(session.key, None)

    def broke(self, session: Session, now: float) -> None:
        """Note that a connection broke; nobody hears an answer, and a worker that is back asks again."""
        session.lost_since = now
        self._broken[session.key] = session
        self._broken.move_to_end(session.key)
        self.unpark(session)

    def silent_since(self, limit: float) -> list[Session]:
        """Sessions that were last heard of at this monotonic time or earlier."""
        return list(itertools.takewhile(lambda session: session.seen <= limit, self._by_seen.values()))

    def broken(self, at_most: int) -> list[Session]:
        """Sessions whose connection is broken, longest first, no more than so many."""
        return list(itertools.islice(self._broken.values(), at_most))

    def broken_before(self, limit: float) -> list[Session]:
        """Sessions whose connection has been broken since before this monotonic time."""
        return list(
            itertools.takewhile(
                lambda session: session.lost_since is not None and session.lost_since < limit, self._broken.values()
            )
        )

    def park(self, session: Session, pending: Pending) -> None:
        """Keep an exchange until it is answered."""
        self.unpark(session)
        session.pending = pending
        if session.idle_since is None or pending.acks or not session.is_idle:
            session.idle_since = session.seen
        self._parked[session.key] = session
        if pending.max_jobs:
            self._waiting[session.key] = session

    def unpark(self, session: Session) -> Pending | None:
        """Take the unanswered exchange of a session, if there is one."""
        pending, session.pending = session.pending, None
        self._parked.pop(session.key, None)
        self._waiting.pop(session.key, None)
        return pending

    @property
    def n_waiting(self) -> int:
        """Number of sessions whose unanswered exchange could take a job."""
        return len(self._waiting)

    def waiting(self) -> Iterator[tuple[Session, Pending]]:
        """All sessions whose unanswered exchange could take a job, with it, longest waiting first.

        Those that are there when the iteration begins; each may be answered before the next is asked for.
        """
        first = next(iter(self._waiting.values()), None)
        while first is not None and first.pending is not None:
            before = first
            yield first, first.pending
            first = next(iter(self._waiting.values()), None)
            if first is before:  # it was not answered: only now a copy is worth its price
                break
        for session in list(self._waiting.values())[1:]:
            if session.pending is not None:
                yield session, session.pending

    def overdue(self, now: float) -> list[Session]:
        """Sessions whose unanswered exchange has waited as long as it may."""
        return [session for session in self._parked.values() if session.pending and session.pending.deadline <= now]
