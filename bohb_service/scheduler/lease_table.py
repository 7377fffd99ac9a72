"""Who is overdue. Volatile: deadlines are never journalled; after a restart every lease gets one fresh term."""


class LeaseTable:
    """Deadlines of the current leases.

    Args:
        term_s: Length of a lease, in seconds; it must be renewed within it.
    """

    def __init__(self, term_s: float) -> None:
        self.term_s = term_s
        self._deadlines: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._deadlines)

    def grant(self, lease: int, now: float) -> None:
        """Begin, or begin again, the term of a lease.

        Args:
            lease: Number of the lease.
            now: Monotonic time, seconds.
        """
        self._deadlines[lease] = now + self.term_s

    def drop(self, lease: int) -> None:
        """Forget a lease; nothing happens if it is not there."""
        self._deadlines.pop(lease, None)

    def expired(self, now: float) -> list[int]:
        """Leases whose term is over, oldest number first."""
        return sorted(lease for lease, deadline in self._deadlines.items() if deadline <= now)
