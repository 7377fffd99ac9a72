"""All attacks by name, and which of them is counted as what."""

import zlib

from Pyro5 import protocol

from bohb_service.rpc import frames
from bohb_service.rpc.connection import MAX_REQUEST_BYTES
from bohb_service.rpc.pyro import NAME_SERVER_OBJECT
from bohb_service.rpc.serialisers import JSON, MSGPACK
from tests.hostile.attacks import (
    HALF_HELLO,
    HUGE,
    Attack,
    again,
    call,
    fuzz_admitted,
    fuzz_in_clear,
    fuzz_with_certificate,
    greedy,
    hellos,
    large_at_once,
    large_results,
    never_reads,
    replay,
    resets,
    say_admitted,
    say_in_clear,
    say_with_certificate,
    show,
    stay,
    tiny_calls,
    wrong_token,
)
from tests.peers import announced

DEEP = b"\x91" * 100_000
BOMB = zlib.compress(bytes(700 << 20), 9)
EMPTY_MAPS = b"\xdd" + (4_000_000).to_bytes(4, "big") + b"\x80" * 4_000_000


def _invoke(body: bytes, serializer: int = MSGPACK.number, flags: int = 0) -> bytes:
    return frames.build(frames.INVOKE, serializer, 1, body, flags)


ATTACKS: dict[str, Attack] = {
    "a silent connection": stay(1),
    "3000 silent connections": stay(3000),
    "half a header": stay(200, announced(frames.CONNECT, 100)[:20]),
    "silent after the start of TLS": stay(500, HALF_HELLO),
    "900 MB announced in clear": say_in_clear(announced(frames.CONNECT, HUGE)),
    "900 MB announced inside TLS": say_with_certificate(announced(frames.CONNECT, HUGE)),
    "900 MB announced once admitted": say_admitted(announced(frames.INVOKE, HUGE) + bytes(1 << 20)),
    "zlib bomb in clear": say_in_clear(frames.build(frames.CONNECT, 4, 1, BOMB, protocol.FLAGS_COMPRESSED)),
    "zlib bomb inside TLS": say_with_certificate(announced(frames.CONNECT, 700_000, flags=protocol.FLAGS_COMPRESSED)),
    "zlib bomb once admitted": say_admitted(_invoke(BOMB, flags=protocol.FLAGS_COMPRESSED)),
    "3000 fuzzed frames in clear": fuzz_in_clear,
    "3000 fuzzed frames inside TLS": fuzz_with_certificate,
    "600 fuzzed frames once admitted": fuzz_admitted,
    "deep nesting inside TLS": say_with_certificate(frames.build(frames.CONNECT, 4, 1, DEEP[:4000])),
    "deep nesting once admitted": say_admitted(_invoke(DEEP)),
    "deep nesting in an argument": call(DEEP, target="bohb.master", method="exchange"),
    "deep JSON once admitted": say_admitted(_invoke(b"[" * 100_000, JSON.number)),
    "HTTP": say_in_clear(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a storm of resets": resets,
    "a storm of complete ClientHellos": hellos,
    "no certificate": show(lambda _: None),
    "certificate of another authority": show(lambda scene: scene.keys.strange_access()),
    "expired certificate": show(lambda scene: scene.keys.expired_access()),
    "wrong token": again(wrong_token),
    "replayed introduction": replay,
    "writes to the name server": call(
        "bohb.hostile.master", "PYRO:x@y:1", target=NAME_SERVER_OBJECT, method="register"
    ),
    "calls of what is not exposed": call(target="bohb.master", method="_told"),
    "calls of the admin's object": call(target="bohb.admin", method="drain"),
    "results just below the limit": large_results(MAX_REQUEST_BYTES - 1000),
    "results above the limit": large_results(MAX_REQUEST_BYTES),
    "40 large messages at once": large_at_once,
    "a peer that reads no answers": never_reads,
    "a flood of tiny calls": tiny_calls,
    "a worker that wants all jobs": greedy,
    "four million empty maps": call(EMPTY_MAPS, target="bohb.master", method="exchange"),
}

REFUSALS: dict[str, str] = {
    "3000 silent connections": "gave way to newer peers before its TLS connection",
    "half a header": "does not speak TLS",
    "900 MB announced in clear": "does not speak TLS",
    "900 MB announced inside TLS": "a message that is too large for a peer that is not admitted",
    "900 MB announced once admitted": "a message that is too large",
    "zlib bomb in clear": "does not speak TLS",
    "zlib bomb inside TLS": "a compressed, batched, forwarded or oneway message",
    "zlib bomb once admitted": "a compressed, batched, forwarded or oneway message",
    "3000 fuzzed frames in clear": "does not speak TLS",
    "3000 fuzzed frames inside TLS": "no message of Pyro5's protocol",
    "600 fuzzed frames once admitted": "no message of Pyro5's protocol",
    "deep nesting inside TLS": "data that cannot be decoded",
    "deep nesting once admitted": "data that cannot be decoded",
    "deep JSON once admitted": "a message of another kind or serializer",
    "HTTP": "does not speak TLS",
    "a storm of resets": "left in its TLS handshake",
    "a storm of complete ClientHellos": "left in its TLS handshake",
    "no certificate": "no certificate",
    "certificate of another authority": "its certificate was not accepted: unable to get local issuer certificate",
    "expired certificate": "its certificate was not accepted: certificate has expired",
    "wrong token": "wrong token",
    "replayed introduction": "wrong token",
    "calls of what is not exposed": "called what is not exposed",
    "calls of the admin's object": "called an object of another role",
    "results above the limit": "a message that is too large",
    "40 large messages at once": "too many large messages at once",
    "a peer that reads no answers": "does not read its answers",
}
"""What is counted, where something is."""

FLOODS = (
    "3000 silent connections",
    "silent after the start of TLS",
    "HTTP",
    "a storm of resets",
    "a storm of complete ClientHellos",
    "no certificate",
    "wrong token",
    "40 large messages at once",
    "a flood of tiny calls",
)
"""Attacks that take a master's time or connections; others must still get in."""

BEYOND_BOUNDS = {"four million empty maps"}
"""Takes credentials, and costs more than is promised."""
