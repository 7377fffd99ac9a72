"""The worker's and the commands' end."""

import contextlib
from typing import Any

from Pyro5 import errors
from Pyro5.api import Proxy

from bohb_service.errors import MasterUnreachableError, ProtocolError, UnknownSessionError
from bohb_service.rpc import wire
from bohb_service.rpc.locate import Locate
from bohb_service.rpc.messages import Answer, Registration, Request, WorkerInfo
from bohb_service.rpc.pyro import ADMIN_OBJECT, MASTER_OBJECT, SERIALIZER, format_address, tune_socket

CALL_SECONDS = 15.0
"""How long a call may take beyond the time it asks the master to wait."""

QUICK_CALL_SECONDS = 5.0
"""The same for an exchange that asks for no waiting, made while a job runs that has to be looked after."""


class _Caller:
    """One object at one master; connects when needed, and again after a failure."""

    def __init__(self, locate: Locate, name: str) -> None:
        self._locate = locate
        self._name = name
        self._proxy: Any = None

    def call(self, method: str, *arguments: bytes, timeout_s: float = CALL_SECONDS) -> Any:
        """The payload of a method's answer.

        Raises:
            MasterUnreachableError: No connection, or it broke, or no answer came in time.
            UnknownSessionError: The master does not know the session.
            ProtocolError: The master refused the call.
        """
        finished = False
        try:
            proxy = self._connected()
            proxy._pyroTimeout = timeout_s  # noqa: SLF001  (Pyro5's public option has this name)
            reply = wire.unpack(proxy._pyroInvoke(method, arguments, {}))  # noqa: SLF001  (spares a metadata look-up)
            finished = True
        except (errors.CommunicationError, OSError) as error:
            raise MasterUnreachableError(f"no answer from the master: {error}") from error
        except errors.PyroError as error:
            raise ProtocolError(f"the peer is no master of this version: {error}") from error
        finally:
            if not finished:
                self.close()
        match reply:
            case ["ok", payload]:
                return payload
            case ["error", "unknown-session", str() as message]:
                raise UnknownSessionError(message)
            case ["error", "internal", str() as message]:
                raise MasterUnreachableError(message)
            case ["error", _, str() as message]:
                raise ProtocolError(message)
        raise ProtocolError(f"the master's answer is not understood: {str(reply)[:80]}")

    def _connected(self) -> Any:
        if self._proxy is None:
            proxy = Proxy(f"PYRO:{self._name}@{self._locate()}")
            proxy._pyroSerializer = SERIALIZER  # noqa: SLF001
            proxy._pyroTimeout = CALL_SECONDS  # noqa: SLF001
            self._proxy = proxy
            proxy._pyroBind()  # noqa: SLF001
            tune_socket(proxy._pyroConnection.sock)  # noqa: SLF001
        return self._proxy

    def close(self) -> None:
        """Close the connection; the next call makes a new one."""
        proxy, self._proxy = self._proxy, None
        if proxy is not None:
            with contextlib.suppress(errors.PyroError, OSError):
                proxy._pyroRelease()  # noqa: SLF001


class MasterClient:
    """A worker's connection to its master; owned by one thread, blocking.

    Every call may be repeated: an exchange with the same ``seq`` gets the same answer.

    Args:
        locate: Finds the master, anew after each lost connection.
    """

    def __init__(self, locate: Locate) -> None:
        self._caller = _Caller(locate, MASTER_OBJECT)
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

    def close(self) -> None:
        """Close the connection; the next call makes a new one."""
        self._caller.close()


class AdminClient:
    """What commands ask of a running master.

    Args:
        host: Address of the master.
        port: Its TCP port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._caller = _Caller(lambda: format_address(host, port), ADMIN_OBJECT)

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
