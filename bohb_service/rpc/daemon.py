"""A Pyro5 daemon over our own event loop: it decides who may call what, and calls it.

Pyro5's daemon keeps the objects and knows what they expose; its own servers and its own decoding are not used.
Its thread server ties a thread to each connection, its multiplex server lets one silent peer block all others,
and both decode, with the serializer that the peer chooses, before they ask who it is.
"""

import socket
from collections.abc import Callable, Mapping
from typing import Any

from Pyro5 import config, core, errors, server

from bohb_service.clock import AwakeClock, Clock
from bohb_service.errors import ListenError, TransportError
from bohb_service.rpc import frames
from bohb_service.rpc.connection import Connection
from bohb_service.rpc.frames import FrameError, Head
from bohb_service.rpc.gate import Gate, GateError
from bohb_service.rpc.handshakes import MAX_HANDSHAKES, MAX_NEW, Handshakes
from bohb_service.rpc.loop import SPARE_DESCRIPTORS, EventLoop
from bohb_service.rpc.pyro import ADMIN_OBJECT, GATE_OBJECT, MASTER_OBJECT, raise_descriptor_limit
from bohb_service.rpc.serialisers import MSGPACK, UNREADABLE, dumps_for_stock_clients
from bohb_service.security.credentials import Credentials, server_context
from bohb_service.security.tokens import Role

IDLE_S = 180.0
"""After so many seconds without a byte a peer is gone, unless told otherwise: three lease terms of a minute."""

_MAX_CONNECTIONS = 16384

_LONGEST_ROUND_S = 2.0

_LEAST_HANDSHAKES = MAX_NEW + 64


def share_descriptors(limit: int) -> tuple[int, int]:
    """How many connections and how many handshakes there may be at once.

    Where there are few descriptors, as in containers with a limit of 1024, both get half of them.

    Args:
        limit: How many files this process may have open.

    Raises:
        TransportError: There are too few to serve anybody; the message says what to do.
    """
    free = limit - SPARE_DESCRIPTORS
    handshakes = min(MAX_HANDSHAKES, free // 2)
    if handshakes < _LEAST_HANDSHAKES:
        least = 2 * _LEAST_HANDSHAKES + SPARE_DESCRIPTORS
        raise TransportError(
            f"this process may have only {limit} files open, too few to serve workers; allow at least {least}, "
            "e.g. with `ulimit -n`, or the option `ulimits` of a container"
        )
    return min(_MAX_CONNECTIONS, free - handshakes), handshakes


_NEEDS_ROLE: Mapping[str, Role] = {MASTER_OBJECT: "worker", ADMIN_OBJECT: "admin"}
"""Which role may call an object; one that is not listed may be called by all who are admitted."""


class Parked(BaseException):
    """Raised by an exposed method whose reply comes later, through `LoopDaemon.current`."""


class Call:
    """A call that can be answered later.

    Args:
        connection: Where it came from.
        seq: Its number there.
    """

    __slots__ = ("_seq", "connection")

    def __init__(self, connection: Connection, seq: int) -> None:
        self.connection = connection
        self._seq = seq

    def reply(self, value: Any) -> None:
        """Send the result, on the loop's thread. A peer that has gone gets nothing."""
        data = MSGPACK.dumps(value) if isinstance(value, bytes) else dumps_for_stock_clients(value)
        self.connection.send(frames.build(frames.RESULT, MSGPACK.number, self._seq, data))

    def fail(self, error: Exception) -> None:
        """Send an error, in the form in which Pyro5's own clients expect it."""
        data = dumps_for_stock_clients(error)
        self.connection.send(frames.build(frames.RESULT, MSGPACK.number, self._seq, data, frames.FLAG_EXCEPTION))


class LoopDaemon(server.Daemon):  # type: ignore[misc]  # Pyro5 is untyped
    """A Pyro5 daemon that is driven by an `EventLoop`.

    Attributes:
        loop: The event loop.
        address: Where it listens.
        port: The TCP port.
        current: The call that is being made.

    Args:
        address: Address to listen on.
        port: TCP port; 0 takes a free one.
        clock: The loop's clock.
        credentials: Of the master; with them TLS, client certificates and tokens are demanded.
        idle_s: After so many seconds without a byte a peer is gone.

    Raises:
        ListenError: The address cannot be listened on.
    """

    transportServer: Any  # noqa: N815  (given by Pyro5)
    current: Call

    def __init__(
        self, address: str, port: int, clock: Clock, credentials: Credentials | None = None, *, idle_s: float = IDLE_S
    ) -> None:
        self._check_address(address, port)
        # Made first: nothing is left open when the credentials cannot be used.
        n_connections, n_handshakes = share_descriptors(raise_descriptor_limit())
        context = None if credentials is None else server_context(credentials)
        handshakes = None if context is None else Handshakes(context, _awake(clock), n_handshakes)
        before, config.SERVERTYPE = config.SERVERTYPE, "multiplex"
        try:
            super().__init__(host=address, port=port)
        finally:
            config.SERVERTYPE = before
        stock = self.transportServer
        stock.selector.close()
        listener, stock.sock = stock.sock, None
        self.transportServer = None
        self.address: str = listener.getsockname()[0]
        self.port: int = listener.getsockname()[1]
        self.loop = EventLoop(
            listener,
            _awake(clock),
            handshakes=handshakes,
            tokens=None if credentials is None else credentials.tokens,
            idle_s=idle_s,
            max_connections=n_connections,
        )
        self.loop.handler = self
        self._methods: dict[str, frozenset[str]] = {core.DAEMON_NAME: frozenset({"ping", "get_metadata"})}

    @staticmethod
    def _check_address(address: str, port: int) -> None:
        """Fail early and cleanly where Pyro5 would fail with a socket left open."""
        try:
            family, kind, protocol_number, _, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol_number) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(where)
                probe.listen()
        except OSError as error:
            raise ListenError(
                f"cannot listen on {address}, port {port}: {error.strerror or error}; "
                "choose another address or --port, or leave that out"
            ) from error

    def offer(self, thing: Any, name: str) -> None:
        """Let peers call the exposed methods of an object."""
        self.register(thing, name)
        self._methods[name] = frozenset(self._metadata(name)["methods"])

    def handle(self, connection: Connection, head: Head, data: bytes) -> None:
        """Answer a message; see `bohb_service.rpc.loop.Handler`."""
        gate = connection.gate
        if gate is not None:
            self._handle_stranger(connection, gate, head, data)
        elif head.kind == frames.INVOKE and head.serializer == MSGPACK.number:
            self._invoke(connection, head, _decoded(data))
        elif head.kind == frames.PING:
            connection.send(frames.build(frames.PING, head.serializer, head.seq, b"pong"))
        else:
            raise FrameError("a message of another kind or serializer")

    def _handle_stranger(self, connection: Connection, gate: Gate, head: Head, data: bytes) -> None:
        """Let a peer introduce itself and prove its role."""
        if head.serializer != MSGPACK.number:
            raise FrameError("a message of another serializer before it was admitted")
        if head.kind == frames.CONNECT:
            match _decoded(data):
                case {"handshake": hello, "object": str() as target}:
                    meta = self._metadata(target) if gate.is_open and target in self._methods else None
                    answer = {"handshake": gate.greet(hello), "meta": meta}
                case _:
                    raise FrameError("a connect message of another form")
            connection.send(frames.build(frames.CONNECT_OK, MSGPACK.number, head.seq, MSGPACK.dumps(answer)))
            if gate.is_open:
                self.loop.admit(connection, None)
        elif head.kind == frames.INVOKE and gate.was_greeted:
            match _decoded(data):
                case [target, "prove", [proof], {}] if target == GATE_OBJECT:
                    self.loop.admit(connection, gate.admit(proof))
                    Call(connection, head.seq).reply("welcome")
                case _:
                    raise GateError("a call before it was admitted")
        else:
            raise GateError("a call before it was admitted")

    def _invoke(self, connection: Connection, head: Head, call: Any) -> None:
        self.current = Call(connection, head.seq)
        match call:
            case [str() as target, str() as method, list() as arguments, dict() as named]:
                pass
            case _:
                raise FrameError("a call of another form")
        try:
            function = self._exposed(connection, target, method)
            value = function(*arguments, **named)
        except Parked:
            return
        except (errors.PyroError, TypeError) as error:  # TypeError: arguments that the method does not take
            self.current.fail(error)
        else:
            self.current.reply(value)

    def _exposed(self, connection: Connection, target: str, method: str) -> Callable[..., Any]:
        """An exposed method, if this peer may call it."""
        needed = _NEEDS_ROLE.get(target)
        if connection.role is not None and needed not in {None, connection.role}:
            self.loop.refusals.note("called an object of another role", connection.peer)
            raise errors.SecurityError(f"a {connection.role} may not call {target}")
        if method not in self._methods.get(target, ()):
            self.loop.refusals.note("called what is not exposed", connection.peer)
            raise errors.DaemonError(f"there is no {method[:40]!r} to call on {target[:40]!r}")
        function: Callable[..., Any] = getattr(self.objectsById[target], method)
        return function

    def _metadata(self, target: str) -> dict[str, list[str]]:
        """What an object exposes, in the form in which Pyro5's own clients want to hear it."""
        found = self.objectsById[core.DAEMON_NAME].get_metadata(target)
        return {key: list(value) for key, value in found.items()}

    def close(self) -> None:
        """Close the port and all connections; the loop must have ended."""
        self.loop.close()


def _awake(clock: Clock) -> Clock:
    """A clock for one thread that does not hold it against peers when this process was stopped."""
    return AwakeClock(clock, _LONGEST_ROUND_S)


def _decoded(data: bytes) -> Any:
    """The plain value in the data of a message.

    Raises:
        FrameError: There is none.
    """
    try:
        return MSGPACK.loads(data)
    except UNREADABLE as error:
        raise FrameError("data that cannot be decoded") from error
