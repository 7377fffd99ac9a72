"""A fleet that follows the demand of the study, whatever starts its workers.

It looks at the demand and at the cluster every few seconds, on a thread of its own, since the commands of a
cluster may take their time. Workers are started as soon as they are of use. They leave only when they were of no
use for a while: between two rungs the demand is small for a moment, and places in a queue are worth keeping.
A worker leaves when the master has nothing for it and says so, so nothing that runs is ever interrupted.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from bohb_service.clock import Clock
from bohb_service.errors import BohbError, TransportError
from bohb_service.fleet.fleet import Demand, Employer

if TYPE_CHECKING:
    from bohb_service.scheduler.needs import Labels

log = logging.getLogger("bohb_service.fleet")

_RESTART_SECONDS = (0.0, 5.0, 15.0, 30.0, 60.0)
_JOIN_SECONDS = 60.0
_CLUSTER_PATIENCE = 5
_LEAVING_S = 0.5
_MOST_KINDS = 16


@dataclass(frozen=True, slots=True)
class Unit:
    """One place for a worker in a cluster, e.g. a task of an array of jobs.

    Attributes:
        name: Without dots. The worker's name is this, a dot, and what tells its starts and slots apart.
        is_running: It runs, or it waits until the cluster has room for it.
    """

    name: str
    is_running: bool


class Launcher(Protocol):
    """Starts units, and tells of them. Calls may take seconds; they come from one thread at a time."""

    def check(self) -> None:
        """Find out whether units can be started at all.

        Raises:
            BohbError: They cannot; the message says what to do.
        """
        ...

    def units(self) -> list[Unit]:
        """All units of this run that wait or run, also those of an earlier master, in order of age.

        Raises:
            BohbError: The cluster does not tell now.
        """
        ...

    def start(self, n: int) -> list[str]:
        """Start so many units more; their names.

        Raises:
            BohbError: The cluster does not take them now.
        """
        ...

    def cancel(self, names: Sequence[str]) -> None:
        """End these units.

        Raises:
            BohbError: The cluster cannot do that now.
        """
        ...

    def last_words(self, name: str) -> str:
        """What the worker of a unit printed at last, or where to look for it."""
        ...


@dataclass(frozen=True, slots=True)
class Size:
    """How large a fleet may be.

    Attributes:
        most: Most units.
        least: Units that are kept whatever the demand is.
        slots: Workers of each unit.
        idle_s: Time without use after which a unit may go, in seconds.
        poll_s: Time between two looks, in seconds.
    """

    most: int
    least: int = 0
    slots: int = 1
    idle_s: float = 60.0
    poll_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Change:
    """What brings a fleet to the size that it should have.

    Attributes:
        start: Units to start.
        cancel: Names of waiting units to cancel.
        dismiss: Names of idle workers to let go.
    """

    start: int = 0
    cancel: tuple[str, ...] = ()
    dismiss: tuple[str, ...] = ()


def unit_of(worker: str) -> str:
    """The unit that a worker of this name belongs to, if it belongs to one."""
    unit, dot, _ = worker.partition(".")
    return unit if dot else ""


def change_for(demand: Demand, units: Sequence[Unit], size: Size) -> Change:
    """What brings a fleet to the size that the demand asks for.

    Args:
        demand: The demand; workers that belong to no unit serve it too.
        units: All that wait or run, oldest first.
        size: Bounds.
    """
    workers: dict[str, list[str]] = {unit.name: [] for unit in units}
    others = 0
    for worker in demand.workers:
        if unit_of(worker) in workers:
            workers[unit_of(worker)].append(worker)
        else:
            others += 1
    target = min(size.most, max(size.least, math.ceil((demand.useful - others) / size.slots)))
    surplus = len(units) - target
    if surplus <= 0:
        return Change(start=-surplus)
    waiting = [unit.name for unit in reversed(units) if not unit.is_running][:surplus]
    # A unit leaves as a whole: all of its workers must have been idle for long enough.
    idle_s = {name: min(demand.idle.get(worker, 0.0) for worker in its) for name, its in workers.items() if its}
    idle = sorted((name for name, seconds in idle_s.items() if seconds >= size.idle_s), key=lambda name: -idle_s[name])
    leaving = idle[: surplus - len(waiting)]
    return Change(cancel=tuple(waiting), dismiss=tuple(worker for name in leaving for worker in sorted(workers[name])))


class ElasticFleet:
    """Keeps as many units as the study can use.

    Args:
        launcher: Starts them.
        size: How many there may be.
        employer: The master.
        clock: Time.
    """

    def __init__(self, launcher: Launcher, size: Size, employer: Employer, clock: Clock) -> None:
        self._launcher = launcher
        self._size = size
        self._employer = employer
        self._clock = clock
        self._error: BohbError | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="bohb-fleet", daemon=True)
        self._past: deque[tuple[float, int]] = deque()
        self._known: set[str] = set()
        self._running_since: dict[str, float] = {}
        self._joined: set[str] = set()
        self._let_go: set[str] = set()
        self._kinds: list[Labels] = []
        self._was_of_no_use = False
        self._n_failures = 0
        self._n_silences = 0
        self._start_at = 0.0

    def start(self) -> None:
        """Check the cluster, start the first units, and follow the demand from now on.

        Raises:
            BohbError: Nothing can be started; the message says what to do.
        """
        self._launcher.check()
        self.look()
        if self._error is not None:
            raise self._error
        self._thread.start()

    def watch(self) -> None:
        """Nothing: the fleet's own thread looks after the workers."""

    @property
    def error(self) -> BohbError | None:
        """Why no worker of this fleet can work, or None while one can or may."""
        return self._error

    def stop(self, patience_s: float) -> None:
        """Cancel what waits, let the rest leave, then end what is left.

        Args:
            patience_s: How long they may take.
        """
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()
        give_up = self._clock.monotonic() + patience_s
        try:
            self._cancel(unit.name for unit in self._launcher.units() if not unit.is_running)
            while (units := self._launcher.units()) and self._clock.monotonic() < give_up:
                time.sleep(_LEAVING_S)
            self._cancel(unit.name for unit in units)
        except BohbError as error:
            log.warning("workers may be left in the cluster: %s", error)

    def look(self) -> None:
        """Compare demand and fleet once, and change what must be changed."""
        try:
            demand = self._employer.demand((self._size.most + self._size.least) * self._size.slots, self._kinds)
            units = self._launcher.units()
            self._note(units, demand.workers)
            self._note_kinds(units, demand)
            change = change_for(self._remembered(demand), units, self._size)
            if change.start and self._clock.monotonic() >= self._start_at and self._error is None:
                # Noted now: one that ends before the next look has ended too.
                self._known.update(self._launcher.start(change.start))
                log.info("workers asked for", extra={"count": change.start, "there": len(units)})
            self._cancel(change.cancel)
            if change.dismiss:
                self._let_go.update(map(unit_of, change.dismiss))
                self._employer.dismiss(frozenset(change.dismiss))
        except TransportError:
            return  # the master is ending, or very busy
        except BohbError as error:
            self._n_silences += 1
            log.warning("the fleet cannot be changed now: %s", error)
            if self._n_silences >= _CLUSTER_PATIENCE or not self._thread.is_alive():
                self._error = error
        else:
            self._n_silences = 0

    def _follow(self) -> None:
        while not self._ending.wait(self._size.poll_s):
            self.look()

    def _cancel(self, names: Iterable[str]) -> None:
        if cancelled := tuple(names):
            self._let_go.update(cancelled)
            self._launcher.cancel(cancelled)

    def _remembered(self, demand: Demand) -> Demand:
        """The demand, as large as it was at any time within the last idle seconds."""
        now = self._clock.monotonic()
        while self._past and self._past[0][0] < now - self._size.idle_s:
            self._past.popleft()
        self._past.append((now, demand.useful))
        return replace(demand, useful=max(useful for _, useful in self._past))

    def _note_kinds(self, units: Sequence[Unit], demand: Demand) -> None:
        """Note what the workers of units have: from now on only trials that they can take are a demand."""
        ours = {unit.name for unit in units}
        for worker, labels in demand.workers.items():
            if unit_of(worker) in ours and labels not in self._kinds and len(self._kinds) < _MOST_KINDS:
                self._kinds.append(labels)
        is_of_no_use = demand.useful == 0 and demand.others > 0
        if is_of_no_use and not self._was_of_no_use:
            log.warning("the study has trials, but none that a worker of this fleet can take; see `needs` and `status`")
        self._was_of_no_use = is_of_no_use

    def _note(self, units: Sequence[Unit], workers: Collection[str]) -> None:
        """Note who came and who went; many that end without having joined mean that none can."""
        now = self._clock.monotonic()
        here = {unit.name for unit in units}
        came = {unit_of(worker) for worker in workers} & (here | self._known)
        if came - self._joined:
            self._n_failures, self._error = 0, None
        self._joined |= came
        failed = sorted(self._known - here - self._joined - self._let_go)
        if failed:
            self._n_failures += 1
            words = self._launcher.last_words(failed[0])
            told = f"workers end before they have joined the study, e.g. {failed[0]}: {words}"
            if self._n_failures > len(_RESTART_SECONDS):
                self._error = BohbError(told)
            else:
                self._start_at = now + _RESTART_SECONDS[self._n_failures - 1]
                log.warning(told)
        self._known = here
        running = [unit.name for unit in units if unit.is_running]
        self._running_since = {name: self._running_since.get(name, now) for name in running}
        self._joined &= here
        self._let_go &= here
        for name in running:
            if name not in self._joined and now - self._running_since[name] >= _JOIN_SECONDS:
                self._joined.add(name)
                log.warning("%s runs, but its worker has not joined: %s", name, self._launcher.last_words(name))
