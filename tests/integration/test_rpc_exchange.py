"""Clients and the server, over real sockets."""

import dataclasses
import threading
import time

import pytest

from bohb_service.errors import MasterUnreachableError, ProtocolError, TransportError, UnknownSessionError
from bohb_service.rpc import wire
from bohb_service.rpc.access import Access
from bohb_service.rpc.client import AdminClient, MasterClient
from bohb_service.rpc.endpoint import Endpoint
from bohb_service.rpc.line import Line
from bohb_service.rpc.messages import Answer, Report, Request, WorkerInfo
from bohb_service.rpc.pyro import MASTER_OBJECT, split_address
from bohb_service.rpc.serialisers import MSGPACK
from bohb_service.scheduler.outcomes import Completed, Failed, Released
from tests.peers import (
    INFO,
    REGISTRATION,
    address_of,
    admin_of,
    admitted_socket,
    call_frame,
    registered_worker,
    serving,
    status_of,
    stock_name_server,
    worker_of,
)
from tests.polling import wait_until


@pytest.fixture
def client(server):
    client = worker_of(server)
    yield client
    client.close()


def test_everything_crosses_the_wire_unchanged(client, service):
    assert client.register(INFO) == REGISTRATION
    assert service.infos == [INFO]
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
    admin = admin_of(server)
    port = {"security": "loopback", "certificate_days": None, "connections": 1, "refused": {}}
    assert admin.status() == {"state": "running", **port}
    admin.drain()
    assert service.drained.wait(5)
    admin.close()


def test_a_parked_call_is_answered_later_and_holds_nobody_up(server, client, service):
    client.register(INFO)
    service.park = True
    answers = []
    waiter = threading.Thread(target=lambda: answers.append(client.exchange(Request(1, wait_s=20.0))))
    waiter.start()
    wait_until(lambda: service.replies)
    assert status_of(server)["state"] == "running"
    assert not answers
    server.loop.post(lambda: service.replies[0](Answer(prefetch=9)))
    waiter.join(10)
    assert answers == [Answer(prefetch=9)]


def test_a_lost_connection_is_noticed_while_its_call_is_parked(server, service):
    service.park = True
    sock = admitted_socket(server)
    sock.sendall(call_frame(1, "exchange", wire.pack_request("s1", Request(1, wait_s=20.0))))
    wait_until(lambda: service.replies)
    sock.close()
    wait_until(lambda: service.gone == ["s1"])
    server.loop.post(lambda: service.replies[0](Answer()))  # answering a peer that has gone is harmless
    assert status_of(server)


def test_an_unknown_session_is_told(client):
    with pytest.raises(UnknownSessionError):
        client.exchange(Request(1))


def test_another_protocol_is_refused_with_the_remedy(client):
    with pytest.raises(ProtocolError, match="install the same version"):
        client.register(WorkerInfo("w", "h", 1, 0.0, "9.9", protocol=99))


def test_a_taken_port_is_said_so(server):
    with (
        pytest.raises(TransportError, match=r"cannot listen on 127\.0\.0\.1, port \d+"),
        serving(endpoint=Endpoint(port=server.port)),
    ):
        pass


def test_a_malformed_request_is_answered_with_an_error(server):
    line = Line(address_of(server), MASTER_OBJECT, MSGPACK, Access("worker"))
    for data in (b"\xc1", wire.pack([1]), wire.pack(["s1", 1, [["x", ["completed"]]], [], [], 0, 0])):
        assert wire.unpack(line.call(MASTER_OBJECT, "exchange", data, timeout_s=10))[:2] == ["error", "protocol"]
    line.close()


def test_a_goodbye_is_no_lost_connection(server, service):
    client = registered_worker(server)
    client.goodbye((), "bye")
    client.close()
    wait_until(lambda: server.loop.n_connections == 0)
    assert status_of(server)
    assert service.left == [("s1", (), "bye")]
    assert service.gone == []


def test_an_old_connection_that_breaks_late_is_not_its_workers_loss(server, service):
    old, new = registered_worker(server), registered_worker(server)
    assert new.exchange(Request(1)) == service.answer
    n = server.loop.n_connections
    old.close()
    wait_until(lambda: server.loop.n_connections < n)
    assert new.exchange(Request(2)) == service.answer
    assert service.gone == []
    new.close()
    wait_until(lambda: service.gone == ["s1"])


def test_who_never_registered_is_nobodys_loss(server, service):
    admitted_socket(server).close()
    wait_until(lambda: server.loop.n_connections == 0)
    assert status_of(server)
    assert service.gone == []


def test_a_client_connects_anew_after_its_master_came_back(service):
    with serving(service) as first:
        client = worker_of(first)
        client.register(INFO)
    for _ in range(2):
        with pytest.raises(MasterUnreachableError):
            client.exchange(Request(1))
    with serving(service, Endpoint(port=first.port)):
        assert client.exchange(Request(1)) == service.answer
        client.close()
        client.close()
        assert client.exchange(Request(1)) == service.answer
        client.close()


def test_a_lost_connection_is_named(server):
    client = registered_worker(server)
    server.close()
    with pytest.raises(MasterUnreachableError, match=rf"lost the connection to 127\.0\.0\.1:{server.port}"):
        client.exchange(Request(1))


def test_a_master_that_does_not_answer_in_time_is_unreachable(server, service, monkeypatch):
    monkeypatch.setattr("bohb_service.rpc.client.CALL_SECONDS", 0.1)
    client = registered_worker(server)
    service.park = True
    began = time.monotonic()
    with pytest.raises(MasterUnreachableError, match="timed out"):
        client.exchange(Request(1, wait_s=0.1))
    assert 0.2 <= time.monotonic() - began < 5.0
    assert client._caller._line is None
    service.park = False
    assert client.exchange(Request(1)) == service.answer
    client.close()


def test_no_master_is_said_so():
    client = AdminClient("127.0.0.1", 9, Access("admin"))
    with pytest.raises(MasterUnreachableError, match=r"nobody answers at 127\.0\.0\.1:9: Connection refused"):
        client.status()


def test_what_is_no_master_is_said_so():
    with stock_name_server() as address:
        admin = AdminClient(*split_address(address), Access("admin"))
        with pytest.raises(MasterUnreachableError, match=rf"{address} refuses the connection: .*unknown object"):
            admin.status()
        admin.close()


@pytest.mark.parametrize("plain", [None, [], ["ok"], ["error", "protocol"], ["error", "protocol", 5], "ok", ["no", 1]])
def test_an_answer_of_no_known_form_is_refused(server, plain, monkeypatch):
    client = registered_worker(server)
    monkeypatch.setattr("bohb_service.rpc.server._ok", lambda _: wire.pack(plain))
    with pytest.raises(ProtocolError, match="is not understood"):
        client.exchange(Request(1))
    client.close()


def test_an_error_of_ours_is_told_to_the_service_and_ends_no_other_call(server, service):
    service.exchange = lambda *_: 1 / 0
    client = registered_worker(server)
    with pytest.raises(MasterUnreachableError, match="internal error of the master: ZeroDivisionError"):
        client.exchange(Request(1))
    client.close()
    assert [type(error) for error in service.failed] == [ZeroDivisionError]
    assert status_of(server)["state"] == "running"


def test_posted_work_runs_in_order_on_the_loops_thread_and_the_tick_goes_on(server, service):
    ran = []
    done = threading.Event()
    ticks = []
    server.loop.on_tick = lambda: ticks.append(time.monotonic())

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
    wait_until(lambda: service.failed)
    assert isinstance(service.failed[0], ZeroDivisionError)


def test_a_client_that_only_lost_its_line_finds_the_master_where_it_was(server, service):
    client = registered_worker(server)
    for connection in list(server.loop._connections):
        server.loop.post(lambda connection=connection: server.loop.drop(connection))
    wait_until(lambda: service.gone == ["s1"])
    with pytest.raises(MasterUnreachableError, match="lost the connection"):
        client.exchange(Request(1))
    assert client.exchange(Request(1)) == service.answer
    client.close()


def test_clients_that_were_never_connected_can_be_closed():
    MasterClient(lambda: pytest.fail("it connected")).close()


@pytest.mark.parametrize("says", ["register", "goodbye"])
def test_what_the_network_held_back_from_an_old_connection_changes_nothing(server, service, says):
    old, new = registered_worker(server), registered_worker(server)
    assert new.exchange(Request(1)) == service.answer
    service.infos.clear()
    with pytest.raises(MasterUnreachableError):
        old.register(INFO) if says == "register" else old.goodbye((), "bye")
    assert (service.infos, service.left, service.gone) == ([], [], [])
    assert new.exchange(Request(2)) == service.answer
    new.close()


def test_a_registration_is_told_when_it_is_durable(server, service):
    waiting = []
    service.when_durable = waiting.append
    client = worker_of(server)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(client.register(INFO)))
    thread.start()
    wait_until(lambda: waiting)
    assert not answers
    server.loop.post(waiting[0])
    thread.join(10)
    assert answers == [REGISTRATION]
    client.close()


def test_a_status_that_cannot_be_told_ends_nothing(server, service):
    service.status = lambda: 1 / 0
    admin = admin_of(server)
    with pytest.raises(MasterUnreachableError, match="internal error of the master: ZeroDivisionError"):
        admin.status()
    admin.close()
    assert not service.failed
    client = registered_worker(server)
    assert client.exchange(Request(1)) == service.answer
    client.close()


def test_a_connection_is_one_workers(server, service):
    service.register = lambda info: dataclasses.replace(REGISTRATION, session=info.worker)
    client = worker_of(server)
    client.register(INFO)
    assert service.gone == []
    client.register(dataclasses.replace(INFO, worker="w2"))
    assert service.gone == [INFO.worker]
    client.close()
    wait_until(lambda: service.gone == [INFO.worker, "w2"])
