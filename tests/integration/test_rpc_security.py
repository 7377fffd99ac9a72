"""Who is admitted, and who is refused, with which words."""

import contextlib
import dataclasses
import os
import secrets
import shutil
import socket
import ssl
import threading

import pytest

from bohb_service.errors import AuthenticationError, CredentialsError, MasterUnreachableError, ProtocolError
from bohb_service.rpc import frames, wire
from bohb_service.rpc.access import Access
from bohb_service.rpc.client import AdminClient, MasterClient
from bohb_service.rpc.endpoint import Endpoint
from bohb_service.rpc.gate import Gate, GateError
from bohb_service.rpc.handshakes import Handshakes
from bohb_service.rpc.line import Line
from bohb_service.rpc.locate import ByNameServer
from bohb_service.rpc.messages import Request
from bohb_service.rpc.pyro import ADMIN_OBJECT, GATE_OBJECT, MASTER_OBJECT
from bohb_service.rpc.serialisers import MSGPACK
from bohb_service.security.credentials import load_credentials
from bohb_service.security.tokens import client_proof, new_nonce
from tests.intruders import LastYear, careless_context, greet, introduce, proof_frame, tls_socket
from tests.peers import (
    INFO,
    REGISTRATION,
    admin_of,
    call_frame,
    connect_frame,
    is_closed,
    open_socket,
    read_frame,
    serving,
    status_of,
    worker_of,
)
from tests.polling import wait_until


@pytest.fixture
def master(keys, service):
    with serving(service, Endpoint(credentials=keys.master())) as master:
        yield master


IN_CLEAR = "does not speak TLS"
"""A worker that was refused at first looks whether it has come to an external name server, in clear."""


def is_refused(master, reason):
    """Whether peers are refused for this reason alone, soon."""
    wait_until(lambda: {*master.loop.refusals.counts} - {IN_CLEAR})
    return {*master.loop.refusals.counts} - {IN_CLEAR} == {reason} and master.loop.refusals.counts[reason] == 1


def test_everything_works_with_credentials(master, service, keys):
    worker = worker_of(master, keys.access())
    assert worker.register(INFO) == REGISTRATION
    assert worker.exchange(Request(1)) == service.answer
    worker.goodbye((1,), "bye")
    worker.close()
    assert service.left == [("s1", (1,), "bye")]
    admin = admin_of(master, keys.access("admin"))
    status = admin.status()
    assert (status["security"], status["refused"]) == ("tls", {})
    assert 364 < status["certificate_days"] < 365
    admin.drain()
    admin.close()
    assert service.drained.is_set()


@pytest.mark.parametrize("host", ["localhost", "::1"])
def test_other_names_in_the_certificate_will_do(keys, host):
    with serving(endpoint=Endpoint(host, credentials=keys.master())) as master:
        worker = worker_of(master, keys.access())
        assert worker.register(INFO) == REGISTRATION
        worker.close()


def refused_bytes(sock):
    """What happens to a client that says hello."""
    with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
        sock.sendall(connect_frame())
    return sock.recv(100)


def test_without_a_certificate(master):
    with tls_socket(master.port, careless_context()) as sock, pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
        refused_bytes(sock)
    assert is_refused(master, "no certificate")


def test_with_a_certificate_of_another_authority(master, keys):
    access = keys.strange_access()
    with tls_socket(master.port, careless_context(access)) as sock, pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
        refused_bytes(sock)
    assert is_refused(master, "its certificate was not accepted: unable to get local issuer certificate")


def test_a_worker_of_another_run_is_told_what_to_copy(master, keys):
    with pytest.raises(AuthenticationError, match=r"made by another authority .*copy the folder 'worker'"):
        worker_of(master, keys.strange_access()).register(INFO)
    assert is_refused(master, "did not accept the master's certificate")


def test_with_an_expired_certificate(master, keys):
    with pytest.raises(AuthenticationError, match=r"says that our certificate has expired; renew the certificates"):
        worker_of(master, keys.expired_access()).register(INFO)
    assert is_refused(master, "its certificate was not accepted: certificate has expired")


def test_a_renewed_certificate_is_used_for_the_next_connection(master, keys, tmp_path):
    folder = shutil.copytree(keys.expired, tmp_path / "worker")
    new = (keys.path / "worker" / "cert.pem").read_bytes()
    worker = worker_of(master, Access("worker", load_credentials(folder, "worker", LastYear())))
    for written in (b"", b"", new[:100]):
        with pytest.raises(AuthenticationError, match="certificate has expired"):
            worker.register(INFO)
        (folder / "cert.pem").write_bytes(written)  # it is being copied
    (folder / "cert.pem").write_bytes(new)
    assert worker.register(INFO) == REGISTRATION
    worker.close()


def test_who_speaks_only_after_it_was_refused_hears_why(master, keys, monkeypatch):
    real = Line._send

    def late(line, kind, data):
        wait_until(lambda: master.loop.refusals.counts)
        while True:  # until this end knows that the connection is broken
            real(line, kind, data)

    monkeypatch.setattr(Line, "_send", late)
    with pytest.raises(AuthenticationError, match=r"says that our certificate has expired; renew the certificates"):
        admin_of(master, keys.expired_access()).status()


def test_with_the_masters_own_certificate(master, keys):
    stolen = Access("worker", dataclasses.replace(keys.master(), kind="worker"))
    with pytest.raises(AuthenticationError, match="made for another side of a connection"):
        worker_of(master, stolen).register(INFO)
    assert is_refused(master, "its certificate was not accepted: unsuitable certificate purpose")


def test_with_an_older_tls(master, keys):
    context = careless_context(keys.access())
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"), tls_socket(master.port, context):
        pass
    assert is_refused(master, "no TLS 1.3 connection")


@pytest.mark.parametrize("client_of", [worker_of, admin_of])
def test_a_client_without_credentials_is_told_that_it_needs_them(master, client_of):
    refused = client_of(master)
    call = refused.status if isinstance(refused, AdminClient) else lambda: refused.register(INFO)
    with pytest.raises(AuthenticationError, match=r"speaks TLS.*--credentials DIR"):
        call()
    wait_until(lambda: set(master.loop.refusals.counts) == {IN_CLEAR})


def test_with_another_token(master, keys):
    with pytest.raises(AuthenticationError, match=r"has another worker token: .* copy them again"):
        worker_of(master, keys.wrong_token()).register(INFO)


def test_an_intruder_that_goes_on_with_a_wrong_proof(master, keys):
    access = keys.wrong_token()
    with tls_socket(master.port, careless_context(access)) as sock:
        nonce = new_nonce()
        own = greet(sock, "worker", nonce)
        sock.sendall(proof_frame(client_proof(access.token, "worker", nonce, own)))
        assert is_closed(sock)
    assert is_refused(master, "wrong token")


def test_what_breaks_after_the_master_has_proved_itself_is_the_network(master, keys, monkeypatch):
    monkeypatch.setattr("bohb_service.rpc.line.client_proof", lambda *_: b"x" * 32)
    with pytest.raises(MasterUnreachableError, match="the connection was closed"):
        worker_of(master, keys.access()).register(INFO)
    assert is_refused(master, "wrong token")


def test_a_connection_that_breaks_while_the_proof_is_under_way_is_made_anew(master, service, keys, monkeypatch):
    """The master has proved the token before: no worker may take a broken line for a refusal, and leave for ever."""

    def is_lost(gate, proof):
        monkeypatch.undo()
        raise GateError("lost")

    monkeypatch.setattr(Gate, "admit", is_lost)
    worker = worker_of(master, keys.access())
    with pytest.raises(MasterUnreachableError, match="lost the connection"):
        worker.register(INFO)
    assert worker.register(INFO) == REGISTRATION
    worker.close()


def test_a_byte_that_was_changed_on_the_way_is_no_refusal(master, keys):
    client = worker_of(master, keys.access())
    client.register(INFO)
    line = client._caller._line
    raw = socket.socket(fileno=os.dup(line._sock.fileno()))
    with contextlib.closing(raw):
        raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))  # a record that was not made with the keys
    with pytest.raises(MasterUnreachableError):
        client.exchange(Request(1))
    assert client.register(INFO) == REGISTRATION
    client.close()


@pytest.mark.parametrize("proof", [b"", b"x" * 32, "x" * 32, 5, None, [b"x"], True])
def test_a_proof_of_any_other_form(master, keys, proof):
    with tls_socket(master.port, careless_context(keys.access())) as sock:
        greet(sock, "worker", new_nonce())
        sock.sendall(proof_frame(proof))
        assert is_closed(sock)
    assert is_refused(master, "wrong token")


def test_the_masters_own_proof_sent_back(master, keys):
    with tls_socket(master.port, careless_context(keys.access())) as sock:
        sock.sendall(connect_frame(hello={"role": "worker", "nonce": new_nonce()}))
        sock.sendall(proof_frame(MSGPACK.loads(read_frame(sock)[1])["handshake"]["proof"]))
        assert is_closed(sock)
    assert is_refused(master, "wrong token")


def test_a_replayed_introduction(master, keys):
    access = keys.access()
    nonce = new_nonce()
    with tls_socket(master.port, careless_context(access)) as sock:
        own = greet(sock, "worker", nonce)
        recorded = proof_frame(client_proof(access.token, "worker", nonce, own))
        sock.sendall(recorded)
        assert MSGPACK.loads(read_frame(sock)[1]) == "welcome"
        sock.sendall(call_frame(3, "exchange", wire.pack_request("s1", Request(1))))
        assert read_frame(sock)[0].seq == 3
    with tls_socket(master.port, careless_context(access)) as sock:
        greet(sock, "worker", nonce)
        sock.sendall(recorded)
        assert is_closed(sock)
    assert is_refused(master, "wrong token")


def test_a_proof_for_another_role(master, keys):
    access = keys.access()
    with tls_socket(master.port, careless_context(access)) as sock:
        nonce = new_nonce()
        own = greet(sock, "admin", nonce)
        sock.sendall(proof_frame(client_proof(access.token, "worker", nonce, own)))
        assert is_closed(sock)
    assert is_refused(master, "wrong token")


NONCE = b"n" * 32


@pytest.mark.parametrize(
    "hello",
    [
        "hello",
        None,
        {},
        {"role": "worker"},
        {"role": "worker", "nonce": NONCE[1:]},
        {"role": "worker", "nonce": NONCE.decode()},
        {"role": "master", "nonce": NONCE},
        {"role": None, "nonce": NONCE},
        {"role": ["worker"], "nonce": NONCE},
    ],
)
def test_an_introduction_of_another_form(master, keys, hello):
    with tls_socket(master.port, careless_context(keys.access())) as sock:
        sock.sendall(connect_frame(hello=hello))
        assert is_closed(sock)
    assert is_refused(master, "no introduction with a role")


def test_an_introduction_before_another(master, keys):
    with tls_socket(master.port, careless_context(keys.access())) as sock:
        greet(sock, "worker", NONCE)
        sock.sendall(connect_frame(hello={"role": "worker", "nonce": NONCE}))
        assert is_closed(sock)
    assert is_refused(master, "introduced itself twice")


@pytest.mark.parametrize("is_greeted", [False, True])
@pytest.mark.parametrize(
    "message",
    [
        call_frame(1, "exchange", b""),
        call_frame(1, "status", target=ADMIN_OBJECT),
        call_frame(1, "list", target="Pyro.NameServer"),
        call_frame(1, "other", b"", target=GATE_OBJECT),
        frames.build(frames.PING, MSGPACK.number, 0, b""),
    ],
    ids=["exchange", "status", "list", "gate", "ping"],
)
def test_a_call_before_it_was_admitted(master, service, keys, message, is_greeted):
    with tls_socket(master.port, careless_context(keys.access())) as sock:
        if is_greeted:
            greet(sock, "worker", NONCE)
        sock.sendall(message)
        assert is_closed(sock)
    assert is_refused(master, "a call before it was admitted")
    assert not service.requests


def test_a_proof_before_any_introduction(master, keys):
    with tls_socket(master.port, careless_context(keys.access())) as sock:
        sock.sendall(proof_frame(b"x" * 32))
        assert is_closed(sock)
    assert is_refused(master, "a call before it was admitted")


def test_who_is_admitted_cannot_be_admitted_again(master, keys):
    access = keys.access()
    with tls_socket(master.port, careless_context(access)) as sock:
        introduce(sock, access)
        sock.sendall(proof_frame(b"x" * 32))
        head, data = read_frame(sock)
        assert head.flags & frames.FLAG_EXCEPTION
        assert MSGPACK.loads(data)["__class__"] == "Pyro5.errors.DaemonError"
        sock.sendall(connect_frame(hello={"role": "worker", "nonce": NONCE}))
        assert is_closed(sock)
    assert set(master.loop.refusals.counts) == {"called what is not exposed", "a message of another kind or serializer"}


@pytest.mark.parametrize(
    "call",
    [
        ("worker", ADMIN_OBJECT, "status"),
        ("worker", ADMIN_OBJECT, "drain"),
        ("admin", MASTER_OBJECT, "register", wire.pack_info(INFO)),
        ("admin", MASTER_OBJECT, "exchange", wire.pack_request("s1", Request(1))),
    ],
)
def test_one_role_cannot_do_what_the_other_does(master, service, keys, call):
    role, target, method, *arguments = call
    line = Line(f"127.0.0.1:{master.port}", target, MSGPACK, keys.access(role))
    with pytest.raises(ProtocolError, match=f"a {role} may not call {target}"):
        line.call(target, method, *arguments, timeout_s=10)
    line.close()
    assert is_refused(master, "called an object of another role")
    assert not service.drained.is_set()
    assert not service.infos
    assert not service.requests


def test_a_silent_peer_and_half_a_hello_hold_nobody_up(master, service, keys, monkeypatch):
    monkeypatch.setattr("bohb_service.rpc.handshakes.TLS_SECONDS", 0.3)
    silent = [open_socket(master) for _ in range(20)]
    for sock in silent[:10]:
        sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    worker = worker_of(master, keys.access())
    assert worker.register(INFO) == REGISTRATION
    worker.close()
    assert all([is_closed(sock) for sock in silent])  # noqa: C419  (each takes its time)
    wait_until(lambda: dict(master.loop.refusals.counts) == {"made no TLS connection in time": 20})
    for sock in silent:
        sock.close()


def test_of_too_many_handshakes_the_oldest_gives_way(master, keys, monkeypatch):
    monkeypatch.setattr("bohb_service.rpc.handshakes.MAX_WAITING", 5)
    silent = [open_socket(master) for _ in range(8)]
    wait_until(lambda: sum(master.loop.refusals.counts.values()) == 3)
    assert [is_closed(sock, 0.1) for sock in silent] == [True] * 3 + [False] * 5
    worker = worker_of(master, keys.access())
    assert worker.register(INFO) == REGISTRATION
    worker.close()
    assert set(master.loop.refusals.counts) == {"gave way to newer peers before its TLS connection"}
    for sock in silent:
        sock.close()


def test_who_comes_faster_than_it_is_looked_at_waits(master, keys, monkeypatch):
    looks, begin = threading.Event(), Handshakes._begin
    monkeypatch.setattr("bohb_service.rpc.handshakes.MAX_NEW", 4)
    monkeypatch.setattr(Handshakes, "_begin", lambda *arguments: looks.wait(20) and begin(*arguments))
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(open_socket(master))
        wait_until(lambda: master.loop._is_full)
        looks.set()
        with contextlib.closing(worker_of(master, keys.access())) as worker:
            assert worker.register(INFO) == REGISTRATION
    assert not master.loop.refusals.counts.keys() - {"left in its TLS handshake"}


def test_who_leaves_in_the_middle_of_its_handshake(master):
    for last in (b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
        with open_socket(master) as sock:
            sock.sendall(last)
    wait_until(lambda: master.loop.refusals.counts["left in its TLS handshake"] == 2)


# What clients refuse.


def test_a_master_without_credentials_is_refused(keys):
    with serving() as master:
        with pytest.raises(MasterUnreachableError, match=r"ended the TLS connection: .* no master with credentials"):
            worker_of(master, keys.access()).register(INFO)
        assert "no message of Pyro5's protocol" in status_of(master)["refused"]


def test_a_master_of_another_authority_is_refused(keys):
    strange = load_credentials(keys.strange, "master")
    with (
        serving(endpoint=Endpoint(credentials=strange)) as master,
        pytest.raises(AuthenticationError, match="was made by another authority"),
    ):
        worker_of(master, keys.access()).register(INFO)


def test_a_worker_that_plays_the_master_is_refused(keys, monkeypatch):
    monkeypatch.setattr(Endpoint, "check", lambda _: None)
    worker = load_credentials(keys.path, "worker")
    forged = dataclasses.replace(worker, kind="master", tokens=keys.master().tokens)
    with (
        serving(endpoint=Endpoint(credentials=forged)) as master,
        pytest.raises(AuthenticationError, match="made for another side of a connection"),
    ):
        worker_of(master, keys.access()).register(INFO)


def test_a_master_with_another_token_is_refused(keys):
    tokens = {"worker": secrets.token_bytes(32), "admin": secrets.token_bytes(32)}
    forged = dataclasses.replace(keys.master(), tokens=tokens)
    with serving(endpoint=Endpoint(credentials=forged)) as master:
        with pytest.raises(AuthenticationError, match="has another worker token"):
            worker_of(master, keys.access()).register(INFO)
        with pytest.raises(AuthenticationError, match="has another admin token"):
            admin_of(master, keys.access("admin")).status()


def test_a_master_by_another_name_is_refused(keys, monkeypatch):
    real = socket.create_connection
    with serving(endpoint=Endpoint(credentials=keys.master())) as master:
        monkeypatch.setattr(socket, "create_connection", lambda _, *rest: real(("127.0.0.1", master.port), *rest))
        with pytest.raises(AuthenticationError, match="is made for other names"):
            Line("evil.example:1", MASTER_OBJECT, MSGPACK, keys.access())
        Line("head.example:1", MASTER_OBJECT, MSGPACK, keys.access()).close()


@contextlib.contextmanager
def nonsense_service(port, answer):
    """Another service where the master was."""
    with socket.create_server(("127.0.0.1", port)) as listener:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    with sock, contextlib.suppress(OSError):
                        sock.recv(4096)
                        sock.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("other", ["nothing", "http", "silence", "strange", "clear", "token"])
def test_whoever_has_taken_the_masters_place_is_refused_until_the_master_is_back(keys, service, other):
    with serving(service, Endpoint(credentials=keys.master())) as master:
        worker = worker_of(master, keys.access())
        worker.register(INFO)
    tokens = {"worker": secrets.token_bytes(32), "admin": secrets.token_bytes(32)}
    where = {
        "nothing": contextlib.nullcontext,
        "http": lambda: nonsense_service(master.port, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        "silence": lambda: nonsense_service(master.port, b""),
        "strange": lambda: serving(
            endpoint=Endpoint(port=master.port, credentials=load_credentials(keys.strange, "master"))
        ),
        "clear": lambda: serving(endpoint=Endpoint(port=master.port)),
        "token": lambda: serving(
            endpoint=Endpoint(port=master.port, credentials=dataclasses.replace(keys.master(), tokens=tokens))
        ),
    }
    with where[other]():
        for _ in range(2):
            with pytest.raises(MasterUnreachableError):
                worker.exchange(Request(1))
    with serving(service, Endpoint(port=master.port, credentials=keys.master())):
        assert worker.exchange(Request(1)) == service.answer
        worker.close()


# Without credentials.


@pytest.mark.parametrize("host", ["10.1.2.3", "2001:db8::1"])
def test_another_address_without_credentials_is_refused_with_the_remedy(host):
    command = rf"`bohb-master credentials keys --host {host}`.*--insecure in a network"
    with pytest.raises(CredentialsError, match=command):
        Endpoint(host).check()
    Endpoint(host, insecure=True).check()


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "10.1.2.3", "no.such.name.invalid", ""])
def test_listening_elsewhere_than_on_loopback_counts(bind):
    endpoint = Endpoint("127.0.0.1", bind=bind or None)
    if not bind:
        endpoint.check()
    else:
        with pytest.raises(CredentialsError, match="can be reached from other machines"):
            endpoint.check()


def test_with_credentials_every_address_will_do_that_the_certificate_names(keys):
    endpoint = Endpoint("head.example", bind="0.0.0.0", credentials=keys.master())
    endpoint.check()
    with pytest.raises(CredentialsError, match=rf"{keys.path} --renew --host 10\.1\.2\.3$"):
        Endpoint("10.1.2.3", bind="0.0.0.0", credentials=keys.master()).check()
    assert (endpoint.security, endpoint.local_host) == ("tls", "127.0.0.1")


@pytest.mark.parametrize("address", ["10.1.2.3:80", "[2001:db8::1]:80"])
def test_a_client_does_not_speak_in_clear_to_another_machine(address, keys, monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *_: pytest.fail("it connected"))
    for access in (Access("worker"), Access("admin")):
        with pytest.raises(CredentialsError, match=r"is not on this machine.*--credentials DIR .*--insecure"):
            access.check(address)
    with pytest.raises(CredentialsError):
        MasterClient(ByNameServer(address, "study", Access("worker"))).register(INFO)
    with pytest.raises(CredentialsError):
        AdminClient(*address.removeprefix("[").replace("]", "").rsplit(":", 1), Access("admin")).status()
    Access("worker", insecure=True).check(address)
    keys.access().check(address)


def test_insecure_works_and_is_shown(service):
    with serving(service, Endpoint("127.0.0.1", bind="0.0.0.0", insecure=True)) as master:
        worker = worker_of(master)
        assert worker.register(INFO) == REGISTRATION
        worker.close()
        assert status_of(master)["security"] == "insecure"
