"""Wakes a thread that waits in a selector."""

import contextlib
import selectors
import socket


class Waker:
    """A descriptor that becomes readable when another thread wants to be heard.

    Args:
        selector: What the thread waits in; the waker is the data of its own entry there.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.settimeout(0)
        self._is_woken = False
        selector.register(self._reader, selectors.EVENT_READ, self)

    def wake(self) -> None:
        """Wake the thread, unless it has been woken and has not drained yet; may be called from any thread."""
        if self._is_woken:
            return
        self._is_woken = True
        with contextlib.suppress(BlockingIOError, OSError):
            self._writer.send(b"\0")

    def drain(self) -> None:
        """Wait again; to be called before looking at what there is to do."""
        with contextlib.suppress(BlockingIOError):
            self._reader.recv(4096)
        self._is_woken = False

    def close(self) -> None:
        """Free the descriptors; the selector must not be used any more."""
        self._reader.close()
        self._writer.close()
