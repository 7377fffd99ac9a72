"""One objective process, seen from its parent."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bohb_service.clock import Clock
from bohb_service.worker import protocol
from bohb_service.worker.channel import Channel
from bohb_service.worker.logs import LogFile
from bohb_service.worker.memory import MemoryGauge, OomWatch, kill_processes, process_tree
from bohb_service.worker.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Launch:
    """What an objective process runs.

    Attributes:
        spec: The worker class, as `load_worker` takes it.
        options: Keyword arguments of its constructor; plain data.
        log: Where its output goes.
    """

    spec: str
    options: Mapping[str, Any]
    log: LogFile


class ChildProcess:
    """A running objective process in a session of its own; it dies with this process.

    Attributes:
        pid: Its process id, which is also that of its process group.
        started: Monotonic time of its start.
        gauge: Its memory.
        oom: Whether the OOM killer struck while it ran.
        log: Where its output goes.
        log_offset: Size of the log when it started.
        is_loaded: It has said that the class is loaded and constructed.
        is_up: It has said that `setup` is done.
        silent_since: When its end of the connection closed; a dying process does that a moment before its death.

    Args:
        launch: What it runs.
        waiting: Is told what to wait for: messages, and the end of the process as an alarm.
        clock: Gives its start time.
    """

    def __init__(self, launch: Launch, waiting: Waiting, clock: Clock) -> None:
        self.log = launch.log
        self.log_offset = launch.log.size()
        self.is_loaded = False
        self.is_up = False
        self.silent_since = float("inf")
        self.started = clock.monotonic()
        self.oom = OomWatch()
        self._waiting = waiting
        output = launch.log.open()
        ours, theirs = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        descriptors = (theirs.fileno(), lifeline)
        try:
            # -P: a file in the current folder must not stand in for a module of this package's own needs.
            self._popen = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-P", "-m", "bohb_service.worker.child", *map(str, descriptors), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=descriptors,
                start_new_session=True,
            )
        except OSError:
            ours.close()
            os.close(self._lifeline)
            raise
        finally:
            theirs.close()
            os.close(lifeline)
            os.close(output)
        self.pid = self._popen.pid
        self.gauge = MemoryGauge(self.pid, clock)
        self.channel = Channel(ours)
        self._pidfd = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else None
        waiting.add_messages(self.channel)
        if self._pidfd is not None:
            waiting.add_alarm(self._pidfd)
        self.send([protocol.START, launch.spec, dict(launch.options)])

    def send(self, message: list[Any]) -> None:
        """Send one message; a process that is gone is noticed by `has_exited`."""
        self.send_frames(self.channel.pack(message))

    def send_frames(self, frames: bytes) -> None:
        """Send messages that were packed with `Channel.pack`."""
        with contextlib.suppress(OSError):
            self.channel.send(frames)

    def has_exited(self) -> bool:
        """Whether it is dead; it stays a zombie, so that its group keeps its number, until `bury`."""
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def stop_listening(self) -> None:
        """Do not wait for the connection any more."""
        self._waiting.remove(self.channel)

    def kill(self) -> None:
        """Kill it and all its descendants, those in other groups included."""
        strays = [process for process in process_tree(self.pid) if process.pid != self.pid]
        self._kill_group()
        kill_processes(strays)

    def bury(self) -> int:
        """Kill what is left of it, reap it, free its descriptors, cut its log; the exit code, negative for a signal.

        A process that the kernel cannot end, e.g. one that hangs in a driver, is left behind.
        """
        self._kill_group()
        self.stop_listening()
        if self._pidfd is not None:
            self._waiting.remove(self._pidfd)
            os.close(self._pidfd)
        self.channel.close()
        os.close(self._lifeline)
        # What it printed at last may be more than the room that was left since somebody looked.
        with contextlib.suppress(OSError):
            self.log.cap()
        code = self._popen.poll()
        return -signal.SIGKILL if code is None else code

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
