"""Workers as processes of this machine.

They are sessions of their own, so that an interrupt at the terminal reaches the master alone, which then ends
them in order. When the master is killed they live on for a short while, hold their results and join the next
master of the run, which counts them as its own.
"""

import contextlib
import logging
import secrets
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from bohb_service.clock import Clock
from bohb_service.errors import BohbError, WorkerSpecError
from bohb_service.exit_codes import ExitCode
from bohb_service.fleet.fleet import WORKER_MODULE, local_arguments, worker_command, worker_environment
from bohb_service.fleet.last_words import last_words
from bohb_service.journal.run_directory import RunDirectory

log = logging.getLogger("bohb_service.fleet")

ORPHAN_SECONDS = 300.0
"""How long local workers hold what they have when their master was killed."""

GRACE_SECONDS = 3.0
"""How long evaluations of local workers may take to save when they are told to end; less than `stop` waits."""

RESTART_SECONDS = (0.0, 0.5, 2.0, 5.0, 15.0)
_HEALTHY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class LocalWorker:
    """A worker process of this machine.

    Attributes:
        name: Name of the worker.
        process: Its process.
    """

    name: str
    process: psutil.Process

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        with contextlib.suppress(psutil.Error):
            return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE
        return False


def find_local_workers(directory: RunDirectory) -> list[LocalWorker]:
    """The living local workers of a run, whoever started them: seen by their command lines, oldest first.

    No file can be as true as this: a master may be killed between starting a worker and writing down that it did.
    """
    found: dict[str, LocalWorker] = {}
    place = str(directory.path.resolve())
    for process in sorted(psutil.process_iter(["cmdline", "create_time"]), key=lambda p: p.info["create_time"] or 0.0):
        arguments = process.info["cmdline"] or []
        if WORKER_MODULE in arguments and place in arguments and "--name" in arguments[:-1]:
            name = arguments[arguments.index("--name") + 1]
            worker = LocalWorker(name, process)
            # A child that was forked and runs no program of its own yet has its parent's command line.
            if name.startswith(local_prefix()) and worker.is_alive:
                found.setdefault(name, worker)
    return list(found.values())


def local_prefix() -> str:
    """What the names of this machine's local workers begin with; no other worker's should."""
    return f"local-{socket.gethostname()}-"


@dataclass(slots=True)
class _Slot:
    """One place for a worker, and how often it had to be filled."""

    worker: LocalWorker | None = None
    child: subprocess.Popen[bytes] | None = None
    since: float = 0.0
    restarts: int = 0
    error: BohbError | None = None
    is_done: bool = False


class LocalFleet:
    """Keeps a number of local workers running.

    Args:
        directory: The run they work for.
        n_workers: How many.
        clock: For restarts.
        on_start: Hears which workers of earlier masters still live; no other local worker does.
        on_death: Hears the name of each worker of this fleet that died, and why.
        credentials: What they show to the master; None: it wants none.
    """

    def __init__(
        self,
        directory: RunDirectory,
        n_workers: int,
        clock: Clock,
        on_start: Callable[[frozenset[str]], None],
        on_death: Callable[[str, str], None],
        *,
        credentials: Path | None = None,
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._on_start = on_start
        self._on_death = on_death
        self._credentials = credentials
        self._slots = [_Slot() for _ in range(n_workers)]

    def start(self) -> None:
        """Take over living workers of an earlier master of this run, and start the rest."""
        living = find_local_workers(self._directory)
        for worker in living[len(self._slots) :]:
            self._signal(worker, signal.SIGTERM)
        for slot, worker in zip(self._slots, living, strict=False):
            slot.worker, slot.since = worker, self._clock.monotonic()
        self._on_start(frozenset(worker.name for worker in living))
        for slot in self._slots:
            if slot.worker is None:
                self._spawn(slot)

    def watch(self) -> None:
        """See who has died, and start others in their place, ever more slowly."""
        now = self._clock.monotonic()
        for slot in self._slots:
            if slot.is_done or (slot.worker is None and now < slot.since):
                continue
            if slot.worker is None:
                self._spawn(slot)
            elif (code := self._exit_code(slot)) is not None:
                self._bury(slot, code, now)

    @property
    def error(self) -> BohbError | None:
        """Why no worker of this fleet can work, or None while one can."""
        if self._slots and all(slot.is_done for slot in self._slots):
            return next((slot.error for slot in self._slots if slot.error), None)
        return None

    def stop(self, patience_s: float) -> None:
        """Ask all workers to leave, then end those that do not.

        Args:
            patience_s: How long they may take.
        """
        workers = [slot.worker for slot in self._slots if slot.worker is not None]
        for worker in workers:
            self._signal(worker, signal.SIGTERM)
        processes = [worker.process for worker in workers if worker.is_alive]
        _, stubborn = psutil.wait_procs(processes, timeout=patience_s)
        for process in stubborn:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(stubborn, timeout=patience_s)
        for slot in self._slots:
            if slot.child is not None:
                slot.child.wait()
            slot.worker, slot.is_done = None, True

    def _spawn(self, slot: _Slot) -> None:
        name = f"{local_prefix()}{secrets.token_hex(3)}"
        command = worker_command(local_arguments(self._directory), name)
        command += ["--orphan-timeout", f"{ORPHAN_SECONDS:g}", "--preempt-grace", f"{GRACE_SECONDS:g}"]
        if self._credentials is not None:
            command += ["--credentials", str(self._credentials)]
        try:
            self._directory.logs.mkdir(parents=True, exist_ok=True)
            with self._log(name).open("ab") as output:
                child = subprocess.Popen(  # noqa: S603  (our own program)
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    env=worker_environment(),
                )
        except OSError as error:  # e.g. out of file descriptors for a moment
            log.warning("worker not started", extra={"worker": name, "error": str(error)})
            slot.since = self._clock.monotonic() + RESTART_SECONDS[-1]
            return
        slot.child, slot.since = child, self._clock.monotonic()
        # A child that has died already is a zombie until it is waited for, so its process is still there.
        slot.worker = LocalWorker(name, psutil.Process(child.pid))

    def _exit_code(self, slot: _Slot) -> int | None:
        """How a slot's worker ended, or None while it lives; 1 when that cannot be known (not our child)."""
        if slot.child is not None:
            return slot.child.poll()
        return None if slot.worker is not None and slot.worker.is_alive else ExitCode.FAILURE

    def _bury(self, slot: _Slot, code: int, now: float) -> None:
        worker, slot.worker, slot.child = slot.worker, None, None
        if worker is None:
            return
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        self._on_death(worker.name, f"its process died ({how})")
        if code == 0:
            slot.is_done = True
            return
        if code == ExitCode.TRY_AGAIN:  # somebody has preempted it, which says nothing of how well it works
            slot.since = now
            return
        if now - slot.since > _HEALTHY_SECONDS:
            slot.restarts = 0
        if code == ExitCode.USAGE or slot.restarts >= len(RESTART_SECONDS):
            slot.is_done = True
            log.error("worker given up", extra={"worker": worker.name, "how": how})
            kind = WorkerSpecError if code == ExitCode.USAGE else BohbError
            slot.error = kind(f"local workers cannot run ({how}): {self._why(worker.name)}")
            return
        slot.since = now + RESTART_SECONDS[slot.restarts]
        slot.restarts += 1

    def _log(self, name: str) -> Path:
        return self._directory.logs / f"{name}.worker.log"

    def _why(self, name: str) -> str:
        path = self._log(name)
        with contextlib.suppress(OSError), path.open("rb") as file:
            return last_words(file, str(path))
        return ""

    @staticmethod
    def _signal(worker: LocalWorker, number: signal.Signals) -> None:
        with contextlib.suppress(psutil.Error):
            worker.process.send_signal(number)
