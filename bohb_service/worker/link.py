"""The line to the master: repeats after faults, counts the time without one."""

import logging
import math
import random
from collections.abc import Callable
from typing import Protocol, TypeVar

from bohb_service.clock import Clock
from bohb_service.errors import MasterUnreachableError, StudyEndedError
from bohb_service.rpc.messages import Answer, Registration, Request, WorkerInfo
from bohb_service.worker.signals import InterruptedBySignal, StopSignals

FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 5.0

ENDED_PATIENCE_S = 10.0
"""How long a master is waited for when the study has ended: one may just come for more of it."""

_COMPLAIN_EVERY_S = 10.0

log = logging.getLogger("bohb_service.worker")

Argument = TypeVar("Argument")
Reply = TypeVar("Reply")


class Master(Protocol):
    """What a worker needs of a master; `bohb_service.rpc.client.MasterClient` is one."""

    def register(self, info: WorkerInfo) -> Registration:
        """Introduce the worker; MasterUnreachableError: try again, ProtocolError: it is refused."""
        ...

    def exchange(self, request: Request) -> Answer:
        """Exchange; MasterUnreachableError: repeat the same request, UnknownSessionError: register again."""
        ...

    def goodbye(self, unstarted: tuple[int, ...], reason: str) -> None:
        """Leave, and give back leases that were not begun."""
        ...

    def close(self) -> None:
        """Close the connection; the next call makes a new one."""
        ...


class Link:
    """Calls the master; a call that fails for the network is due again after a random pause.

    Pauses are drawn evenly from zero to a limit that doubles from `FIRST_BACKOFF_S` to `LONGEST_BACKOFF_S`
    ("full jitter"), so that the workers of a cluster do not return in one wave.

    Attributes:
        master: The other end.
        retry_at: Monotonic time from which the next call makes sense.
        last_contact: Monotonic time of the last answer; that of the start before the first.
        study_has_ended: The last call failed since there is nothing left to do.
        was_interrupted: The last call was ended by a signal.
        has_recovered: The last call was answered after others had failed.

    Args:
        master: The other end.
        signals: Interrupt calls.
        clock: For pauses.
    """

    def __init__(self, master: Master, signals: StopSignals, clock: Clock) -> None:
        self.master = master
        self.retry_at = self.last_contact = clock.monotonic()
        self.study_has_ended = False
        self.was_interrupted = False
        self.has_recovered = False
        self._signals = signals
        self._clock = clock
        self._random = random.Random()  # noqa: S311 - spreads pauses, guards nothing
        self._n_failures = 0
        self._failing_since = math.inf
        self._complain_at = self.last_contact

    def call(self, method: Callable[[Argument], Reply], argument: Argument) -> Reply | None:
        """The answer, or None when there was none; `was_interrupted` and `retry_at` tell how to go on.

        Args:
            method: A method of `master`.
            argument: What to send.

        Raises:
            ProtocolError: The master refused.
        """
        self.was_interrupted = False
        try:
            with self._signals.interruptible:
                reply = method(argument)
        except MasterUnreachableError as error:
            self._failed(error)
            return None
        except InterruptedBySignal:
            # The connection is in the middle of an answer that nobody will read.
            self.master.close()
            self.was_interrupted = True
            return None
        self.has_recovered = self._n_failures > 0
        if self.has_recovered:
            log.info("master reached", extra={"after_failures": self._n_failures})
        self._n_failures = 0
        self._failing_since = math.inf
        self.study_has_ended = False
        self.last_contact = self.retry_at = self._clock.monotonic()
        return reply

    def is_hopeless(self, patience_s: float) -> bool:
        """Whether there has been no master for too long.

        Right after a failed call only, so that a process which was suspended for long tries once more.

        Args:
            patience_s: How long, in seconds, from the first call that failed on.
        """
        if self.study_has_ended:
            patience_s = min(patience_s, ENDED_PATIENCE_S)
        now = self._clock.monotonic()
        return now < self.retry_at and now - self._failing_since >= patience_s

    def _failed(self, error: MasterUnreachableError) -> None:
        now = self._clock.monotonic()
        self._failing_since = min(self._failing_since, now)
        self.study_has_ended = isinstance(error, StudyEndedError)
        limit = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(self._n_failures, 10))
        self.retry_at = now + self._random.uniform(0.0, limit)
        if self._n_failures == 0 or now >= self._complain_at:
            self._complain_at = now + _COMPLAIN_EVERY_S
            log.warning(
                "waiting for the master",
                extra={"silent_s": round(now - self.last_contact, 1), "error": str(error)},
            )
        self._n_failures += 1
