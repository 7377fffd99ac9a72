"""Whether a journal would be safe in a folder: tried with a throw-away database and a second process."""

import contextlib
import fcntl
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

_COMMITS = 5
_PEER_S = 30.0

_PEER = """
import fcntl, sqlite3, sys
database, lock = sys.argv[1:]
connection = sqlite3.connect(database, timeout=0, isolation_level=None)
print(connection.execute("SELECT count(*) FROM t").fetchone()[0])
try:
    connection.execute("BEGIN IMMEDIATE")
    print("free")
except sqlite3.OperationalError:
    print("locked")
with open(lock) as file:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        print("free")
    except BlockingIOError:
        print("locked")
"""


@dataclass(frozen=True, slots=True)
class JournalTrial:
    """What came of it.

    Attributes:
        fault: What went wrong, one line; empty if nothing did.
        commit_s: Median time of a durable commit, in seconds; 0 after a fault.
    """

    fault: str
    commit_s: float = 0.0


def try_journal(folder: Path) -> JournalTrial:
    """What comes of a database like a journal's in this folder: written, synced, locked, and read by another process.

    Nothing is left behind.

    Args:
        folder: Must exist.

    Raises:
        OSError: Nothing can be written there.
    """
    with tempfile.TemporaryDirectory(prefix=".bohb-doctor-", dir=folder, ignore_cleanup_errors=True) as place:
        database, lock = Path(place) / "trial.sqlite", Path(place) / "trial.lock"
        try:
            with contextlib.closing(sqlite3.connect(database, isolation_level=None, timeout=1)) as connection:
                return _try(connection, database, lock)
        except sqlite3.Error as error:
            return JournalTrial(f"SQLite cannot write here: {error}")


def _try(connection: sqlite3.Connection, database: Path, lock: Path) -> JournalTrial:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        return JournalTrial(f"SQLite's write-ahead log is not possible here: it stays in mode {mode!r}")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE t (x INTEGER)")
    times = []
    for number in range(_COMMITS):
        began = time.perf_counter()
        connection.execute("INSERT INTO t VALUES (?)", (number,))
        times.append(time.perf_counter() - began)
    connection.execute("BEGIN IMMEDIATE")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        seen = _ask_peer(database, lock)
    connection.execute("ROLLBACK")
    fault = _fault_in(seen)
    return JournalTrial(fault) if fault else JournalTrial("", statistics.median(times))


def _ask_peer(database: Path, lock: Path) -> list[str]:
    """What another process sees, while this one holds both locks."""
    try:
        done = subprocess.run(  # noqa: S603  (our own words)
            [sys.executable, "-I", "-c", _PEER, str(database), str(lock)],
            capture_output=True,
            text=True,
            timeout=_PEER_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ["a second process hangs when it opens the database"]
    return done.stdout.split() if done.returncode == 0 else [done.stderr.strip().rpartition("\n")[2]]


def _fault_in(seen: list[str]) -> str:
    match seen:
        case [count, "locked", "locked"] if count == str(_COMMITS):
            return ""
        case [_, "locked", "locked"]:
            return "a second process does not see what was written: memory is not shared here"
        case [_, "free", _]:
            return "locks of one process do not hold for another (fcntl), so two masters could write at once"
        case [_, _, "free"]:
            return "locks of one process do not hold for another (flock), so two masters could serve one run"
    return f"a second process cannot read what was written: {' '.join(seen)}"
