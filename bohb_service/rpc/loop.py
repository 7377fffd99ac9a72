"""One event loop for all peers: no thread per connection, calls that wait cost nothing.

Theory of operation:

1. One thread runs `EventLoop.run`. It alone touches connections and calls the service; other threads hand it work
   with `EventLoop.post`.
2. A connection is buffered in both directions. Bytes become a message only when all of it is there, so a slow or
   silent peer holds nobody up.
3. TLS handshakes are made by a thread of their own (`handshakes`), which hands over finished connections.
4. Before a peer is admitted only small messages pass, and it has `HANDSHAKE_SECONDS`. Where there are too many
   such peers, the oldest from the most crowded address goes. What a message is judged by is its header; nothing
   else is looked at before.
5. A call that waits leaves its connection in the selector, so the loss of the peer is seen at once.
"""

import collections
import selectors
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from bohb_service.clock import Clock
from bohb_service.rpc.budget import Budget
from bohb_service.rpc.connection import Connection
from bohb_service.rpc.crowd import first_of_the_crowd
from bohb_service.rpc.frames import HEADER_BYTES, FrameError, Head, read_head
from bohb_service.rpc.gate import Gate, GateError
from bohb_service.rpc.handshakes import Handshakes
from bohb_service.rpc.pyro import tune_socket
from bohb_service.rpc.refusals import Refusals
from bohb_service.rpc.waker import Waker
from bohb_service.security.tokens import Role

HANDSHAKE_SECONDS = 5.0
MESSAGE_SECONDS = 60.0
"""How long an admitted peer may take for one message."""

MAX_UNADMITTED = 512
MAX_UNSENT_BYTES = 8 << 20
MAX_UNSENT_BY_ALL_BYTES = 32 << 20
MAX_BUFFERED_BYTES = 12 << 20
"""What all peers together may have sent of messages that are not whole yet."""

BACKLOG = 4096
SPARE_DESCRIPTORS = 128
"""Descriptors that connections leave to the rest of the process."""


class Handler(Protocol):
    """What is done with messages."""

    def handle(self, connection: Connection, head: Head, data: bytes) -> None:
        """Answer a message, now or later.

        Raises:
            GateError: The peer is not admitted.
            FrameError: The message makes no sense.
        """
        ...


class EventLoop:
    """Accepts connections, reads messages, runs posted work and a periodic tick.

    Args:
        listener: A listening socket.
        clock: For limits and the tick.
        idle_s: After so long without a byte from it a peer is gone; no wait for an answer may be as long.
        max_connections: How many peers there may be.
        handshakes: Makes TLS handshakes, or None where connections are in clear.
        tokens: Secrets that peers must prove, or None.
        tick_s: How often `on_tick` is called, in seconds.
    """

    def __init__(
        self,
        listener: socket.socket,
        clock: Clock,
        *,
        idle_s: float,
        max_connections: int,
        handshakes: Handshakes | None = None,
        tokens: Mapping[Role, bytes] | None = None,
        tick_s: float = 0.25,
    ) -> None:
        self.handler: Handler | None = None
        self.on_close: Callable[[Connection], None] = lambda _: None
        self.on_tick: Callable[[], None] = lambda: None
        self.refusals = Refusals(clock)
        self._clock = clock
        self._handshakes = handshakes
        self._tokens = tokens
        self._idle_s = idle_s
        self._max_connections = max_connections
        self._tick_s = tick_s
        self._selector = selectors.DefaultSelector()
        self._listener = listener
        listener.listen(BACKLOG)
        listener.settimeout(0)
        self._selector.register(listener, selectors.EVENT_READ, None)
        self._waker = Waker(self._selector)
        self._posted: collections.deque[Callable[[], None]] = collections.deque()
        self._connections: set[Connection] = set()
        self._unadmitted: dict[Connection, None] = {}  # oldest first
        self._buffered = Budget(lambda connection: len(connection.incoming))
        self._unsent = Budget(lambda connection: len(connection.outgoing))
        self._is_full = False
        self._thread: int | None = None
        self._stopping = False
        if handshakes is not None:
            handshakes.start(
                lambda sock, peer: self.post(lambda: self._add(sock, peer)),
                lambda reason, peer: self.post(lambda: self.refusals.note(reason, peer)),
                lambda error: self.post(lambda: _raise(error)),
            )

    @property
    def n_connections(self) -> int:
        """Number of open connections."""
        return len(self._connections)

    def post(self, work: Callable[[], None]) -> None:
        """Run something soon on the loop's thread; may be called from any thread."""
        self._posted.append(work)
        if threading.get_ident() != self._thread:
            self._waker.wake()

    def stop(self) -> None:
        """End `run` soon; may be called from any thread."""
        self._stopping = True
        self.post(lambda: None)

    def run(self) -> None:
        """Serve until `stop` is called."""
        self._thread = threading.get_ident()
        next_tick = self._clock.monotonic()
        while not self._stopping:
            timeout = 0.0 if self._posted else max(0.0, next_tick - self._clock.monotonic())
            for key, events in self._selector.select(timeout):
                if isinstance(key.data, Connection):
                    if events & selectors.EVENT_WRITE and key.data.is_open:
                        self._flush(key.data)
                    if events & selectors.EVENT_READ and key.data.is_open:
                        self._read(key.data)
                elif key.data is None:
                    self._accept()
                else:
                    self._waker.drain()
            for _ in range(len(self._posted)):
                self._posted.popleft()()
            if self._clock.monotonic() >= next_tick:
                next_tick = self._clock.monotonic() + self._tick_s
                self._drop_silent()
                self._listen()
                self.on_tick()

    def close(self) -> None:
        """Close the port and every connection; `run` must have ended."""
        if self._handshakes is not None:
            self._handshakes.close()
        for connection in list(self._connections):
            self.drop(connection)
        self._listener.close()
        self._waker.close()
        self._selector.close()

    def admit(self, connection: Connection, role: Role | None) -> None:
        """Take larger messages and calls from a peer from now on."""
        connection.gate, connection.role = None, role
        self._unadmitted.pop(connection, None)

    def drop(self, connection: Connection) -> None:
        """Close a connection."""
        if not connection.is_open:
            return
        connection.is_open = False
        self._connections.discard(connection)
        self._unadmitted.pop(connection, None)
        self._buffered.forget(connection)
        self._unsent.forget(connection)
        self._selector.unregister(connection.sock)
        connection.sock.close()
        self.on_close(connection)

    def _listen(self) -> None:
        """Accept connections again, if that was suspended."""
        if self._is_full:
            self._is_full = False
            self._selector.register(self._listener, selectors.EVENT_READ, None)

    def _suspend(self) -> None:
        """Leave those who come in the backlog, until the next tick or `_listen`."""
        self._selector.unregister(self._listener)
        self._is_full = True

    def _accept(self) -> None:
        for _ in range(64):
            if self._handshakes is not None and self._handshakes.is_full:
                # Who comes during a flood waits a moment; to refuse the newest would hit honest peers as well.
                self._suspend()
                self._handshakes.when_looked_at(lambda: self.post(self._listen))
                return
            try:
                sock, address = self._listener.accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError:  # out of file descriptors
                self.refusals.note("had to wait: there are no more file descriptors", "?")
                self._suspend()
                return
            peer = str(address[0])
            if len(self._connections) >= self._max_connections:
                self.refusals.note("too many connections", peer)
                sock.close()
                continue
            try:
                tune_socket(sock)
            except OSError:  # it has gone already
                sock.close()
                continue
            sock.settimeout(0)
            if self._handshakes is not None:
                self._handshakes.add(sock, peer)
            else:
                self._add(sock, peer)

    def _add(self, sock: socket.socket, peer: str) -> None:
        if len(self._unadmitted) >= MAX_UNADMITTED:
            crowded = first_of_the_crowd(self._unadmitted, lambda other: other.peer)
            self._refuse(crowded, "gave way to newer peers before it was admitted")
        connection = Connection(sock, peer, Gate(self._tokens), self._clock.monotonic(), self._send)
        self._connections.add(connection)
        self._unadmitted[connection] = None
        self._selector.register(sock, selectors.EVENT_READ, connection)
        self._read(connection)  # TLS may hold what came with the end of the handshake

    def _read(self, connection: Connection) -> None:
        try:
            is_there = connection.receive()
        except OSError:
            is_there = False
        connection.heard = self._clock.monotonic()
        try:
            assert self.handler is not None
            while connection.is_open and (message := self._next_message(connection)) is not None:
                self.handler.handle(connection, *message)
        except (FrameError, GateError) as error:
            self._refuse(connection, str(error))
        if not connection.incoming:
            connection.unfinished_since = None
        elif connection.unfinished_since is None:
            connection.unfinished_since = connection.heard
        if not is_there and connection.is_open:
            if connection.gate is not None and connection.incoming:
                self.refusals.note("left before it was admitted", connection.peer)
            self.drop(connection)

    def _next_message(self, connection: Connection) -> tuple[Head, bytes] | None:
        """The next whole message, taken from the buffer; None: not there yet.

        Raises:
            FrameError: It never will be.
        """
        incoming = connection.incoming
        if len(incoming) < HEADER_BYTES:
            return None
        head = read_head(incoming)
        if head.n_annotations + head.n_data > connection.max_message:
            raise FrameError(
                "a message that is too large"
                if connection.gate is None
                else "a message that is too large for a peer that is not admitted"
            )
        if len(incoming) < head.n_bytes:
            if (largest := self._buffered.overdrawn_by(connection, MAX_BUFFERED_BYTES)) is not None:
                self._refuse(largest, "too many large messages at once")
            return None
        with memoryview(incoming) as view:  # a slice of the buffer itself would be one more copy
            data = bytes(view[HEADER_BYTES + head.n_annotations : head.n_bytes])
        del incoming[: head.n_bytes]
        self._buffered.forget(connection)
        return head, data

    def _send(self, connection: Connection, message: bytes) -> None:
        if not connection.is_open:
            return
        connection.outgoing += message
        if len(connection.outgoing) > MAX_UNSENT_BYTES:
            self._refuse(connection, "does not read its answers")
            return
        self._flush(connection)
        if (largest := self._unsent.overdrawn_by(connection, MAX_UNSENT_BY_ALL_BYTES)) is not None:
            self._refuse(largest, "does not read its answers")

    def _flush(self, connection: Connection) -> None:
        try:
            is_stuck = not connection.flush()
        except OSError:
            self.drop(connection)
            return
        if is_stuck is not connection.is_stuck:
            connection.is_stuck = is_stuck
            wanted = selectors.EVENT_READ | selectors.EVENT_WRITE if is_stuck else selectors.EVENT_READ
            self._selector.modify(connection.sock, wanted, connection)

    def _refuse(self, connection: Connection, reason: str) -> None:
        self.refusals.note(reason, connection.peer)
        self.drop(connection)

    def _drop_silent(self) -> None:
        now = self._clock.monotonic()
        while self._unadmitted and (oldest := next(iter(self._unadmitted))).born < now - HANDSHAKE_SECONDS:
            self._refuse(oldest, "was not admitted in time")
        for connection in [c for c in self._connections if c.heard < now - self._idle_s]:
            self._refuse(connection, "was silent for too long")
        begun_by = now - MESSAGE_SECONDS
        for connection in [c for c in self._connections if (c.unfinished_since or now) < begun_by]:
            self._refuse(connection, "did not finish a message in time")


def _raise(error: Exception) -> None:
    raise error
