"""The file that takes what an objective prints."""

import os
from pathlib import Path

MAX_LOG_BYTES = 10 << 20
"""Size at which the file starts anew; what was written last is kept beside it as ``.1``."""

_CHUNK_BYTES = 1 << 16


class LogFile:
    """An append-only file of bounded size, written by other processes.

    Args:
        path: The file; its folder exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self) -> int:
        """A descriptor for appending, to hand to a process."""
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def size(self) -> int:
        """Bytes in the file now."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def tail(self, since: int = 0, max_bytes: int = 4000) -> str:
        """The last lines, without those before an offset.

        Args:
            since: Offset from `size` at an earlier time; ignored if the file has started anew.
            max_bytes: Longest text.
        """
        size = self.size()
        start = max(size - max_bytes, since if since <= size else 0)
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                return file.read(max_bytes).decode("utf-8", "replace").strip()
        except FileNotFoundError:
            return ""

    def cap(self) -> None:
        """Start anew if the file is too large.

        The descriptors of the writing processes stay valid, because the file is emptied in place; lines
        written during the copy may be lost.
        """
        size = self.size()
        if size <= MAX_LOG_BYTES:
            return
        with self.path.open("rb") as source, self.path.with_name(f"{self.path.name}.1").open("wb") as target:
            source.seek(size - MAX_LOG_BYTES)
            remaining = MAX_LOG_BYTES
            while remaining > 0 and (chunk := source.read(min(_CHUNK_BYTES, remaining))):
                target.write(chunk)
                remaining -= len(chunk)
        os.truncate(self.path, 0)
