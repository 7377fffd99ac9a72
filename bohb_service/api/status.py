"""What commands ask of a run from outside: of its master if one serves it, else of its journal."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bohb_service.api.find_master import access_of, reachable_host
from bohb_service.errors import AuthenticationError, CredentialsError, MasterUnreachableError, TransportError
from bohb_service.journal.run_directory import MasterAddress, RunDirectory
from bohb_service.journal.sqlite import SqliteJournal
from bohb_service.results.plain import strict
from bohb_service.results.run import load_run
from bohb_service.rpc.client import AdminClient

log = logging.getLogger("bohb_service.api")


def run_status(directory: Path, credentials: Path | None = None) -> dict[str, Any]:
    """The status of a run.

    Args:
        directory: Its directory.
        credentials: Of an admin; None: as the run directory says.

    Returns:
        What `bohb_service.master.status.status_of` says and where its master is (``master``); without a master
        that answers, everything is as the journal has it, see `Run.status`.

    Raises:
        JournalError: The directory holds no run.
        CredentialsError: The credentials cannot be used.
    """
    address = _address(directory)
    if address is not None:
        try:
            with _connected(address, credentials) as client:
                return _live_status(client, address)
        except AuthenticationError:
            raise
        except TransportError:
            pass  # a master that was killed could not remove its address; its port may be another one's by now
        except CredentialsError as error:
            if credentials is not None:
                raise
            log.warning("the master cannot be asked, the journal can: %s", error)
    return {**load_run(directory).status(), "master": None}


def _live_status(client: AdminClient, address: MasterAddress) -> dict[str, Any]:
    where = {"host": address.host, "port": address.port, "pid": address.pid, "hostname": address.hostname}
    status: dict[str, Any] = strict({**_status(client, address), "master": where})
    return status


def check_health(directory: Path, credentials: Path | None = None) -> None:
    """Do nothing if the master of a run answers.

    Args:
        directory: Its directory.
        credentials: Of an admin; None: as the run directory says.

    Raises:
        JournalError: The directory holds no run.
        MasterUnreachableError: No master serves it.
    """
    with _served(directory, credentials):
        pass


def stop_run(directory: Path, credentials: Path | None = None) -> None:
    """Ask the master of a run to end when nothing runs.

    Args:
        directory: Its directory.
        credentials: Of an admin; None: as the run directory says.

    Raises:
        JournalError: The directory holds no run.
        MasterUnreachableError: No master serves it.
    """
    with _served(directory, credentials) as client:
        client.drain()


@contextlib.contextmanager
def _served(directory: Path, credentials: Path | None) -> Iterator[AdminClient]:
    """A connection to the master of a run, which has answered."""
    address = _address(directory)
    if address is None:
        raise MasterUnreachableError(f"no master serves {directory} now; there is nothing to stop or to ask")
    with _connected(address, credentials) as client:
        _status(client, address)
        yield client


@contextlib.contextmanager
def _connected(address: MasterAddress, credentials: Path | None) -> Iterator[AdminClient]:
    client = AdminClient(reachable_host(address), address.port, access_of(address, "admin", credentials))
    try:
        yield client
    finally:
        client.close()


def _status(client: AdminClient, address: MasterAddress) -> dict[str, Any]:
    status = client.status()
    if status.get("study_id") != address.study_id:
        raise MasterUnreachableError(
            f"no master serves study {address.study!r} now: {address.host}:{address.port} belongs to another one"
        )
    return status


def _address(directory: Path) -> MasterAddress | None:
    run = RunDirectory(directory)
    SqliteJournal.open(run.journal, read_only=True).close()
    return run.read_address()
