"""Finds the master of a run through its run directory."""

from pathlib import Path

from bohb_service.errors import MasterUnreachableError
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.rpc.locate import Locate, by_name_server
from bohb_service.rpc.pyro import format_address


def by_run_directory(path: Path) -> Locate:
    """Find the master of a run through the name server whose address the run directory holds."""
    directory = RunDirectory(path)

    def locate() -> str:
        address = directory.read_address()
        if address is None:
            raise MasterUnreachableError(f"no master serves {path} now; start one with `bohb-master run`")
        return by_name_server(format_address(address.host, address.port), address.study)()

    return locate
