"""What the transport takes for granted in Pyro5 beside what it documents: if one of these fails, read `rpc` again."""

import json
import os
import selectors
import socket
import subprocess
import sys

import pytest
from Pyro5 import config, core, errors, protocol, serializers, server
from Pyro5.api import Proxy, expose

from bohb_service.clock import SystemClock
from bohb_service.errors import MasterUnreachableError
from bohb_service.rpc import daemon as own_daemon
from bohb_service.rpc import frames, wire
from bohb_service.rpc.access import Access
from bohb_service.rpc.client import MasterClient
from bohb_service.rpc.endpoint import Endpoint
from bohb_service.rpc.line import Line
from bohb_service.rpc.locate import ByNameServer
from bohb_service.rpc.messages import Request
from bohb_service.rpc.pyro import MASTER_OBJECT, NAME_SERVER_OBJECT
from bohb_service.rpc.serialisers import JSON, MSGPACK, dumps_for_stock_clients
from tests.peers import (
    INFO,
    REGISTRATION,
    address_of,
    serving,
    status_of,
    stock_name_server,
    stock_proxy,
    worker_of,
)

EXPOSED = {"register", "exchange", "goodbye", "about"}


@pytest.fixture
def master(service):
    with serving(service) as master:
        yield master


@pytest.mark.parametrize("kind", [frames.CONNECT, frames.CONNECT_OK, frames.INVOKE, frames.RESULT, frames.PING])
@pytest.mark.parametrize("flags", [0, frames.FLAG_EXCEPTION])
def test_messages_are_pyros_bytes(kind, flags):
    stock = protocol.SendingMessage(kind, flags, 513, MSGPACK.number, b"some data")
    assert frames.build(kind, MSGPACK.number, 513, b"some data", flags) == bytes(stock.data)
    head = frames.read_head(stock.data)
    assert (head.kind, head.flags, head.seq, head.serializer) == (kind, flags, 513, MSGPACK.number)
    assert (head.n_annotations, head.n_data, head.n_bytes) == (0, 9, len(stock.data))


def test_annotations_lie_before_the_data():
    stock = protocol.SendingMessage(frames.INVOKE, 0, 1, MSGPACK.number, b"data", annotations={"ABCD": b"note"})
    head = frames.read_head(stock.data)
    assert stock.data[frames.HEADER_BYTES + head.n_annotations : head.n_bytes] == b"data"


def test_the_header_is_pyros():
    assert protocol._header_format == frames._HEADER.format
    assert protocol._header_size == frames.HEADER_BYTES == 40
    assert protocol._magic_number == frames._MAGIC
    assert protocol.PROTOCOL_VERSION == frames._VERSION == 502
    kinds = (frames.CONNECT, frames.CONNECT_OK, frames.CONNECT_FAIL, frames.INVOKE, frames.RESULT, frames.PING)
    assert kinds == (1, 2, 3, 4, 5, 6)
    flags = [protocol.FLAGS_EXCEPTION, protocol.FLAGS_COMPRESSED, protocol.FLAGS_ONEWAY, protocol.FLAGS_BATCH]
    assert [*flags, protocol.FLAGS_KEEPSERIALIZED] == [1, 2, 4, 8, 32]


def test_serializers_have_their_numbers():
    known = {number: serializer.serializer_id for number, serializer in serializers.serializers.items()}
    assert known == {"serpent": 1, "marshal": 2, "json": 3, "msgpack": 4}
    assert (JSON.number, MSGPACK.number) == (3, 4)


@pytest.mark.parametrize(("own", "name"), [(MSGPACK, "msgpack"), (JSON, "json")])
def test_calls_and_values_are_pyros_data(own, name):
    stock = serializers.serializers[name]
    value = {"a": [1, 2.5, None, True, "ü"]}
    assert stock.loads(own.dumps(value)) == own.loads(stock.dumps(value)) == value
    call = own.dumps_call("object", "method", [value], {"k": 1})
    assert [*stock.loadsCall(call)] == ["object", "method", [value], {"k": 1}]


def test_exceptions_and_uris_have_the_form_that_our_client_reads():
    told = MSGPACK.loads(dumps_for_stock_clients(errors.NamingError("what")))
    assert (told["__class__"], told["args"]) == ("Pyro5.errors.NamingError", ["what"])
    assert MSGPACK.loads(dumps_for_stock_clients(core.URI("PYRO:a@b:1")))["__class__"] == "Pyro5.core.URI"
    assert sorted(MSGPACK.loads(dumps_for_stock_clients({"a", "b"}))) == ["a", "b"]


def test_a_daemon_is_made_of_what_ours_takes_apart():
    before = config.SERVERTYPE
    config.SERVERTYPE = "multiplex"
    try:
        stock = server.Daemon(host="127.0.0.1", port=0)
    finally:
        config.SERVERTYPE = before
    try:
        assert isinstance(stock.transportServer.sock, socket.socket)
        assert isinstance(stock.transportServer.selector, selectors.BaseSelector)
        assert set(stock.objectsById) == {core.DAEMON_NAME} == {"Pyro.Daemon"}

        @expose
        class Thing:
            def method(self):
                pass

            def _private(self):
                pass

        thing = Thing()
        assert str(stock.register(thing, "thing")) == f"PYRO:thing@{stock.locationStr}"
        assert stock.objectsById["thing"] is thing
        told = stock.objectsById[core.DAEMON_NAME].get_metadata("thing")
        assert {key: set(value) for key, value in told.items()} == {
            "methods": {"method"},
            "oneway": set(),
            "attrs": set(),
        }
        with pytest.raises(errors.DaemonError, match="unknown object"):
            stock.objectsById[core.DAEMON_NAME].get_metadata("nothing")
    finally:
        stock.close()


def test_a_daemon_of_ours_leaves_pyros_settings_alone():
    before = config.as_dict()
    daemon = own_daemon.LoopDaemon("127.0.0.1", 0, SystemClock())
    assert daemon.transportServer is None
    daemon.close()
    assert config.as_dict() == before


def test_a_stock_proxy_calls_our_daemon(master, service):
    with stock_proxy(master) as proxy:
        assert wire.unpack(proxy.register(wire.pack_info(INFO)))[0] == "ok"
        assert proxy._pyroMethods == EXPOSED
        status, payload = wire.unpack(proxy.exchange(wire.pack_request("s1", Request(1))))
        assert (status, wire.unpack_answer(payload)) == ("ok", service.answer)
        with pytest.raises(AttributeError, match="has no exposed attribute or method"):
            proxy.nothing()
    assert status_of(master)["refused"] == {}


def test_a_stock_proxy_that_asks_for_metadata_later_gets_it(master):
    with stock_proxy(master, core.DAEMON_NAME) as proxy:
        assert {*proxy.get_metadata(MASTER_OBJECT)["methods"]} == EXPOSED
        proxy.ping()
        with pytest.raises(errors.DaemonError, match="unknown object"):
            proxy.get_metadata("nothing")


def test_a_stock_proxy_of_an_unknown_object_is_told(master):
    with stock_proxy(master, "nothing") as proxy, pytest.raises(errors.PyroError):
        proxy.method()


def test_exceptions_arrive_as_pyros(master):
    with stock_proxy(master, NAME_SERVER_OBJECT) as proxy:
        with pytest.raises(errors.NamingError, match="read-only"):
            proxy.register("x", "PYRO:x@y:1")
        with pytest.raises(TypeError):
            proxy.lookup()
        assert isinstance(proxy.lookup("bohb.study.master"), str | core.URI)


def test_a_stock_proxy_with_another_serializer_is_refused(master):
    with Proxy(f"PYRO:{MASTER_OBJECT}@{address_of(master)}") as proxy:
        proxy._pyroSerializer = "serpent"
        with pytest.raises(errors.CommunicationError):
            proxy._pyroBind()
    assert list(status_of(master)["refused"]) == ["a message of another serializer before it was admitted"]


LOCATE = """
import sys
import Pyro5.api
Pyro5.api.config.SERIALIZER = "msgpack"
name_server = Pyro5.api.locate_ns(sys.argv[1], int(sys.argv[2]))
print(*sorted(name_server.list()))
print(name_server.lookup("bohb.study.master"))
"""


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_stock_programs_find_the_embedded_name_server(host):
    with serving(endpoint=Endpoint(host)) as master:
        command = [sys.executable, "-c", LOCATE, host, str(master.port)]
        found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert found.stdout.splitlines() == [
            "Pyro.NameServer bohb.study.master",
            f"PYRO:bohb.master@{address_of(master)}",
        ], found.stderr


NAME_SERVER = """
import sys
if sys.argv[2] == "without":
    sys.modules["msgpack"] = None
from Pyro5 import nameserver, serializers
assert ("msgpack" in serializers.serializers) == (sys.argv[2] == "with")
uri, daemon, _ = nameserver.start_ns(host=sys.argv[1], port=0, enableBroadcast=False)
print(daemon.locationStr, flush=True)
daemon.requestLoop()
"""


@pytest.fixture
def name_server(request):
    """Address of a stock name server in a process of its own."""
    host, kind = request.param
    command = [sys.executable, "-c", NAME_SERVER, host, kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ}) as process:
        yield process.stdout.readline().strip()
        process.kill()


EVERY_NAME_SERVER = [("127.0.0.1", "with"), ("127.0.0.1", "without"), ("::1", "without")]


@pytest.mark.parametrize("name_server", EVERY_NAME_SERVER, indirect=True, ids="-".join)
def test_we_talk_to_stock_name_servers(name_server):
    line = Line(name_server, NAME_SERVER_OBJECT, JSON, None)
    for method, arguments, result in (
        ("register", ("a.b", "PYRO:x@y:1"), None),
        ("list", ("a.",), {"a.b": "PYRO:x@y:1"}),
        ("remove", ("a.b",), 1),
        ("list", ("a.",), {}),
    ):
        assert line.call(NAME_SERVER_OBJECT, method, *arguments, timeout_s=10) == result
    line.close()


@pytest.mark.parametrize("name_server", EVERY_NAME_SERVER, indirect=True, ids="-".join)
def test_workers_find_masters_through_stock_name_servers(name_server):
    host = "::1" if name_server.startswith("[") else "127.0.0.1"
    with serving(endpoint=Endpoint(host, name_server=name_server)):
        worker = MasterClient(ByNameServer(name_server, "study", Access("worker")))
        assert worker.register(INFO) == REGISTRATION
        worker.close()
    with pytest.raises(MasterUnreachableError, match="does not know study 'study'"):
        worker.register(INFO)


def test_everything_works_over_ipv6():
    with serving(endpoint=Endpoint("::1")) as master:
        worker = worker_of(master)
        assert worker.register(INFO) == REGISTRATION
        worker.close()
        assert status_of(master)["security"] == "loopback"


def test_a_stock_name_server_answers_json_with_json():
    with stock_name_server() as address:
        line = Line(address, NAME_SERVER_OBJECT, JSON, None)
        line._send(frames.INVOKE, JSON.dumps_call(NAME_SERVER_OBJECT, "list", ["bohb."], {}))
        head, data = line._receive()
        assert (head.kind, head.serializer, json.loads(data)) == (frames.RESULT, JSON.number, {})
        line.close()


def test_pyro_itself_builds_and_raises_what_it_is_sent():
    # This is why both our ends read data themselves.
    data = dumps_for_stock_clients(SystemExit(3))
    assert isinstance(serializers.serializers["msgpack"].loads(data), SystemExit)
    assert MSGPACK.loads(data)["__class__"] == "builtins.SystemExit"
