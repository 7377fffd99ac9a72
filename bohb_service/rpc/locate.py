"""How a client finds its master."""

from collections.abc import Callable

from bohb_service.rpc.name_server import look_up_master

Locate = Callable[[], str]
"""Finds the address ``host:port`` of a master; MasterUnreachableError if there is none now."""


def by_name_server(address: str, study: str) -> Locate:
    """Find the master of a study through a name server at ``host:port``."""

    def locate() -> str:
        _, _, location = look_up_master(address, study).partition("@")
        return location

    return locate
