"""The only reader of time; everything that needs it is handed a clock."""

import time
from typing import Protocol


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
