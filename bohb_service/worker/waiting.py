"""What a worker waits for: alarms at any time, and messages unless they may gather."""

import contextlib
import selectors
from typing import Protocol


class HasDescriptor(Protocol):
    """A pipe, a socket, or what holds one."""

    def fileno(self) -> int:
        """The descriptor."""
        ...


class Waiting:
    """Descriptors of two kinds: *alarms*, which always end a wait, and *messages*, which a wait can leave alone.

    Messages that are left alone gather in the buffer of their socket. One wait for several of them instead of one
    for each is what keeps the worker process cheap beside very short jobs.
    """

    def __init__(self) -> None:
        self._alarms = selectors.DefaultSelector()
        self._all = selectors.DefaultSelector()

    def add_alarm(self, source: int | HasDescriptor) -> None:
        """Wait for this in every wait."""
        self._alarms.register(source, selectors.EVENT_READ)
        self._all.register(source, selectors.EVENT_READ)

    def add_messages(self, source: int | HasDescriptor) -> None:
        """Wait for this unless messages may gather."""
        self._all.register(source, selectors.EVENT_READ)

    def remove(self, source: int | HasDescriptor) -> None:
        """Wait for this no more, if it was waited for; before it is closed."""
        for selector in (self._alarms, self._all):
            with contextlib.suppress(KeyError):
                selector.unregister(source)

    def wait(self, seconds: float, *, alarms_only: bool = False) -> None:
        """Wait until something can be read or the time is over.

        Args:
            seconds: The time; at once if it is not positive.
            alarms_only: Let messages gather.
        """
        (self._alarms if alarms_only else self._all).select(max(0.0, seconds))

    def close(self) -> None:
        """Free both selectors; the descriptors stay open."""
        self._alarms.close()
        self._all.close()
