"""The bytes of exchanges: every part is checked, and what is no message is refused."""

import math

import pytest

from bohb_service.errors import ProtocolError
from bohb_service.rpc import wire
from bohb_service.rpc.messages import PROTOCOL_VERSION, Request, WorkerInfo

OK = ["s1", 1, [], [], [], 0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, 5),
        (1, "1"),
        (1, True),
        (2, [[1.5, ["released", "lost", ""]]]),
        (2, [[1, ["released", "stolen", ""]]]),
        (2, [[1, ["released", "lost", 5]]]),
        (2, [[1, ["completed", "0.5", {}, 0.0, []]]]),
        (2, [[1, ["completed", 0.5, [], 0.0, []]]]),
        (2, [[1, ["completed", math.nan, {}, 0.0, []]]]),
        (2, [[1, ["completed", -math.inf, {}, 0.0, []]]]),
        (2, [[1, ["completed", 0.5, {}, math.nan, []]]]),
        (2, [[1, ["completed", 0.5, {}, -1.0, []]]]),
        (2, [[1, ["completed", 0.5, {"a": [{"b": b"bytes"}]}, 0.0, []]]]),
        (2, [[1, ["completed", 0.5, {"a": {1: 2}}, 0.0, []]]]),
        (2, [[1, ["failed", ["exit"], "m", "d", 0.0, []]]]),
        (2, [[1, ["completed", 0.5, {}, "long", []]]]),
        (2, [[1, ["completed", 0.5, {}, 0.0, [[1.0]]]]]),
        (2, [[1, ["failed", "because", "m", "d", 0.0, []]]]),
        (2, [[1, ["failed", "exit", 5, "d", 0.0, []]]]),
        (2, [[1, ["failed", "exit", "m", 5, 0.0, []]]]),
        (2, [[1]]),
        (3, [[1, 2.0]]),
        (3, [["a", 1.0, 2.0]]),
        (4, [1.0]),
        (4, ["1"]),
        (5, 1.0),
        (6, "soon"),
        (7, -1.0),
    ],
)
def test_every_part_of_a_request_is_checked(place, value):
    assert wire.unpack_request(wire.pack(OK)) == ("s1", Request(1))
    broken = [*OK]
    broken[place] = value
    with pytest.raises(ProtocolError, match="a request has not the form that protocol expects"):
        wire.unpack_request(wire.pack(broken))


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, 5), (1, None), (2, "x"), (3, "x"), (4, 5), (5, "x"), (6, 5), (7, ["x"]), (7, [[1, 2]]), (7, [["1", "e"]])],
)
def test_every_part_of_an_introduction_is_checked(place, value):
    plain = ["w", "h", 1, 2.0, "0", PROTOCOL_VERSION, "", [[3, "e"]]]
    assert wire.unpack_info(wire.pack(plain)) == WorkerInfo("w", "h", 1, 2.0, "0", running=((3, "e"),))
    plain[place] = value
    with pytest.raises(ProtocolError, match="a registration has not the form"):
        wire.unpack_info(wire.pack(plain))


@pytest.mark.parametrize("plain", [[], [1, [], ""], ["s1", ["x"], ""], ["s1", [], 5], ["s1", 5, ""], "s1", None])
def test_every_part_of_a_goodbye_is_checked(plain):
    assert wire.unpack_goodbye(wire.pack_goodbye("s1", (1, 2), "bye")) == ("s1", (1, 2), "bye")
    with pytest.raises(ProtocolError, match="goodbye"):
        wire.unpack_goodbye(wire.pack(plain))


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x92\x01", wire.pack([1]) + b"\x01", b"\x81\x90\x01"])
def test_bytes_that_are_no_message_are_refused(data):
    for unpack in (wire.unpack_request, wire.unpack_answer, wire.unpack_info, wire.unpack_registration):
        with pytest.raises(ProtocolError, match=f"a message of {len(data)} bytes cannot be read"):
            unpack(data)
