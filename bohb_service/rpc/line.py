"""One connection to a Pyro5 daemon, as a client: connect, TLS, introduction, then calls, each within its time."""

import contextlib
import reprlib
import socket
import ssl
import time
from typing import Any

from bohb_service.errors import AuthenticationError, MasterUnreachableError, ProtocolError
from bohb_service.rpc import frames
from bohb_service.rpc.access import Access
from bohb_service.rpc.frames import FrameError, Head
from bohb_service.rpc.pyro import GATE_OBJECT, split_address, tune_socket
from bohb_service.rpc.serialisers import UNREADABLE, Serialiser
from bohb_service.security.tls_errors import explain_tls_error
from bohb_service.security.tokens import client_proof, is_proof, new_nonce, server_proof

CONNECT_SECONDS = 8.0
"""How long a connection may take, introduction included."""

MAX_REPLY_BYTES = 64 << 20

_CHUNK_BYTES = 1 << 16
_TLS_ALERT = b"\x15\x03"


class Line:
    """An open connection.

    Attributes:
        address: The other end, as ``host:port``.

    Args:
        address: Where to connect to, as ``host:port``.
        target: Object that will be called.
        serialiser: Data format.
        access: How to prove oneself; None: in clear, to read what will be verified otherwise.
        timeout_s: How long all this may take.

    Raises:
        MasterUnreachableError: Nobody listens, or the other end does not answer, or it speaks another protocol.
        AuthenticationError: One end does not accept the other's certificate or token.
    """

    def __init__(
        self,
        address: str,
        target: str,
        serialiser: Serialiser,
        access: Access | None,
        timeout_s: float = CONNECT_SECONDS,
    ) -> None:
        self.address = address
        self._serialiser = serialiser
        self._seq = 0
        self._is_introduced = False
        self._deadline = time.monotonic() + timeout_s
        try:
            self._sock: socket.socket = socket.create_connection(split_address(address), timeout_s)
        except OSError as error:
            raise MasterUnreachableError(f"nobody answers at {address}: {error.strerror or error}") from error
        try:
            tune_socket(self._sock)
            if access is not None and (context := access.context) is not None:
                self._start_tls(context)
            self._introduce(target, access)
        except BaseException:
            self.close()
            raise

    def call(self, target: str, method: str, *arguments: Any, timeout_s: float) -> Any:
        """The result of a remote method.

        Raises:
            MasterUnreachableError: The connection broke, or no answer came in time; this line is of no use any more.
            ProtocolError: The other end refused the call.
        """
        self._deadline = time.monotonic() + timeout_s
        self._send(frames.INVOKE, self._serialiser.dumps_call(target, method, arguments, {}))
        head, data = self._receive()
        value = self._decoded(data)
        if head.kind != frames.RESULT or head.seq != self._seq:
            raise MasterUnreachableError(f"{self.address} answers something else than was asked")
        if head.flags & frames.FLAG_EXCEPTION:
            raise ProtocolError(f"{self.address} refused {method!r}: {_told(value)}")
        return value

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(OSError):
            self._sock.close()

    def _start_tls(self, context: ssl.SSLContext) -> None:
        host, _ = split_address(self.address)
        try:
            self._sock = context.wrap_socket(self._sock, server_hostname=host)
        except ssl.SSLEOFError as error:
            raise MasterUnreachableError(
                f"{self.address} ended the TLS connection: it may be busy, or no master with credentials"
            ) from error
        except ssl.SSLError as error:
            raise AuthenticationError(explain_tls_error(error, self.address)) from error
        except OSError as error:
            raise MasterUnreachableError(f"{self.address} does not answer with TLS: {error}") from error

    def _introduce(self, target: str, access: Access | None) -> None:
        token = access.token if access is not None else None
        nonce = new_nonce()
        hello = "hello" if access is None or token is None else {"role": access.role, "nonce": nonce}
        try:
            self._send(frames.CONNECT, self._serialiser.dumps({"handshake": hello, "object": target}))
        except MasterUnreachableError:
            self._receive()  # with TLS 1.3 the other end may have refused us, and have said why, by now
            raise
        head, data = self._receive()
        answer = self._decoded(data)
        if head.kind != frames.CONNECT_OK:
            raise MasterUnreachableError(f"{self.address} refuses the connection: {_told(answer)}")
        if access is None or token is None:
            return
        match answer:
            case {"handshake": {"nonce": bytes() as own, "proof": proof}} if len(own) == len(nonce):
                if not is_proof(server_proof(token, access.role, nonce, own), proof):
                    raise AuthenticationError(
                        f"{self.address} has another {access.role} token: "
                        "these credentials are not of this master; copy them again"
                    )
            case _:
                raise AuthenticationError(
                    f"{self.address} proves nothing: it was started without --credentials, or is no master"
                )
        self._is_introduced = True
        # The other end has just shown that it knows the same token: what fails from now on is the network.
        proof = client_proof(token, access.role, nonce, own)
        self.call(GATE_OBJECT, "prove", proof, timeout_s=self._deadline - time.monotonic())

    def _send(self, kind: int, data: bytes) -> None:
        self._seq = (self._seq + 1) & 0xFFFF
        try:
            self._sock.settimeout(self._left())
            self._sock.sendall(frames.build(kind, self._serialiser.number, self._seq, data))
        except OSError as error:
            raise MasterUnreachableError(self._lost(error)) from error

    def _receive(self) -> tuple[Head, bytes]:
        data = bytearray()
        try:
            self._read(data, frames.HEADER_BYTES)
            head = frames.read_head(data)
            end = min(head.n_bytes, frames.HEADER_BYTES + MAX_REPLY_BYTES)
            self._read(data, end)
            return head, bytes(data[frames.HEADER_BYTES + head.n_annotations : end])
        except FrameError as error:
            raise MasterUnreachableError(f"{self.address} is no master: {error}") from error
        except ssl.SSLError as error:
            if self._is_introduced:  # a byte was changed on the way
                raise MasterUnreachableError(self._lost(error)) from error
            # With TLS 1.3 the other end judges our certificate when we are done already.
            raise AuthenticationError(explain_tls_error(error, self.address)) from error
        except OSError as error:
            raise MasterUnreachableError(self._lost(error)) from error

    def _read(self, data: bytearray, n_bytes: int) -> None:
        """Read until there are so many bytes, or more: nothing follows a reply before the next call."""
        while len(data) < n_bytes:
            self._sock.settimeout(self._left())
            chunk = self._sock.recv(_CHUNK_BYTES)
            if not chunk and data.startswith(_TLS_ALERT):
                raise AuthenticationError(
                    f"{self.address} speaks TLS: give --credentials DIR with a copy of the folder that "
                    "`bohb-master credentials` made"
                )
            if not chunk:
                raise ConnectionError("the connection was closed")
            data += chunk

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def _decoded(self, data: bytes) -> Any:
        try:
            return self._serialiser.loads(data)
        except UNREADABLE as error:
            raise MasterUnreachableError(f"{self.address} sends what cannot be read: {error}") from error

    def _lost(self, error: OSError) -> str:
        return f"lost the connection to {self.address}: {error.strerror or error}"


def _told(value: Any) -> str:
    """What an error says, as Pyro5 writes errors, or anything else as text."""
    match value:
        case {"__class__": str(), "args": [str() as message, *_]}:
            return message
    return value[:200] if isinstance(value, str) else reprlib.repr(value)
