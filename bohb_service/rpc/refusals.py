"""Refused peers: counted by reason, logged at a limited rate."""

import logging
from collections import Counter

from bohb_service.clock import Clock

LOG_INTERVAL_S = 10.0
"""At most one line for each reason in this time."""

log = logging.getLogger("bohb_service.rpc")


class Refusals:
    """Counts refused connections and messages.

    Attributes:
        counts: How many, by reason.

    Args:
        clock: For the rate of log lines.
    """

    def __init__(self, clock: Clock) -> None:
        self.counts: Counter[str] = Counter()
        self._clock = clock
        self._told: dict[str, tuple[float, int]] = {}

    def note(self, reason: str, peer: str) -> None:
        """Count one refusal.

        Args:
            reason: One of few fixed texts.
            peer: Address of the peer.
        """
        self.counts[reason] += 1
        now = self._clock.monotonic()
        at, n_told = self._told.get(reason, (-LOG_INTERVAL_S, 0))
        if now - at >= LOG_INTERVAL_S:
            n = self.counts[reason]
            self._told[reason] = (now, n)
            log.warning("peer refused", extra={"reason": reason, "peer": peer, "count": n, "more": n - n_told - 1})
