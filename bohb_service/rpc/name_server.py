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
        names = proxy.list(prefix="bohb.")
    if master_name(study) not in names:
        known = [name.removeprefix("bohb.").removesuffix(".master") for name in names]
        raise MasterUnreachableError(
            f"the name server at {address} does not know study {study!r}; it knows {', '.join(sorted(known)) or 'none'}"
        )
    return str(names[master_name(study)])


def announce_master(address: str, study: str, uri: str) -> None:
    """Register a master at an external name server, over an entry that a dead one left.

    Raises:
        MasterUnreachableError: No name server answers.
        ProtocolError: What answers is no name server, or a living master of a study of that name is registered.
    """
    with _name_server(address) as proxy:
        known = str(proxy.list(prefix=master_name(study)).get(master_name(study), ""))
        if known and known != uri and _answers(known):
            raise ProtocolError(
                f"the name server at {address} knows a living master of a study {study!r} already ({known}); "
                "give this study another name, or stop the other"
            )
        proxy.register(master_name(study), uri)


def withdraw_master(address: str, study: str, uri: str) -> None:
    """Remove a master from an external name server, if that still answers and the entry is this master's."""
    with contextlib.suppress(MasterUnreachableError, ProtocolError), _name_server(address) as proxy:
        if str(proxy.lookup(master_name(study))) == uri:
            proxy.remove(master_name(study))


def _answers(uri: str) -> bool:
    """Whether a Pyro5 object can be reached."""
    try:
        with Proxy(uri) as proxy:
            proxy._pyroTimeout = LOOKUP_SECONDS  # noqa: SLF001
            proxy._pyroBind()  # noqa: SLF001
    except (errors.PyroError, OSError):
        return False
    return True
