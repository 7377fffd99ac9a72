"""Who holds what, since when, and who is overdue.

Volatile: deadlines are never journalled; after a restart every lease gets one fresh term.
"""

from collections import OrderedDict


class LeaseTable:
    """Deadlines and holders of the current leases.

    All terms have the same length, so the leases are kept in the order of their deadlines at no cost.

    Args:
        term_s: Length of a lease, in seconds; it must be renewed within it.
    """

    def __init__(self, term_s: float) -> None:
        self.term_s = term_s
        self._deadlines: OrderedDict[int, float] = OrderedDict()
        self._granted: dict[int, float] = {}
        self._holders: dict[int, str] = {}
        self._held: dict[str, set[int]] = {}

    def __len__(self) -> int:
        return len(self._deadlines)

    def grant(self, lease: int, worker: str, now: float) -> None:
        """Begin the term of a lease.

        Args:
            lease: Number of the lease.
            worker: Its holder.
            now: Monotonic time, seconds; never earlier than in a call before.
        """
        self._holders[lease] = worker
        self._held.setdefault(worker, set()).add(lease)
        self._granted[lease] = now
        self._deadlines[lease] = now + self.term_s

    def renew(self, lease: int, now: float) -> None:
        """Begin the term of a current lease again."""
        if lease in self._deadlines:
            self._deadlines[lease] = now + self.term_s
            self._deadlines.move_to_end(lease)

    def drop(self, lease: int) -> None:
        """Forget a lease; nothing happens if it is not there."""
        if self._deadlines.pop(lease, None) is None:
            return
        del self._granted[lease]
        worker = self._holders.pop(lease)
        self._held[worker].discard(lease)
        if not self._held[worker]:
            del self._held[worker]

    def n_held_by(self, worker: str) -> int:
        """Number of current leases of a worker."""
        return len(self._held.get(worker, ()))

    def held_by(self, worker: str) -> list[int]:
        """Current leases of a worker, oldest number first."""
        return sorted(self._held.get(worker, ()))

    def granted_at(self, lease: int) -> float:
        """When a current lease was granted, or this table began, monotonic seconds."""
        return self._granted[lease]

    def expired(self, now: float) -> list[int]:
        """Leases whose term is over, oldest number first."""
        overdue = []
        for lease, deadline in self._deadlines.items():
            if deadline > now:
                break
            overdue.append(lease)
        return sorted(overdue)
