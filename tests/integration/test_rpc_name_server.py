"""The embedded name server, external ones, and how workers find their master through them."""

import pytest
from Pyro5 import errors
from Pyro5.api import expose

from bohb_service.clock import SystemClock
from bohb_service.errors import MasterUnreachableError, ProtocolError, TransportError
from bohb_service.rpc.access import Access
from bohb_service.rpc.client import MasterClient
from bohb_service.rpc.endpoint import Endpoint
from bohb_service.rpc.line import Line
from bohb_service.rpc.locate import ByNameServer
from bohb_service.rpc.pyro import NAME_SERVER_OBJECT, format_address
from bohb_service.rpc.serialisers import JSON
from bohb_service.rpc.server import Server
from tests.peers import (
    INFO,
    REGISTRATION,
    address_of,
    serving,
    stock_daemon,
    stock_name_server,
    stock_proxy,
)

PORT_OF_NOBODY = "127.0.0.1:9"


def worker_by(name_server, study="study"):
    return MasterClient(ByNameServer(name_server, study, Access("worker")))


def tell(name_server, study, uri):
    line = Line(name_server, NAME_SERVER_OBJECT, JSON, None)
    line.call(NAME_SERVER_OBJECT, "register", f"bohb.{study}.master", uri, timeout_s=10)
    line.close()


def test_nobody_at_the_address_is_said_so():
    with pytest.raises(MasterUnreachableError, match=rf"nobody answers at {PORT_OF_NOBODY}: Connection refused"):
        worker_by(PORT_OF_NOBODY).register(INFO)


def test_an_unknown_study_is_said_so(server):
    with pytest.raises(MasterUnreachableError, match="does not know study 'other'; it knows study"):
        worker_by(address_of(server), "other").register(INFO)


def test_the_embedded_name_server_is_read_only_for_stock_clients(server):
    with stock_proxy(server, NAME_SERVER_OBJECT) as proxy:
        proxy.ping()
        assert proxy.count() == 2
        assert str(proxy.lookup("bohb.study.master")).startswith("PYRO:bohb.master@127.0.0.1:")
        _, metadata = proxy.lookup("bohb.study.master", return_metadata=True)
        assert metadata == []
        with pytest.raises(errors.NamingError, match="read-only"):
            proxy.register("bohb.study.master", "PYRO:evil@127.0.0.1:1")
        with pytest.raises(errors.NamingError, match="read-only"):
            proxy.remove("bohb.study.master")


def test_the_embedded_name_server_answers_as_the_stock_one_does(server):
    own = f"PYRO:Pyro.NameServer@127.0.0.1:{server.port}"
    master = f"PYRO:bohb.master@127.0.0.1:{server.port}"
    with stock_proxy(server, NAME_SERVER_OBJECT) as proxy:
        assert proxy.list() == {"bohb.study.master": master, "Pyro.NameServer": own}
        assert proxy.list(prefix="Pyro.") == {"Pyro.NameServer": own}
        assert proxy.list(prefix="nothing") == {}
        assert proxy.list(prefix="bohb.", return_metadata=True) == {"bohb.study.master": [master, []]}
        assert str(proxy.lookup("Pyro.NameServer")) == own
        with pytest.raises(errors.NamingError, match="unknown name: bohb"):
            proxy.lookup("bohb")
        with pytest.raises(errors.NamingError, match="regular expression"):
            proxy.list(regex=".*")


def test_arguments_that_make_no_sense_are_answered_with_an_error(server):
    with stock_proxy(server, NAME_SERVER_OBJECT) as proxy:
        for arguments in ((), ([1],), (1, 2, 3, 4)):
            with pytest.raises(TypeError):
                proxy._pyroInvoke("lookup", arguments, {})
        with pytest.raises(TypeError):
            proxy._pyroInvoke("list", (5,), {})
        assert proxy.count() == 2


def test_a_master_is_registered_at_an_external_name_server_while_it_lives():
    with stock_name_server() as name_server:
        tell(name_server, "study", f"PYRO:stale@{PORT_OF_NOBODY}")
        with serving(endpoint=Endpoint(name_server=name_server)):
            client = worker_by(name_server)
            assert client.register(INFO) == REGISTRATION
            client.close()
        with pytest.raises(MasterUnreachableError, match="does not know study 'study'; it knows none"):
            worker_by(name_server).register(INFO)


def test_an_entry_of_somebody_else_is_left_when_a_master_ends():
    with stock_name_server() as name_server, serving() as other:
        with serving(endpoint=Endpoint(name_server=name_server)):
            tell(name_server, "study", f"PYRO:bohb.master@{address_of(other)}")
        client = worker_by(name_server)
        assert client.register(INFO) == REGISTRATION
        client.close()


def test_an_external_name_server_keeps_two_living_masters_apart():
    with stock_name_server() as name_server, serving(endpoint=Endpoint(name_server=name_server)):
        with pytest.raises(ProtocolError, match="living master"):
            Server(Endpoint(name_server=name_server), "study", SystemClock())
        client = worker_by(name_server)
        client.register(INFO)
        client.close()


def test_a_connected_worker_needs_no_name_server_any_more():
    with serving() as master:
        with stock_name_server() as name_server:
            tell(name_server, "study", f"PYRO:bohb.master@{address_of(master)}")
            client = worker_by(name_server)
            client.register(INFO)
        client.close()
        assert client.register(INFO) == REGISTRATION
        client.close()


@pytest.mark.parametrize("kind", ["nobody", "stock name server", "master of another study"])
def test_a_hint_at_something_else_is_not_believed(kind):
    with stock_name_server() as name_server, stock_name_server() as other, serving(study="else") as master:
        places = {"nobody": PORT_OF_NOBODY, "stock name server": other, "master of another study": address_of(master)}
        tell(name_server, "study", f"PYRO:bohb.master@{places[kind]}")
        with pytest.raises(MasterUnreachableError):
            worker_by(name_server).register(INFO)


@expose
class LyingNameServer:
    def __init__(self, names):
        self.names = names

    def list(self):
        return self.names


@pytest.mark.parametrize(
    "uri",
    [
        "PYRO:bohb.master@./u:/tmp/socket",
        "PYRO:bohb.master@127.0.0.1",
        "PYRO:bohb.master@127.0.0.1:70000",
        "PYRO:bohb.master@:80",
        f"PYRO:bohb.master@{'a' * 100}:80",
        "PYRO:bohb.master@a..b:80",
        "nonsense",
    ],
)
def test_a_hint_that_is_no_address_is_said_so(uri):
    with (
        stock_daemon(LyingNameServer({"bohb.study.master": uri}), NAME_SERVER_OBJECT) as name_server,
        pytest.raises(MasterUnreachableError, match="which is no HOST:PORT"),
    ):
        worker_by(name_server).register(INFO)


@pytest.mark.parametrize("names", [None, [], 5, "text", {"bohb.study.master": 5}, {"bohb.study.master": ["x", []]}])
def test_what_is_no_name_server_is_said_so(names):
    with stock_daemon(LyingNameServer(names), NAME_SERVER_OBJECT) as name_server:
        with pytest.raises(ProtocolError, match=f"{name_server} is no name server"):
            worker_by(name_server).register(INFO)
        with pytest.raises(ProtocolError, match=r"is no name server|list"):
            Server(Endpoint(name_server=name_server), "study", SystemClock())


def test_a_daemon_without_name_server_is_said_so():
    with (
        stock_daemon(LyingNameServer({}), "another") as address,
        pytest.raises(MasterUnreachableError, match=r"refuses the connection: .*unknown object"),
    ):
        worker_by(address).register(INFO)


def test_a_master_whose_name_server_is_down_does_not_start():
    with pytest.raises(MasterUnreachableError, match="nobody answers at 127"):
        Server(Endpoint(name_server=PORT_OF_NOBODY), "study", SystemClock())


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_an_address_that_nobody_could_connect_to_is_refused(host):
    with pytest.raises(TransportError, match="is no address that workers could connect to"):
        Server(Endpoint(host), "study", SystemClock())


def test_ipv6_addresses_have_brackets():
    assert format_address("::1", 90) == "[::1]:90"
    assert format_address("head", 90) == "head:90"
