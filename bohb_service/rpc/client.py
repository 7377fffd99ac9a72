"""The worker's and the commands' end."""

import reprlib
from typing import Any

from bohb_service.errors import CredentialsError, MasterUnreachableError, ProtocolError, UnknownSessionError
from bohb_service.rpc import wire
from bohb_service.rpc.about import About, from_plain
from bohb_service.rpc.access import Access
from bohb_service.rpc.line import Line
from bohb_service.rpc.locate import Connect
from bohb_service.rpc.messages import Answer, Registration, Request, WorkerInfo
from bohb_service.rpc.pyro import ADMIN_OBJECT, MASTER_OBJECT, format_address
from bohb_service.rpc.serialisers import MSGPACK

CALL_SECONDS = 15.0
"""How long a call may take beyond the time it asks the master to wait."""

QUICK_CALL_SECONDS = 5.0
"""The same for an exchange that asks for no waiting, made while a job runs that has to be looked after."""


class _Caller:
    """One object at one master; connects when needed, and again after a failure."""

    def __init__(self, connect: Connect, target: str) -> None:
        self._connect = connect
        self._target = target
        self._line: Line | None = None
        self._was_trusted = False

    def call(self, method: str, *arguments: bytes, timeout_s: float = CALL_SECONDS) -> Any:
        """The payload of a method's answer.

        Raises:
            MasterUnreachableError: No connection, or it broke, or no answer came in time.
            UnknownSessionError: The master does not know the session.
            ProtocolError: The master refused the call, or has never accepted this client.
            CredentialsError: The client has nothing to show and must not do without, and never was accepted.
        """
        finished = False
        try:
            line = self._connected()
            reply = wire.unpack(line.call(self._target, method, *arguments, timeout_s=timeout_s))
            finished = True
        finally:
            if not finished:
                self.close()
        self._was_trusted = True
        match reply:
            case ["ok", payload]:
                return payload
            case ["error", "unknown-session", str() as message]:
                raise UnknownSessionError(message)
            case ["error", "internal", str() as message]:
                raise MasterUnreachableError(message)
            case ["error", _, str() as message]:
                raise ProtocolError(message)
        raise ProtocolError(f"the master's answer is not understood: {reprlib.repr(reply)}")

    def _connected(self) -> Line:
        if self._line is None:
            try:
                self._line = self._connect()
            except (ProtocolError, CredentialsError) as error:
                # Once it was trusted, it is the place that has changed hands: the master may come back.
                if self._was_trusted:
                    raise MasterUnreachableError(str(error)) from error
                raise
        return self._line

    def close(self) -> None:
        """Close the connection; the next call makes a new one."""
        line, self._line = self._line, None
        if line is not None:
            line.close()


class MasterClient:
    """A worker's connection to its master; owned by one thread, blocking.

    Every call may be repeated: an exchange with the same ``seq`` gets the same answer.

    Args:
        connect: Finds the master and connects to it, anew after each lost connection.
    """

    def __init__(self, connect: Connect) -> None:
        self._caller = _Caller(connect, MASTER_OBJECT)
        self._session = ""

    def register(self, info: WorkerInfo) -> Registration:
        """Introduce the worker.

        Raises:
            MasterUnreachableError: There is no master now; try again.
            ProtocolError: The master refuses this worker; trying again does not help.
        """
        registration = wire.unpack_registration(self._caller.call("register", wire.pack_info(info)))
        self._session = registration.session
        return registration

    def exchange(self, request: Request) -> Answer:
        """Deliver results, renew leases, lease jobs; waits up to ``request.wait_s`` for a job.

        Raises:
            MasterUnreachableError: The connection failed; repeat the same request.
            UnknownSessionError: Register again.
            ProtocolError: The master refused the request.
        """
        data = wire.pack_request(self._session, request)
        timeout_s = request.wait_s + CALL_SECONDS if request.wait_s else QUICK_CALL_SECONDS
        return wire.unpack_answer(self._caller.call("exchange", data, timeout_s=timeout_s))

    def goodbye(self, unstarted: tuple[int, ...], reason: str) -> None:
        """Leave, and give back leases that were not begun.

        Raises:
            MasterUnreachableError: The master could not be told.
        """
        self._caller.call("goodbye", wire.pack_goodbye(self._session, unstarted, reason))

    def about(self) -> About:
        """What the master is; the worker need not be registered.

        Raises:
            MasterUnreachableError: There is no master now.
            ProtocolError: The master is of a version that does not tell.
        """
        return from_plain(self._caller.call("about"))

    def close(self) -> None:
        """Close the connection; the next call makes a new one."""
        self._caller.close()


class AdminClient:
    """What commands ask of a running master.

    Args:
        host: Address of the master.
        port: Its TCP port.
        access: How to prove oneself, as an admin.
    """

    def __init__(self, host: str, port: int, access: Access) -> None:
        address = format_address(host, port)

        def connect() -> Line:
            access.check(address)
            return Line(address, ADMIN_OBJECT, MSGPACK, access)

        self._caller = _Caller(connect, ADMIN_OBJECT)

    def status(self) -> dict[str, Any]:
        """What is going on, as plain values.

        Raises:
            MasterUnreachableError: No master answers.
        """
        status: dict[str, Any] = self._caller.call("status")
        return status

    def drain(self) -> None:
        """Ask the master to hand out nothing more and to end when nothing runs.

        Raises:
            MasterUnreachableError: No master answers.
        """
        self._caller.call("drain")

    def close(self) -> None:
        """Close the connection."""
        self._caller.close()
