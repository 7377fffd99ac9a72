"""The transport's other ends in tests: a service that does as it is told, clients, stock proxies, and bare sockets."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

from Pyro5 import nameserver
from Pyro5.api import Daemon, Proxy

from bohb_service.clock import SystemClock
from bohb_service.errors import UnknownSessionError
from bohb_service.rpc import frames
from bohb_service.rpc.access import Access
from bohb_service.rpc.client import AdminClient, MasterClient
from bohb_service.rpc.endpoint import Endpoint
from bohb_service.rpc.frames import Head
from bohb_service.rpc.locate import ByNameServer
from bohb_service.rpc.messages import Answer, Registration, WorkerInfo
from bohb_service.rpc.pyro import MASTER_OBJECT, format_address
from bohb_service.rpc.serialisers import MSGPACK
from bohb_service.rpc.server import Server
from bohb_service.scheduler.replies import Job
from bohb_service.scheduler.trial import TrialId

INFO = WorkerInfo("w1", "host", 1, 2.0, "0", running=((3, "e1"), (4, "")))
JOB = Job(7, TrialId(3, 1), 2, {"x": 0.5, "kind": "a", "n": None}, 3.0, 1.0, 99)
REGISTRATION = Registration("s1", "study", "m:C", {"a": [1]}, "/c", "id", None, 100, 60.0, 15.0, 20.0, "e1", (4,))


class Service:
    """Answers at once, later, or never, as the test says."""

    def __init__(self) -> None:
        self.infos: list[WorkerInfo] = []
        self.requests: list[Any] = []
        self.replies: list[Any] = []
        self.gone: list[str] = []
        self.left: list[Any] = []
        self.drained = threading.Event()
        self.answer = Answer(acks=(1,), jobs=(JOB,), lost=(2,), prefetch=3)
        self.park = False
        self.failed: list[Exception] = []

    def register(self, info):
        self.infos.append(info)
        return REGISTRATION

    def exchange(self, session, request, reply):
        if session != "s1":
            raise UnknownSessionError("who?")
        self.requests.append(request)
        if self.park:
            self.replies.append(reply)
        else:
            reply(self.answer)

    def goodbye(self, session, unstarted, reason):
        self.left.append((session, unstarted, reason))

    def when_durable(self, callback):
        callback()

    def disconnected(self, session):
        self.gone.append(session)

    def tick(self):
        pass

    def status(self):
        return {"state": "running"}

    def drain(self):
        self.drained.set()

    def fail(self, error):
        self.failed.append(error)


@contextlib.contextmanager
def serving(service: Any = None, endpoint: Endpoint | None = None, study: str = "study") -> Iterator[Server]:
    """A server at work."""
    server = Server(endpoint or Endpoint(), study, SystemClock())
    server.start(service or Service())
    try:
        yield server
    finally:
        server.close()


def address_of(server: Server) -> str:
    """Where it listens."""
    return format_address(server.host, server.port)


def worker_of(server: Server, access: Access | None = None) -> MasterClient:
    """A worker's client, not connected yet."""
    return MasterClient(ByNameServer(address_of(server), "study", access or Access("worker")))


def registered_worker(server: Server, access: Access | None = None) -> MasterClient:
    """The same, and it has introduced itself."""
    client = worker_of(server, access)
    client.register(INFO)
    return client


def admin_of(server: Server, access: Access | None = None) -> AdminClient:
    """A command's client, not connected yet."""
    return AdminClient(server.host, server.port, access or Access("admin"))


def status_of(server: Server, access: Access | None = None) -> dict[str, Any]:
    """What an admin is told; also proof that the loop has come round."""
    with contextlib.closing(admin_of(server, access)) as admin:
        return admin.status()


def stock_proxy(server: Server, target: str = MASTER_OBJECT) -> Proxy:
    """A proxy of Pyro5's own."""
    proxy = Proxy(f"PYRO:{target}@{address_of(server)}")
    proxy._pyroSerializer = "msgpack"
    return proxy


@contextlib.contextmanager
def stock_name_server() -> Iterator[str]:
    """Address of a Pyro5 name server at work in a thread."""
    _, daemon, _ = nameserver.start_ns(host="127.0.0.1", port=0, enableBroadcast=False)
    with _at_work(daemon) as address:
        yield address


@contextlib.contextmanager
def stock_daemon(thing: Any, name: str) -> Iterator[str]:
    """Address of a Pyro5 daemon at work in a thread, which serves an exposed object under this name."""
    daemon = Daemon(host="127.0.0.1", port=0)
    daemon.register(thing, name)
    with _at_work(daemon) as address:
        yield address


@contextlib.contextmanager
def _at_work(daemon: Any) -> Iterator[str]:
    thread = threading.Thread(target=daemon.requestLoop)
    thread.start()
    try:
        yield str(daemon.locationStr)
    finally:
        daemon.shutdown()
        thread.join()
        daemon.close()


def connect_frame(target: str = MASTER_OBJECT, hello: Any = "hello") -> bytes:
    """A connect message."""
    return frames.build(frames.CONNECT, MSGPACK.number, 0, MSGPACK.dumps({"handshake": hello, "object": target}))


def call_frame(seq: int, method: str, *arguments: Any, target: str = MASTER_OBJECT) -> bytes:
    """A call."""
    return frames.build(frames.INVOKE, MSGPACK.number, seq, MSGPACK.dumps_call(target, method, arguments, {}))


def announced(kind: int, n_data: int, *, flags: int = 0, serializer: int = MSGPACK.number) -> bytes:
    """A header alone."""
    head = bytearray(frames.build(kind, serializer, 0, b"", flags))
    head[12:16] = n_data.to_bytes(4, "big")
    return bytes(head)


def read_frame(sock: socket.socket) -> tuple[Head, bytes]:
    """The next message; ConnectionError if there is none."""
    head = frames.read_head(read_exactly(sock, frames.HEADER_BYTES))
    return head, read_exactly(sock, head.n_annotations + head.n_data)[head.n_annotations :]


def read_exactly(sock: socket.socket, n_bytes: int) -> bytes:
    """So many bytes; ConnectionError if the peer ends before."""
    data = bytearray()
    while len(data) < n_bytes:
        if not (chunk := sock.recv(n_bytes - len(data))):
            raise ConnectionError("the connection was closed")
        data += chunk
    return bytes(data)


def open_socket(server: Server) -> socket.socket:
    """A bare connection."""
    return socket.create_connection((server.host, server.port), timeout=10)


def admitted_socket(server: Server, target: str = MASTER_OBJECT) -> socket.socket:
    """A bare connection after its handshake in clear."""
    sock = open_socket(server)
    sock.sendall(connect_frame(target))
    head, _ = read_frame(sock)
    assert head.kind == frames.CONNECT_OK
    return sock


def is_closed(sock: socket.socket, seconds: float = 10.0) -> bool:
    """Whether the other end closes the connection in time, whatever it says before."""
    sock.settimeout(seconds)
    try:
        while sock.recv(1 << 16):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True
