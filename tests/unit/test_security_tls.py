"""Real TLS between two sockets: who is let in, who is refused, and how the refusal is explained on both sides."""

import contextlib
import socket
import ssl
import threading
import time
from dataclasses import replace

import pytest

from bohb_service.clock import SystemClock
from bohb_service.security.authority import make_credentials
from bohb_service.security.credentials import client_context, load_credentials, server_context
from bohb_service.security.tls_errors import explain_tls_error
from bohb_service.testing.clock import ManualClock

DAY = 86_400.0
HOST = "head.example.org"


class Run:
    """The credentials of one run, loaded as they would be at the time they were made."""

    def __init__(self, directory, clock):
        make_credentials(directory, [HOST, "10.0.0.5", "fe80::5"], days=30, clock=clock)
        self.directory = directory
        self.master, self.worker, self.admin = (
            load_credentials(directory, kind, clock) for kind in ("master", "worker", "admin")
        )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {
        "ours": Run(folder / "ours", SystemClock()),
        "other": Run(folder / "other", SystemClock()),
        "past": Run(folder / "past", ManualClock(time.time() - 31 * DAY)),
        "future": Run(folder / "future", ManualClock(time.time() + DAY)),
    }


def meet(server, client, host=HOST):
    """What the server and the client run into, None where that is nothing, and the version that they speak."""
    near, far = socket.socketpair()
    errors: dict[str, Exception | None] = {"server": None, "client": None}

    def serve():
        try:
            with server.wrap_socket(far, server_side=True) as connection:
                connection.sendall(b"x")
                connection.recv(1)
        except OSError as error:
            errors["server"] = error

    near.settimeout(20)
    far.settimeout(20)
    thread = threading.Thread(target=serve)
    thread.start()
    version = None
    with near, far:
        try:
            with client.wrap_socket(near, server_hostname=host) as connection:
                # In TLS 1.3 the server judges the client's certificate when the client's handshake is over already.
                assert connection.recv(1) == b"x"
                version = connection.version()
        except OSError as error:
            errors["client"] = error
            near.close()
        thread.join(20)
    return errors["server"], errors["client"], version


def without_certificate(credentials):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(credentials.ca)
    return context


def of_tls_1_2(credentials):
    context = without_certificate(credentials)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(credentials.certificate, credentials.key)
    return context


RENEW, CLOCK, COPY = "credentials DIRECTORY --renew", "date -u", "copy the folder"
SIDE = "a worker 'worker', a command 'admin'"
BAD = "does not accept our certificate"

# Name: contexts of the server and of the client, what the client calls the server, what each side is told.
REFUSALS = {
    "server of another run": (
        lambda runs: (server_context(runs["other"].master), client_context(runs["ours"].worker), HOST),
        ("does not know the authority of our certificate", COPY),
        ("made by another authority", COPY),
    ),
    "client of another run": (
        lambda runs: (
            server_context(runs["ours"].master),
            client_context(replace(runs["other"].worker, ca=runs["ours"].worker.ca)),
            HOST,
        ),
        ("made by another authority", COPY),
        ("does not know the authority of our certificate", COPY),
    ),
    "server expired": (
        lambda runs: (server_context(runs["past"].master), client_context(runs["past"].worker), HOST),
        ("our certificate has expired", RENEW),
        ("has expired", RENEW),
    ),
    "client expired": (
        lambda runs: (
            server_context(replace(runs["ours"].master, ca=runs["past"].master.ca)),
            client_context(replace(runs["past"].worker, ca=runs["ours"].worker.ca)),
            HOST,
        ),
        ("has expired", RENEW),
        ("our certificate has expired", RENEW),
    ),
    "server not yet valid": (
        lambda runs: (server_context(runs["future"].master), client_context(runs["future"].worker), HOST),
        (BAD, CLOCK),
        ("not valid yet by this machine's clock", CLOCK),
    ),
    "client not yet valid": (
        lambda runs: (
            server_context(replace(runs["ours"].master, ca=runs["future"].master.ca)),
            client_context(replace(runs["future"].worker, ca=runs["ours"].worker.ca)),
            HOST,
        ),
        ("not valid yet by this machine's clock", CLOCK),
        (BAD, CLOCK),
    ),
    "other name": (
        lambda runs: (server_context(runs["ours"].master), client_context(runs["ours"].worker), "elsewhere"),
        (BAD, "made for another host"),
        ("made for other names", "not valid for 'elsewhere'", "--renew --host NAME"),
    ),
    "other address": (
        lambda runs: (server_context(runs["ours"].master), client_context(runs["ours"].worker), "10.0.0.6"),
        (BAD, "made for another host"),
        ("made for other names", "not valid for '10.0.0.6'", "--renew --host NAME"),
    ),
    "no client certificate": (
        lambda runs: (server_context(runs["ours"].master), without_certificate(runs["ours"].worker), HOST),
        ("shows no certificate", "--credentials DIR"),
        ("was shown none", "--credentials DIR"),
    ),
    "TLS 1.2": (
        lambda runs: (server_context(runs["ours"].master), of_tls_1_2(runs["ours"].worker), HOST),
        ("does not speak TLS 1.3",),
        ("does not speak TLS 1.3",),
    ),
    "worker as server": (
        lambda runs: (server_context(runs["ours"].worker), client_context(runs["ours"].admin), HOST),
        ("our certificate is made for another side", SIDE),
        ("made for another side", SIDE),
    ),
    "master as client": (
        lambda runs: (server_context(runs["ours"].master), client_context(runs["ours"].master), HOST),
        ("made for another side", SIDE),
        ("our certificate is made for another side", SIDE),
    ),
}


@pytest.mark.parametrize("host", [HOST, HOST.upper(), "10.0.0.5", "fe80::5", "localhost", "127.0.0.1", "::1"])
@pytest.mark.parametrize("kind", ["worker", "admin"])
def test_credentials_of_one_run_meet_under_every_name(runs, kind, host):
    ours = runs["ours"]

    assert meet(server_context(ours.master), client_context(getattr(ours, kind)), host) == (None, None, "TLSv1.3")


@pytest.mark.parametrize("name", REFUSALS)
def test_others_are_refused_and_both_sides_are_told_why(runs, name):
    contexts, at_server, at_client = REFUSALS[name]

    server_error, client_error, version = meet(*contexts(runs))

    assert version is None
    for error, phrases, address in (
        (server_error, at_server, "10.0.0.7:50000"),
        (client_error, at_client, "head:9090"),
    ):
        assert isinstance(error, ssl.SSLError)
        told = explain_tls_error(error, address)
        assert address in told
        for phrase in phrases:
            assert phrase in told, told


def test_no_authority_of_the_system_is_trusted(runs, monkeypatch):
    ours, other = runs["ours"], runs["other"]
    monkeypatch.setenv("SSL_CERT_FILE", str(other.worker.ca))
    open_to_all = ssl.create_default_context()
    open_to_all.load_cert_chain(other.worker.certificate, other.worker.key)

    assert meet(server_context(other.master), open_to_all) == (None, None, "TLSv1.3")
    _, refused, _ = meet(server_context(other.master), client_context(replace(other.worker, ca=ours.worker.ca)))
    assert isinstance(refused, ssl.SSLCertVerificationError)
    mine = replace(ours.master, certificate=other.master.certificate, key=other.master.key)
    refused, _, _ = meet(server_context(mine), open_to_all)
    assert isinstance(refused, ssl.SSLCertVerificationError)


def test_no_session_can_be_resumed(runs):
    """A ticket would let a client in again without its certificate being looked at."""
    near, far = socket.socketpair()
    ours = runs["ours"]
    thread = threading.Thread(target=_serve_one, args=(server_context(ours.master), far))
    thread.start()
    with near, client_context(ours.worker).wrap_socket(near, server_hostname=HOST) as connection:
        assert connection.recv(1) == b"x"
        # In TLS 1.3 a session without a ticket cannot be taken up again.
        assert connection.session is None or not connection.session.has_ticket
        assert connection.compression() is None
    thread.join(20)


def _serve_one(context, sock):
    with context.wrap_socket(sock, server_side=True) as connection:
        connection.sendall(b"x")
        with contextlib.suppress(OSError):
            connection.recv(1)


@pytest.mark.parametrize(
    "said", [b"GET / HTTP/1.1\r\n\r\n", b"PYRO" + bytes(60), b"SSH-2.0-OpenSSH_9.6\r\n" + bytes(60), bytes(64)]
)
@pytest.mark.parametrize("side", ["server", "client"])
def test_a_peer_that_speaks_no_tls_is_called_so(runs, said, side):
    near, far = socket.socketpair()
    ours = runs["ours"]
    context = server_context(ours.master) if side == "server" else client_context(ours.worker)
    with near, far:
        near.settimeout(20)
        far.sendall(said)
        with pytest.raises(ssl.SSLError) as caught:
            context.wrap_socket(near, server_side=side == "server", server_hostname=HOST if side == "client" else None)

    told = explain_tls_error(caught.value, "head:9090")
    assert told.startswith("head:9090 does not speak TLS; ")
    assert "--credentials DIR" in told


def test_a_peer_that_hangs_up_or_stays_silent_is_called_so(runs):
    context = client_context(runs["ours"].worker)
    near, far = socket.socketpair()
    with near, far:
        far.shutdown(socket.SHUT_WR)
        with pytest.raises(OSError) as hung_up:
            context.wrap_socket(near, server_hostname=HOST)
    near, far = socket.socketpair()
    with near, far:
        near.settimeout(0.01)
        with pytest.raises(TimeoutError) as silent:
            context.wrap_socket(near, server_hostname=HOST)

    assert "closed the connection during the TLS handshake" in explain_tls_error(hung_up.value, "head:9090")
    assert "closed the connection" in explain_tls_error(ConnectionResetError("reset"), "head:9090")
    assert "did not finish the TLS handshake in time" in explain_tls_error(silent.value, "head:9090")


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("[SSL: SSL/TLS_ALERT_CERTIFICATE_EXPIRED] ssl/tls alert certificate expired", "has expired"),
        ("ssl/tls alert bad certificate", BAD),
        ("tlsv1 alert decrypt error", "signature"),
        ("something new", "something new"),
    ],
)
def test_other_versions_of_openssl_and_other_errors_are_explained_too(text, phrase):
    assert phrase in explain_tls_error(ssl.SSLError(1, text), "head:9090")
