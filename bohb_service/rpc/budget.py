"""What the large buffers of all peers may hold together."""

from collections.abc import Callable

from bohb_service.rpc.connection import Connection

_LARGE = 1 << 16
"""Smaller buffers are not counted: no number of peers makes them a burden."""


class Budget:
    """Knows the peers whose buffer of one kind is large.

    Args:
        size_of: Bytes in that buffer of a peer.
    """

    def __init__(self, size_of: Callable[[Connection], int]) -> None:
        self._size_of = size_of
        self._large: set[Connection] = set()

    def overdrawn_by(self, connection: Connection, most: int) -> Connection | None:
        """The peer that must go, because all together hold more than ``most`` bytes: the one that holds most of them.

        Args:
            connection: Whose buffer has just changed.
            most: What all may hold, in bytes.
        """
        if self._size_of(connection) < _LARGE:
            self.forget(connection)
            return None
        self._large.add(connection)
        if sum(map(self._size_of, self._large)) <= most:
            return None
        return max(self._large, key=self._size_of)

    def forget(self, connection: Connection) -> None:
        """Count a peer no more."""
        self._large.discard(connection)
