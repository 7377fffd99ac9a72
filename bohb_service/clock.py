"""The only reader of time; everything that needs it is handed a clock."""

import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import psutil


class Clock(Protocol):
    """Two readings of time."""

    def now(self) -> float:
        """Seconds since the Unix epoch, for records that people read."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary origin that never run backwards, for deadlines."""
        ...


class SystemClock:
    """The clock of the operating system."""

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()


class AwakeClock:
    """The time in which its reader was awake: a long silence between two readings does not count.

    A process that is stopped, or whose machine sleeps, cannot have heard from its peers meanwhile, and must not hold
    that against them. It is read by one thread, often.

    Args:
        clock: The time that goes on.
        longest_s: A longer silence is sleep.
    """

    def __init__(self, clock: Clock, longest_s: float) -> None:
        self._clock = clock
        self._longest_s = longest_s
        self._slept = 0.0
        self._last = clock.monotonic()

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return self._clock.now()

    def monotonic(self) -> float:
        """Seconds from an arbitrary origin, without those asleep."""
        at = self._clock.monotonic()
        if at - self._last > self._longest_s:
            self._slept += at - self._last
        self._last = at
        return at - self._slept


def seconds_after_boot(process: "psutil.Process") -> float:
    """When a process started, in seconds after its machine did: the same for everybody who asks on that machine.

    The time since the epoch is not: it is the boot time plus this, and the boot time moves when the clock is set.

    Raises:
        psutil.Error: The process is gone, or may not be looked at.
    """
    import psutil

    boot = psutil.boot_time()
    return process.create_time() - boot
