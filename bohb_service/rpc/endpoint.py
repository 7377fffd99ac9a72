"""Where and how a master listens."""

import ipaddress
from dataclasses import dataclass
from typing import Literal

from bohb_service.errors import CredentialsError, TransportError
from bohb_service.rpc.pyro import is_loopback
from bohb_service.security.credentials import Credentials, check_host
from bohb_service.security.hosts import parse_hosts

Security = Literal["tls", "loopback", "insecure"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how a master listens.

    Attributes:
        host: Address or name of this machine that peers are told.
        port: TCP port; 0 takes a free one.
        bind: Address to listen on; None: that of ``host``.
        credentials: With them TLS, client certificates and tokens are demanded of every peer.
        insecure: Other machines may connect without them.
        name_server: ``host:port`` of an external name server to register at, or None.
    """

    host: str = "127.0.0.1"
    port: int = 0
    bind: str | None = None
    credentials: Credentials | None = None
    insecure: bool = False
    name_server: str | None = None

    @property
    def address(self) -> str:
        """Address to listen on."""
        return self.bind or self.host

    def security_at(self, address: str) -> Security:
        """What guards it when it listens on this address."""
        if self.credentials is not None:
            return "tls"
        return "loopback" if is_loopback(address) else "insecure"

    @property
    def security(self) -> Security:
        """What guards it; asks for the address of a name."""
        return self.security_at(self.address)

    def unguarded(self, address: str) -> CredentialsError:
        """The refusal to listen on an address that other machines can reach, without credentials."""
        return CredentialsError(
            f"{address} can be reached from other machines, so workers must prove who they are: "
            f"run `bohb-master credentials keys --host {self.host}` once, then give "
            "--credentials keys (or --insecure in a network that you trust)"
        )

    @property
    def local_host(self) -> str:
        """Address for processes of this machine."""
        if not _is_unspecified(self.address):
            return self.host
        return "::1" if ":" in self.address else "127.0.0.1"

    def check(self) -> None:
        """Refuse to listen where it makes no sense, or unguarded where others could connect.

        Raises:
            CredentialsError: Other machines can reach the address, and there are no credentials; or those that there
                are name other hosts.
            TransportError: The address is none that peers could connect to.
        """
        if _is_unspecified(self.host):
            raise TransportError(
                f"{self.host} is no address that workers could connect to: give --host one of this machine's, "
                f"and --bind {self.host} to listen on all of them"
            )
        parse_hosts([self.host])
        if self.credentials is not None:
            check_host(self.credentials, self.host)
        if self.security == "insecure" and not self.insecure:
            raise self.unguarded(self.address)


def _is_unspecified(host: str) -> bool:
    """Whether a host is the address that stands for all of a machine's."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
