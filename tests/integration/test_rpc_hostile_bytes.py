"""What no well-behaved peer sends ends its own connection alone, and is counted."""

import resource
import socket
import threading

import pytest
from Pyro5 import errors, protocol
from Pyro5.serializers import MarshalSerializer, SerpentSerializer

from bohb_service.rpc import frames, loop, wire
from bohb_service.rpc.access import Access
from bohb_service.rpc.frames import HEADER_BYTES
from bohb_service.rpc.line import Line
from bohb_service.rpc.messages import Request
from bohb_service.rpc.pyro import MASTER_OBJECT
from bohb_service.rpc.refusals import LOG_INTERVAL_S, Refusals
from bohb_service.rpc.serialisers import JSON, MSGPACK
from bohb_service.testing.clock import ManualClock
from tests.peers import (
    admin_of,
    admitted_socket,
    announced,
    call_frame,
    connect_frame,
    is_closed,
    open_socket,
    read_frame,
    registered_worker,
    status_of,
    stock_proxy,
)
from tests.polling import wait_until

SERPENT, MARSHAL = SerpentSerializer.serializer_id, MarshalSerializer.serializer_id


@pytest.fixture
def client(server):
    client = registered_worker(server)
    yield client
    client.close()


BEFORE = {
    "http": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + b" " * 100, "no message of Pyro5's protocol"),
    "garbage": (bytes(range(256)) * 4, "no message of Pyro5's protocol"),
    "marshal": (announced(frames.CONNECT, 0, serializer=MARSHAL), "a message of another serializer before"),
    "serpent": (announced(frames.CONNECT, 0, serializer=SERPENT), "a message of another serializer before"),
    "json": (announced(frames.CONNECT, 0, serializer=JSON.number), "a message of another serializer before"),
    "compressed": (announced(frames.CONNECT, 9, flags=protocol.FLAGS_COMPRESSED), "a compressed, batched"),
    "batch": (announced(frames.CONNECT, 9, flags=protocol.FLAGS_BATCH), "a compressed, batched"),
    "oneway": (announced(frames.CONNECT, 9, flags=protocol.FLAGS_ONEWAY), "a compressed, batched"),
    "huge": (announced(frames.CONNECT, 900 << 20), "too large for a peer that is not admitted"),
    "call first": (call_frame(1, "exchange", b""), "a call before it was admitted"),
    "ping first": (announced(frames.PING, 0), "a call before it was admitted"),
    "no msgpack": (frames.build(frames.CONNECT, MSGPACK.number, 0, b"\xc1\xc1"), "data that cannot be decoded"),
    "extension": (frames.build(frames.CONNECT, MSGPACK.number, 0, b"\xd4\x30x"), "data that cannot be decoded"),
    "no form": (frames.build(frames.CONNECT, MSGPACK.number, 0, b"\xc0"), "a connect message of another form"),
    "number": (connect_frame(target=5), "a connect message of another form"),
    "deep": (frames.build(frames.CONNECT, MSGPACK.number, 0, b"\x91" * 4000), "data that cannot be decoded"),
}


@pytest.mark.parametrize(("data", "reason"), BEFORE.values(), ids=BEFORE)
def test_before_it_is_admitted(server, client, data, reason):
    with open_socket(server) as sock:
        sock.sendall(data)
        assert is_closed(sock)
    assert client.exchange(Request(1)).prefetch == 3
    ((told, count),) = status_of(server)["refused"].items()
    assert (told.startswith(reason) or reason in told, count) == (True, 1)


AFTER = {
    "second handshake": connect_frame(),
    "json call": announced(frames.INVOKE, 0, serializer=JSON.number),
    "marshal call": announced(frames.INVOKE, 0, serializer=MARSHAL),
    "result": announced(frames.RESULT, 0),
    "unknown kind": announced(77, 0),
    "huge": announced(frames.INVOKE, 900 << 20),
    "compressed": announced(frames.INVOKE, 9, flags=protocol.FLAGS_COMPRESSED),
    "oneway": announced(frames.INVOKE, 9, flags=protocol.FLAGS_ONEWAY),
    "no msgpack": frames.build(frames.INVOKE, MSGPACK.number, 0, b"\xc1"),
    "no call": frames.build(frames.INVOKE, MSGPACK.number, 0, MSGPACK.dumps([1, 2])),
    "no arguments": frames.build(frames.INVOKE, MSGPACK.number, 0, MSGPACK.dumps([MASTER_OBJECT, "exchange", 5, {}])),
    "deep": frames.build(frames.INVOKE, MSGPACK.number, 0, b"\x91" * 100_000),
    "extension": frames.build(
        frames.INVOKE,
        MSGPACK.number,
        0,
        b"\x94" + b"".join(map(MSGPACK.dumps, (MASTER_OBJECT, "x"))) + b"\xd4\x30x\x80",
    ),
}


@pytest.mark.parametrize("data", AFTER.values(), ids=AFTER)
def test_after_it_was_admitted(server, client, data):
    with admitted_socket(server) as sock:
        sock.sendall(data)
        assert is_closed(sock)
    assert client.exchange(Request(1)).prefetch == 3
    assert sum(status_of(server)["refused"].values()) == 1


def test_silent_and_slow_peers_stall_nobody_and_are_dropped(server, client, monkeypatch):
    monkeypatch.setattr(loop, "HANDSHAKE_SECONDS", 0.3)
    silent = [open_socket(server) for _ in range(50)]
    for sock in silent[:25]:
        sock.sendall(b"PYRO\x01")
    assert client.exchange(Request(1)).prefetch == 3
    wait_until(lambda: server.loop.n_connections == 1)
    assert status_of(server)["refused"] == {"was not admitted in time": 50}
    for sock in silent:
        sock.close()


def test_of_too_many_strangers_the_oldest_gives_way(server, client, monkeypatch):
    monkeypatch.setattr(loop, "MAX_UNADMITTED", 5)
    silent = [open_socket(server) for _ in range(8)]
    wait_until(lambda: sum(server.loop.refusals.counts.values()) == 3)
    assert [is_closed(sock, 0.1) for sock in silent] == [True] * 3 + [False] * 5
    assert set(server.loop.refusals.counts) == {"gave way to newer peers before it was admitted"}
    assert client.exchange(Request(1)).prefetch == 3
    for sock in silent:
        sock.close()


def test_who_leaves_in_the_middle_of_its_introduction_is_counted(server):
    with open_socket(server) as sock:
        sock.sendall(connect_frame()[:30])
    wait_until(lambda: server.loop.refusals.counts["left before it was admitted"] == 1)


def test_who_connects_and_leaves_is_no_refusal(server):
    open_socket(server).close()
    with admitted_socket(server):
        pass
    assert status_of(server)["refused"] == {}


@pytest.mark.parametrize("method", ["_service", "__init__", "closed", "_told", "__class__", ""])
@pytest.mark.parametrize("target", ["bohb.master", "bohb.admin", "Pyro.Daemon", "Pyro.NameServer", "bohb.gate", "none"])
def test_a_method_that_is_not_exposed_cannot_be_called(server, method, target):
    with admitted_socket(server) as sock:
        sock.sendall(call_frame(7, method, target=target))
        head, data = read_frame(sock)
    assert (head.kind, head.flags, head.seq) == (frames.RESULT, frames.FLAG_EXCEPTION, 7)
    assert MSGPACK.loads(data)["__class__"] == "Pyro5.errors.DaemonError"
    assert status_of(server)["refused"] == {"called what is not exposed": 1}


def test_stock_clients_see_what_is_exposed_and_nothing_else(server):
    with stock_proxy(server) as proxy:
        proxy._pyroBind()
        assert proxy._pyroMethods == {"register", "exchange", "goodbye", "about"}
        assert proxy._pyroAttrs == set()
        with pytest.raises(errors.DaemonError, match="no '_service' to call"):
            proxy._pyroInvoke("_service", (), {})
    with stock_proxy(server, "Pyro.Daemon") as proxy, pytest.raises(errors.DaemonError, match="no 'info' to call"):
        proxy._pyroInvoke("info", (), {})


def test_an_argument_that_makes_no_sense_is_answered_with_an_error(server, service):
    with admitted_socket(server) as sock:
        for seq, arguments in enumerate([(), (b"", b""), (1,), ("x",), (None,), ([],), ({"__class__": "x"},)]):
            sock.sendall(call_frame(seq, "exchange", *arguments))
            head, data = read_frame(sock)
            if head.flags & frames.FLAG_EXCEPTION:
                assert MSGPACK.loads(data)["__class__"].endswith("TypeError")
            else:
                assert wire.unpack(MSGPACK.loads(data))[:2] == ["error", "protocol"]
    assert not service.failed


def test_oneway_calls_are_refused_and_start_no_thread(server):
    with admitted_socket(server) as sock:
        before = threading.active_count()
        sock.sendall(announced(frames.INVOKE, 0, flags=protocol.FLAGS_ONEWAY))
        assert is_closed(sock)
        assert threading.active_count() == before


def test_a_ping_is_answered(server):
    with admitted_socket(server) as sock:
        sock.sendall(announced(frames.PING, 0, serializer=MARSHAL))
        head, data = read_frame(sock)
    assert (head.kind, data) == (frames.PING, b"pong")


def test_annotations_are_skipped(server, service):
    call = bytearray(call_frame(1, "exchange", wire.pack_request("s1", Request(1))))
    call[16:20] = (12).to_bytes(4, "big")
    call[HEADER_BYTES:HEADER_BYTES] = b"ABCD" + b"\0" * 8
    with admitted_socket(server) as sock:
        sock.sendall(call)
        assert not read_frame(sock)[0].flags & frames.FLAG_EXCEPTION
    assert [request.seq for request in service.requests] == [1]


def test_running_out_of_files_costs_no_processor_and_ends_by_itself(server):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    waiting = [socket.socket() for _ in range(3)]
    try:
        # Descriptors are given lowest first: the limit is just above the highest one in use.
        resource.setrlimit(resource.RLIMIT_NOFILE, (waiting[-1].fileno() + 1, hard))
        for sock in waiting:
            sock.connect(("127.0.0.1", server.port))
        wait_until(lambda: server.loop._is_full)
        assert server.loop._listener.fileno() not in server.loop._selector.get_map()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_until(lambda: server.loop.n_connections == 3)
    for sock in waiting:
        sock.close()
    client = admin_of(server)
    assert client.status()
    client.close()


def test_refusals_are_all_counted_and_rarely_logged(caplog):
    clock = ManualClock()
    refusals = Refusals(clock)
    for _ in range(1000):
        refusals.note("wrong token", "10.0.0.1")
    refusals.note("no certificate", "10.0.0.2")
    clock.advance(LOG_INTERVAL_S)
    refusals.note("wrong token", "10.0.0.3")
    assert refusals.counts == {"wrong token": 1001, "no certificate": 1}
    told = [(record.reason, record.peer, record.count, record.more) for record in caplog.records]
    assert told == [
        ("wrong token", "10.0.0.1", 1, 0),
        ("no certificate", "10.0.0.2", 1, 0),
        ("wrong token", "10.0.0.3", 1001, 999),
    ]


def test_a_message_with_more_than_a_call_is_refused_by_our_own_client_too(server):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_answer_with_garbage, args=(listener,))
        thread.start()
        port = listener.getsockname()[1]
        with pytest.raises(Exception, match=f"127.0.0.1:{port} is no master: no message of Pyro5's protocol"):
            Line(f"127.0.0.1:{port}", MASTER_OBJECT, MSGPACK, Access("worker"))
        thread.join()


def _answer_with_garbage(listener):
    sock, _ = listener.accept()
    with sock:
        sock.recv(4096)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n" + b" " * 100)
        is_closed(sock)
