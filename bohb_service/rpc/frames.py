"""Messages of Pyro5's wire protocol as bytes: a header of 40 bytes, annotations, data.

Both ends build and read them here, so that what arrives is judged by its header before anything is decoded.
`tests/integration/test_pyro_contract.py` compares the form with Pyro5's own.
"""

import struct
from typing import NamedTuple

from Pyro5 import protocol

CONNECT, CONNECT_OK, CONNECT_FAIL = protocol.MSG_CONNECT, protocol.MSG_CONNECTOK, protocol.MSG_CONNECTFAIL
INVOKE, RESULT, PING = protocol.MSG_INVOKE, protocol.MSG_RESULT, protocol.MSG_PING
FLAG_EXCEPTION = protocol.FLAGS_EXCEPTION

# Oneway calls are refused too: their loss would be silent.
_REFUSED_FLAGS = (
    protocol.FLAGS_COMPRESSED | protocol.FLAGS_BATCH | protocol.FLAGS_KEEPSERIALIZED | protocol.FLAGS_ONEWAY
)
_TAG, _VERSION, _MAGIC = b"PYRO", protocol.PROTOCOL_VERSION, 0x4DC5
_HEADER = struct.Struct("!4sHBBHHII16sHH")
_NO_CORRELATION = bytes(16)

HEADER_BYTES = _HEADER.size


class FrameError(ValueError):
    """What arrived is no message that this protocol allows."""


class Head(NamedTuple):
    """Header of a message.

    Attributes:
        kind: One of Pyro5's ``MSG_*`` numbers.
        serializer: Number of the serializer of the data.
        flags: Pyro5's ``FLAGS_*``.
        seq: Number of the call, repeated in its reply.
        n_annotations: Bytes of annotations, which lie before the data and are ignored.
        n_data: Bytes of data.
    """

    kind: int
    serializer: int
    flags: int
    seq: int
    n_annotations: int
    n_data: int

    @property
    def n_bytes(self) -> int:
        """Length of the whole message."""
        return HEADER_BYTES + self.n_annotations + self.n_data


def read_head(buffer: bytes | bytearray) -> Head:
    """The header at the beginning of a buffer of at least `HEADER_BYTES`.

    Raises:
        FrameError: It is no header of this protocol, or has flags of messages that are never taken.
    """
    tag, version, kind, serializer, flags, seq, n_data, n_annotations, _, _, magic = _HEADER.unpack_from(buffer)
    if tag != _TAG or version != _VERSION or magic != _MAGIC:
        raise FrameError("no message of Pyro5's protocol")
    if flags & _REFUSED_FLAGS:
        raise FrameError("a compressed, batched, forwarded or oneway message")
    return Head(kind, serializer, flags, seq, n_annotations, n_data)


def build(kind: int, serializer: int, seq: int, data: bytes, flags: int = 0) -> bytes:
    """A message without annotations."""
    head = _HEADER.pack(_TAG, _VERSION, kind, serializer, flags, seq, len(data), 0, _NO_CORRELATION, 0, _MAGIC)
    return head + data
