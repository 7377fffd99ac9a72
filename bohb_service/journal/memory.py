"""The in-memory twin of the journal, for tests and simulation."""

from collections.abc import Iterator, Sequence

from bohb_service.journal.codec import decode_event, encode_event
from bohb_service.journal.journal import Record
from bohb_service.scheduler.events import Event


class MemoryJournal:
    """A journal that lives as long as its object; events pass through the codec as on disk."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, str, str]] = []

    def append(self, entries: Sequence[tuple[float, Event]]) -> None:
        """Keep the events."""
        self._rows.extend((at, *encode_event(event)) for at, event in entries)

    def read(self, after: int = 0) -> Iterator[Record]:
        """All records behind position ``after``, in order."""
        for seq, (at, kind, body) in enumerate(self._rows[after:], start=after + 1):
            yield Record(seq, at, decode_event(kind, body))

    def close(self) -> None:
        """Do nothing; there is nothing to release."""
