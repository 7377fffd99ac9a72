"""Frames of all of Pyro5's serializers, from a seed: sound ones, and sound ones that were damaged."""

import random
from collections.abc import Iterator
from typing import Any

from Pyro5 import errors, serializers

from bohb_service.rpc import frames, wire
from bohb_service.rpc.messages import Request
from bohb_service.rpc.pyro import GATE_OBJECT, MASTER_OBJECT, NAME_SERVER_OBJECT

_TARGETS = [MASTER_OBJECT, NAME_SERVER_OBJECT, GATE_OBJECT, "Pyro.Daemon", "none"]
_METHODS = ["exchange", "register", "goodbye", "list", "lookup", "prove", "get_metadata", "__class__", "_told"]
_KINDS = [frames.CONNECT, frames.INVOKE, frames.INVOKE, frames.RESULT, frames.PING, 0, 99]


def fuzzed_frames(seed: int, n: int) -> Iterator[bytes]:
    """So many frames, always the same for a seed."""
    chance = random.Random(seed)
    for _ in range(n):
        yield _damaged(chance, _sound(chance))


def _sound(chance: random.Random) -> bytes:
    serializer = chance.choice([*serializers.serializers.values()])
    kind = chance.choice(_KINDS)
    try:
        if kind == frames.INVOKE:
            arguments = [_value(chance, 3) for _ in range(chance.randrange(4))]
            if chance.random() < 0.5:
                arguments = [wire.pack([_value(chance, 3) for _ in range(7)])]
            if chance.random() < 0.2:
                arguments = [wire.pack_request("nobody", Request(1))]
            data = serializer.dumpsCall(chance.choice(_TARGETS), chance.choice(_METHODS), arguments, {})
        else:
            hello = {"role": chance.choice(["worker", "admin", "x"]), "nonce": chance.randbytes(32)}
            data = serializer.dumps({"handshake": chance.choice([hello, _value(chance, 2)]), "object": MASTER_OBJECT})
    except (errors.SerializeError, TypeError, ValueError, OverflowError):
        data = chance.randbytes(chance.randrange(200))
    flags = chance.choice([0, 0, 0, chance.randrange(1 << 16)])
    return frames.build(kind, serializer.serializer_id, chance.randrange(1 << 16), bytes(data), flags)


def _value(chance: random.Random, depth: int) -> Any:
    kind = chance.randrange(9 if depth else 7)
    if kind == 7:
        return [_value(chance, depth - 1) for _ in range(chance.randrange(4))]
    if kind == 8:
        keys = ["__class__", "a", "args", "state"]
        return {key: _value(chance, depth - 1) for key in chance.sample(keys, chance.randrange(4))}
    text = chance.choice(["Pyro5.core.URI", "builtins.SystemExit", "", "ü" * 50])
    return [None, True, chance.randrange(-(2**63), 2**63), chance.gauss(0, 1e9), text, chance.randbytes(20), 0][kind]


def _damaged(chance: random.Random, frame: bytes) -> bytes:
    data = bytearray(frame)
    match chance.randrange(6):
        case 0:
            for _ in range(chance.randrange(1, 6)):
                data[chance.randrange(len(data))] = chance.randrange(256)
        case 1:
            del data[chance.randrange(len(data)) :]
        case 2:
            data[12:16] = chance.randbytes(4)
        case 3:
            data[16:20] = chance.choice([chance.randbytes(4), b"\0\0\0\x08"])
        case 4:
            data[chance.randrange(len(data)) :] = chance.randbytes(chance.randrange(300))
        case _:
            pass
    return bytes(data)
