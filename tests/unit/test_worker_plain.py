"""User data becomes plain, or is refused by name."""

import dataclasses
import datetime as dt
import enum
import math
from collections import OrderedDict
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bohb_service.worker.plain import MAX_DEPTH, UnserialisableError, plain_text, to_plain


class Level(enum.StrEnum):
    HIGH = "high"


class Count(enum.IntEnum):
    TWO = 2


@dataclasses.dataclass
class Result:
    accuracy: float


class Pair(NamedTuple):
    first: int
    second: int


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        (np.bool_(1), True),
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        (np.int16(-3), -3),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.str_("adam"), "adam"),
        (Level.HIGH, "high"),
        (Count.TWO, 2),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(0.25), 0.25),
        (np.array(["a", None], dtype=object), ["a", None]),
        ((1, (2, 3)), [1, [2, 3]]),
        (Pair(1, 2), [1, 2]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"b", "a"}), ["a", "b"]),
        (Path("/data/model.pt"), "/data/model.pt"),
        (PurePosixPath("a"), "a"),
        (
            {1: "a", 2.5: "b", None: "c", (0, 0): "d", np.int64(7): "e"},
            {"1": "a", "2.5": "b", "None": "c", "(0, 0)": "d", "7": "e"},
        ),
        (OrderedDict(b=1, a=OrderedDict()), {"b": 1, "a": {}}),
        ("naïve", "naïve"),
        ("\ud800", "\\ud800"),
        (math.inf, math.inf),
    ],
)
def test_values_become_exact_builtin_types(value, plain):
    converted = to_plain(value, "info")

    assert converted == plain
    assert type(converted) is type(plain)
    msgpack.packb(converted)


def test_nothing_of_numpy_is_left_inside():
    converted = to_plain({"a": [np.float32(1.5), {"b": (np.int8(1), np.array([True]))}]}, "info")

    assert repr(converted) == "{'a': [1.5, {'b': [1, [True]]}]}"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"history": [0, 1, 2, {"model": object()}]}, "info.history[3].model is of type object"),
        ({"two words": {"x": object()}}, "info['two words'].x is of type object"),
        (
            {"when": dt.datetime(2024, 1, 1, tzinfo=dt.UTC)},
            "info.when is of type datetime.datetime, which has no plain form; return its .isoformat()",
        ),
        ({"z": 1j}, "[z.real, z.imag]"),
        ({"raw": b"x"}, "base64"),
        ({"price": Decimal(1)}, "return float(...) of it"),
        ({"result": Result(0.9)}, "dataclasses.asdict(...)"),
        ({"kind": Result}, "info.kind is of type type"),
        ({"later": (x for x in [1])}, "info.later is of type generator"),
        ({object(): 1}, "a key of info is of type object"),
        ({"1": 0, 1: 0}, "two keys that become '1'"),
        ({"n": 2**64}, "info.n is an integer of more than 64 bits"),
        ({"when": np.datetime64("2024-01-01")}, "info.when is of type datetime.date"),
        ({"z": np.array([1j])}, "info.z[0] is of type complex"),
        ({"weights": np.zeros(2_000_000)}, "info.weights is of type numpy.ndarray with 2000000 elements"),
    ],
)
def test_what_has_no_plain_form_is_refused_with_its_path_and_a_remedy(value, words):
    with pytest.raises(UnserialisableError) as refused:
        to_plain(value, "info")

    assert words in str(refused.value)


def test_a_structure_that_contains_itself_is_refused():
    ring = []
    ring.append(ring)

    with pytest.raises(UnserialisableError, match="contains itself"):
        to_plain(ring, "info")


def test_the_deepest_structure_allowed_can_be_packed():
    nested = 0
    for _ in range(MAX_DEPTH):
        nested = [nested]

    assert msgpack.unpackb(msgpack.packb(to_plain(nested, "info"))) == nested
    with pytest.raises(UnserialisableError):
        to_plain([nested], "info")


class Tensor:
    """Looks like a tensor of another library: `size` is a method, values come through `numpy`."""

    __module__ = "torch"

    def __init__(self, values):
        self.values = np.array(values)

    def size(self):
        return self.values.shape

    def numel(self):
        return self.values.size

    def numpy(self):
        return self.values


def test_tensors_are_known_by_the_name_of_their_module():
    assert to_plain({"t": Tensor([[1.0], [2.0]])}, "info") == {"t": [[1.0], [2.0]]}
    with pytest.raises(UnserialisableError, match="1048577 elements"):
        to_plain(Tensor(np.zeros((1 << 20) + 1, dtype=np.int8)), "info")


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(plain_values)
def test_plain_values_stay_as_they_are_and_survive_the_wire(value):
    converted = to_plain(value, "info")

    assert msgpack.unpackb(msgpack.packb(converted), strict_map_key=False) == converted
    assert to_plain(converted, "info") == converted


@given(st.text(alphabet=st.characters(codec=None)))
def test_any_text_can_be_encoded(text):
    assert plain_text(text).encode("utf-8").decode("utf-8") == plain_text(text)
