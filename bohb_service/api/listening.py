"""Opens the port of a master where workers that were told of an earlier one look for it."""

import logging
from collections.abc import Callable
from dataclasses import replace

from bohb_service.errors import BohbError, ListenError
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.rpc.endpoint import Endpoint
from bohb_service.rpc.server import Server

log = logging.getLogger("bohb_service.api")


def open_server(
    endpoint: Endpoint, directory: RunDirectory, make: Callable[[Endpoint], Server], *, is_looked_for: bool
) -> Server:
    """A server at the port that was asked for, else at that of the run's last master, else at a free one.

    Workers of a cluster are told the port when they are started, and cannot be told another one.

    Args:
        endpoint: Where and how to listen; port 0 leaves the port to this function.
        directory: Of the run; it remembers the port.
        make: Makes a server.
        is_looked_for: Workers may be there that know the last port only.

    Raises:
        BohbError: As `Server` does.
        JournalWriteError: The port cannot be written down.
    """
    last = directory.read_port()
    server = _at(last, endpoint, make) if last is not None and endpoint.port == 0 else None
    if server is None:
        server = make(endpoint)
    if last not in {None, server.port} and is_looked_for:
        log.warning(
            "the master listens on port %d, the last one did on %d: workers that were told that address when they were "
            "started do not find it; end them, or let the master listen there again (--port %d)",
            *(server.port, last, last),
        )
    if server.port != last:
        try:
            directory.write_port(server.port)
        except BohbError:
            server.close()
            raise
    return server


def _at(port: int, endpoint: Endpoint, make: Callable[[Endpoint], Server]) -> Server | None:
    """A server at this port, or None if it is not free."""
    try:
        return make(replace(endpoint, port=port))
    except ListenError:
        return None
