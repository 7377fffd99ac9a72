"""Takes all records of a journal in order: how a state is made out of a history."""

import contextlib
import gc
from collections.abc import Callable, Iterator

from bohb_service.errors import JournalCorruptError
from bohb_service.journal.journal import Record
from bohb_service.journal.sqlite import SqliteJournal


def replay(journal: SqliteJournal, take: Callable[[Record], None]) -> None:
    """Hand over the records of a journal one by one.

    Args:
        journal: The journal.
        take: Hears of each record; raises ValueError or LookupError if it contradicts those before it.

    Raises:
        JournalCorruptError: It is damaged, contradicts itself, or was written by a newer version.
    """
    seq = 0
    try:
        with without_collector():
            for record in journal.read():
                seq = record.seq
                take(record)
    except JournalCorruptError as error:
        if str(journal.path) in str(error):
            raise
        raise JournalCorruptError(f"{journal.path}: {error}") from error
    except (ValueError, LookupError) as error:
        raise JournalCorruptError(
            f"{journal.path}: record {seq} contradicts those before it ({error}); "
            "the journal is left as it is: restore it from a copy, or choose another run directory"
        ) from error


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Pause the collector of cyclic garbage until the end of the block.

    A large journal makes hundreds of thousands of objects, none of them garbage; looking through them over and over
    takes a quarter of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
