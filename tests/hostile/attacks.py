"""What hostile peers do to a master. Each attack goes on until it is told that it is over, at least once."""

import contextlib
import itertools
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bohb_service.rpc import frames, wire
from bohb_service.rpc.access import Access
from bohb_service.rpc.connection import MAX_REQUEST_BYTES
from bohb_service.rpc.messages import Request, WorkerInfo
from bohb_service.rpc.pyro import NAME_SERVER_OBJECT
from bohb_service.rpc.serialisers import MSGPACK
from bohb_service.scheduler.outcomes import Completed
from bohb_service.security.tokens import client_proof, new_nonce
from tests.hostile.fuzz import fuzzed_frames
from tests.hostile.scene import Scene
from tests.intruders import careless_context, greet, introduce, proof_frame, tls_socket
from tests.peers import announced, call_frame, connect_frame, is_closed, read_frame

IsOver = Callable[[], bool]
Attack = Callable[[Scene, IsOver], None]

HALF_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 20
HUGE = 900 << 20


@contextlib.contextmanager
def admitted(scene: Scene) -> Iterator[ssl.SSLSocket]:
    """A connection of a peer that has a worker's credentials."""
    access = scene.keys.access()
    with tls_socket(scene.port, careless_context(access)) as sock:
        introduce(sock, access)
        yield sock


@contextlib.contextmanager
def with_certificate(scene: Scene) -> Iterator[ssl.SSLSocket]:
    """A connection of a peer that has a worker's certificate, not admitted."""
    with tls_socket(scene.port, careless_context(scene.keys.access())) as sock:
        yield sock


@contextlib.contextmanager
def many(scene: Scene, n: int, first: bytes = b"") -> Iterator[list[socket.socket]]:
    """So many bare connections that have said this."""
    socks = []
    try:
        for _ in range(n):
            socks.append(socket.create_connection(("127.0.0.1", scene.port), timeout=10))
            if first:
                with contextlib.suppress(OSError):
                    socks[-1].sendall(first)
        yield socks
    finally:
        for sock in socks:
            sock.close()


def stay(n: int, first: bytes = b"") -> Attack:
    """Connect, say little, and stay until the master has had enough of some, or to the end."""

    def attack(scene: Scene, is_over: IsOver) -> None:
        with many(scene, n, first):
            while not is_over():
                time.sleep(0.05)

    return attack


def again(once: Attack) -> Attack:
    """The same again and again."""

    def attack(scene: Scene, is_over: IsOver) -> None:
        once(scene, is_over)
        while not is_over():
            once(scene, is_over)

    return attack


def say_in_clear(data: bytes) -> Attack:
    """Connect, say this, and wait for the end."""

    def attack(scene: Scene, _: IsOver) -> None:
        with many(scene, 1, data) as (sock,):
            assert is_closed(sock)

    return again(attack)


def say_with_certificate(data: bytes) -> Attack:
    """The same inside TLS, before being admitted."""

    def attack(scene: Scene, _: IsOver) -> None:
        with with_certificate(scene) as sock:
            with contextlib.suppress(OSError):  # the master may have hung up in the middle of it
                sock.sendall(data)
            assert is_closed(sock)

    return again(attack)


def say_admitted(data: bytes) -> Attack:
    """The same once admitted."""

    def attack(scene: Scene, _: IsOver) -> None:
        with admitted(scene) as sock:
            with contextlib.suppress(OSError):
                sock.sendall(data)
            assert is_closed(sock)

    return again(attack)


def call(*arguments: Any, target: str, method: str) -> Attack:
    """Make a call that gets an error, many times; on a new connection when the master has had enough of one."""

    def attack(scene: Scene, is_over: IsOver) -> None:
        with admitted(scene) as sock, contextlib.suppress(ConnectionError, ssl.SSLError):
            for seq in itertools.count(1):
                sock.sendall(call_frame(seq & 0xFFFF, method, *arguments, target=target))
                head, data = read_frame(sock)
                assert head.flags & frames.FLAG_EXCEPTION or wire.unpack(MSGPACK.loads(data))[0] == "error"
                if is_over():
                    break

    return again(attack)


def resets(scene: Scene, is_over: IsOver) -> None:
    """Connect and reset, 500 times at least."""
    for n in itertools.count(1):
        with socket.create_connection(("127.0.0.1", scene.port), timeout=10) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if n >= 500 and is_over():
            break


def show(access_of: Callable[[Scene], Access | None]) -> Attack:
    """Make TLS connections with a certificate that is not accepted."""

    def attack(scene: Scene, _: IsOver) -> None:
        with contextlib.suppress(OSError), tls_socket(scene.port, careless_context(access_of(scene))) as sock:
            sock.sendall(connect_frame())
            assert is_closed(sock)

    return again(attack)


def wrong_token(scene: Scene, _: IsOver) -> None:
    """Prove with the token of another run."""
    access = scene.keys.wrong_token()
    assert access.token is not None
    with tls_socket(scene.port, careless_context(access)) as sock:
        nonce = new_nonce()
        own = greet(sock, "worker", nonce)
        sock.sendall(proof_frame(client_proof(access.token, "worker", nonce, own)))
        assert is_closed(sock)


def replay(scene: Scene, is_over: IsOver) -> None:
    """Say on new connections what was good on an old one."""
    access = scene.keys.access()
    assert access.token is not None
    nonce = new_nonce()
    with with_certificate(scene) as sock:
        recorded = proof_frame(client_proof(access.token, "worker", nonce, greet(sock, "worker", nonce)))
        sock.sendall(recorded)
        assert MSGPACK.loads(read_frame(sock)[1]) == "welcome"

    def once(scene: Scene, _: IsOver) -> None:
        with with_certificate(scene) as sock:
            greet(sock, "worker", nonce)
            sock.sendall(recorded)
            assert is_closed(sock)

    again(once)(scene, is_over)


def fuzz_in_clear(scene: Scene, _: IsOver) -> None:
    """3 000 frames on the bare port."""
    for frame in fuzzed_frames(1, 3000):
        with many(scene, 1, frame) as (sock,), contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
            assert is_closed(sock)


def fuzz_with_certificate(scene: Scene, _: IsOver) -> None:
    """3 000 frames inside TLS before being admitted, each on a connection of its own: the first wrong one ends it."""
    for frame in fuzzed_frames(2, 3000):
        with with_certificate(scene) as sock:
            with contextlib.suppress(OSError):
                sock.sendall(frame)
                sock.shutdown(socket.SHUT_WR)
            assert is_closed(sock)


def hellos(scene: Scene, is_over: IsOver) -> None:
    """Begin TLS with a complete message, 300 times a second for 3 s at least, and leave when the master has worked."""
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        for n in itertools.count(1):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", scene.port), timeout=10))
            sock.sendall(_client_hello())
            if n % 100 == 0:
                stack.close()
            time.sleep(max(0.0, began + n / 300 - time.monotonic()))
            if n >= 900 and is_over():
                break


def _client_hello() -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    said = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), said).do_handshake()
    return said.read()


def while_a_worker_joins(attack: Attack) -> Attack:
    """An attack, during which new workers join and leave, each with one try within the times that all workers have."""

    def both(scene: Scene, is_over: IsOver) -> None:
        enough = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            attacking = pool.submit(attack, scene, enough.is_set)
            try:
                for n in itertools.count(1):
                    scene.join(f"new-{n}")
                    if n >= 3 and is_over():
                        break
            finally:
                enough.set()
            attacking.result()

    return both


def fuzz_admitted(scene: Scene, _: IsOver) -> None:
    """600 frames once admitted, on a new connection after each that was refused."""
    waiting = list(fuzzed_frames(3, 600))
    while waiting:
        with admitted(scene) as sock:
            sock.settimeout(0.01)
            while waiting:
                try:
                    sock.sendall(waiting.pop())
                    read_frame(sock)
                except TimeoutError:
                    continue
                except (OSError, frames.FrameError):
                    break


def _as_worker(sock: ssl.SSLSocket, name: str) -> str:
    """Register; the session."""
    info = WorkerInfo(name, "elsewhere", 1, 0.0, "0")
    sock.sendall(call_frame(1, "register", wire.pack_info(info)))
    _, payload = wire.unpack(MSGPACK.loads(read_frame(sock)[1]))
    return wire.unpack_registration(payload).session


def _lease(sock: ssl.SSLSocket, session: str, seq: int) -> int:
    """A job, maybe not the first time that it is asked for."""
    sock.settimeout(30)
    sock.sendall(call_frame(seq, "exchange", wire.pack_request(session, Request(seq, max_jobs=1, wait_s=20.0))))
    _, payload = wire.unpack(MSGPACK.loads(read_frame(sock)[1]))
    return wire.unpack_answer(payload).jobs[0].lease


def large_results(n_bytes: int) -> Attack:
    """Real results of real jobs, with so much beside the loss."""

    def attack(scene: Scene, _: IsOver) -> None:
        with admitted(scene) as sock:
            session = _as_worker(sock, "large")
            for seq in range(2, 42, 2):
                lease = _lease(sock, session, seq)
                result = ((lease, Completed(0.5, {"a": "x" * n_bytes})),)
                frame = call_frame(seq + 1, "exchange", wire.pack_request(session, Request(seq + 1, results=result)))
                try:
                    sock.sendall(frame)
                    read_frame(sock)
                except OSError:
                    assert n_bytes >= MAX_REQUEST_BYTES
                    return

    return attack


def large_at_once(scene: Scene, is_over: IsOver) -> None:
    """Forty unfinished messages, each just below the limit."""
    body = announced(frames.INVOKE, MAX_REQUEST_BYTES) + b"\0" * (MAX_REQUEST_BYTES - 100)
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            sock = stack.enter_context(admitted(scene))
            with contextlib.suppress(OSError):
                sock.sendall(body)
        while not is_over():
            time.sleep(0.05)


def never_reads(scene: Scene, _: IsOver) -> None:
    """Call and call, and never read an answer."""
    frame = call_frame(1, "list", target=NAME_SERVER_OBJECT) * 100
    with admitted(scene) as sock:
        sock.settimeout(2)
        try:
            while True:
                sock.sendall(frame)
        except OSError:
            pass


def tiny_calls(scene: Scene, is_over: IsOver) -> None:
    """As many calls as possible, and read all answers."""
    with admitted(scene) as sock:
        frame = announced(frames.PING, 0) * 200
        while not is_over():
            sock.sendall(frame)
            n_bytes = 200 * (frames.HEADER_BYTES + 4)
            while n_bytes > 0:
                n_bytes -= len(sock.recv(1 << 16))


def greedy(scene: Scene, is_over: IsOver) -> None:
    """Ask for a thousand million jobs."""
    with admitted(scene) as sock:
        session = _as_worker(sock, "greedy")
        for seq in itertools.count(2):
            request = wire.pack_request(session, Request(seq & 0xFFFF, max_jobs=10**9, wait_s=0.5))
            sock.sendall(call_frame(seq & 0xFFFF, "exchange", request))
            read_frame(sock)
            if is_over():
                break
