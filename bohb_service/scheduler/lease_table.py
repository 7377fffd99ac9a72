"""Who holds what, and who is overdue.

Volatile: deadlines are never journalled; after a restart every lease gets one fresh term.
"""


class LeaseTable:
    """Deadlines and holders of the current leases.

    Args:
        term_s: Length of a lease, in seconds; it must be renewed within it.
    """

    def __init__(self, term_s: float) -> None:
        self.term_s = term_s
        self._deadlines: dict[int, float] = {}
        self._holders: dict[int, str] = {}
        self._held: dict[str, set[int]] = {}

    def __len__(self) -> int:
        return len(self._deadlines)

    def grant(self, lease: int, worker: str, now: float) -> None:
        """Begin the term of a lease.

        Args:
            lease: Number of the lease.
            worker: Its holder.
            now: Monotonic time, seconds.
        """
        self._holders[lease] = worker
        self._held.setdefault(worker, set()).add(lease)
        self._deadlines[lease] = now + self.term_s

    def renew(self, lease: int, now: float) -> None:
        """Begin the term of a current lease again."""
        if lease in self._deadlines:
            self._deadlines[lease] = now + self.term_s

    def drop(self, lease: int) -> None:
        """Forget a lease; nothing happens if it is not there."""
        if self._deadlines.pop(lease, None) is None:
            return
        worker = self._holders.pop(lease)
        self._held[worker].discard(lease)
        if not self._held[worker]:
            del self._held[worker]

    def held_by(self, worker: str) -> list[int]:
        """Current leases of a worker, oldest number first."""
        return sorted(self._held.get(worker, ()))

    def expired(self, now: float) -> list[int]:
        """Leases whose term is over, oldest number first."""
        return sorted(lease for lease, deadline in self._deadlines.items() if deadline <= now)
