"""TLS handshakes, in one thread beside the event loop.

The arithmetic of a handshake takes a millisecond, in which the loop could serve many exchanges, and OpenSSL lets other
threads run meanwhile. A peer that stays silent, or stops half-way, costs an entry in a selector until its time is over.
"""

import collections
import contextlib
import selectors
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass

from bohb_service.clock import Clock
from bohb_service.rpc.crowd import first_of_the_crowd
from bohb_service.rpc.waker import Waker

TLS_SECONDS = 5.0
"""How long a handshake may take."""

MAX_WAITING = 1024
"""Handshakes at once; where there are more, the oldest from the most crowded address gives way."""

MAX_NEW = 256
"""Connections that the thread has not looked at yet; where there are more, they stay in the listener's backlog."""

MAX_HANDSHAKES = MAX_WAITING + MAX_NEW
"""Most descriptors that all this may need."""

_POLL_S = 0.25
_FIRST_BYTE = b"\x16"
_ALERT = bytes.fromhex("15 03 03 00 02 02 46")
"""Fatal: a version of the protocol that is not spoken here."""

_LEFT = "left in its TLS handshake"

Done = Callable[[ssl.SSLSocket, str], None]
Refused = Callable[[str, str], None]


@dataclass(slots=True, eq=False)
class _Handshake:
    """One peer: in clear until it says something, so that a silent one costs next to nothing."""

    sock: socket.socket
    peer: str
    born: float
    tls: ssl.SSLSocket | None = None


class Handshakes:
    """Makes TLS connections of plain ones.

    Args:
        context: TLS of the master.
        clock: For the time limit.
        descriptors: How many all this may have open, more than `MAX_NEW`.
    """

    def __init__(self, context: ssl.SSLContext, clock: Clock, descriptors: int = MAX_HANDSHAKES) -> None:
        self._context = context
        self._clock = clock
        self._most_waiting = descriptors - MAX_NEW
        self._selector = selectors.DefaultSelector()
        self._waker = Waker(self._selector)
        self._new: collections.deque[tuple[socket.socket, str]] = collections.deque()
        self._when_looked_at: Callable[[], None] | None = None
        self._waiting: dict[_Handshake, None] = {}  # oldest first
        self._closing = False
        self._done: Done
        self._refused: Refused
        self._failed: Callable[[Exception], None]
        self._thread = threading.Thread(target=self._run, name="bohb-tls", daemon=True)

    def start(self, done: Done, refused: Refused, failed: Callable[[Exception], None]) -> None:
        """Work from now on.

        Args:
            done: Takes each finished connection and its peer's address, on this object's thread.
            refused: Hears why a peer was refused, and its address, on any thread.
            failed: Hears of an error that ends the thread, so that nobody could connect any more.
        """
        self._done, self._refused, self._failed = done, refused, failed
        self._thread.start()

    @property
    def is_full(self) -> bool:
        """Whether no more connections should be added before `when_looked_at` has called back."""
        return len(self._new) >= MAX_NEW

    def when_looked_at(self, callback: Callable[[], None]) -> None:
        """Have a function called, on this object's thread, as soon as all new connections have been looked at."""
        self._when_looked_at = callback
        self._waker.wake()

    def add(self, sock: socket.socket, peer: str) -> None:
        """Take a non-blocking connection, unless this is full; may be called from any thread."""
        self._new.append((sock, peer))
        self._waker.wake()

    def close(self) -> None:
        """End the thread and what it has begun."""
        self._closing = True
        self._waker.wake()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001  (whatever it is, it must end the run, not lock everybody out)
            self._failed(error)

    def _work(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select(_POLL_S if self._waiting else None):
                if key.data is self._waker:
                    self._waker.drain()
                else:
                    self._go_on(key.data)
            while self._new:
                self._begin(*self._new.popleft())
            callback, self._when_looked_at = self._when_looked_at, None
            if callback is not None:
                callback()
            limit = self._clock.monotonic() - TLS_SECONDS
            while self._waiting and (oldest := next(iter(self._waiting))).born < limit:
                self._refuse(oldest, "made no TLS connection in time")
        for handshake in list(self._waiting):
            self._drop(handshake)
        for sock, _peer in self._new:
            sock.close()
        self._waker.close()
        self._selector.close()

    def _begin(self, sock: socket.socket, peer: str) -> None:
        if len(self._waiting) >= min(MAX_WAITING, self._most_waiting):
            crowded = first_of_the_crowd(self._waiting, lambda other: other.peer)
            self._refuse(crowded, "gave way to newer peers before its TLS connection")
        handshake = _Handshake(sock, peer, self._clock.monotonic())
        self._waiting[handshake] = None
        self._selector.register(sock, selectors.EVENT_READ, handshake)

    def _go_on(self, handshake: _Handshake) -> None:
        try:
            if handshake.tls is None:
                if (reason := _unfit(handshake.sock)) is not None:
                    self._refuse(handshake, reason)
                    return
                self._selector.unregister(handshake.sock)
                tls = self._context.wrap_socket(handshake.sock, server_side=True, do_handshake_on_connect=False)
                handshake.sock = handshake.tls = tls
                self._selector.register(tls, selectors.EVENT_READ, handshake)
            handshake.tls.do_handshake()
        except ssl.SSLWantReadError:
            self._selector.modify(handshake.sock, selectors.EVENT_READ, handshake)
        except ssl.SSLWantWriteError:
            self._selector.modify(handshake.sock, selectors.EVENT_WRITE, handshake)
        except ssl.SSLCertVerificationError as error:
            self._refuse(handshake, f"its certificate was not accepted: {error.verify_message}")
        except ssl.SSLEOFError:
            self._refuse(handshake, _LEFT)
        except ssl.SSLError as error:
            self._refuse(handshake, _reason(str(error.reason)))
        except OSError:
            self._refuse(handshake, _LEFT)
        else:
            self._selector.unregister(handshake.sock)
            del self._waiting[handshake]
            self._done(handshake.tls, handshake.peer)

    def _refuse(self, handshake: _Handshake, reason: str) -> None:
        self._drop(handshake)
        self._refused(reason, handshake.peer)

    def _drop(self, handshake: _Handshake) -> None:
        self._waiting.pop(handshake, None)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(handshake.sock)
        handshake.sock.close()


def _unfit(sock: socket.socket) -> str | None:
    """Why TLS is not begun with a peer, by its first byte; one that speaks in clear is told what is spoken here.

    Raises:
        OSError: It has gone.
    """
    first = sock.recv(1, socket.MSG_PEEK)
    if first == _FIRST_BYTE:
        return None
    if not first:
        return _LEFT
    sock.send(_ALERT)
    sock.recv(4096)  # what is left unread would turn the end of the connection into a reset, before the alert is read
    return "does not speak TLS"


def _reason(told: str) -> str:
    """Why there was no handshake, by OpenSSL's name of its error."""
    if "ALERT" in told:
        return "did not accept the master's certificate"
    if "CERTIFICATE" in told:
        return "no certificate"
    return "no TLS 1.3 connection"
