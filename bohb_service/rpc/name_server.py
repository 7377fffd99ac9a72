"""How workers find the master: the embedded name server, and registration at an external one."""

import contextlib
from collections.abc import Iterator
from typing import Any

from Pyro5 import core, errors
from Pyro5.api import Proxy, expose

from bohb_service.errors import MasterUnreachableError, ProtocolError
from bohb_service.rpc.pyro import MASTER_OBJECT, NAME_SERVER_OBJECT, SERIALIZER, format_address, master_name

LOOKUP_SECONDS = 8.0


@expose
class NameServer:
    """A read-only Pyro5 name server, for this study alone, in the master's own daemon.

    It answers what stock clients ask; peers cannot change it.
    """

    def __init__(self, study: str, host: str, port: int) -> None:
        uri = f"PYRO:{MASTER_OBJECT}@{format_address(host, port)}"
        own = f"PYRO:{NAME_SERVER_OBJECT}@{format_address(host, port)}"
        self._entries = {master_name(study): uri, NAME_SERVER_OBJECT: own}

    def ping(self) -> None:
        """Answer."""

    def count(self) -> int:
        """Number of names."""
        return len(self._entries)

    def lookup(self, name: str, return_metadata: bool = False) -> Any:  # noqa: FBT001, FBT002  (stock signature)
        """The URI registered under a name."""
        if name not in self._entries:
            raise errors.NamingError(f"unknown name: {name}")
        uri = core.URI(self._entries[name])
        return (uri, []) if return_metadata else uri

    def list(
        self,
        prefix: str | None = None,
        regex: str | None = None,
        return_metadata: bool = False,  # noqa: FBT001, FBT002  (stock signature)
    ) -> dict[str, Any]:
        """All names, or those that begin with ``prefix``."""
        if regex is not None:
            raise errors.NamingError("this name server does not search by regular expression")
        names = {name: uri for name, uri in self._entries.items() if name.startswith(prefix or "")}
        return {name: (uri, []) for name, uri in names.items()} if return_metadata else dict(names)

    def register(self, *_: Any, **__: Any) -> None:
        """Refuse: peers may only read."""
        raise errors.NamingError("this name server is read-only")

    def remove(self, *_: Any, **__: Any) -> int:
        """Refuse: peers may only read."""
        raise errors.NamingError("this name server is read-only")


@contextlib.contextmanager
def _name_server(address: str) -> Iterator[Any]:
    """A proxy of the name server at ``host:port``, with errors of ours."""
    try:
        with Proxy(f"PYRO:{NAME_SERVER_OBJECT}@{address}") as proxy:
            proxy._pyroTimeout = LOOKUP_SECONDS  # noqa: SLF001  (Pyro5's public option has this name)
            proxy._pyroSerializer = SERIALIZER  # noqa: SLF001
            yield proxy
    except errors.NamingError as error:
        raise MasterUnreachableError(f"the name server at {address} says: {error}") from error
    except (errors.CommunicationError, OSError) as error:
        raise MasterUnreachableError(f"no name server answers at {address}: {error}") from error
    except errors.PyroError as error:
        raise ProtocolError(f"{address} is no name server: {error}") from error


def look_up_master(address: str, study: str) -> str:
    """The URI of a study's master.

    Args:
        address: ``host:port`` of a name server.
        study: Name of the study.

    Raises:
        MasterUnreachableError: No name server answers, or it does not know the study (yet).
        ProtocolError: What answers is no name server.
    """
    with _name_server(address) as proxy:
        return str(proxy.lookup(master_name(study)))


def known_studies(address: str) -> list[str]:
    """Names of the studies that a name server knows.

    Raises:
        MasterUnreachableError: No name server answers.
        ProtocolError: What answers is no name server.
    """
    with _name_server(address) as proxy:
        names = proxy.list(prefix="bohb.")
    return sorted(name[len("bohb.") : -len(".master")] for name in names if name.endswith(".master"))


def announce_master(address: str, study: str, uri: str) -> None:
    """Register a master at an external name server, over an entry that a dead one left.

    Raises:
        MasterUnreachableError: No name server answers.
        ProtocolError: What answers is no name server.
    """
    with _name_server(address) as proxy:
        proxy.register(master_name(study), uri)


def withdraw_master(address: str, study: str) -> None:
    """Remove a master from an external name server, if it still answers."""
    with contextlib.suppress(MasterUnreachableError, ProtocolError), _name_server(address) as proxy:
        proxy.remove(master_name(study))
