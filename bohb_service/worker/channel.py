"""Messages between the worker process and its objective process: length-prefixed msgpack on a socket pair."""

import socket
import struct
from typing import Any

import msgpack

MAX_FRAME_BYTES = 64 << 20
"""Longer frames are no frames: something else wrote to the socket."""

_LENGTH = struct.Struct(">I")
_CHUNK_BYTES = 1 << 16


class ChannelError(Exception):
    """What came in is no message of this program."""


class Channel:
    """One end of the pair, in blocking mode.

    Attributes:
        is_closed: The other end has closed, or the pair is broken.

    Args:
        connection: The socket; owned from now on.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()
        self._packer = msgpack.Packer()
        self.is_closed = False

    def fileno(self) -> int:
        """The descriptor, for selectors."""
        return self._connection.fileno()

    def pack(self, message: list[Any]) -> bytes:
        """The frame of a message."""
        body: bytes = self._packer.pack(message)
        return _LENGTH.pack(len(body)) + body

    def send(self, frame: bytes) -> None:
        """Write frames made by `pack`; blocks while the other end does not read.

        Raises:
            OSError: The other end is gone.
        """
        self._connection.sendall(frame)

    def receive(self) -> list[tuple[Any, int]]:
        """Wait for input; the complete messages with their sizes, empty when the other end has closed.

        Raises:
            ChannelError: What came in is no message.
        """
        messages: list[tuple[Any, int]] = []
        while not messages and self._fill(0):
            messages = self._take()
        return messages

    def receive_ready(self) -> list[tuple[Any, int]]:
        """All messages that have arrived completely, with their sizes; does not wait.

        Raises:
            ChannelError: What came in is no message.
        """
        messages: list[tuple[Any, int]] = []
        while self._fill(socket.MSG_DONTWAIT):
            messages += self._take()
        return messages

    def close(self) -> None:
        """Close this end."""
        self.is_closed = True
        self._connection.close()

    def _fill(self, flags: int) -> bool:
        """Whether more bytes were read."""
        if self.is_closed:
            return False
        try:
            chunk = self._connection.recv(_CHUNK_BYTES, flags)
        except BlockingIOError:
            return False
        except OSError:
            chunk = b""
        if not chunk:
            self.is_closed = True
            return False
        self._buffer += chunk
        return True

    def _take(self) -> list[tuple[Any, int]]:
        messages = []
        start, available = 0, len(self._buffer)
        while available - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, start)
            if length > MAX_FRAME_BYTES:
                raise ChannelError(f"a frame of {length} bytes")
            end = start + _LENGTH.size + length
            if end > available:
                break
            try:
                message = msgpack.unpackb(self._buffer[start + _LENGTH.size : end], strict_map_key=False)
            except ValueError as error:
                raise ChannelError(f"a frame that is no msgpack: {error}") from error
            messages.append((message, length))
            start = end
        if start:
            del self._buffer[:start]
        return messages
