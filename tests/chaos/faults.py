"""What is done to the processes of a run and to the wire between them."""

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.processes import Site, Started
from tests.chaos.proxy import Proxy


@dataclass(frozen=True, slots=True)
class Draw:
    """All that chance decides of a fault: numbers in [0, 1), drawn from the seed.

    Attributes:
        kind: Name of the fault.
        whom: Chooses among those whom it can hit.
        size: Chooses how much or how long.
        coin: Chooses between two ways.
        pause: Seconds until the next fault.
    """

    kind: str
    whom: float
    size: float
    coin: float
    pause: float


class Faults:
    """Does faults to one run, and undoes those that last.

    Args:
        site: The processes.
        proxy: The wire.
    """

    def __init__(self, site: Site, proxy: Proxy) -> None:
        self._site, self._proxy = site, proxy
        self._lasting: list[tuple[float, Callable[[], None]]] = []
        self._offset = 0.0

    def do(self, draw: Draw) -> str | None:
        """Do a fault; what was done, in words, or None if there is nobody to do it to now."""
        return KINDS[draw.kind][1](self, draw)

    def undo(self, *, everything=False) -> None:
        """End the faults whose time is over, or all."""
        now = time.monotonic()
        due = [undo for until, undo in self._lasting if everything or until <= now]
        self._lasting = [] if everything else [entry for entry in self._lasting if entry[0] > now]
        for undo in due:
            undo()

    def _for(self, seconds, undo):
        self._lasting.append((time.monotonic() + seconds, undo))

    def _worker(self, draw) -> Started | None:
        alive = [worker for worker in self._site.workers if worker is not None and worker.is_alive]
        return alive[int(draw.whom * len(alive))] if alive else None

    # -- processes -------------------------------------------------------------------------------------------

    def kill_master(self, draw):
        master = self._site.master
        if master is None or not master.is_alive:
            return None
        stage = "" if self._site.is_master_up() else " while it starts"
        master.send(signal.SIGKILL, -signal.SIGKILL)
        return f"kill -9 of {master.name}{stage}"

    def drain_master(self, draw):
        master = self._site.master
        if master is None or not self._site.is_master_up():
            return None
        master.send(signal.SIGINT, 130)
        return f"interrupt of {master.name}"

    def freeze_master(self, draw):
        master = self._site.master
        if master is None or not master.is_alive:
            return None
        return self._freeze(master, draw)

    def kill_worker(self, draw):
        worker = self._worker(draw)
        if worker is None:
            return None
        worker.send(signal.SIGKILL, -signal.SIGKILL)
        return f"kill -9 of {worker.name}"

    def preempt_worker(self, draw):
        worker = self._worker(draw)
        if worker is None:
            return None
        # A worker that is still starting has no handler yet.
        worker.send(signal.SIGTERM, 75, -signal.SIGTERM)
        return f"SIGTERM to {worker.name}"

    def freeze_worker(self, draw):
        worker = self._worker(draw)
        return None if worker is None else self._freeze(worker, draw)

    def _freeze(self, victim, draw):
        seconds = self._site.plan.lease_s * (0.05 + 1.75 * draw.size**2)
        victim.send(signal.SIGSTOP)
        self._for(seconds, lambda: victim.is_alive and victim.send(signal.SIGCONT))
        return f"{victim.name} frozen for {seconds:.1f} s"

    def kill_child(self, draw):
        worker = self._worker(draw)
        child = worker and self._site.child_of(worker)
        if not child:
            return None
        os.kill(child.pid, signal.SIGKILL)
        return f"kill -9 of the objective of {worker.name}"

    def freeze_child(self, draw):
        worker = self._worker(draw)
        child = worker and self._site.child_of(worker)
        if not child:
            return None
        seconds = self._site.plan.lease_s * (0.05 + 1.5 * draw.size)
        os.kill(child.pid, signal.SIGSTOP)
        self._for(seconds, lambda: child.is_running() and child.resume())
        return f"the objective of {worker.name} frozen for {seconds:.1f} s"

    # -- the wire --------------------------------------------------------------------------------------------

    def cut(self, draw):
        share = 1.0 if draw.size < 0.4 else 0.3
        reset = draw.coin < 0.5
        self._proxy.cut(share, draw.whom, reset=reset)
        return f"{share:.0%} of the connections {'reset' if reset else 'closed'}"

    def partition(self, draw):
        seconds = self._site.plan.lease_s * (0.1 + 1.7 * draw.size**2)
        reset = draw.coin < 0.5
        self._proxy.hold()
        self._for(seconds, lambda: self._proxy.release(reset=reset))
        return f"partition for {seconds:.1f} s, then {'resets' if reset else 'all arrives'}"

    def delay(self, draw):
        seconds, delay = 0.3 + 2 * draw.coin, 0.01 + 0.4 * draw.size
        self._proxy.delay(delay)
        self._for(seconds, lambda: self._proxy.delay(0.0))
        return f"everything {1000 * delay:.0f} ms later for {seconds:.1f} s"

    def lose_replies(self, draw):
        n = 1 + int(3 * draw.size)
        what = "half a reply" if draw.coin < 0.3 else "reply"
        self._proxy.lose(what, n)
        return f"the next {n} replies lost" + (" in their middle" if what != "reply" else "")

    def lose_requests(self, draw):
        n = 1 + int(2 * draw.size)
        self._proxy.lose("request", n)
        return f"the next {n} requests lost"

    # -- the machine -----------------------------------------------------------------------------------------

    def fill_disk(self, draw):
        seconds = 0.3 + 2 * draw.size
        n_bytes = self._site.fill_disk()
        self._for(seconds, self._site.free_disk)
        return f"disk full for {seconds:.1f} s ({n_bytes >> 20} MiB)"

    def turn_clock(self, draw):
        size = (1.0, 10.0, 3600.0, 86400.0 * 30)[int(4 * draw.size)]
        self._offset = 0.0 if draw.coin < 0.2 else self._offset + size * (1 if draw.whom < 0.5 else -1)
        self._site.turn_clock(self._offset)
        return f"wall clock {self._offset:+.0f} s"


KINDS: dict[str, tuple[int, Callable[[Faults, Draw], str | None]]] = {
    "kill master": (4, Faults.kill_master),
    "interrupt master": (2, Faults.drain_master),
    "freeze master": (3, Faults.freeze_master),
    "kill worker": (6, Faults.kill_worker),
    "preempt worker": (2, Faults.preempt_worker),
    "freeze worker": (6, Faults.freeze_worker),
    "kill objective": (9, Faults.kill_child),
    "freeze objective": (7, Faults.freeze_child),
    "end connections": (10, Faults.cut),
    "partition": (4, Faults.partition),
    "delay": (5, Faults.delay),
    "lose replies": (16, Faults.lose_replies),
    "lose requests": (8, Faults.lose_requests),
    "full disk": (2, Faults.fill_disk),
    "turn clock": (5, Faults.turn_clock),
}
"""The faults by name, with weights."""


def draw_fault(rng: random.Random, *, without=()) -> Draw:
    """The next fault."""
    names = [name for name in KINDS if name not in without]
    (kind,) = rng.choices(names, [KINDS[name][0] for name in names])
    return Draw(kind, rng.random(), rng.random(), rng.random(), rng.uniform(0.1, 0.4))
