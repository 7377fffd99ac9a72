"""Keeps one slot filled: in place of a worker that was killed another one is started."""

import logging
import signal
from collections.abc import Callable, Sequence
from typing import Protocol

from bohb_service.clock import Clock
from bohb_service.exit_codes import ExitCode

PAUSES_S = (0.0, 1.0, 5.0, 20.0, 60.0, 60.0, 60.0, 60.0)
"""How long a slot whose worker was killed stays empty, each time it happens in a row; then it is given up."""

HEALTHY_S = 600.0
"""A worker that lived so long is killed for the first time again."""

log = logging.getLogger("bohb_service.worker")


class Started(Protocol):
    """A process."""

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        ...

    def send_signal(self, sig: int, /) -> None:
        """Send it a signal, if it has not ended."""
        ...


class Keeper:
    """Keeps a slot filled.

    Args:
        name: Of its worker; from the second one on with their number behind it, since a master that has not seen the
            end of one would refuse another of its name.
        start: Starts a worker of a name.
        received: Signals that this process has received so far; grows. After the first one nothing is started again.
        clock: Time.
    """

    def __init__(self, name: str, start: Callable[[str], Started], received: Sequence[int], clock: Clock) -> None:
        self._name = name
        self._start = start
        self._received = received
        self._clock = clock
        self._worker: Started | None = None
        self._code: int | None = None
        self._since = self._due = clock.monotonic()
        self._n_started = self._n_killed = 0

    def send(self, number: int) -> None:
        """Send the worker a signal, if there is one."""
        if self._worker is not None:
            self._worker.send_signal(number)

    def look(self) -> int | None:
        """The exit code with which the last worker has ended, or None: there is one, or will be soon."""
        if self._worker is None and self._code is None:
            self._fill()
        elif self._worker is not None and (code := self._worker.poll()) is not None:
            self._worker = None
            self._ended(code)
        return self._code

    def _fill(self) -> None:
        if self._n_started and self._received:
            self._code = -signal.SIGKILL
        elif self._clock.monotonic() >= self._due:
            name = f"{self._name}.{self._n_started}" if self._n_started else self._name
            self._n_started += 1
            self._since = self._clock.monotonic()
            try:
                self._worker = self._start(name)
            except OSError as error:
                self._again(f"cannot be started: {error.strerror or error}", ExitCode.FAILURE)
            for number in self._received:  # it was not there when they came
                self.send(number)

    def _ended(self, code: int) -> None:
        if code >= 0 or self._received:
            self._code = code
        else:
            self._again(f"was killed by signal {-code}", code)

    def _again(self, why: str, code: int) -> None:
        now = self._clock.monotonic()
        if now - self._since >= HEALTHY_S:
            self._n_killed = 0
        if self._n_killed == len(PAUSES_S):
            log.error(
                "a slot is given up: its worker %s, %d times in a row", why, self._n_killed + 1, extra=self._extra
            )
            self._code = code
            return
        log.warning("a slot is filled again: its worker %s", why, extra=self._extra)
        self._due = now + PAUSES_S[self._n_killed]
        self._n_killed += 1

    @property
    def _extra(self) -> dict[str, str]:
        return {"worker": self._name}
