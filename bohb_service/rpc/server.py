"""The master's end: the objects that peers call, and the service behind them."""

import threading
from collections.abc import Callable
from typing import Any, Protocol

from Pyro5.api import expose
from Pyro5.callcontext import current_context

from bohb_service.clock import Clock
from bohb_service.errors import BohbError, ProtocolError, UnknownSessionError
from bohb_service.rpc import wire
from bohb_service.rpc.messages import PROTOCOL_VERSION, Answer, Registration, Request, WorkerInfo
from bohb_service.rpc.name_server import NameServer, announce_master, withdraw_master
from bohb_service.rpc.pyro import ADMIN_OBJECT, MASTER_OBJECT, NAME_SERVER_OBJECT, format_address
from bohb_service.rpc.transport import Connection, EventLoop, LoopDaemon, Parked, ParkedCall


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

    def disconnected(self, session: str) -> None:
        """Hear that a worker's connection broke."""
        ...

    def tick(self) -> None:
        """Do what is due."""
        ...

    def status(self) -> dict[str, Any]:
        """What is going on, as plain values."""
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


def _check_protocol(info: WorkerInfo) -> None:
    if info.protocol != PROTOCOL_VERSION:
        raise ProtocolError(
            f"worker {info.worker} speaks protocol {info.protocol} (version {info.version}), "
            f"the master {PROTOCOL_VERSION}: install the same version of bohb-service on both"
        )


@expose
class MasterObject:
    """What workers call. Arguments and results are packed by `wire`; errors are told, never raised, across it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._connections: dict[str, Connection] = {}

    def register(self, data: bytes) -> bytes:
        """Admit a worker."""
        return self._told(self._register, data)

    def exchange(self, data: bytes) -> bytes:
        """Deliver results, renew leases, lease jobs."""
        return self._told(self._exchange, data)

    def goodbye(self, data: bytes) -> bytes:
        """Let a worker go."""
        return self._told(self._goodbye, data)

    def closed(self, connection: Connection) -> None:
        """Hear that a connection broke; it matters if its session was last heard of over it."""
        session = connection.session
        if session is not None and self._connections.get(session) is connection:
            del self._connections[session]
            self._service.disconnected(session)

    def _heard(self, session: str) -> None:
        connection: Connection = current_context.client
        if connection.session != session and self._connections.get(connection.session or "") is connection:
            del self._connections[connection.session or ""]
        connection.session = session
        self._connections[session] = connection

    def _told(self, call: Callable[[bytes], Any], data: bytes) -> bytes:
        """The packed result of a call, or its packed error; an error that is not the peer's ends the run."""
        try:
            return _ok(call(data))
        except BohbError as error:
            return _error(error)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is ours and ends the run)
            self._service.fail(error)
            return wire.pack(["error", "internal", f"internal error of the master: {type(error).__name__}: {error}"])

    def _register(self, data: bytes) -> bytes:
        info = wire.unpack_info(data)
        _check_protocol(info)
        registration = self._service.register(info)
        self._heard(registration.session)
        return wire.pack_registration(registration)

    def _exchange(self, data: bytes) -> None:
        call = ParkedCall()
        session, request = wire.unpack_request(data)
        self._heard(session)
        self._service.exchange(session, request, lambda answer: call.reply(_ok(wire.pack_answer(answer))))
        raise Parked

    def _goodbye(self, data: bytes) -> None:
        session, unstarted, reason = wire.unpack_goodbye(data)
        self._connections.pop(session, None)
        self._service.goodbye(session, unstarted, reason)


@expose
class AdminObject:
    """What commands call."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def status(self) -> bytes:
        """What is going on."""
        return _ok(self._service.status())

    def drain(self) -> bytes:
        """Hand out nothing more and end when nothing runs."""
        self._service.drain()
        return _ok(None)


class Server:
    """The port of a master: name server, master and admin object behind one event loop.

    Args:
        host: Address to listen on.
        port: TCP port; 0 takes a free one.
        study: Name of the study.
        clock: For deadlines.
        name_server: ``host:port`` of an external name server to register at, or None.

    Raises:
        TransportError: The address cannot be listened on, or the external name server does not answer.
    """

    def __init__(self, host: str, port: int, study: str, clock: Clock, name_server: str | None = None) -> None:
        self._daemon = LoopDaemon(host, port, clock)
        self._study = study
        self._external = name_server
        self._thread: threading.Thread | None = None
        self.host, self.port = host, self._daemon.port
        self._daemon.register(NameServer(study, host, self.port), NAME_SERVER_OBJECT)
        self._uri = f"PYRO:{MASTER_OBJECT}@{format_address(host, self.port)}"
        if name_server is not None:
            try:
                announce_master(name_server, study, self._uri)
            except BohbError:
                self._daemon.close()
                raise

    @property
    def loop(self) -> EventLoop:
        """The event loop; everything the service does runs on its thread."""
        return self._daemon.loop

    def start(self, service: Service) -> None:
        """Serve from now on, in a thread of its own."""

        def run() -> None:
            try:
                self.loop.run()
            except Exception as error:  # noqa: BLE001  (a loop that has ended must end the run, not hang it)
                service.fail(error)

        master = MasterObject(service)
        self._daemon.register(master, MASTER_OBJECT)
        self._daemon.register(AdminObject(service), ADMIN_OBJECT)
        self.loop.on_close = master.closed
        self.loop.on_tick = service.tick
        self._thread = threading.Thread(target=run, name="bohb-rpc", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving and close the port."""
        if self._external is not None:
            withdraw_master(self._external, self._study, self._uri)
        if self._thread is not None:
            self.loop.stop()
            self._thread.join()
        self._daemon.close()
