"""How workers find the master: the embedded name server, and registration at an external one."""

import contextlib
import logging
import socket
import threading
from typing import Any

from Pyro5 import core, errors
from Pyro5.api import expose

from bohb_service.errors import BohbError, ProtocolError, TransportError
from bohb_service.rpc.line import CONNECT_SECONDS, Line
from bohb_service.rpc.locate import names_at
from bohb_service.rpc.pyro import (
    MASTER_OBJECT,
    NAME_SERVER_OBJECT,
    format_address,
    is_address,
    master_name,
    split_address,
)
from bohb_service.rpc.serialisers import JSON

ANNOUNCE_INTERVAL_S = 10.0

log = logging.getLogger("bohb_service.rpc")


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


class Announcer:
    """Keeps a master registered at an external name server, which may be restarted and forget it.

    Args:
        address: ``host:port`` of the name server.
        study: Name of the study.
        uri: Where its master is.

    Raises:
        MasterUnreachableError: No name server answers.
        ProtocolError: What answers is no name server, or a living master of a study of that name is registered.
    """

    def __init__(self, address: str, study: str, uri: str) -> None:
        self._address = address
        self._name = master_name(study)
        self._uri = uri
        self._closing = threading.Event()
        with contextlib.closing(self._line()) as line:
            known = self._known(line)
            if known and known != uri and _answers(known):
                raise ProtocolError(
                    f"the name server at {address} knows a living master of a study {study!r} already ({known}); "
                    "give this study another name, or stop the other"
                )
            self._call(line, "register", self._name, uri)
        self._thread = threading.Thread(target=self._run, name="bohb-announcer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Remove the master's entry, if the name server still answers and the entry is this master's."""
        self._closing.set()
        self._thread.join()
        with contextlib.suppress(TransportError), contextlib.closing(self._line()) as line:
            if self._known(line) == self._uri:
                self._call(line, "remove", self._name)

    def _run(self) -> None:
        is_there, usurper = True, ""
        while not self._closing.wait(ANNOUNCE_INTERVAL_S):
            try:
                with contextlib.closing(self._line()) as line:
                    known = self._known(line)
                    if not known:
                        self._call(line, "register", self._name, self._uri)
                        log.info("announced again", extra={"name_server": self._address})
                    elif known not in {self._uri, usurper}:
                        usurper = known
                        log.warning("another master has taken the name", extra={"registered": self._name, "uri": known})
                is_there = True
            except BohbError as error:
                if is_there:
                    log.warning("name server lost", extra={"name_server": self._address, "error": str(error)})
                is_there = False

    def _line(self) -> Line:
        return Line(self._address, NAME_SERVER_OBJECT, JSON, None)

    def _known(self, line: Line) -> str:
        """The URI under which the study is known, or nothing."""
        return names_at(line, self._name).get(self._name, "")

    def _call(self, line: Line, method: str, *arguments: str) -> Any:
        return line.call(NAME_SERVER_OBJECT, method, *arguments, timeout_s=CONNECT_SECONDS)


def _answers(uri: str) -> bool:
    """Whether somebody listens there."""
    location = uri.partition("@")[2]
    if not is_address(location):
        return False
    try:
        socket.create_connection(split_address(location), CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
