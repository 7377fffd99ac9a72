"""Calls and results as Pyro5 writes them, read without its hooks: no class is ever built from what a peer sends."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import msgpack
from Pyro5 import serializers

_WALKED_BYTES = 4096


def _refuse_extension(code: int, data: bytes) -> NoReturn:
    raise ValueError(f"an extension value (code {code}, {len(data)} bytes)")


def _walk(data: bytes) -> None:
    """Go through a value without making it: few bytes can claim to be a long array of long arrays.

    Raises:
        ValueError: It claims more than is there.
    """
    walker = msgpack.Unpacker(max_buffer_size=len(data))
    walker.feed(data)
    try:
        walker.skip()
    except msgpack.OutOfData as error:
        raise ValueError("it ends before its value does") from error


def unpack_plain(data: bytes, *, any_key: bool = False) -> Any:
    """The plain value in msgpack bytes; a time stamp, the one extension that has no hook, becomes a number.

    Args:
        data: What a peer sent.
        any_key: Whether keys may be other than text or bytes.

    Raises:
        ValueError: There is none, or an extension value.
        TypeError: A key cannot be one.
        MemoryError: It has more items than there is room for.
    """
    if len(data) > _WALKED_BYTES:
        _walk(data)
    return msgpack.unpackb(
        data,
        ext_hook=_refuse_extension,
        timestamp=1,
        strict_map_key=not any_key,
    )


_pack: Callable[[Any], bytes] = msgpack.Packer(autoreset=True).pack
# One for all: `msgpack.packb` makes one for each value, with a large buffer of its own.


def _pack_call(target: str, method: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> bytes:
    return _pack((target, method, arguments, named))


def _json_call(target: str, method: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> bytes:
    return json.dumps({"object": target, "method": method, "params": arguments, "kwargs": named}).encode()


UNREADABLE = (ValueError, TypeError, RecursionError, MemoryError)
"""What is raised for bytes that hold no plain value, or one too large: each byte may become an object of 64."""


@dataclass(frozen=True, slots=True)
class Serialiser:
    """One of Pyro5's data formats, plain values only.

    Attributes:
        number: Its number in headers.
        dumps: A value as bytes.
        dumps_call: Object, method, arguments and named arguments as bytes.
        loads: The value in bytes; one of `UNREADABLE` if there is none.
    """

    number: int
    dumps: Callable[[Any], bytes]
    dumps_call: Callable[[str, str, Sequence[Any], Mapping[str, Any]], bytes]
    loads: Callable[[bytes], Any]


MSGPACK = Serialiser(serializers.MsgpackSerializer.serializer_id, _pack, _pack_call, unpack_plain)
"""The one that our own peers speak."""

JSON = Serialiser(
    serializers.JsonSerializer.serializer_id, lambda value: json.dumps(value).encode(), _json_call, json.loads
)
"""What every stock name server understands, whatever is installed beside it."""


def dumps_for_stock_clients(value: Any) -> bytes:
    """A value as msgpack in the form in which Pyro5's own clients expect URIs and exceptions."""
    data: bytes = serializers.serializers["msgpack"].dumps(value)
    return data
