"""Nothing that a peer sends becomes an object: neither in the master nor in its clients."""

import contextlib
import datetime as dt
import marshal
import pickle
import socket
import threading

import msgpack
import pytest
from Pyro5 import client, core, errors, serializers, server

from bohb_service.errors import MasterUnreachableError, ProtocolError
from bohb_service.rpc import frames, wire
from bohb_service.rpc.access import Access
from bohb_service.rpc.client import AdminClient
from bohb_service.rpc.endpoint import Endpoint
from bohb_service.rpc.messages import Request
from bohb_service.rpc.pyro import MASTER_OBJECT
from bohb_service.rpc.serialisers import MSGPACK
from bohb_service.scheduler.outcomes import Completed
from tests.intruders import careless_context, introduce, tls_socket
from tests.peers import (
    INFO,
    admitted_socket,
    is_closed,
    read_frame,
    serving,
    worker_of,
)

CLASSES = ["Pyro5.core.URI", "Pyro5.client.Proxy", "Pyro5.server.Daemon", "Pyro5.errors.NamingError"]
CLASSES += ["builtins.SystemExit", "builtins.KeyboardInterrupt", "builtins.ValueError", "sqlite3.Error", "os.system"]

EXCEPTIONS = [
    {"__class__": name, "__exception__": True, "args": ["x"], "attributes": {}, "state": ["PYRO", "o", None, "h", 1]}
    for name in CLASSES
]
FORMS = dict(zip(CLASSES, map(MSGPACK.dumps, EXCEPTIONS), strict=True))
FORMS |= {f"extension {code}": msgpack.packb(msgpack.ExtType(code, b"\0" * 16)) for code in (0x30, 0x31, 0x32, 0x33, 5)}
FORMS["time"] = msgpack.packb(dt.datetime(2026, 1, 1, tzinfo=dt.UTC), datetime=True)

COMMAND = b"cos\nsystem\n(S'exit 1'\ntR."


@pytest.fixture
def built(monkeypatch):
    """Everything that Pyro5 or a pickle would have built or decoded."""
    found = []

    def record(owner, name):
        real = getattr(owner, name)

        def recorded(*arguments, **named):
            found.append((owner, name))
            return real(*arguments, **named)

        monkeypatch.setattr(owner, name, recorded)

    for owner in (core.URI, client.Proxy, server.Daemon):
        for name in ("__init__", "__setstate__"):
            record(owner, name)
    record(errors.PyroError, "__init__")
    record(serializers.SerializerBase, "dict_to_class")
    record(serializers.SerializerBase, "make_exception")
    for serializer in serializers.serializers.values():
        record(serializer, "loads")
        record(serializer, "loadsCall")
    for module in (pickle, marshal):
        record(module, "loads")
    return found


def stock_bytes(serializer, call):
    """A call or connect message in another serializer's form, or that of Python's own."""
    if serializer.serializer_id == serializers.MsgpackSerializer.serializer_id:
        return None
    if call:
        return serializer.dumpsCall(MASTER_OBJECT, "exchange", (EXCEPTIONS[0],), {})
    return serializer.dumps({"handshake": EXCEPTIONS[0], "object": MASTER_OBJECT})


@pytest.mark.parametrize("number", [*range(10), 42, 255])
@pytest.mark.parametrize("is_admitted", [False, True])
def test_messages_of_other_serializers_are_not_decoded(built, keys, number, is_admitted):
    bodies = [COMMAND, pickle.dumps(ValueError("x")), marshal.dumps(EXCEPTIONS)]
    bodies += [b for s in serializers.serializers.values() for b in (stock_bytes(s, call=is_admitted),) if b]
    access = keys.access()
    with serving(endpoint=Endpoint(credentials=keys.master())) as master:
        before = len(built)
        for body in bodies:
            if number == MSGPACK.number:
                continue
            with tls_socket(master.port, careless_context(access)) as sock:
                if is_admitted:
                    introduce(sock, access)
                kind = frames.INVOKE if is_admitted else frames.CONNECT
                sock.sendall(frames.build(kind, number, 1, body))
                assert is_closed(sock)
        assert len(built) == before


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_connect_message_builds_nothing(built, keys, form):
    with serving(endpoint=Endpoint(credentials=keys.master())) as master:
        before = len(built)
        body = b"\x82" + MSGPACK.dumps("handshake") + form + MSGPACK.dumps("object") + MSGPACK.dumps(MASTER_OBJECT)
        for target in (MSGPACK.dumps(MASTER_OBJECT), form):
            body = b"\x82" + MSGPACK.dumps("handshake") + form + MSGPACK.dumps("object") + target
            with tls_socket(master.port, careless_context(keys.access())) as sock:
                sock.sendall(frames.build(frames.CONNECT, MSGPACK.number, 1, body))
                assert is_closed(sock)
        assert len(built) == before


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_call_builds_nothing(built, service, form):
    with serving(service) as master:
        before = len(built)
        target, method = MSGPACK.dumps(MASTER_OBJECT), MSGPACK.dumps("exchange")
        for body in (
            b"\x94" + target + method + b"\x91" + form + b"\x80",
            b"\x94" + target + method + b"\x90\x81" + MSGPACK.dumps("data") + form,
            b"\x94" + target + form + b"\x90\x80",
            b"\x94" + form + method + b"\x90\x80",
            form,
            b"\x94" + target + method + b"\x91" + MSGPACK.dumps(b"\x97" + form * 7) + b"\x80",
        ):
            with admitted_socket(master) as sock:
                sock.sendall(frames.build(frames.INVOKE, MSGPACK.number, 1, body))
                with contextlib.suppress(ConnectionError):
                    head, data = read_frame(sock)
                    assert head.flags & frames.FLAG_EXCEPTION or wire.unpack(MSGPACK.loads(data))[0] == "error"
        assert len(built) == before
        assert not service.requests
        assert not service.failed


@pytest.mark.parametrize("form", EXCEPTIONS, ids=CLASSES)
def test_user_data_arrive_as_plain_values(built, service, keys, form):
    with serving(service, Endpoint(credentials=keys.master())) as master:
        before = len(built)
        worker = worker_of(master, keys.access())
        worker.register(INFO)
        request = Request(1, results=((1, Completed(0.5, {"__class__": "x", "deep": [form]})),))
        worker.exchange(request)
        worker.close()
        assert service.requests == [request]
        assert len(built) == before


@contextlib.contextmanager
def malicious_master(*answers):
    """Answers each message that comes with the next of these; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            sock, _ = listener.accept()
            with sock, contextlib.suppress(OSError):
                for kind, flags, body in answers:
                    head, _ = read_frame(sock)
                    sock.sendall(frames.build(kind, MSGPACK.number, head.seq, body, flags))
                is_closed(sock)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


WELCOME = (frames.CONNECT_OK, 0, MSGPACK.dumps({"handshake": "hello", "meta": None}))


@pytest.mark.parametrize("form", [*FORMS.values(), b"\x91" * 100_000, b"\xc1"], ids=[*FORMS, "deep", "garbage"])
@pytest.mark.parametrize("flags", [0, frames.FLAG_EXCEPTION])
def test_a_client_builds_and_raises_nothing_that_it_is_sent(built, form, flags):
    for answers in (
        [(frames.CONNECT_FAIL, flags, form)],
        [WELCOME, (frames.RESULT, flags, form)],
        [WELCOME, (frames.RESULT, flags, MSGPACK.dumps(form))],
        [WELCOME, (frames.RESULT, flags, MSGPACK.dumps(b"\x92" + MSGPACK.dumps("ok") + form))],
    ):
        with malicious_master(*answers) as port:
            admin = AdminClient("127.0.0.1", port, Access("admin"))
            try:
                assert isinstance(admin.status(), dict | float)
            except (MasterUnreachableError, ProtocolError):
                pass
            finally:
                admin.close()
    assert not built
