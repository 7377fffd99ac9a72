"""Where a master listens when it is not told: where workers that were told of the last one look for it."""

import socket

import pytest

from bohb_service.api.listening import open_server
from bohb_service.clock import SystemClock
from bohb_service.errors import ListenError
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.rpc.endpoint import Endpoint
from bohb_service.rpc.server import Server


@pytest.fixture
def listen(tmp_path):
    """Opens the port of a master of one run, and closes it; which one it was."""

    def listen(port=0, *, is_looked_for=True):
        made = open_server(
            Endpoint(port=port),
            RunDirectory(tmp_path),
            lambda endpoint: Server(endpoint, "s", SystemClock()),
            is_looked_for=is_looked_for,
        )
        made.close()
        return made.port

    return listen


@pytest.fixture
def taken():
    """Takes a port of this machine until the end of the test."""
    with socket.socket() as other:

        def take(port=0):
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", port))
            other.listen()
            return other.getsockname()[1]

        yield take


def test_the_next_master_takes_the_port_of_the_last_one(listen, caplog):
    first = listen()
    assert [listen() for _ in range(3)] == [first] * 3
    assert caplog.messages == []


def test_where_that_is_taken_it_takes_another_and_says_so(listen, taken, caplog):
    first = listen()
    taken(first)
    second = listen()
    assert second not in {0, first}
    (told,) = caplog.messages
    assert f"listens on port {second}, the last one did on {first}" in told
    assert f"--port {first}" in told
    assert listen() == second


def test_nothing_is_said_where_nobody_looks_for_it(listen, taken, caplog):
    taken(listen())
    assert listen(is_looked_for=False)
    assert caplog.messages == []


def test_a_port_that_is_asked_for_wins_and_is_remembered(listen, taken, caplog):
    first = listen()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    assert listen(free) == free != first
    assert len(caplog.messages) == 1
    assert listen() == free
    occupied = taken()
    with pytest.raises(ListenError, match=f"port {occupied}"):
        listen(occupied)
    assert listen() == free


@pytest.mark.parametrize("text", ["", "x", "0", "65536", "-1"])
def test_a_port_that_cannot_be_is_none(tmp_path, text):
    (tmp_path / "port").write_text(text)
    assert RunDirectory(tmp_path).read_port() is None
