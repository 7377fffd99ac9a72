"""How a peer is admitted: two messages each way, mutual proof of the token, nothing that can be replayed.

The peer's connect message says its role and a nonce. The answer has the master's own nonce and its proof, which
the peer checks. Then the peer calls ``prove`` on the object ``bohb.gate`` with its proof over both nonces. Until
then no other call is taken. A master without credentials admits everybody at the first message.
"""

from collections.abc import Mapping
from typing import Any

from bohb_service.security.tokens import NONCE_BYTES, ROLES, Role, client_proof, is_proof, new_nonce, server_proof


class GateError(Exception):
    """The peer is not admitted; the message is one of few fixed texts."""


class Gate:
    """The master's side for one connection.

    Args:
        tokens: Secret of each role; None admits everybody.
    """

    __slots__ = ("_expected", "_role", "_tokens")

    def __init__(self, tokens: Mapping[Role, bytes] | None) -> None:
        self._tokens = tokens
        self._role: Role | None = None
        self._expected = b""

    @property
    def is_open(self) -> bool:
        """Whether the connect message is enough."""
        return self._tokens is None

    @property
    def was_greeted(self) -> bool:
        """Whether the connect message was taken."""
        return bool(self._expected)

    def greet(self, hello: Any) -> Any:
        """The answer to a connect message.

        Raises:
            GateError: It introduces no role, or the peer has introduced itself before.
        """
        if self._tokens is None:
            return "open"
        if self.was_greeted:
            raise GateError("introduced itself twice")
        match hello:
            case {"role": role, "nonce": bytes() as nonce} if role in ROLES and len(nonce) == NONCE_BYTES:
                pass
            case _:
                raise GateError("no introduction with a role")
        known: Role = role
        own, token = new_nonce(), self._tokens[known]
        self._role, self._expected = known, client_proof(token, known, nonce, own)
        return {"nonce": own, "proof": server_proof(token, known, nonce, own)}

    def admit(self, proof: Any) -> Role:
        """The role of a peer that has proved it.

        Raises:
            GateError: It has not.
        """
        if self._role is None or not is_proof(self._expected, proof):
            raise GateError("wrong token")
        return self._role
