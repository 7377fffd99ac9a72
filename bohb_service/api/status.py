"""What commands ask of a run from outside: of its master if one serves it, else of its journal."""

from pathlib import Path
from typing import Any

from bohb_service.errors import MasterUnreachableError
from bohb_service.journal.run_directory import MasterAddress, RunDirectory
from bohb_service.journal.sqlite import SqliteJournal
from bohb_service.results.run import load_run
from bohb_service.rpc.client import AdminClient


def run_status(directory: Path) -> dict[str, Any]:
    """The status of a run.

    Returns:
        What `bohb_service.master.status.status_of` says and where its master is (``master``); without a master
        the ``state`` is ``finished`` or ``not running``, and the rest is as the journal has it.

    Raises:
        JournalError: The directory holds no run.
    """
    address = _address(directory)
    if address is not None:
        client = AdminClient(address.host, address.port)
        try:
            where = {"host": address.host, "port": address.port, "pid": address.pid, "hostname": address.hostname}
            return {**client.status(), "master": where}
        except MasterUnreachableError:
            pass  # it was killed and could not remove its address
        finally:
            client.close()
    return {**load_run(directory).status(), "master": None}


def stop_run(directory: Path) -> None:
    """Ask the master of a run to end when nothing runs.

    Raises:
        JournalError: The directory holds no run.
        MasterUnreachableError: No master serves it.
    """
    address = _address(directory)
    if address is None:
        raise MasterUnreachableError(f"no master serves {directory} now; there is nothing to stop")
    client = AdminClient(address.host, address.port)
    try:
        client.drain()
    finally:
        client.close()


def _address(directory: Path) -> MasterAddress | None:
    run = RunDirectory(directory)
    SqliteJournal.open(run.journal, read_only=True).close()
    return run.read_address()
