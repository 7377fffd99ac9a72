"""What workers have done wrong, in the log, at a rate that they do not decide."""

import logging
from typing import Any

from bohb_service.clock import Clock
from bohb_service.line_rate import LineRate

log = logging.getLogger("bohb_service.master")


class Complaints:
    """Logs complaints; those that come too fast are counted.

    Args:
        clock: Time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rate = LineRate(burst=20, per_s=1.0)

    def add(self, message: str, fields: dict[str, Any]) -> None:
        """Log one, if the rate allows it."""
        now = self._clock.monotonic()
        if self._rate.allows(now, "complaints"):
            log.warning(message, extra=fields)
        if (left_out := self._rate.take_left_out(now)) is not None:
            log.warning("lines left out", extra=left_out)
