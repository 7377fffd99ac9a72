"""One peer of the master: buffered in both directions, never blocking."""

import socket
import ssl
from collections.abc import Callable

from bohb_service.rpc.gate import Gate
from bohb_service.security.tokens import Role  # noqa: TC001  (as everywhere, imports are real)

MAX_HANDSHAKE_BYTES = 4096
"""Largest message before a peer is admitted."""

MAX_REQUEST_BYTES = 2 << 20
"""Largest message of an admitted peer."""

_CHUNK = 1 << 16
# OpenSSL wants an interrupted write repeated with the same bytes, so a chunk is only ever cut off in front.
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Connection:
    """One peer.

    Attributes:
        sock: Its socket, non-blocking, maybe of TLS.
        peer: Its address, for people.
        incoming: Bytes that have not made a whole message yet.
        outgoing: Bytes that the peer has not taken yet.
        is_stuck: The loop waits until it takes some.
        gate: Decides on its admission; None once it is admitted.
        role: What it may call once admitted; None: everything.
        born: When it was made, monotonic seconds.
        heard: When bytes came last, monotonic seconds.
        unfinished_since: When the message began that has not come to its end, monotonic seconds, or None.
        is_open: It has not been closed.
        session: What the service knows it by, set by the service.
    """

    __slots__ = (
        "__weakref__",
        "_is_tls",
        "_send",
        "born",
        "gate",
        "heard",
        "incoming",
        "is_open",
        "is_stuck",
        "outgoing",
        "peer",
        "role",
        "session",
        "sock",
        "unfinished_since",
    )

    def __init__(
        self, sock: socket.socket, peer: str, gate: Gate, now: float, send: Callable[["Connection", bytes], None]
    ) -> None:
        self.sock = sock
        self.peer = peer
        self.incoming = bytearray()
        self.outgoing = bytearray()
        self.is_stuck = False
        self.gate: Gate | None = gate
        self.role: Role | None = None
        self.born = self.heard = now
        self.unfinished_since: float | None = None
        self.is_open = True
        self.session: str | None = None
        self._send = send
        self._is_tls = isinstance(sock, ssl.SSLSocket)

    @property
    def max_message(self) -> int:
        """Largest data and annotations of a message that it may send now, in bytes."""
        return MAX_HANDSHAKE_BYTES if self.gate is not None else MAX_REQUEST_BYTES

    def send(self, message: bytes) -> None:
        """Send a whole message, now or as soon as the peer takes it; on the loop's thread."""
        self._send(self, message)

    def receive(self) -> bool:
        """Take what has arrived, a bounded amount at a time; whether the connection is still there.

        Raises:
            OSError: It broke.
        """
        try:
            while data := self.sock.recv(_CHUNK if self.gate is None else MAX_HANDSHAKE_BYTES):
                self.incoming += data
                # What TLS has decrypted already wakes no selector, so it must be taken now.
                if not self._is_tls or not self.sock.pending():  # type: ignore[attr-defined]  # of SSLSocket
                    return True
        except _WOULD_BLOCK:
            return True
        return False

    def flush(self) -> bool:
        """Send what waits; whether all of it has gone.

        Raises:
            OSError: The connection broke.
        """
        try:
            while self.outgoing:
                sent = self.sock.send(self.outgoing if len(self.outgoing) <= _CHUNK else self.outgoing[:_CHUNK])
                del self.outgoing[:sent]
        except _WOULD_BLOCK:
            return False
        return True
