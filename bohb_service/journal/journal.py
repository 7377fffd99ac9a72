"""What a journal is: the durable order of a study's events."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from bohb_service.scheduler.events import Event


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a journal.

    Attributes:
        seq: Position, from 1, without gaps.
        at: When it happened, seconds since the epoch.
        event: What happened.
    """

    seq: int
    at: float
    event: Event


class Journal(Protocol):
    """An append-only log of events."""

    def append(self, entries: Sequence[tuple[float, Event]]) -> None:
        """Make events durable, all or none; they are when this returns.

        Args:
            entries: Pairs of time (seconds since the epoch) and event.

        Raises:
            JournalWriteError: They are not durable.
        """
        ...

    def read(self, after: int = 0) -> Iterator[Record]:
        """All records behind position ``after``, in order.

        Raises:
            JournalCorruptError: The journal is damaged or of a newer version.
        """
        ...

    def close(self) -> None:
        """Release what it holds; further calls are errors."""
        ...
