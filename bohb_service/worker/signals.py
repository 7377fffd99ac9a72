"""Requests to stop, by signal: drain, preempt, or end at once."""

import contextlib
import os
import signal
from collections.abc import Callable
from enum import IntEnum
from types import FrameType, TracebackType
from typing import Self

_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)

_Handler = Callable[[int, FrameType | None], object] | int | None


class StopLevel(IntEnum):
    """How urgently the worker shall stop."""

    NONE = 0
    DRAIN = 1
    PREEMPT = 2
    NOW = 3


class InterruptedBySignal(BaseException):
    """A signal came while the worker waited for the master.

    No `Exception`, so that no handler between the socket and the worker takes it for a network fault.
    """


class _Interruptible:
    """Inside this block a signal raises `InterruptedBySignal`."""

    def __init__(self, signals: "StopSignals") -> None:
        self._signals = signals

    def __enter__(self) -> None:
        self._signals.arm()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._signals.is_armed = False


class StopSignals:
    """Collects SIGINT, SIGTERM and SIGUSR1 while it is entered, which the main thread alone can do.

    The first SIGINT asks to drain: finish the running job, take no other. SIGTERM and SIGUSR1, with which batch
    systems announce the end, ask to preempt: let the running job save what it has, then give it back. SIGINT after
    any of these asks to give everything back now. What asks for no more than before is ignored: batch systems send
    SIGTERM more than once.

    Attributes:
        is_armed: A signal raises `InterruptedBySignal` now.
        interruptible: Context manager inside which `is_armed` is set.
        n_received: Number of signals so far that asked for more than those before.
    """

    def __init__(self) -> None:
        self.is_armed = False
        self.interruptible = _Interruptible(self)
        self.n_received = 0
        self._level = StopLevel.NONE
        self._is_news = False
        self._is_readable = False
        self._is_terminated = False
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._previous: dict[signal.Signals, _Handler] = {}

    def arm(self) -> None:
        """Have signals raise `InterruptedBySignal`; raises it at once for one that `level` has not told yet."""
        self.is_armed = True
        if self._is_news:
            self.is_armed = False
            raise InterruptedBySignal

    def level(self) -> StopLevel:
        """What has been asked for so far."""
        self._is_news = False
        return self._level

    @property
    def was_terminated(self) -> bool:
        """Whether SIGTERM or SIGUSR1 came, not only SIGINT."""
        return self._is_terminated

    def fileno(self) -> int:
        """Becomes readable with each signal."""
        return self._reader

    def drain(self) -> None:
        """Make `fileno` unreadable until the next signal."""
        if not self._is_readable:
            return
        self._is_readable = False
        with contextlib.suppress(BlockingIOError):
            while os.read(self._reader, 64):
                pass

    def __enter__(self) -> Self:
        self._previous = {number: signal.signal(number, self._handle) for number in _HANDLED}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, previous in self._previous.items():
            # None stands for a handler that was not set from Python.
            signal.signal(number, signal.SIG_DFL if previous is None else previous)
        os.close(self._reader)
        os.close(self._writer)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            level = StopLevel.DRAIN if self._level is StopLevel.NONE else StopLevel.NOW
        else:
            level, self._is_terminated = StopLevel.PREEMPT, True
        if level <= self._level:
            return
        self._level = level
        self.n_received += 1
        self._is_news = self._is_readable = True
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"!")
        if self.is_armed:
            raise InterruptedBySignal
