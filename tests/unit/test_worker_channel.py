"""Messages between worker and objective process."""

import socket
import struct
import threading

import pytest

from bohb_service.scheduler.outcomes import Completed, Failed, Released
from bohb_service.scheduler.replies import Job
from bohb_service.scheduler.trial import REFIT_RUNG, TrialId
from bohb_service.worker import protocol
from bohb_service.worker.channel import MAX_FRAME_BYTES, Channel, ChannelError


@pytest.fixture
def pair():
    left, right = (Channel(end) for end in socket.socketpair())
    yield left, right
    left.close()
    right.close()


def test_messages_arrive_in_order_however_the_bytes_are_cut(pair):
    left, right = pair
    frames = b"".join(left.pack(message) for message in (["a", 1], ["b", {"x": 0.5}], ["c"]))
    received = []
    for byte in frames:
        left.send(bytes([byte]))
        received += right.receive_ready()

    assert [message for message, _ in received] == [["a", 1], ["b", {"x": 0.5}], ["c"]]


def test_sizes_are_those_of_the_packed_messages(pair):
    left, right = pair
    left.send(left.pack(["x" * 1000]))

    ((_, size),) = right.receive()
    assert 1000 < size < 1010


def test_a_message_larger_than_the_sockets_buffer_arrives(pair):
    left, right = pair
    thread = threading.Thread(target=lambda: left.send(left.pack(["x" * 3_000_000])))
    thread.start()

    ((message, _),) = right.receive()
    thread.join()
    assert message == ["x" * 3_000_000]


def test_nothing_ready_is_no_end(pair):
    _, right = pair

    assert right.receive_ready() == []
    assert not right.is_closed


def test_the_end_comes_after_the_last_message(pair):
    left, right = pair
    left.send(left.pack(["last"]) + b"\x00\x00")
    left.close()

    assert [message for message, _ in right.receive_ready()] == [["last"]]
    assert right.is_closed
    assert right.receive() == []


@pytest.mark.parametrize("garbage", [struct.pack(">I", MAX_FRAME_BYTES + 1), struct.pack(">I", 1) + b"\xc1"])
def test_garbage_is_an_error(pair, garbage):
    left, right = pair
    left.send(garbage)

    with pytest.raises(ChannelError):
        right.receive_ready()


@pytest.mark.parametrize("rung", [0, 3, REFIT_RUNG])
def test_jobs_survive_the_way(pair, rung):
    left, right = pair
    job = Job(7, TrialId(3, rung), 2, {"x": 0.1, "kind": "a"}, 9.0, None, 11)
    left.send(left.pack(protocol.encode_job(job, "/there")))

    ((message, _),) = right.receive()
    assert protocol.decode_job(message) == (job, "/there")


@pytest.mark.parametrize(
    "outcome",
    [
        Completed(0.5, {"a": [1, {"b": None}]}, 1.5, ((0.0, 1.0), (1.0, 0.5))),
        Failed("crash", "message", "detail", 2.5, ((0.0, float("inf")),)),
    ],
)
def test_outcomes_survive_the_way(pair, outcome):
    left, right = pair
    left.send(left.pack(protocol.encode_outcome(outcome)))

    ((message, _),) = right.receive()
    assert protocol.decode_outcome(message) == outcome


def test_a_process_cannot_release_its_own_lease():
    with pytest.raises(TypeError):
        protocol.encode_outcome(Released("lost", "x"))
