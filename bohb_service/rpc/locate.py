"""How a client finds its master and connects to it."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

from bohb_service.errors import AuthenticationError, MasterUnreachableError, ProtocolError
from bohb_service.rpc.access import Access
from bohb_service.rpc.line import CONNECT_SECONDS, Line
from bohb_service.rpc.pyro import MASTER_OBJECT, NAME_SERVER_OBJECT, is_address, master_name, study_of
from bohb_service.rpc.serialisers import JSON, MSGPACK

_MOMENT_S = 1.0

Connect = Callable[[], Line]
"""A new connection to the master of a study; MasterUnreachableError if there is none now."""


class ByNameServer:
    """Finds the master of a study through a name server, and connects to it.

    The name server in the master's own daemon is on the same port, so one connection is enough; it is also the
    proof that a daemon serves the study. What an external name server says is only a hint: whoever it names must
    prove itself like the master that it is. The place where the master was last is tried first, so that connected
    workers need the name server no more.

    Args:
        address: ``host:port`` of the name server.
        study: Name of the study.
        access: How to prove oneself.
    """

    def __init__(self, address: str, study: str, access: Access) -> None:
        self._address = address
        self._study = study
        self._access = access
        self._last = ""

    def __call__(self) -> Line:
        """A new connection to the master.

        Raises:
            MasterUnreachableError: Neither name server nor master answers, or it does not know the study (yet).
            AuthenticationError: One end does not accept the other.
            CredentialsError: The master is on another machine, and there are no credentials.
        """
        deadline = time.monotonic() + CONNECT_SECONDS
        last, self._last = self._last, ""
        line = None
        if last and last != self._address:
            with contextlib.suppress(MasterUnreachableError, ProtocolError):
                line = self._served_at(last, deadline)
        if line is None:
            try:
                line = self._served_at(self._address, deadline)
            except (MasterUnreachableError, ProtocolError) as error:
                line = self._hinted(error, deadline)
        self._last = line.address
        return line

    def _hinted(self, error: Exception, deadline: float) -> Line:
        """A connection to where an external name server says that the master is.

        Raises:
            MasterUnreachableError: There is none now; whoever it named proves nothing, so it may be another tomorrow.
        """
        address = self._hint(error, deadline)
        try:
            return self._served_at(address, deadline)
        except ProtocolError as refused:
            raise MasterUnreachableError(
                f"the name server at {self._address} names a master that is none of this study: {refused}"
            ) from refused

    def _served_at(self, address: str, deadline: float) -> Line:
        """A connection to the daemon at an address, if it serves the study."""
        self._access.check(address)
        line = Line(address, NAME_SERVER_OBJECT, MSGPACK, self._access, _left(deadline))
        try:
            names = names_at(line)
        except BaseException:
            line.close()
            raise
        if names.get(master_name(self._study)) == _on_same_daemon(names):
            return line
        line.close()
        raise MasterUnreachableError(_unknown(address, self._study, names))

    def _hint(self, error: Exception, deadline: float) -> str:
        """Where an external name server says that the master is; ``error`` if there is none."""
        try:
            line = Line(self._address, NAME_SERVER_OBJECT, JSON, None, _left(deadline))
        except (MasterUnreachableError, AuthenticationError):
            raise error from None
        with contextlib.closing(line):
            names = names_at(line)
        uri = names.get(master_name(self._study))
        if uri is None:
            raise MasterUnreachableError(_unknown(self._address, self._study, names))
        location = uri.partition("@")[2]
        if not is_address(location):
            raise MasterUnreachableError(
                f"the name server at {self._address} says that the master of {self._study!r} is at {uri!r}, "
                "which is no HOST:PORT"
            )
        return location


def _left(deadline: float) -> float:
    """What is left of the time, and a moment where nothing is: the next place may answer at once."""
    return max(_MOMENT_S, deadline - time.monotonic())


def names_at(line: Line, *prefix: str) -> dict[str, str]:
    """The names that a name server knows, and their URIs.

    Args:
        line: A connection to it.
        prefix: What the names begin with; all of them without it.

    Raises:
        MasterUnreachableError: It does not answer.
        ProtocolError: It is no name server.
    """
    names: Any = line.call(NAME_SERVER_OBJECT, "list", *prefix, timeout_s=CONNECT_SECONDS)
    if not isinstance(names, dict) or not all(isinstance(uri, str) for uri in names.values()):
        raise ProtocolError(f"{line.address} is no name server")
    return names


def _on_same_daemon(names: dict[str, str]) -> str:
    """The URI of a master that is served by the daemon of the name server itself."""
    return names.get(NAME_SERVER_OBJECT, "").replace(NAME_SERVER_OBJECT, MASTER_OBJECT, 1)


def _unknown(address: str, study: str, names: dict[str, str]) -> str:
    known = ", ".join(sorted(filter(None, map(study_of, names)))) or "none"
    return f"the name server at {address} does not know study {study!r}; it knows {known}"
