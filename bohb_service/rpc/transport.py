"""One event loop under a Pyro5 daemon: no thread per connection, calls that wait cost nothing.

Theory of operation:

1. One thread runs `EventLoop.run`. It alone touches connections and calls exposed methods; other threads
   hand it work with `EventLoop.post`.
2. A connection is buffered in both directions. Bytes become a Pyro5 request only when a whole message is
   there, so a slow or silent peer holds nobody up.
3. Before a handshake was accepted only small connect messages pass; messages of other serializers, compressed
   or batched ones, and ones over the limit end the connection before anything is deserialised.
4. An exposed method may raise `Parked`: no reply is sent now, and a `ParkedCall` answers later. The connection
   stays in the selector meanwhile, so the loss of the peer is seen at once.

Pyro5's own servers are not used: its thread server ties a thread to each connection, and its multiplex server
lets one silent peer block all others.
"""

import collections
import contextlib
import ipaddress
import selectors
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

from Pyro5 import config, errors, protocol, serializers
from Pyro5.callcontext import current_context
from Pyro5.server import Daemon
from Pyro5.socketutil import SocketConnection

from bohb_service.clock import Clock
from bohb_service.errors import TransportError
from bohb_service.rpc.pyro import SERIALIZER, tune_socket

_HEADER = struct.Struct("!4sHBBHHII16sHH")
_SERIALIZER_ID: int = serializers.serializers[SERIALIZER].serializer_id
# Oneway calls are refused too: Pyro5 would run them in threads of their own.
_REFUSED_FLAGS = (
    protocol.FLAGS_COMPRESSED | protocol.FLAGS_BATCH | protocol.FLAGS_KEEPSERIALIZED | protocol.FLAGS_ONEWAY
)

MAX_HANDSHAKE_BYTES = 4096
MAX_REQUEST_BYTES = 32 << 20
MAX_UNSENT_BYTES = 32 << 20
HANDSHAKE_SECONDS = 5.0
BACKLOG = 4096
MAX_CONNECTIONS = 16384


class Parked(BaseException):
    """Raised by an exposed method whose reply comes later."""


class Connection(SocketConnection):  # type: ignore[misc]  # Pyro5 is untyped
    """One peer, buffered in both directions.

    Attributes:
        accepted: Whether its handshake was accepted.
        session: What the service knows it by, set by the service.
    """

    def __init__(self, sock: socket.socket, loop: "EventLoop", born: float) -> None:
        super().__init__(sock)
        self.incoming = bytearray()
        self.outgoing = bytearray()
        self.accepted = False
        self.is_open = True
        self.born = born
        self.session: str | None = None
        self._loop = loop

    def recv(self, size: int) -> bytes:
        """Take bytes of the message that is complete in the buffer (called by Pyro5)."""
        if len(self.incoming) < size:
            raise errors.ConnectionClosedError("a message was shorter than its header says")
        data = bytes(self.incoming[:size])
        del self.incoming[:size]
        return data

    def send(self, data: bytes) -> None:
        """Send as much as goes at once and keep the rest (called by Pyro5)."""
        if not self.is_open:
            raise errors.ConnectionClosedError("the connection is closed")
        self.outgoing += data
        self._loop.flush(self)


class ParkedCall:
    """A call that waits for its reply. Make one inside an exposed method, then raise `Parked`."""

    __slots__ = ("_sequence", "connection")

    def __init__(self) -> None:
        self.connection: Connection = current_context.client
        self._sequence: int = current_context.seq

    def reply(self, value: Any) -> None:
        """Send the result; must run on the loop's thread. A peer that has gone gets nothing."""
        data = serializers.serializers[SERIALIZER].dumps(value)
        message = protocol.SendingMessage(protocol.MSG_RESULT, 0, self._sequence, _SERIALIZER_ID, data)
        with contextlib.suppress(errors.CommunicationError):
            self.connection.send(message.data)


class EventLoop:
    """Accepts connections, reads requests, runs posted work and a periodic tick.

    Args:
        listener: A listening socket.
        clock: For the handshake limit and the tick.
        tick_s: How often `on_tick` is called, in seconds.
    """

    def __init__(self, listener: socket.socket, clock: Clock, tick_s: float = 0.25) -> None:
        self.on_request: Callable[[Connection], None] = lambda _: None
        self.on_handshake: Callable[[Connection], bool] = lambda _: True
        self.on_close: Callable[[Connection], None] = lambda _: None
        self.on_tick: Callable[[], None] = lambda: None
        self.refused = 0
        self._clock = clock
        self._tick_s = tick_s
        self._selector = selectors.DefaultSelector()
        self._listener = listener
        listener.listen(BACKLOG)
        listener.settimeout(0)
        self._selector.register(listener, selectors.EVENT_READ, None)
        self._wake_reader, self._wake_writer = socket.socketpair()
        for end in (self._wake_reader, self._wake_writer):
            end.settimeout(0)
        self._selector.register(self._wake_reader, selectors.EVENT_READ, self._wake_reader)
        self._posted: collections.deque[Callable[[], None]] = collections.deque()
        self._connections: set[Connection] = set()
        self._is_full = False
        self._thread: int | None = None
        self._stopping = False

    @property
    def n_connections(self) -> int:
        """Number of open connections."""
        return len(self._connections)

    def post(self, work: Callable[[], None]) -> None:
        """Run something soon on the loop's thread; may be called from any thread."""
        self._posted.append(work)
        if threading.get_ident() != self._thread:
            with contextlib.suppress(BlockingIOError, OSError):
                self._wake_writer.send(b"\0")

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
                        self.flush(key.data)
                    if events & selectors.EVENT_READ and key.data.is_open:
                        self._read(key.data)
                elif key.data is None:
                    self._accept()
                else:
                    with contextlib.suppress(BlockingIOError):
                        self._wake_reader.recv(4096)
            for _ in range(len(self._posted)):
                self._posted.popleft()()
            if self._clock.monotonic() >= next_tick:
                next_tick = self._clock.monotonic() + self._tick_s
                self._drop_silent()
                if self._is_full:
                    self._is_full = False
                    self._selector.register(self._listener, selectors.EVENT_READ, None)
                self.on_tick()

    def close(self) -> None:
        """Close the port and every connection; `run` must have ended."""
        for connection in list(self._connections):
            self.drop(connection)
        for sock in (self._listener, self._wake_reader, self._wake_writer):
            sock.close()
        self._selector.close()

    def flush(self, connection: Connection) -> None:
        """Send what waits, and ask to be woken when the peer takes more."""
        try:
            while connection.outgoing:
                sent = connection.sock.send(connection.outgoing)
                del connection.outgoing[:sent]
        except BlockingIOError:
            if len(connection.outgoing) > MAX_UNSENT_BYTES:
                self.drop(connection)
                return
        except OSError:
            self.drop(connection)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.outgoing else 0)
        if self._selector.get_key(connection.sock).events != wanted:
            self._selector.modify(connection.sock, wanted, connection)

    def drop(self, connection: Connection) -> None:
        """Close a connection."""
        if not connection.is_open:
            return
        connection.is_open = False
        self._connections.discard(connection)
        self._selector.unregister(connection.sock)
        connection.close()
        self.on_close(connection)

    def _accept(self) -> None:
        for _ in range(64):
            try:
                sock, _address = self._listener.accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError:  # out of file descriptors: the peer stays in the backlog until the next tick
                self._selector.unregister(self._listener)
                self._is_full = True
                return
            if len(self._connections) >= MAX_CONNECTIONS:
                self.refused += 1
                sock.close()
                continue
            sock.settimeout(0)
            tune_socket(sock)
            connection = Connection(sock, self, self._clock.monotonic())
            self._connections.add(connection)
            self._selector.register(sock, selectors.EVENT_READ, connection)

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.drop(connection)
            return
        connection.incoming += data
        while connection.is_open and (complete := self._complete(connection)) is not False:
            if complete is None:
                return
            try:
                self._serve(connection)
            except Parked:
                continue
            except (errors.PyroError, OSError, ValueError, TypeError, KeyError):
                self._refuse(connection)

    def _complete(self, connection: Connection) -> bool | None:
        """True: a whole legal message is there. None: not yet. False: the connection was dropped."""
        if len(connection.incoming) < _HEADER.size:
            return None
        tag, version, kind, serializer, flags, _, size, annotations, _, _, _ = _HEADER.unpack_from(connection.incoming)
        legal = (
            tag == b"PYRO"
            and version == protocol.PROTOCOL_VERSION
            and serializer in {_SERIALIZER_ID, 42}  # a ping carries 42
            and not flags & _REFUSED_FLAGS
            and (kind == protocol.MSG_CONNECT) != connection.accepted
            and size + annotations <= (MAX_REQUEST_BYTES if connection.accepted else MAX_HANDSHAKE_BYTES)
        )
        if not legal:
            self._refuse(connection)
            return False
        return True if len(connection.incoming) >= _HEADER.size + size + annotations else None

    def _serve(self, connection: Connection) -> None:
        if connection.accepted:
            self.on_request(connection)
        else:
            connection.accepted = self.on_handshake(connection)
            if not connection.accepted:
                self._refuse(connection)

    def _refuse(self, connection: Connection) -> None:
        self.refused += 1
        self.drop(connection)

    def _drop_silent(self) -> None:
        limit = self._clock.monotonic() - HANDSHAKE_SECONDS
        for connection in [c for c in self._connections if not c.accepted and c.born < limit]:
            self._refuse(connection)


class LoopDaemon(Daemon):  # type: ignore[misc]  # Pyro5 is untyped
    """A Pyro5 daemon that is driven by an `EventLoop`.

    Args:
        host: Address to listen on, and that is told to peers.
        port: TCP port; 0 takes a free one.
        clock: The loop's clock.

    Raises:
        TransportError: The address cannot be listened on.
    """

    transportServer: Any  # noqa: N815  (given by Pyro5)

    def __init__(self, host: str, port: int, clock: Clock) -> None:
        self._check_address(host, port)
        before, config.SERVERTYPE = config.SERVERTYPE, "multiplex"
        try:
            super().__init__(host=host, port=port)
        finally:
            config.SERVERTYPE = before
        stock = self.transportServer
        stock.selector.close()
        listener, stock.sock = stock.sock, None
        self.host = host
        self.port: int = listener.getsockname()[1]
        self.loop = EventLoop(listener, clock)
        self.loop.on_request = self.handleRequest
        self.loop.on_handshake = self._handshake
        self.transportServer = None

    @staticmethod
    def _check_address(host: str, port: int) -> None:
        """Fail early and cleanly where Pyro5 would fail with a socket left open."""
        try:
            if ipaddress.ip_address(host).is_unspecified:
                raise TransportError(f"{host} is no address that workers could connect to; give one of this machine's")
        except ValueError:
            pass  # a host name
        try:
            family, kind, protocol_number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol_number) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                probe.listen()
        except OSError as error:
            raise TransportError(
                f"cannot listen on {host}, port {port}: {error.strerror or error}; "
                "choose another --host or --port (0 takes a free one)"
            ) from error

    def close(self) -> None:
        """Close the port and all connections; the loop must have ended."""
        self.loop.close()
