"""How a client comes to its master: with which secrets, and whether it may do without."""

import ssl
from dataclasses import dataclass
from functools import cached_property

from bohb_service.errors import CredentialsError
from bohb_service.rpc.pyro import is_loopback, split_address
from bohb_service.security.credentials import Credentials
from bohb_service.security.renewal import ClientTls
from bohb_service.security.tokens import Role


@dataclass(frozen=True)
class Access:
    """What a client shows and demands.

    Attributes:
        role: As what it comes.
        credentials: Its certificate and token; None: it speaks in clear.
        insecure: It may speak in clear to other machines too.
    """

    role: Role
    credentials: Credentials | None = None
    insecure: bool = False

    @property
    def context(self) -> ssl.SSLContext | None:
        """TLS of this client's next connection, or None where it speaks in clear."""
        return None if self._tls is None else self._tls.context

    @cached_property
    def _tls(self) -> ClientTls | None:
        return None if self.credentials is None else ClientTls(self.credentials)

    @property
    def token(self) -> bytes | None:
        """The secret of its role."""
        return None if self.credentials is None else self.credentials.tokens[self.role]

    def check(self, address: str) -> None:
        """Refuse to speak in clear to another machine.

        Raises:
            CredentialsError: ``address``, as ``host:port``, is of another machine, and there are no credentials.
        """
        if self.credentials is None and not self.insecure and not is_loopback(split_address(address)[0]):
            raise CredentialsError(
                f"{address} is not on this machine, and there are no credentials: give --credentials DIR with a copy "
                f"of the folder {self.role!r} that `bohb-master credentials` made, or --insecure in a network that "
                "you trust"
            )
