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


def seconds_after_boot(process: "psutil.Process") -> float:
    """When a process started, in seconds after its machine did: the same for everybody who asks on that machine.

    The time since the epoch is not: it is the boot time plus this, and the boot time moves when the clock is set.

    Raises:
        psutil.Error: The process is gone, or may not be looked at.
    """
    import psutil

    boot = psutil.boot_time()
    return process.create_time() - boot
