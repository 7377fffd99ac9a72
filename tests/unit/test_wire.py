"""The bytes of exchanges: every part is checked, and what is no message is refused."""

import math
import subprocess
import sys

import msgpack
import pytest

from bohb_service.errors import ProtocolError
from bohb_service.rpc import wire
from bohb_service.rpc.messages import PROTOCOL_VERSION, Answer, Request, WorkerInfo
from bohb_service.scheduler.outcomes import Completed, Failed
from bohb_service.scheduler.replies import Job
from bohb_service.scheduler.trial import TrialId

OK = ["s1", 1, [], [], [], 0, 0.0, 0.0, ""]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, 5),
        (1, "1"),
        (1, True),
        (2, [[1.5, ["released", "lost", ""]]]),
        (2, [[1, ["released", "stolen", ""]]]),
        (2, [[1, ["released", "lost", 5]]]),
        (2, [[1, ["completed", "0.5", {}, 0.0, [], 0.0]]]),
        (2, [[1, ["completed", 0.5, [], 0.0, [], 0.0]]]),
        (2, [[1, ["completed", math.nan, {}, 0.0, [], 0.0]]]),
        (2, [[1, ["completed", -math.inf, {}, 0.0, [], 0.0]]]),
        (2, [[1, ["completed", 0.5, {}, math.nan, [], 0.0]]]),
        (2, [[1, ["completed", 0.5, {}, -1.0, [], 0.0]]]),
        (2, [[1, ["completed", 0.5, {"a": [{"b": b"bytes"}]}, 0.0, [], 0.0]]]),
        (2, [[1, ["completed", 0.5, {"a": {1: 2}}, 0.0, [], 0.0]]]),
        (2, [[1, ["failed", ["exit"], "m", "d", 0.0, []]]]),
        (2, [[1, ["completed", 0.5, {}, "long", [], 0.0]]]),
        (2, [[1, ["completed", 0.5, {}, 0.0, [[1.0]], 0.0]]]),
        (2, [[1, ["completed", 0.5, {}, 0.0, [], -1.0]]]),
        (2, [[1, ["completed", 0.5, {}, 0.0, [], math.nan]]]),
        (2, [[1, ["completed", 0.5, {}, 0.0, []]]]),
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
        (8, None),
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
    [
        (0, 5),
        (1, None),
        (2, "x"),
        (3, "x"),
        (4, 5),
        (5, "x"),
        (6, 5),
        (7, ["x"]),
        (7, [[1, 2]]),
        (7, [["1", "e"]]),
        (8, 5),
        (9, [1]),
        (9, {"gpu": None}),
        (9, {"gpu": math.nan}),
        (9, {5: 1}),
        (9, {str(number): number for number in range(101)}),
    ],
)
def test_every_part_of_an_introduction_is_checked(place, value):
    plain = ["w", "h", 1, 2.0, "0", PROTOCOL_VERSION, "", [[3, "e"]], "m", {"gpu": 1, "kind": "fast"}]
    told = WorkerInfo("w", "h", 1, 2.0, "0", running=((3, "e"),), machine="m", labels={"gpu": 1.0, "kind": "fast"})
    assert wire.unpack_info(wire.pack(plain)) == told
    plain[place] = value
    with pytest.raises(ProtocolError, match="a registration has not the form"):
        wire.unpack_info(wire.pack(plain))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *((0, ["x"]), (0, 5), (1, None), (1, [5]), (2, [True]), (2, None), (3, "x"), (3, 1.5), (3, None), (4, 5)),
        *(((1, 0, place), "x") for place in range(7)),
        *(((1, 0, 1), [1, "x"]), ((1, 0, 3), {1: 2}), ((1, 0, 4), None), ((1, 0, 4), math.nan), ((1, 0, 6), 0.5)),
    ],
)
def test_every_part_of_an_answer_is_checked(place, value):
    job = Job(7, TrialId(3, 1), 2, {"x": 0.5, "n": None}, 3.0, 1.0, 99)
    answer = Answer((1,), (job,), (2,), 3, "bye")
    assert wire.unpack_answer(wire.pack_answer(answer)) == answer
    plain = wire.unpack(wire.pack_answer(answer))
    *way, last = place if isinstance(place, tuple) else (place,)
    part = plain
    for step in way:
        part = part[step]
    part[last] = value
    with pytest.raises(ProtocolError, match="a answer has not the form"):
        wire.unpack_answer(wire.pack(plain))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *((place, 5) for place in (0, 1, 2, 3, 4, 5, 11, 12)),
        *((place, "x") for place in (3, 6, 7, 8, 9, 10, 12)),
        *((place, None) for place in (0, 3, 8, 9, 10, 11)),
        *((3, {1: 2}), (6, -1.0), (7, 1.5), (8, math.inf), (12, ["x"])),
    ],
)
def test_every_part_of_what_a_worker_is_told_at_its_registration_is_checked(place, value):
    plain = ["s", "t", "m:C", {"a": [1]}, "/c", "id", None, 100, 60.0, 15.0, 20.0, "e", [4]]
    assert wire.unpack_registration(wire.pack(plain)).foreign == (4,)
    plain[place] = value
    with pytest.raises(ProtocolError, match="a registration has not the form"):
        wire.unpack_registration(wire.pack(plain))


def test_what_is_wrong_is_shown_in_short():
    huge = ["y" * (4 << 20), {"z" * (1 << 20): 1}]
    for plain in ([huge, *OK[1:]], [*OK[:2], [[1, huge]], *OK[3:]]):
        with pytest.raises(ProtocolError) as caught:
            wire.unpack_request(wire.pack(plain))
        assert len(str(caught.value)) < 300
    with pytest.raises(ProtocolError) as caught:
        wire.unpack_goodbye(wire.pack([huge, [], ""]))
    assert len(str(caught.value)) < 300


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


def outcome_of(plain):
    _, request = wire.unpack_request(wire.pack([*OK[:2], [[7, plain]], *OK[3:]]))
    ((_, outcome),) = request.results
    return outcome


def test_what_an_objective_returned_has_its_largest_size():
    fits = {"a": "x" * (wire.MAX_INFO_BYTES - 8)}
    assert len(wire.pack(fits)) == wire.MAX_INFO_BYTES
    assert outcome_of(["completed", 0.5, fits, 2.0, [], 0.0]) == Completed(0.5, fits, 2.0)
    message = "info has 1048577 bytes, more than the 1048576 that are kept"
    assert outcome_of(["completed", 0.5, {"a": fits["a"] + "x"}, 2.0, [], 0.0]) == Failed(
        "bad-result", message, seconds=2.0
    )


def test_the_texts_of_a_failure_are_cut():
    failed = outcome_of(["failed", "exception", "m" * 100_000, "d" * 100_000 + "the end", 1.0, []])
    assert (len(failed.message), len(failed.detail), failed.detail[-8:]) == (65536, 65536, "dthe end")


@pytest.mark.parametrize(("n", "fits"), [(16384, True), (16385, False)])
def test_a_curve_has_its_longest_length(n, fits):
    plain = ["completed", 0.5, {}, 0.0, [[1.0, 2.0]] * n, 0.0]
    if fits:
        assert len(outcome_of(plain).curve) == n
    else:
        with pytest.raises(ProtocolError, match="a curve of 16385 points is longer than 16384"):
            outcome_of(plain)


@pytest.mark.parametrize(("depth", "fits"), [(99, True), (101, False), (800, False)])
def test_what_an_objective_returned_has_its_deepest_nesting(depth, fits):
    value = 1
    for _ in range(depth):
        value = [value]
    if fits:
        assert outcome_of(["completed", 0.5, {"a": value}, 0.0, [], 0.0]).info == {"a": value}
    else:
        with pytest.raises(ProtocolError, match="nested deeper than 100 levels"):
            outcome_of(["completed", 0.5, {"a": value}, 0.0, [], 0.0])


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (2, [[n, ["released", "lost", ""]] for n in range(4097)]),
        (3, [[1, 1.0, 2.0]] * 16385),
        (4, [0] * 4097),
    ],
)
def test_a_request_has_its_largest_number_of_entries(place, value):
    plain = [*OK]
    plain[place] = value[:-1]
    wire.unpack_request(wire.pack(plain))
    plain[place] = value
    with pytest.raises(ProtocolError, match=r"entries, and at most \d+ are taken"):
        wire.unpack_request(wire.pack(plain))


@pytest.mark.parametrize(("place", "longest"), [(0, 256), (1, 256), (4, 256), (6, 4096), (8, 256)])
def test_an_introduction_has_its_longest_texts(place, longest):
    plain = ["w", "h", 1, 2.0, "0", PROTOCOL_VERSION, "", [], "m"]
    plain[place] = "x" * longest
    wire.unpack_info(wire.pack(plain))
    plain[place] += "x"
    with pytest.raises(ProtocolError, match=f"a text of {longest + 1} characters is longer than {longest}"):
        wire.unpack_info(wire.pack(plain))


def test_the_introduction_of_an_older_version_can_be_read_so_that_it_is_refused_for_its_version():
    assert wire.unpack_info(wire.pack(["w", "h", 1, 2.0, "0", 2, "", [], "m"])).protocol == 2


def test_reasons_are_cut():
    assert len(outcome_of(["released", "lost", "x" * 100_000]).message) == 1000
    assert len(wire.unpack_goodbye(wire.pack_goodbye("s", (), "x" * 100_000))[2]) == 1000


@pytest.mark.parametrize("code", [0x30, 0x31, 0x32, 0x33, 5, 127])
def test_extension_values_are_refused(code):
    with pytest.raises(ProtocolError, match=rf"an extension value \(code {code}, 8 bytes\)"):
        wire.unpack(msgpack.packb([msgpack.ExtType(code, b"12345678")]))


def test_a_time_stamp_is_a_number():
    assert wire.unpack(msgpack.packb(msgpack.Timestamp(5, 500_000_000))) == 5.5


CLAIMS = r"""
import resource
from bohb_service.errors import ProtocolError
from bohb_service.rpc import wire
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
body = (b"\xdd" + (4_000_000).to_bytes(4, "big")) * 500
body += bytes((4 << 20) - len(body))
try:
    wire.unpack(body)
except ProtocolError as error:
    print(error)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) < 100_000)
"""


def test_a_message_that_claims_more_than_it_has_costs_no_memory():
    done = subprocess.run([sys.executable, "-c", CLAIMS], capture_output=True, text=True, timeout=60, check=False)
    first, second = done.stdout.splitlines()
    assert first == "a message of 4194304 bytes cannot be read: it ends before its value does"
    assert second == "True", done.stderr


TOO_MUCH = r"""
import resource
import psutil
from bohb_service.errors import ProtocolError
from bohb_service.rpc import wire
most = psutil.Process().memory_info().vms + (100 << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
try:
    wire.unpack(b"\xdd" + (4_000_000).to_bytes(4, "big") + b"\x80" * 4_000_000)
except ProtocolError as error:
    print(error)
"""


def test_a_message_that_there_is_no_memory_for_is_refused():
    done = subprocess.run([sys.executable, "-c", TOO_MUCH], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("a message of 4000005 bytes cannot be read"), done.stderr
