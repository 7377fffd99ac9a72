"""How much the transport takes, in which pieces, and what becomes of peers that read too little."""

import contextlib
import time

import pytest

from bohb_service.errors import MasterUnreachableError
from bohb_service.rpc import connection, frames, loop, wire
from bohb_service.rpc.messages import Answer, Request
from tests.peers import (
    INFO,
    admitted_socket,
    announced,
    call_frame,
    is_closed,
    open_socket,
    read_frame,
    serving,
    status_of,
    worker_of,
)
from tests.polling import wait_until


def exchange_frame(number):
    return call_frame(number, "exchange", wire.pack_request("s1", Request(number)))


def test_requests_may_arrive_in_pieces_and_several_at_once(server, service):
    with admitted_socket(server) as sock:
        messages = [exchange_frame(number) for number in (1, 2, 3)]
        cut = len(messages[2]) - 5
        for piece in (messages[0][:3], messages[0][3:41], messages[0][41:] + messages[1] + messages[2][:cut]):
            sock.sendall(piece)
            assert status_of(server)
        wait_until(lambda: len(service.requests) == 2)
        sock.sendall(messages[2][cut:])
        wait_until(lambda: len(service.requests) == 3)
        assert [request.seq for request in service.requests] == [1, 2, 3]
        assert [read_frame(sock)[0].seq for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("size", [connection.MAX_HANDSHAKE_BYTES, connection.MAX_HANDSHAKE_BYTES + 1])
def test_a_handshake_has_its_largest_size(server, size):
    with open_socket(server) as sock:
        sock.sendall(announced(frames.CONNECT, size))
        if size > connection.MAX_HANDSHAKE_BYTES:
            assert is_closed(sock)
            assert server.loop.refusals.counts == {"a message that is too large for a peer that is not admitted": 1}
        else:
            assert not is_closed(sock, 0.2)


@pytest.mark.parametrize("size", [connection.MAX_REQUEST_BYTES, connection.MAX_REQUEST_BYTES + 1])
def test_a_request_has_its_largest_size(server, size):
    with admitted_socket(server) as sock:
        sock.sendall(announced(frames.INVOKE, size))
        if size > connection.MAX_REQUEST_BYTES:
            assert is_closed(sock)
            assert server.loop.refusals.counts == {"a message that is too large": 1}
        else:
            assert not is_closed(sock, 0.2)


def test_a_request_of_the_largest_size_arrives(server, service):
    overhead = len(call_frame(1, "exchange", b"\0" * (1 << 20))) - (1 << 20) - frames.HEADER_BYTES
    data = b"\xc1" * (connection.MAX_REQUEST_BYTES - overhead)
    with admitted_socket(server) as sock:
        sock.sendall(call_frame(1, "exchange", data))
        _, answer = read_frame(sock)
    assert b"cannot be read" in answer
    assert server.loop.refusals.counts == {}


def test_large_messages_that_are_not_whole_share_a_budget(server, service, monkeypatch):
    monkeypatch.setattr(loop, "MAX_BUFFERED_BYTES", 3 << 20)
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(admitted_socket(server)) for _ in range(4)]
        for number, sock in enumerate(socks):
            sock.sendall(announced(frames.INVOKE, 2 << 20) + b"\0" * ((900 - number) << 10))
        wait_until(lambda: server.loop.refusals.counts["too many large messages at once"] == 1)
        assert [is_closed(sock, 0.1) for sock in socks].count(True) == 1
        sock = stack.enter_context(admitted_socket(server))
        sock.sendall(exchange_frame(1))
        assert read_frame(sock)[0].seq == 1


def test_a_message_must_come_to_its_end_in_time(server, monkeypatch):
    monkeypatch.setattr(loop, "MESSAGE_SECONDS", 0.3)
    with admitted_socket(server) as slow, admitted_socket(server) as idle:
        slow.sendall(announced(frames.INVOKE, 1000))
        wait_until(lambda: server.loop.refusals.counts["did not finish a message in time"] == 1)
        assert is_closed(slow)
        idle.sendall(exchange_frame(1))  # to be silent between messages is no offence
        assert read_frame(idle)[0].seq == 1


def test_answers_that_nobody_reads_share_a_budget(server, service, monkeypatch):
    monkeypatch.setattr(loop, "MAX_UNSENT_BY_ALL_BYTES", 1 << 20)
    service.answer = Answer(stop="x" * (1 << 20))
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            sock = stack.enter_context(admitted_socket(server))
            sock.settimeout(0.05)
            for number in range(1, 13):
                with contextlib.suppress(OSError):
                    sock.sendall(exchange_frame(number))
        wait_until(lambda: server.loop.refusals.counts["does not read its answers"] > 0)


def test_a_peer_that_does_not_read_is_dropped_before_it_fills_the_memory(server, service, monkeypatch):
    monkeypatch.setattr(loop, "MAX_UNSENT_BYTES", 1 << 20)
    service.answer = Answer(stop="x" * 100_000)
    with admitted_socket(server) as sock:
        sock.settimeout(0.05)
        deadline = time.monotonic() + 10
        number = 0
        while server.loop.n_connections:
            assert time.monotonic() < deadline, "it was not dropped"
            number += 1
            with contextlib.suppress(OSError):
                sock.sendall(exchange_frame(number & 0xFFFF))
    wait_until(lambda: service.gone == ["s1"])
    assert server.loop.refusals.counts == {"does not read its answers": 1}


def test_a_large_answer_to_a_slow_reader_arrives_whole(server, service):
    service.answer = Answer(stop="x" * (loop.MAX_UNSENT_BYTES - 200))
    client = worker_of(server)
    client.register(INFO)
    assert client.exchange(Request(1)) == service.answer
    client.close()


def test_an_answer_above_the_limit_is_not_sent(server, service):
    service.answer = Answer(stop="x" * loop.MAX_UNSENT_BYTES)
    client = worker_of(server)
    client.register(INFO)
    with pytest.raises(MasterUnreachableError, match="lost the connection"):
        client.exchange(Request(1))
    client.close()
    assert server.loop.refusals.counts == {"does not read its answers": 1}


def test_who_says_nothing_for_too_long_is_dropped(service, monkeypatch):
    with serving(service) as server:
        server.loop._idle_s = 0.3
        with admitted_socket(server) as sock:
            sock.sendall(exchange_frame(1))
            read_frame(sock)
            assert is_closed(sock)
        assert server.loop.refusals.counts == {"was silent for too long": 1}
        wait_until(lambda: service.gone == ["s1"])


def test_there_are_only_so_many_connections(server):
    server.loop._max_connections = 2
    with admitted_socket(server), admitted_socket(server), open_socket(server) as third:
        assert is_closed(third)
        assert server.loop.refusals.counts == {"too many connections": 1}
    wait_until(lambda: server.loop.n_connections == 0)
    assert status_of(server)
