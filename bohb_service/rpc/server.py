"""The master's end: the objects that peers call, and the service behind them."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakValueDictionary

from Pyro5.api import expose

from bohb_service.clock import Clock
from bohb_service.errors import BohbError, ProtocolError, UnknownSessionError
from bohb_service.rpc import wire
from bohb_service.rpc.about import About, to_plain
from bohb_service.rpc.connection import Connection
from bohb_service.rpc.daemon import IDLE_S, LoopDaemon, Parked
from bohb_service.rpc.endpoint import Endpoint
from bohb_service.rpc.loop import EventLoop
from bohb_service.rpc.messages import PROTOCOL_VERSION, Answer, Registration, Request, WorkerInfo
from bohb_service.rpc.name_server import Announcer, NameServer
from bohb_service.rpc.pyro import ADMIN_OBJECT, MASTER_OBJECT, NAME_SERVER_OBJECT, format_address
from bohb_service.security.credentials import days_left

log = logging.getLogger("bohb_service.rpc")

Observe = Callable[[str, float], None]
"""Hears for how many seconds a call of this method kept the event loop busy, on its thread."""


class Service(Protocol):
    """What the network serves; every method is called on the loop's thread and must not block."""

    def register(self, info: WorkerInfo) -> Registration:
        """Admit a worker; ProtocolError refuses it."""
        ...

    def exchange(self, session: str, request: Request, reply: Callable[[Answer], None]) -> None:
        """Take what a worker says, and answer now or later, on the loop's thread; UnknownSessionError if unknown."""
        ...

    def goodbye(self, session: str, unstarted: tuple[int, ...], reason: str) -> None:
        """Let a worker go and take back what it has not begun."""
        ...

    def when_durable(self, callback: Callable[[], None]) -> None:
        """Run a callback, on the loop's thread, when all that has happened so far is durable."""
        ...

    def disconnected(self, session: str) -> None:
        """Hear that a worker's connection broke."""
        ...

    def tick(self) -> None:
        """Do what is due."""
        ...

    def status(self) -> dict[str, Any]:
        """What is going on, as plain values."""
        ...

    def about(self, peer: str) -> About:
        """What it is, for a peer of this address."""
        ...

    def drain(self) -> None:
        """Hand out nothing more and end when nothing runs."""
        ...

    def fail(self, error: Exception) -> None:
        """End with an error that is nobody's fault but ours."""
        ...


def _ok(payload: Any) -> bytes:
    return wire.pack(["ok", payload])


def _error(error: BohbError) -> bytes:
    code = "unknown-session" if isinstance(error, UnknownSessionError) else "protocol"
    return wire.pack(["error", code, str(error)])


def _internal(error: Exception) -> bytes:
    return wire.pack(["error", "internal", f"internal error of the master: {type(error).__name__}: {error}"])


def _check_protocol(info: WorkerInfo) -> None:
    if info.protocol != PROTOCOL_VERSION:
        raise ProtocolError(
            f"worker {info.worker} speaks protocol {info.protocol} (version {info.version}), "
            f"the master {PROTOCOL_VERSION}: install the same version of bohb-service on both"
        )


@expose
class MasterObject:
    """What workers call. Arguments and results are packed by `wire`; errors are told, never raised, across it."""

    def __init__(self, service: Service, daemon: LoopDaemon, observe: Observe | None = None) -> None:
        self._service = service
        self._observe = observe
        self._daemon = daemon
        self._connections: dict[str, Connection] = {}
        self._workers: WeakValueDictionary[str, Connection] = WeakValueDictionary()
        daemon.loop.on_close = self._closed  # private, as whatever else is exposed to peers

    def register(self, data: bytes) -> bytes:
        """Admit a worker."""
        return self._told(self._register, data)

    def exchange(self, data: bytes) -> bytes:
        """Deliver results, renew leases, lease jobs."""
        return self._told(self._exchange, data)

    def goodbye(self, data: bytes) -> bytes:
        """Let a worker go."""
        return self._told(self._goodbye, data)

    def about(self) -> bytes:
        """What the master is; changes nothing."""
        return _ok(to_plain(self._service.about(self._daemon.current.connection.peer)))

    def _closed(self, connection: Connection) -> None:
        """Hear that a connection broke; it matters if its session was last heard of over it."""
        session = connection.session
        if session is not None and self._connections.get(session) is connection:
            del self._connections[session]
            self._service.disconnected(session)

    def _check_latest(self, latest: Connection | None) -> Connection:
        """The connection of this call, if the worker has not made a newer one.

        Raises:
            Parked: It has: this is what the network held back from the old one, which ends.
        """
        connection = self._daemon.current.connection
        if latest is not None and latest.is_open and latest.born > connection.born:
            self._daemon.loop.drop(connection)
            raise Parked
        return connection

    def _heard(self, session: str) -> None:
        """Note over which connection a session speaks."""
        connection = self._check_latest(self._connections.get(session))
        if connection.session is not None and connection.session != session:
            self._closed(connection)  # a connection is one worker's: the one before has lost it
        connection.session = session
        self._connections[session] = connection

    def _told(self, call: Callable[[bytes], Any], data: bytes) -> bytes:
        """The packed result of a call, or its packed error; an error that is not the peer's ends the run."""
        began = 0.0 if self._observe is None else time.perf_counter()
        try:
            return _ok(call(data))
        except BohbError as error:
            return _error(error)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is ours and ends the run)
            self._service.fail(error)
            return _internal(error)
        finally:
            if self._observe is not None:
                self._observe(call.__name__.lstrip("_"), time.perf_counter() - began)

    def _register(self, data: bytes) -> None:
        call = self._daemon.current
        info = wire.unpack_info(data)
        _check_protocol(info)
        connection = self._check_latest(self._workers.get(info.worker))
        registration = self._service.register(info)
        self._workers[info.worker] = connection
        self._heard(registration.session)
        self._service.when_durable(lambda: call.reply(_ok(wire.pack_registration(registration))))
        raise Parked

    def _exchange(self, data: bytes) -> None:
        call = self._daemon.current
        session, request = wire.unpack_request(data)
        self._heard(session)
        self._service.exchange(session, request, lambda answer: call.reply(_ok(wire.pack_answer(answer))))
        raise Parked

    def _goodbye(self, data: bytes) -> None:
        call = self._daemon.current
        session, unstarted, reason = wire.unpack_goodbye(data)
        self._check_latest(self._connections.get(session))
        self._connections.pop(session, None)
        self._service.goodbye(session, unstarted, reason)
        self._service.when_durable(lambda: call.reply(_ok(None)))
        raise Parked


@expose
class AdminObject:
    """What commands call."""

    def __init__(self, service: Service, port_status: Callable[[], dict[str, Any]]) -> None:
        self._service = service
        self._port_status = port_status

    def status(self) -> bytes:
        """What is going on."""
        try:
            return _ok({**self._service.status(), **self._port_status()})
        except Exception as error:
            log.exception("status cannot be told")
            return _internal(error)

    def drain(self) -> bytes:
        """Hand out nothing more and end when nothing runs."""
        self._service.drain()
        return _ok(None)


class Server:
    """The port of a master: name server, master and admin object behind one event loop.

    Attributes:
        host: What peers are told.
        port: The TCP port.
        security: What guards it.

    Args:
        endpoint: Where and how to listen.
        study: Name of the study.
        clock: For deadlines.
        idle_s: After so many seconds without a byte a peer is gone.
        observe: Hears how long workers' calls take, or None.

    Raises:
        CredentialsError: The endpoint would be unguarded.
        ListenError: The address cannot be listened on.
        TransportError: The external name server does not answer.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        study: str,
        clock: Clock,
        *,
        idle_s: float = IDLE_S,
        observe: Observe | None = None,
    ) -> None:
        endpoint.check()
        self._observe = observe
        self._endpoint, self._clock = endpoint, clock
        self._daemon = LoopDaemon(endpoint.address, endpoint.port, clock, endpoint.credentials, idle_s=idle_s)
        self.security = endpoint.security_at(self._daemon.address)
        if self.security == "insecure" and not endpoint.insecure:  # the name has changed its address since
            self._daemon.close()
            raise endpoint.unguarded(self._daemon.address)
        self._announcer: Announcer | None = None
        self._thread: threading.Thread | None = None
        self.host, self.port = endpoint.host, self._daemon.port
        self._daemon.offer(NameServer(study, self.host, self.port), NAME_SERVER_OBJECT)
        if endpoint.name_server is not None:
            uri = f"PYRO:{MASTER_OBJECT}@{format_address(self.host, self.port)}"
            try:
                self._announcer = Announcer(endpoint.name_server, study, uri)
            except BohbError:
                self._daemon.close()
                raise

    @property
    def loop(self) -> EventLoop:
        """The event loop; everything the service does runs on its thread."""
        return self._daemon.loop

    def status(self) -> dict[str, Any]:
        """How it is guarded, who is connected and who was refused, as plain values.

        Returns:
            ``security`` (``tls``, ``loopback`` or ``insecure``), ``connections``, ``refused`` peers by reason, and
            ``certificate_days``: for how many days the master's certificate stays valid; None without one.
        """
        held = self._endpoint.credentials
        return {
            "security": self.security,
            "connections": self.loop.n_connections,
            "refused": dict(self.loop.refusals.counts),
            "certificate_days": None if held is None else days_left(held, self._clock.now()),
        }

    def start(self, service: Service) -> None:
        """Serve from now on, in a thread of its own."""

        def run() -> None:
            try:
                self.loop.run()
            except Exception as error:  # noqa: BLE001  (a loop that has ended must end the run, not hang it)
                service.fail(error)

        self._daemon.offer(MasterObject(service, self._daemon, self._observe), MASTER_OBJECT)
        self._daemon.offer(AdminObject(service, self.status), ADMIN_OBJECT)
        self.loop.on_tick = service.tick
        self._thread = threading.Thread(target=run, name="bohb-rpc", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving and close the port."""
        if self._announcer is not None:
            self._announcer.close()
        if self._thread is not None:
            self.loop.stop()
            self._thread.join()
        self._daemon.close()
