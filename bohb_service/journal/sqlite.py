"""The journal on disk: one SQLite file, write-ahead log, every commit synced.

Only the master writes. The file is marked by SQLite's ``application_id``; a file without the mark is never
written to. ``meta`` holds what identifies the study, ``events`` its history.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from bohb_service.errors import JournalCorruptError, JournalError, JournalWriteError
from bohb_service.journal.codec import decode_events, encode_event
from bohb_service.journal.journal import Record
from bohb_service.scheduler.events import Event

APPLICATION_ID = 0x424F4842  # "BOHB"
FORMAT_VERSION = 1

_READ_AT_ONCE = 512

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE events (seq INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL) STRICT;
"""


class SqliteJournal:
    """A journal in a file.

    Args:
        path: The file.
        connection: An open connection to it; use `create` or `open` to get one.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
        self._last: int = last
        self._inode = path.stat().st_ino

    @classmethod
    def create(cls, path: Path, meta: Mapping[str, str]) -> Self:
        """Make a new journal; it appears under its name complete or not at all.

        Raises:
            JournalError: The file exists already, or cannot be written.
        """
        if path.exists():
            raise JournalError(f"{path} exists already; remove it or choose another run directory")
        log = path.with_name(path.name + "-wal")
        if log.exists():
            raise JournalError(
                f"{log} is there without its journal {path}, which was moved or lost: put that back to go on, "
                "or remove the -wal and -shm files to begin anew"
            )
        draft = path.with_name(path.name + ".new")
        draft.unlink(missing_ok=True)
        try:
            with contextlib.closing(sqlite3.connect(draft)) as connection:
                connection.executescript(_SCHEMA)
                connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
                connection.commit()
            draft.rename(path)
        except (sqlite3.Error, OSError) as error:
            raise JournalWriteError(
                f"cannot write {path}: {error}; check permissions and free space, or choose another run directory"
            ) from error
        return cls.open(path)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> Self:
        """Open an existing journal.

        Raises:
            JournalError: There is no such file, or it cannot be opened.
            JournalCorruptError: It is damaged, not a journal of this program, or of a newer version.
        """
        if not path.exists():
            raise JournalError(f"there is no journal at {path}; check the run directory")
        if not path.is_file():
            raise JournalError(f"{path} is no file; {_REMEDY}")
        if not read_only:
            # A writer that closes a damaged file would first fold the write-ahead log into it, and change it for ever.
            cls.open(path, read_only=True).close()
        options = "mode=ro" if read_only else "mode=rw"
        if read_only and not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists():
            options += "&immutable=1"  # nobody writes it, and a reader could not make its shared-memory file here
        try:
            uri = f"{path.absolute().as_uri()}?{options}"
            connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
            try:
                if read_only:
                    cls._check(path, connection)
                else:
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.execute("PRAGMA synchronous = FULL")
                return cls(path, connection)
            except BaseException:
                connection.close()
                raise
        except sqlite3.OperationalError as error:
            raise JournalError(f"cannot open {path}: {error}; check permissions and free space") from error
        except sqlite3.DatabaseError as error:
            raise JournalCorruptError(f"{path} is damaged or no journal ({error}); {_REMEDY}") from error

    @staticmethod
    def _check(path: Path, connection: sqlite3.Connection) -> None:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        if path.stat().st_size == 0:
            raise JournalCorruptError(f"{path} is empty; {_REMEDY}")
        if application_id != APPLICATION_ID:
            raise JournalCorruptError(f"{path} is an SQLite file of another program; {_REMEDY}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > FORMAT_VERSION:
            raise JournalCorruptError(
                f"{path} has format {version}, this version reads up to {FORMAT_VERSION}; install a newer version"
            )
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise JournalCorruptError(
                f"{path} is damaged ({verdict}); {_REMEDY}. If it was copied there just now, remove {path.name}-wal "
                f"and {path.name}-shm, which belong to the file before, and copy it again"
            )

    @property
    def meta(self) -> dict[str, str]:
        """What was given to `create`."""
        return dict(self._connection.execute("SELECT key, value FROM meta"))

    def append(self, entries: Sequence[tuple[float, Event]]) -> None:
        """Make events durable, all or none; they are when this returns.

        Raises:
            JournalWriteError: They are not durable, e.g. because the disk is full.
        """
        rows = [(self._last + i, at, *encode_event(event)) for i, (at, event) in enumerate(entries, start=1)]
        if not self._is_in_place():
            raise JournalWriteError(
                f"{self.path} was removed or replaced while it was in use; nothing more is acknowledged: "
                "put it back from a copy, or choose another run directory"
            )
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", rows)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.IntegrityError):
                raise JournalWriteError(
                    f"somebody else writes to {self.path} too ({error}); nothing that was acknowledged is lost: "
                    "end the other master, then run the same command again"
                ) from error
            raise JournalWriteError(
                f"cannot write to {self.path}: {error}; nothing that was acknowledged is lost: "
                "free some space or mend the disk, then run the same command again"
            ) from error
        self._last += len(rows)

    def _is_in_place(self) -> bool:
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def read(self, after: int = 0) -> Iterator[Record]:
        """All records behind position ``after``, in order.

        Raises:
            JournalCorruptError: A record is missing, damaged or of a newer version.
        """
        expected = after
        try:
            cursor = self._connection.execute(
                "SELECT seq, at, kind, body FROM events WHERE seq > ? ORDER BY seq", (after,)
            )
            while rows := cursor.fetchmany(_READ_AT_ONCE):
                events = decode_events([(kind, body) for _, _, kind, body in rows])
                for (seq, at, _, _), event in zip(rows, events, strict=True):
                    expected += 1
                    if seq != expected:
                        raise JournalCorruptError(f"{self.path} lacks record {expected}; {_REMEDY}")
                    yield Record(seq, at, event)
        except sqlite3.DatabaseError as error:
            raise JournalCorruptError(f"{self.path} is damaged ({error}); {_REMEDY}") from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


_REMEDY = "it is left as it is: restore it from a copy, or choose another run directory"
