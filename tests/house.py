"""A master without network and processes: real threads and journal, a clock moved by hand, peers in this thread."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bohb_service.journal.journal import Record
from bohb_service.journal.memory import MemoryJournal
from bohb_service.master.master import Master
from bohb_service.master.terms import StudyFacts, Terms
from bohb_service.optimizer.brackets import HyperbandSchedule, Schedule
from bohb_service.optimizer.observation import Suggestion
from bohb_service.rpc.messages import Answer, Request, WorkerInfo
from bohb_service.scheduler.events import Event, MasterStarted
from bohb_service.scheduler.invariants import check_invariants
from bohb_service.scheduler.needs import Labels, Needs
from bohb_service.scheduler.scheduler import Scheduler
from bohb_service.scheduler.settings import Settings
from bohb_service.scheduler.stopping import StopRules
from bohb_service.testing.clock import ManualClock

FACTS = StudyFacts("study", "id", "w", {}, "/c", None, None)


class GatedJournal(MemoryJournal):
    """A journal whose disk can be made to hang or to fail.

    Attributes:
        gate: Appends wait until it is set.
        error: Raised by appends, unless None.
        appended: Number of events of each append.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.appended: list[int] = []

    def append(self, entries: Sequence[tuple[float, Event]]) -> None:
        """Wait for the gate, then fail or keep the events."""
        assert self.gate.wait(10)
        if self.error:
            raise self.error
        self.appended.append(len(entries))
        super().append(entries)


class CountingSampler:
    """Proposes x = 0.0, 1.0, ... and keeps the number of observations that each proposal saw."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def suggest(self, number: int, observations: Sequence[Any], taken: Sequence[Any]) -> Suggestion:
        """The configuration of this number."""
        assert len(taken) == number
        self.seen.append(len(observations))
        return Suggestion({"x": float(number)}, "prior")


class House:
    """A master and the event loop that it believes to run on: the test's thread.

    Attributes:
        heard: Durable events as the master told them, in order.
    """

    def __init__(
        self,
        *,
        schedule: Schedule | None = None,
        journal: GatedJournal | None = None,
        scheduler: Scheduler | None = None,
        facts: StudyFacts = FACTS,
        terms: Terms | None = None,
        min_workers: int = 0,
        refit: bool = False,
        needs: Needs | None = None,
        **stop: Any,
    ) -> None:
        self.posted: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.clock = ManualClock()
        self.journal = journal or GatedJournal()
        self.sampler = CountingSampler()
        self.heard: list[Event] = []
        schedule = schedule or HyperbandSchedule(1, 9)
        rules = StopRules(**(stop or {"brackets": 3}))
        self.scheduler = scheduler or Scheduler(
            Settings(schedule, rules, 3, 9.0, seed=0, refit=refit, needs=needs or Needs())
        )
        self.master = Master(
            self.scheduler,
            self.journal,
            facts,
            self.clock,
            self.posted.put,
            lambda: self.sampler,
            terms=terms,
            on_events=lambda entries: self.heard.extend(event for _, event in entries),
            min_workers=min_workers,
        )

    def pump(self, until: Callable[[], Any] | None = None, seconds: float = 10.0) -> None:
        """Run posted work until a condition holds; without one, until nothing more comes for a moment."""
        deadline = time.monotonic() + seconds
        while until is None or not until():
            try:
                self.posted.get(timeout=0.05 if until is None else 1.0)()
            except queue.Empty:
                if until is None:
                    break
            assert time.monotonic() < deadline, "it did not happen in time"
        check_invariants(self.scheduler)

    def close(self) -> None:
        """End the master's threads."""
        self.journal.gate.set()
        self.master.close()

    def records(self) -> list[Record]:
        """All that is durable."""
        return list(self.journal.read())

    def events(self, kind: type[Any]) -> list[Any]:
        """The durable events of one kind."""
        return [record.event for record in self.journal.read() if isinstance(record.event, kind)]


@contextlib.contextmanager
def houses() -> Iterator[Callable[..., House]]:
    """Builds houses; they are closed at the end of the block."""
    built: list[House] = []

    def make(**options: Any) -> House:
        built.append(House(**options))
        return built[-1]

    yield make
    for each in built:
        each.close()


def restarted(make: Callable[..., House], before: House, epoch: str = "") -> House:
    """The next master of the same study, which has replayed the journal of the one before.

    Args:
        make: Builds houses.
        before: The house of the master before.
        epoch: Of the new master's leases.
    """
    before.pump()
    scheduler = Scheduler(before.scheduler.settings)
    for record in before.journal.read():
        scheduler.state.apply(record.event)
    started = MasterStarted("0", "head", 1, epoch)
    scheduler.state.apply(started)
    before.journal.append([(before.clock.now(), started)])
    return make(scheduler=scheduler, journal=before.journal)


class Peer:
    """A worker's side of the protocol.

    Attributes:
        registration: What the master said at its registration.
    """

    def __init__(  # noqa: PLR0917
        self,
        house: House,
        name: str = "w",
        pid: int = 1,
        host: str = "elsewhere",
        running: tuple[int, ...] = (),
        started: float = 0.0,
        machine: str = "another",
        *,
        labels: Labels | None = None,
        place: str = "",
    ) -> None:
        self.house = house
        self.name = name
        self.seq = 0
        held = tuple((lease, house.scheduler.state.epoch_of(lease) or "") for lease in running)
        self.place = place
        info = WorkerInfo(name, host, pid, started, "0", running=held, machine=machine, labels=labels or {})
        self.registration = house.master.register(info)
        self.session = self.registration.session

    def say(self, **request: Any) -> list[Answer]:
        """Send an exchange; the list of answers it gets, filled later."""
        self.seq += 1
        return self.send(Request(self.seq, **{"place": self.place, **request}))

    def send(self, request: Request) -> list[Answer]:
        """Send this exchange; the list of answers it gets, filled later."""
        answers: list[Answer] = []
        self.house.master.exchange(self.session, request, answers.append)
        return answers

    def ask(self, **request: Any) -> Answer:
        """The answer to an exchange that can take one job and waits for it."""
        answers = self.say(**{"max_jobs": 1, "wait_s": 20.0, **request})
        self.house.pump(lambda: answers)
        return answers[0]
