"""Real sockets and stock Pyro5 clients against the event loop."""

import contextlib
import socket
import struct
import threading
import time

import pytest
from Pyro5 import errors, nameserver
from Pyro5.api import Proxy

from bohb_service.clock import SystemClock
from bohb_service.errors import MasterUnreachableError, ProtocolError, TransportError, UnknownSessionError
from bohb_service.rpc import transport, wire
from bohb_service.rpc.client import AdminClient, MasterClient
from bohb_service.rpc.locate import by_name_server
from bohb_service.rpc.messages import Answer, Registration, Report, Request, WorkerInfo
from bohb_service.rpc.name_server import announce_master, known_studies, look_up_master
from bohb_service.rpc.server import Server
from bohb_service.scheduler.outcomes import Completed, Failed, Released
from bohb_service.scheduler.replies import Job
from bohb_service.scheduler.trial import TrialId

INFO = WorkerInfo("w1", "host", 1, 2.0, "0", running=(3, 4))
JOB = Job(7, TrialId(3, 1), 2, {"x": 0.5, "kind": "a", "n": None}, 3.0, 1.0, 99)
REGISTRATION = Registration("s1", "study", "m:C", {"a": [1]}, "/c", "id", None, 100, 60.0, 15.0, 20.0)


class Service:
    """Answers at once, later, or never, as the test says."""

    def __init__(self):
        self.requests = []
        self.replies = []
        self.gone = []
        self.left = []
        self.drained = threading.Event()
        self.answer = Answer(acks=(1,), jobs=(JOB,), lost=(2,), prefetch=3)
        self.park = False

    def register(self, info):
        self.info = info
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

    def disconnected(self, session):
        self.gone.append(session)

    def tick(self):
        pass

    def status(self):
        return {"state": "running"}

    def drain(self):
        self.drained.set()


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def server(service):
    server = Server("127.0.0.1", 0, "study", SystemClock())
    server.start(service)
    yield server
    server.close()


@pytest.fixture
def client(server):
    client = MasterClient(by_name_server(f"127.0.0.1:{server.port}", "study"))
    yield client
    client.close()


def wait_until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.005)


def test_everything_crosses_the_wire_unchanged(client, service):
    assert client.register(INFO) == REGISTRATION
    assert service.info == INFO
    request = Request(
        seq=5,
        results=(
            (1, Completed(0.25, {"a": [1, 2.5, None, {"b": "ü"}]}, 1.5, ((1.0, 0.5), (2.0, float("inf"))))),
            (2, Failed("timeout", "too slow", "detail", 3.0, ())),
            (3, Released("preempted", "evicted")),
        ),
        reports=(Report(4, 1.0, 0.5),),
        running=(4, 5),
        max_jobs=2,
        wait_s=0.5,
    )
    assert client.exchange(request) == service.answer
    assert service.requests == [request]
    client.goodbye((5,), "bye")
    assert service.left == [("s1", (5,), "bye")]


def test_admin_calls(server, service):
    admin = AdminClient("127.0.0.1", server.port)
    assert admin.status() == {"state": "running"}
    admin.drain()
    assert service.drained.wait(5)
    admin.close()


def test_a_parked_call_is_answered_later_and_holds_nobody_up(server, client, service):
    client.register(INFO)
    service.park = True
    answers = []
    waiter = threading.Thread(target=lambda: answers.append(_fresh(server).exchange(Request(1, wait_s=20.0))))
    waiter.start()
    wait_until(lambda: service.replies)
    assert AdminClient("127.0.0.1", server.port).status() == {"state": "running"}
    assert not answers
    server.loop.post(lambda: service.replies[0](Answer(prefetch=9)))
    waiter.join(10)
    assert answers == [Answer(prefetch=9)]


def _fresh(server):
    client = MasterClient(by_name_server(f"127.0.0.1:{server.port}", "study"))
    client.register(INFO)
    return client


def test_a_lost_connection_is_noticed_while_its_call_is_parked(server, service):
    client = _fresh(server)
    service.park = True
    data = wire.pack_request("s1", Request(1, wait_s=20.0))
    proxy = client._caller._proxy
    message = transport.protocol.SendingMessage(
        transport.protocol.MSG_INVOKE,
        0,
        proxy._pyroSeq + 1,
        transport._SERIALIZER_ID,
        transport.serializers.serializers["msgpack"].dumpsCall("bohb.master", "exchange", (data,), {}),
    )
    proxy._pyroConnection.send(message.data)
    wait_until(lambda: service.replies)
    client.close()
    wait_until(lambda: service.gone == ["s1"])
    server.loop.post(lambda: service.replies[0](Answer()))  # answering a peer that has gone is harmless
    assert AdminClient("127.0.0.1", server.port).status()


def test_an_unknown_session_is_told(server, service):
    client = MasterClient(by_name_server(f"127.0.0.1:{server.port}", "study"))
    with pytest.raises(UnknownSessionError):
        client.exchange(Request(1))
    client.close()


def test_another_protocol_is_refused_with_the_remedy(client):
    with pytest.raises(ProtocolError, match="install the same version"):
        client.register(WorkerInfo("w", "h", 1, 0.0, "9.9", protocol=99))


def test_no_master_is_said_so():
    client = MasterClient(by_name_server("127.0.0.1:9", "study"))
    with pytest.raises(MasterUnreachableError, match=r"no name server answers at 127\.0\.0\.1:9"):
        client.register(INFO)


def test_an_unknown_study_is_said_so(server):
    with pytest.raises(MasterUnreachableError, match=r"bohb\.other\.master"):
        look_up_master(f"127.0.0.1:{server.port}", "other")


def test_a_taken_port_is_said_so(server):
    with pytest.raises(TransportError, match=r"cannot listen on 127\.0\.0\.1, port \d+"):
        Server("127.0.0.1", server.port, "study", SystemClock())


def test_the_embedded_name_server_is_read_only_for_stock_clients(server):
    assert known_studies(f"127.0.0.1:{server.port}") == ["study"]
    with Proxy(f"PYRO:Pyro.NameServer@127.0.0.1:{server.port}") as proxy:
        proxy.ping()
        assert proxy.count() == 2
        assert str(proxy.lookup("bohb.study.master")).startswith("PYRO:bohb.master@127.0.0.1:")
        _, metadata = proxy.lookup("bohb.study.master", return_metadata=True)
        assert metadata == []
        with pytest.raises(errors.NamingError, match="read-only"):
            proxy.register("bohb.study.master", "PYRO:evil@127.0.0.1:1")
        with pytest.raises(errors.NamingError, match="read-only"):
            proxy.remove("bohb.study.master")


def test_a_stock_external_name_server_works():
    uri, daemon, _ = nameserver.start_ns(host="127.0.0.1", port=0, enableBroadcast=False)
    thread = threading.Thread(target=daemon.requestLoop)
    thread.start()
    address = f"{uri.host}:{uri.port}"
    try:
        announce_master(address, "study", "PYRO:stale@127.0.0.1:1")
        server = Server("127.0.0.1", 0, "study", SystemClock(), name_server=address)
        server.start(Service())
        client = MasterClient(by_name_server(address, "study"))
        assert client.register(INFO) == REGISTRATION
        client.close()
        server.close()
        with pytest.raises(MasterUnreachableError):
            look_up_master(address, "study")
    finally:
        daemon.shutdown()
        thread.join()


HEADER = struct.Struct("!4sHBBHHII16sHH")


def _message(*, kind=1, serializer=4, flags=0, size=0, tag=b"PYRO", body=b""):
    return HEADER.pack(tag, 502, kind, serializer, flags, 0, size or len(body), 0, b"\0" * 16, 0, 0x4DC5) + body


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + b" " * 100,
        _message(serializer=3),  # marshal
        _message(serializer=1),  # serpent
        _message(flags=2),  # compressed
        _message(size=900 << 20),
        _message(kind=4, body=b"\xc0"),  # a call before the handshake
        _message(body=b"\xc1\xc1\xc1"),  # no msgpack
        bytes(range(256)) * 4,
    ],
    ids=["http", "marshal", "serpent", "compressed", "huge", "call-first", "garbage-body", "garbage"],
)
def test_hostile_bytes_end_their_own_connection_alone(server, client, data):
    client.register(INFO)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.sendall(data)
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(4096):
                pass
    assert client.exchange(Request(1)).prefetch == 3


def test_silent_and_slow_peers_stall_nobody_and_are_dropped(server, client, monkeypatch):
    monkeypatch.setattr(transport, "HANDSHAKE_SECONDS", 0.3)
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    for sock in silent[:25]:
        sock.sendall(b"PYRO\x01")
    client.register(INFO)
    assert client.exchange(Request(1)).prefetch == 3
    wait_until(lambda: server.loop.n_connections == 1)
    for sock in silent:
        sock.close()


def test_a_method_that_is_not_exposed_cannot_be_called(server):
    with Proxy(f"PYRO:bohb.master@127.0.0.1:{server.port}") as proxy:
        proxy._pyroBind()
        with pytest.raises(AttributeError):
            proxy._pyroInvoke("_service", (), {})


def test_a_malformed_request_is_answered_with_an_error(server):
    with Proxy(f"PYRO:bohb.master@127.0.0.1:{server.port}") as proxy:
        for data in (b"\xc1", wire.pack([1]), wire.pack(["s1", 1, [["x", ["completed"]]], [], [], 0, 0])):
            assert wire.unpack(proxy.exchange(data))[:2] == ["error", "protocol"]
