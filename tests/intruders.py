"""Credentials of every wrong kind, and bare TLS connections that do what our own client never would."""

import contextlib
import dataclasses
import secrets
import shutil
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bohb_service.clock import SystemClock
from bohb_service.rpc import frames
from bohb_service.rpc.access import Access
from bohb_service.rpc.pyro import GATE_OBJECT
from bohb_service.rpc.serialisers import MSGPACK
from bohb_service.security.authority import make_credentials
from bohb_service.security.credentials import Credentials, load_credentials
from bohb_service.security.tokens import Role, client_proof, new_nonce
from tests.peers import call_frame, connect_frame, read_frame

_YEAR_S = 365 * 86400.0


class LastYear(SystemClock):
    """The clock a year ago."""

    def now(self) -> float:
        """A year ago."""
        return super().now() - _YEAR_S


@dataclass(frozen=True)
class Keys:
    """Credentials of one run and of others.

    Attributes:
        path: What `bohb-master credentials` would have made.
        strange: The same of another authority.
        expired: A worker's of the right authority, not valid any more.
    """

    path: Path
    strange: Path
    expired: Path

    def master(self) -> Credentials:
        """Of the master."""
        return load_credentials(self.path, "master")

    def access(self, role: Role = "worker") -> Access:
        """Of a client that may connect."""
        return Access(role, load_credentials(self.path, role))

    def strange_access(self) -> Access:
        """Of a worker of another run."""
        return Access("worker", load_credentials(self.strange, "worker"))

    def expired_access(self) -> Access:
        """Of a worker that came too late."""
        return Access("worker", load_credentials(self.expired, "worker", LastYear()))

    def wrong_token(self) -> Access:
        """Of a worker with the right certificate and the token of another run."""
        held = load_credentials(self.path, "worker")
        return Access("worker", dataclasses.replace(held, tokens={"worker": secrets.token_bytes(32)}))


def make_keys(folder: Path) -> Keys:
    """New credentials, right ones and wrong ones."""
    keys = Keys(folder / "right", folder / "strange", folder / "expired")
    make_credentials(keys.path, ["head.example"], days=30, clock=LastYear())
    shutil.copytree(keys.path / "worker", keys.expired)
    make_credentials(keys.path, [], renew=True, clock=SystemClock())
    make_credentials(keys.strange, ["head.example"], clock=SystemClock())
    return keys


def careless_context(access: Access | None = None) -> ssl.SSLContext:
    """TLS of a client that takes any master and shows the certificate of ``access``, or none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if access is not None and access.credentials is not None:
        context.load_cert_chain(access.credentials.certificate, access.credentials.key)
    return context


@contextlib.contextmanager
def tls_socket(port: int, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    """A bare TLS connection to a port of this machine; with TLS 1.3 its end may still refuse the certificate."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(sock) as tls:
            yield tls


def greet(sock: socket.socket, role: str, nonce: bytes) -> bytes:
    """Introduce oneself; the master's nonce."""
    sock.sendall(connect_frame(hello={"role": role, "nonce": nonce}))
    head, data = read_frame(sock)
    assert head.kind == frames.CONNECT_OK
    answer: bytes = MSGPACK.loads(data)["handshake"]["nonce"]
    return answer


def proof_frame(proof: Any) -> bytes:
    """The message with a proof."""
    return call_frame(2, "prove", proof, target=GATE_OBJECT)


def introduce(sock: socket.socket, access: Access) -> None:
    """Do all that is asked for, and be admitted."""
    assert access.token is not None
    nonce = new_nonce()
    own = greet(sock, access.role, nonce)
    sock.sendall(proof_frame(client_proof(access.token, access.role, nonce, own)))
    head, data = read_frame(sock)
    assert (head.kind, MSGPACK.loads(data)) == (frames.RESULT, "welcome")
