"""Who gives way where there are too many peers: one of those that come from the same address as most others."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def first_of_the_crowd(peers: Iterable[T], address_of: Callable[[T], str]) -> T:
    """The first of the peers whose address most of them share, so that a flood from one place shuts nobody else out.

    Args:
        peers: At least one.
        address_of: Where a peer comes from.
    """
    peers = list(peers)
    ((crowded, _),) = Counter(map(address_of, peers)).most_common(1)
    return next(peer for peer in peers if address_of(peer) == crowded)
