"""Real sockets and stock Pyro5 clients against the event loop."""

import contextlib
import math
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
from bohb_service.rpc.messages import PROTOCOL_VERSION, Answer, Registration, Report, Request, WorkerInfo
from bohb_service.rpc.name_server import announce_master, look_up_master
from bohb_service.rpc.pyro import format_address
from bohb_service.rpc.server import Server
from bohb_service.scheduler.outcomes import Completed, Failed, Released
from bohb_service.scheduler.replies import Job
from bohb_service.scheduler.trial import TrialId
from tests.polling import wait_until

INFO = WorkerInfo("w1", "host", 1, 2.0, "0", running=((3, "e1"), (4, "")))
JOB = Job(7, TrialId(3, 1), 2, {"x": 0.5, "kind": "a", "n": None}, 3.0, 1.0, 99)
REGISTRATION = Registration("s1", "study", "m:C", {"a": [1]}, "/c", "id", None, 100, 60.0, 15.0, 20.0, "e1", (4,))


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
        self.failed = None

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

    def fail(self, error):
        self.failed = error


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
    with pytest.raises(MasterUnreachableError, match="does not know study 'other'; it knows study"):
        look_up_master(f"127.0.0.1:{server.port}", "other")


def test_a_taken_port_is_said_so(server):
    with pytest.raises(TransportError, match=r"cannot listen on 127\.0\.0\.1, port \d+"):
        Server("127.0.0.1", server.port, "study", SystemClock())


def test_the_embedded_name_server_is_read_only_for_stock_clients(server):
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


def _connected(server):
    """A stock client's connection after its handshake, and the bytes of a call of it."""
    proxy = Proxy(f"PYRO:bohb.master@127.0.0.1:{server.port}")
    proxy._pyroSerializer = "msgpack"
    proxy._pyroBind()

    def call(sequence, *arguments, method="exchange"):
        data = transport.serializers.serializers["msgpack"].dumpsCall("bohb.master", method, arguments, {})
        return transport.protocol.SendingMessage(
            transport.protocol.MSG_INVOKE, 0, sequence, transport._SERIALIZER_ID, data
        ).data

    return proxy, call


def test_requests_may_arrive_in_pieces_and_several_at_once(server, service):
    proxy, call = _connected(server)
    with proxy:
        sock = proxy._pyroConnection.sock
        messages = [bytes(call(number, wire.pack_request("s1", Request(number)))) for number in (1, 2, 3)]
        cut = len(messages[2]) - 5
        for piece in (messages[0][:3], messages[0][3:41], messages[0][41:] + messages[1] + messages[2][:cut]):
            sock.sendall(piece)
            assert AdminClient("127.0.0.1", server.port).status()  # the loop has come round
        wait_until(lambda: len(service.requests) == 2)
        sock.sendall(messages[2][cut:])
        wait_until(lambda: len(service.requests) == 3)
        assert [request.seq for request in service.requests] == [1, 2, 3]
        replies = [transport.protocol.recv_stub(proxy._pyroConnection) for _ in range(3)]
        assert [reply.seq for reply in replies] == [1, 2, 3]


@pytest.mark.parametrize("size", [4096, 4097])
def test_a_handshake_has_its_largest_size(server, size):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.sendall(_message(size=size))
        sock.settimeout(0.2)
        if size > 4096:
            assert sock.recv(1) == b""
        else:
            with pytest.raises(TimeoutError):
                sock.recv(1)


def test_a_request_has_its_largest_size(server):
    for size, is_refused in ((transport.MAX_REQUEST_BYTES, False), (transport.MAX_REQUEST_BYTES + 1, True)):
        proxy, _ = _connected(server)
        with proxy:
            sock = proxy._pyroConnection.sock
            sock.sendall(_message(kind=4, size=size))
            sock.settimeout(0.2)
            if is_refused:
                assert sock.recv(1) == b""
            else:
                with pytest.raises(TimeoutError):
                    sock.recv(1)


def test_a_second_handshake_ends_the_connection(server):
    proxy, _ = _connected(server)
    with proxy:
        sock = proxy._pyroConnection.sock
        sock.sendall(_message(body=b"\xc0"))
        sock.settimeout(10)
        assert sock.recv(1) == b""
    assert server.loop.refused == 1


def test_a_peer_that_does_not_read_is_dropped_before_it_fills_the_memory(server, service, monkeypatch):
    monkeypatch.setattr(transport, "MAX_UNSENT_BYTES", 1 << 20)
    service.answer = Answer(stop="x" * 100_000)
    proxy, call = _connected(server)
    with proxy:
        sock = proxy._pyroConnection.sock
        sock.settimeout(0.05)
        deadline = time.monotonic() + 10
        number = 0
        while server.loop.n_connections:
            assert time.monotonic() < deadline, "it was not dropped"
            number += 1
            with contextlib.suppress(OSError):
                sock.sendall(call(number, wire.pack_request("s1", Request(number))))
    wait_until(lambda: service.gone == ["s1"])


def test_a_large_answer_to_a_slow_reader_arrives_whole(server, service):
    service.answer = Answer(stop="x" * (20 << 20))
    client = _fresh(server)
    assert client.exchange(Request(1)) == service.answer
    client.close()


def test_an_error_of_ours_is_told_to_the_service_and_ends_no_other_call(server, service):
    service.exchange = lambda *_: 1 / 0
    proxy, call = _connected(server)
    with proxy:
        proxy._pyroConnection.send(call(1, wire.pack_request("s1", Request(1))))
        wait_until(lambda: service.failed is not None)
    assert isinstance(service.failed, ZeroDivisionError)
    assert AdminClient("127.0.0.1", server.port).status() == {"state": "running"}


def test_a_goodbye_is_no_lost_connection(server, service):
    client = _fresh(server)
    client.goodbye((), "bye")
    client.close()
    wait_until(lambda: server.loop.n_connections == 0)
    assert AdminClient("127.0.0.1", server.port).status()  # the loop has come round
    assert service.left == [("s1", (), "bye")]
    assert service.gone == []


def test_an_old_connection_that_breaks_late_is_not_its_workers_loss(server, service):
    old, new = _fresh(server), _fresh(server)
    assert new.exchange(Request(1)) == service.answer
    n = server.loop.n_connections
    old.close()
    wait_until(lambda: server.loop.n_connections < n)
    assert new.exchange(Request(2)) == service.answer
    assert service.gone == []
    new.close()
    wait_until(lambda: service.gone == ["s1"])


def test_who_never_registered_is_nobodys_loss(server, service):
    proxy, _ = _connected(server)
    proxy._pyroRelease()
    wait_until(lambda: server.loop.n_connections == 0)
    assert AdminClient("127.0.0.1", server.port).status()  # the loop has come round
    assert service.gone == []


def test_a_client_connects_anew_after_its_master_came_back(service):
    first = Server("127.0.0.1", 0, "study", SystemClock())
    first.start(service)
    client = MasterClient(lambda: f"127.0.0.1:{first.port}")
    client.register(INFO)
    first.close()
    with pytest.raises(MasterUnreachableError, match="no answer from the master"):
        client.exchange(Request(1))
    with pytest.raises(MasterUnreachableError):
        client.exchange(Request(1))
    second = Server("127.0.0.1", first.port, "study", SystemClock())
    second.start(service)
    assert client.exchange(Request(1)) == service.answer
    client.close()
    client.close()
    assert client.exchange(Request(1)) == service.answer
    client.close()
    second.close()


def test_a_master_that_does_not_answer_in_time_is_unreachable(server, service, monkeypatch):
    monkeypatch.setattr("bohb_service.rpc.client.CALL_SECONDS", 0.1)
    client = _fresh(server)
    service.park = True
    began = time.monotonic()
    with pytest.raises(MasterUnreachableError):
        client.exchange(Request(1, wait_s=0.1))
    assert 0.2 <= time.monotonic() - began < 5.0
    assert client._caller._proxy is None
    service.park = False
    assert client.exchange(Request(1)) == service.answer
    client.close()


def test_what_is_no_master_is_said_so():
    uri, daemon, _ = nameserver.start_ns(host="127.0.0.1", port=0, enableBroadcast=False)
    thread = threading.Thread(target=daemon.requestLoop)
    thread.start()
    try:
        admin = AdminClient(uri.host, uri.port)
        with pytest.raises(MasterUnreachableError, match="unknown object"):
            admin.status()
        admin.close()
    finally:
        daemon.shutdown()
        thread.join()


@pytest.mark.parametrize("plain", [None, [], ["ok"], ["error", "protocol"], ["error", "protocol", 5], "ok", ["no", 1]])
def test_an_answer_of_no_known_form_is_refused(server, service, plain, monkeypatch):
    client = _fresh(server)
    monkeypatch.setattr("bohb_service.rpc.server._ok", lambda _: wire.pack(plain))
    with pytest.raises(ProtocolError, match="is not understood"):
        client.exchange(Request(1))
    client.close()


def test_the_name_server_answers_as_the_stock_one_does(server):
    own = f"PYRO:Pyro.NameServer@127.0.0.1:{server.port}"
    master = f"PYRO:bohb.master@127.0.0.1:{server.port}"
    with Proxy(own) as proxy:
        assert proxy.list() == {"bohb.study.master": master, "Pyro.NameServer": own}
        assert proxy.list(prefix="Pyro.") == {"Pyro.NameServer": own}
        assert proxy.list(prefix="nothing") == {}
        assert proxy.list(prefix="bohb.", return_metadata=True) == {"bohb.study.master": [master, []]}
        assert str(proxy.lookup("Pyro.NameServer")) == own
        with pytest.raises(errors.NamingError, match="unknown name: bohb"):
            proxy.lookup("bohb")
        with pytest.raises(errors.NamingError, match="regular expression"):
            proxy.list(regex=".*")


def test_what_is_no_name_server_is_said_so(service):
    daemon = transport.LoopDaemon("127.0.0.1", 0, SystemClock())
    thread = threading.Thread(target=daemon.loop.run)
    thread.start()
    try:
        with pytest.raises(MasterUnreachableError, match=rf"127\.0\.0\.1:{daemon.port}: .*unknown object"):
            look_up_master(f"127.0.0.1:{daemon.port}", "study")
    finally:
        daemon.loop.stop()
        thread.join()
        daemon.close()


def test_a_master_whose_name_server_is_down_does_not_start():
    with pytest.raises(MasterUnreachableError, match="no name server answers"):
        Server("127.0.0.1", 0, "study", SystemClock(), name_server="127.0.0.1:9")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_an_address_that_nobody_could_connect_to_is_refused(host):
    with pytest.raises(TransportError, match="is no address that workers could connect to"):
        Server(host, 0, "study", SystemClock())


def test_ipv6_addresses_have_brackets():
    assert format_address("::1", 90) == "[::1]:90"
    assert format_address("head", 90) == "head:90"


def test_posted_work_runs_in_order_on_the_loops_thread_and_the_tick_goes_on(server, service):
    ran = []
    done = threading.Event()
    ticks = []
    service.tick = lambda: ticks.append(time.monotonic())
    server.loop.on_tick = service.tick

    both_posted = threading.Event()

    def first():
        assert both_posted.wait(10)
        ran.append(("first", threading.current_thread().name))
        server.loop.post(lambda: (ran.append(("third", threading.current_thread().name)), done.set()))

    server.loop.post(first)
    server.loop.post(lambda: ran.append(("second", threading.current_thread().name)))
    both_posted.set()
    assert done.wait(10)
    assert ran == [("first", "bohb-rpc"), ("second", "bohb-rpc"), ("third", "bohb-rpc")]
    wait_until(lambda: len(ticks) >= 3)
    assert ticks[-1] - ticks[0] == pytest.approx(0.25 * (len(ticks) - 1), abs=0.2)


def test_a_loop_that_breaks_is_told_to_the_service(server, service):
    server.loop.post(lambda: 1 / 0)
    wait_until(lambda: service.failed is not None)
    assert isinstance(service.failed, ZeroDivisionError)


OK = ["s1", 1, [], [], [], 0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, 5),
        (1, "1"),
        (1, True),
        (2, [[1.5, ["released", "lost", ""]]]),
        (2, [[1, ["released", "stolen", ""]]]),
        (2, [[1, ["released", "lost", 5]]]),
        (2, [[1, ["completed", "0.5", {}, 0.0, []]]]),
        (2, [[1, ["completed", 0.5, [], 0.0, []]]]),
        (2, [[1, ["completed", math.nan, {}, 0.0, []]]]),
        (2, [[1, ["completed", -math.inf, {}, 0.0, []]]]),
        (2, [[1, ["completed", 0.5, {}, math.nan, []]]]),
        (2, [[1, ["completed", 0.5, {}, -1.0, []]]]),
        (2, [[1, ["completed", 0.5, {"a": [{"b": b"bytes"}]}, 0.0, []]]]),
        (2, [[1, ["completed", 0.5, {"a": {1: 2}}, 0.0, []]]]),
        (2, [[1, ["failed", ["exit"], "m", "d", 0.0, []]]]),
        (2, [[1, ["completed", 0.5, {}, "long", []]]]),
        (2, [[1, ["completed", 0.5, {}, 0.0, [[1.0]]]]]),
        (2, [[1, ["failed", "because", "m", "d", 0.0, []]]]),
        (2, [[1, ["failed", "exit", 5, "d", 0.0, []]]]),
        (2, [[1, ["failed", "exit", "m", 5, 0.0, []]]]),
        (2, [[1]]),
        (3, [[1, 2.0]]),
        (3, [["a", 1.0, 2.0]]),
        (4, [1.0]),
        (4, ["1"]),
        (5, 1.0),
        (6, "soon"),
        (7, -1.0),
    ],
)
def test_every_part_of_a_request_is_checked(place, value):
    assert wire.unpack_request(wire.pack(OK)) == ("s1", Request(1))
    broken = [*OK]
    broken[place] = value
    with pytest.raises(ProtocolError, match="a request has not the form that protocol expects"):
        wire.unpack_request(wire.pack(broken))


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, 5), (1, None), (2, "x"), (3, "x"), (4, 5), (5, "x"), (6, 5), (7, ["x"]), (7, [[1, 2]]), (7, [["1", "e"]])],
)
def test_every_part_of_an_introduction_is_checked(place, value):
    plain = ["w", "h", 1, 2.0, "0", PROTOCOL_VERSION, "", [[3, "e"]]]
    assert wire.unpack_info(wire.pack(plain)) == WorkerInfo("w", "h", 1, 2.0, "0", running=((3, "e"),))
    plain[place] = value
    with pytest.raises(ProtocolError, match="a registration has not the form"):
        wire.unpack_info(wire.pack(plain))


@pytest.mark.parametrize("plain", [[], [1, [], ""], ["s1", ["x"], ""], ["s1", [], 5], ["s1", 5, ""], "s1", None])
def test_every_part_of_a_goodbye_is_checked(plain):
    assert wire.unpack_goodbye(wire.pack_goodbye("s1", (1, 2), "bye")) == ("s1", (1, 2), "bye")
    with pytest.raises(ProtocolError, match="goodbye"):
        wire.unpack_goodbye(wire.pack(plain))


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x92\x01", wire.pack([1]) + b"\x01", b"\x81\x90\x01"])
def test_bytes_that_are_no_message_are_refused(data):
    for unpack in (wire.unpack_request, wire.unpack_answer, wire.unpack_info, wire.unpack_registration):
        with pytest.raises(ProtocolError, match=f"a message of {len(data)} bytes cannot be read"):
            unpack(data)
