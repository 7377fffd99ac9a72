"""The proxy does to connections what it was told, and nothing else."""

import contextlib
import socket
import threading
import time

import pytest

from tests.chaos.proxy import Proxy
from tests.polling import wait_until


@pytest.fixture
def received():
    return []


@pytest.fixture
def proxy(received):
    """A proxy before a server that answers each line with the same line."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection):
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as lines:
            for line in lines:
                received.append(line)
                connection.sendall(line)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    proxy = Proxy(listener.getsockname)
    yield proxy
    proxy.close()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def client(proxy):
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        yield client


def say(client, text):
    client.sendall(text + b"\n")
    return client.recv(100)


def open_up(client):
    """The first two replies are never lost."""
    assert [say(client, b"one"), say(client, b"two")] == [b"one\n", b"two\n"]


def test_it_forwards_both_ways(client):
    assert say(client, b"hello") == b"hello\n"
    assert say(client, b"again") == b"again\n"


def test_a_lost_reply_was_asked_for_and_ends_its_connection(proxy, client, received):
    open_up(client)
    proxy.lose("reply", 1)
    wait_until(lambda: proxy._orders)
    with pytest.raises(ConnectionResetError):
        say(client, b"three")
    assert received == [b"one\n", b"two\n", b"three\n"]
    assert proxy.effects["lost: reply"] == 1


def test_half_a_reply_comes_through(proxy, client):
    open_up(client)
    proxy.lose("half a reply", 1)
    wait_until(lambda: proxy._orders)
    assert say(client, b"12345678") == b"1234"
    assert client.recv(100) == b""


def test_a_lost_request_never_arrives(proxy, client, received):
    open_up(client)
    proxy.lose("request", 1)
    wait_until(lambda: proxy._orders)
    with pytest.raises(ConnectionResetError):
        say(client, b"three")
    assert received == [b"one\n", b"two\n"]


@pytest.mark.parametrize("reset", [True, False])
def test_what_is_held_arrives_later_or_never(proxy, client, received, reset):
    open_up(client)
    proxy.hold()
    wait_until(lambda: not proxy._open.is_set())
    client.sendall(b"three\n")
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.recv(100)
    assert len(received) == 2
    client.settimeout(10)
    proxy.release(reset=reset)
    if reset:
        with pytest.raises(ConnectionResetError):
            client.recv(100)
    else:
        assert client.recv(100) == b"three\n"


def test_everything_can_be_late(proxy, client):
    proxy.delay(0.2)
    began = time.monotonic()
    assert say(client, b"hello") == b"hello\n"
    assert time.monotonic() - began >= 0.4


@pytest.mark.parametrize("reset", [True, False])
def test_connections_end_as_ordered(proxy, client, reset):
    open_up(client)
    proxy.cut(1.0, 0.5, reset=reset)
    if reset:
        with pytest.raises(ConnectionResetError):
            client.recv(100)
    else:
        assert client.recv(100) == b""
    assert proxy.effects["connections ended"] == 1
