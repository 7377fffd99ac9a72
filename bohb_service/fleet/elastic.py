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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from bohb_service.clock import Clock
from bohb_service.errors import BohbError, TransportError
from bohb_service.fleet.fleet import Demand, Employer
from bohb_service.fleet.kinds import Kinds
from bohb_service.fleet.staffing import Balance, Change, Size, Unit, balance_of, change_for, staff_of, unit_of

log = logging.getLogger("bohb_service.fleet")

_RESTART_SECONDS = (0.0, 5.0, 15.0, 30.0, 60.0)
_JOIN_SECONDS = 60.0
_SILENCE_SECONDS = 300.0
_FULL_SECONDS = 30.0
_EXPLORE_SECONDS = 300.0
_LEAVING_S = 0.2
_EXIT_S = 1.0
_LAST_CALL_S = 3.0


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
class _Silence:
    """What the cluster has said in place of an answer, and since when, monotonic seconds."""

    error: BohbError
    since: float


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
        self._silence: _Silence | None = None
        self._ending = threading.Event()
        self._give_up_at = 0.0
        self._thread = threading.Thread(target=self._follow, name="bohb-fleet", daemon=True)
        self._past: deque[tuple[float, int]] = deque()
        self._known: set[str] = set()
        self._running_since: dict[str, float] = {}
        self._joined: set[str] = set()
        self._let_go: set[str] = set()
        self._peaks: dict[str, int] = {}
        self._places: dict[str, int] = {}
        self._kinds = Kinds()
        self._explorer = ""
        self._started_at = float("-inf")
        self._was_strange = False
        self._full_since = math.inf
        self._was_full = False
        self._n_failures = 0
        self._start_at = 0.0

    def start(self) -> None:
        """Check the cluster, start the first units, and follow the demand from now on.

        Raises:
            BohbError: Nothing can be started; the message says what to do.
        """
        self._launcher.check()
        try:
            self._adapt()
        except BohbError as error:
            if not self._known and not isinstance(error, TransportError):
                raise
            self._note_silence(error)
        self._thread.start()

    def watch(self) -> None:
        """Nothing: the fleet's own thread looks after the workers."""

    @property
    def error(self) -> BohbError | None:
        """Why no worker of this fleet can work, or None while one can or may.

        A cluster that does not answer is no such reason while something is known to wait or run there, or until it has
        been silent for long.
        """
        silence = self._silence
        if silence is None or self._known or self._clock.monotonic() < silence.since + _SILENCE_SECONDS:
            return self._error
        return self._error or silence.error

    def stop(self, patience_s: float) -> None:
        """Let the workers leave, and cancel what waits, or is left; nothing if the fleet has never been started.

        Args:
            patience_s: How long they may take.
        """
        if self._thread.ident is None:
            return
        self._give_up_at = self._clock.monotonic() + patience_s
        self._ending.set()
        # The fleet's own thread does it: it may be in the middle of a command, which nobody should wait for.
        self._thread.join(patience_s + _LAST_CALL_S)
        if self._thread.is_alive():
            log.warning("workers may be left in the cluster, which does not answer")

    def look(self) -> None:
        """Compare demand and fleet once, and change what must be changed."""
        try:
            self._adapt()
        except BohbError as error:
            self._note_silence(error)
        else:
            if self._silence is not None:
                log.info("the cluster answers again")
            self._silence = None

    def _note_silence(self, error: BohbError) -> None:
        if isinstance(error, TransportError):
            return  # it is the master that is ending, or very busy
        before = self._silence
        if before is None or str(before.error) != str(error):
            log.warning("the fleet cannot be changed now: %s", error)
        self._silence = _Silence(error, self._clock.monotonic() if before is None else before.since)

    def _adapt(self) -> None:
        demand = self._employer.demand(self._size.most * self._size.slots)
        units = self._launcher.units()
        if self._ending.is_set():
            return  # the demand is of a time before that
        now = self._clock.monotonic()
        if self._silence is not None:  # nobody saw what became of those that are gone
            self._let_go |= self._known - {unit.name for unit in units}
        self._note(units, demand)
        self._tell_waiting(units)
        balance = balance_of(demand, units, self._kinds.labels)
        self._tell_strange(balance)
        change = change_for(
            demand, units, self._size, balance=balance, lacked=self._remembered(balance.lacking), places=self._places
        )
        change = self._explored(change, balance, units)
        if change.start and now >= self._start_at and self._error is None:
            names = self._launcher.start(change.start)
            # Noted now: one that ends before the next look has ended too.
            self._known.update(names)
            self._explorer, self._started_at = next(iter(names), ""), now
            log.info("workers asked for", extra={"count": change.start, "there": len(units)})
        self._cancel(change.cancel)
        if change.dismiss:
            self._let_go.update(unit_of(worker) for names in change.dismiss for worker in names)
            self._employer.dismiss(change.dismiss)

    def _follow(self) -> None:
        while not self._ending.wait(self._size.poll_s):
            self.look()
        try:
            self._end()
        except BohbError as error:
            log.warning("workers may be left in the cluster: %s", error)

    def _end(self) -> None:
        """Let the workers leave, then cancel what is left; the cluster is asked only once: the master tells more."""
        while (n_here := self._n_here()) and self._clock.monotonic() < self._give_up_at:
            time.sleep(_LEAVING_S)
        if self._joined and not n_here:
            time.sleep(_EXIT_S)  # they have left, so their processes are about to end
        self._cancel(unit.name for unit in self._launcher.units())

    def _n_here(self) -> int:
        """How many workers of this fleet are there."""
        try:
            return sum(unit_of(worker) in self._known for worker in self._employer.demand(0).workers)
        except TransportError:  # the master serves no more
            return 0

    def _cancel(self, names: Iterable[str]) -> None:
        if cancelled := tuple(names):
            self._let_go.update(cancelled)
            self._launcher.cancel(cancelled)

    def _remembered(self, lacking: int) -> int:
        """How many workers were lacking at any time within the last idle seconds."""
        now = self._clock.monotonic()
        while self._past and self._past[0][0] < now - self._size.idle_s:
            self._past.popleft()
        self._past.append((now, lacking))
        return max(lacking for _, lacking in self._past)

    def _explored(self, change: Change, balance: Balance, units: Sequence[Unit]) -> Change:
        """A change with one unit more from time to time, while trials wait that no known kind of worker can take.

        In a mixed partition it may come to a node of another kind than those before.
        """
        coming = {unit.name for unit in units} - self._joined
        if not balance.strange:
            return change
        if self._explorer in coming:
            return replace(change, cancel=tuple(name for name in change.cancel if name != self._explorer))
        is_due = self._clock.monotonic() >= self._started_at + _EXPLORE_SECONDS
        return replace(change, start=1) if is_due and not coming and len(units) < self._size.most else change

    def _tell_waiting(self, units: Sequence[Unit]) -> None:
        """Say once that the cluster has no room, which may last."""
        now = self._clock.monotonic()
        is_full = bool(units) and not any(unit.is_running for unit in units)
        self._full_since = min(self._full_since, now) if is_full else math.inf
        if not is_full:
            self._was_full = False
        elif not self._was_full and now >= self._full_since + _FULL_SECONDS:
            self._was_full = True
            log.warning("%d workers wait for a place in the cluster, and none runs; see its queue", len(units))

    def _tell_strange(self, balance: Balance) -> None:
        if balance.strange and not self._was_strange:
            log.warning("the study has trials that no worker of this fleet so far can take; see `needs` and `status`")
        self._was_strange = balance.strange > 0

    def _note(self, units: Sequence[Unit], demand: Demand) -> None:
        """Note who came and who went; many that end without having joined mean that none can."""
        now = self._clock.monotonic()
        staff = staff_of(units, demand.workers)
        self._kinds.note((demand.workers[worker] for its in staff.values() for worker in its), demand.needs, now)
        # A worker that leaves a unit in which others stay does not count before another one is in its place.
        self._peaks = {name: max(len(its), self._peaks.get(name, 0)) for name, its in staff.items() if its}
        self._places = {name: self._size.slots - peak + len(staff[name]) for name, peak in self._peaks.items()}
        here = {unit.name for unit in units}
        came = {unit_of(worker) for worker in demand.workers} & (here | self._known)
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
