"""Ways to find a master."""

from collections.abc import Callable
from pathlib import Path

from bohb_service.errors import MasterUnreachableError
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.rpc.name_server import look_up_master
from bohb_service.rpc.pyro import format_address

Locate = Callable[[], str]
"""Finds the address ``host:port`` of a master; MasterUnreachableError if there is none now."""


def by_name_server(address: str, study: str) -> Locate:
    """Find the master of a study through a name server at ``host:port``."""

    def locate() -> str:
        _, _, location = look_up_master(address, study).partition("@")
        return location

    return locate


def by_run_directory(path: Path) -> Locate:
    """Find the master of a run through the name server whose address the run directory holds."""
    directory = RunDirectory(path)

    def locate() -> str:
        address = directory.read_address()
        if address is None:
            raise MasterUnreachableError(f"no master serves {path} now; start one with `bohb-master run`")
        return by_name_server(format_address(address.host, address.port), address.study)()

    return locate
