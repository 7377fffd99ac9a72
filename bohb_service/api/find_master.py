"""Finds the master of a run through its run directory."""

import logging
import socket
from pathlib import Path

from bohb_service.errors import MasterUnreachableError, StudyEndedError
from bohb_service.journal.run_directory import MasterAddress, RunDirectory
from bohb_service.rpc.access import Access
from bohb_service.rpc.line import Line
from bohb_service.rpc.locate import ByNameServer, Connect
from bohb_service.rpc.pyro import format_address
from bohb_service.security.credentials import load_credentials
from bohb_service.security.tokens import Role

log = logging.getLogger("bohb_service.worker")


def access_of(address: MasterAddress, role: Role, credentials: Path | None = None) -> Access:
    """How a client proves itself to the master of a run.

    Args:
        address: What the run directory says of the master.
        role: As what the client comes.
        credentials: What it shows; None: as the run directory says.

    Raises:
        CredentialsError: The credentials cannot be used.
    """
    if credentials is None and address.credentials is not None:
        credentials = Path(address.credentials)
    if credentials is None:
        return Access(role, insecure=address.insecure)
    return Access(role, load_credentials(credentials, role))


def reachable_host(address: MasterAddress) -> str:
    """The host to connect to from this machine."""
    return address.local_host if address.hostname == socket.gethostname() else address.host


def by_run_directory(path: Path, credentials: Path | None = None) -> Connect:
    """Find the master of a run through the name server whose address the run directory holds.

    Args:
        path: The run directory.
        credentials: What a worker shows; None: as the run directory says.
    """
    directory = RunDirectory(path)
    is_warned = False

    def connect() -> Line:
        address = directory.read_address()
        if address is None and directory.has_ended:
            raise StudyEndedError(
                f"the study in {path} has ended; to go on, run it with wider stopping rules before workers are started"
            )
        if address is None:
            missing = "" if path.is_dir() else ", and there is no such folder yet"
            raise MasterUnreachableError(f"no master serves {path} now{missing}; start one with `bohb-master run`")
        access = access_of(address, "worker", credentials)
        nonlocal is_warned
        if access.insecure and not is_warned:
            is_warned = True
            log.warning("insecure: whoever can write to %s decides which master gives jobs to this worker", path)
        return ByNameServer(format_address(reachable_host(address), address.port), address.study, access)()

    return connect
