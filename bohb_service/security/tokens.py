"""Proof that both ends hold the same secret, without showing it.

Each end sends a nonce, and the HMAC of both nonces under the secret. Role and side are part of what is
authenticated: a proof for a worker proves nothing about an admin, and no end can be answered with its own proof.
The proofs say nothing about the bytes that follow; they belong inside a TLS connection.
"""

import hmac
import secrets
from typing import Literal, TypeAlias, get_args

Role: TypeAlias = Literal["worker", "admin"]
"""What a client may do: evaluate jobs, or look and command."""

ROLES: tuple[Role, ...] = get_args(Role)
NONCE_BYTES = 32
TOKEN_BYTES = 32

_PROTOCOL = b"bohb-service token proof 1"
_DIGEST = "sha256"
_PROOF_BYTES = 32


def new_nonce() -> bytes:
    """Random bytes that are used for one proof only."""
    return secrets.token_bytes(NONCE_BYTES)


def server_proof(token: bytes, role: Role, client_nonce: bytes, server_nonce: bytes) -> bytes:
    """What the server shows the client.

    Args:
        token: The secret of the role, `TOKEN_BYTES` long.
        role: What the client wants to be.
        client_nonce: Made by the client for this connection, `NONCE_BYTES` long.
        server_nonce: Made by the server for this connection, of the same length.

    Raises:
        ValueError: An unknown role, or a secret or nonce of another length.
    """
    return _proof(b"server", token, role, client_nonce, server_nonce)


def client_proof(token: bytes, role: Role, client_nonce: bytes, server_nonce: bytes) -> bytes:
    """What the client shows the server; arguments and errors as of `server_proof`."""
    return _proof(b"client", token, role, client_nonce, server_nonce)


def is_proof(expected: bytes, given: object) -> bool:
    """Whether a peer showed the proof that was expected; takes the same time for every wrong one.

    Args:
        expected: What `server_proof` or `client_proof` computed here.
        given: What came from the peer, of any type.
    """
    return type(given) is bytes and len(given) == len(expected) == _PROOF_BYTES and hmac.compare_digest(expected, given)


def _proof(side: bytes, token: bytes, role: Role, client_nonce: bytes, server_nonce: bytes) -> bytes:
    if role not in ROLES:
        raise ValueError(f"{role!r} is no role; there are {', '.join(ROLES)}")
    for name, value, length in (
        ("token", token, TOKEN_BYTES),
        ("client nonce", client_nonce, NONCE_BYTES),
        ("server nonce", server_nonce, NONCE_BYTES),
    ):
        if len(value) != length:
            raise ValueError(f"the {name} has {len(value)} bytes instead of {length}")
    # Unambiguous: no label contains the separator, and what follows the last one has a fixed length.
    message = b"\0".join((_PROTOCOL, side, role.encode(), client_nonce + server_nonce))
    return hmac.digest(token, message, _DIGEST)
