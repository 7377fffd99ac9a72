"""The log lines of a worker on its jobs."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from bohb_service.clock import Clock
from bohb_service.line_rate import LineRate
from bohb_service.scheduler.outcomes import Completed, Failed, Outcome, Released
from bohb_service.scheduler.replies import Job

log = logging.getLogger("bohb_service.worker")


class JobLines:
    """Writes a line for each step of a job; where jobs are very short, most lines are left out and counted.

    Args:
        clock: For the rate.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rate = LineRate()
        self._trials: dict[int, str] = {}

    def taken(self, jobs: Iterable[Job]) -> None:
        """Jobs came, each to be done when its turn comes."""
        self._trials.update((job.lease, str(job.trial)) for job in jobs)

    def started(self, job: Job) -> None:
        """A job came to its turn."""
        if self._allows("started"):
            fields = {"trial": str(job.trial), "lease": job.lease, "budget": job.budget, "attempt": job.attempt}
            log.info("job started", extra=fields)

    def dropped(self, job: Job) -> None:
        """A job ended without an outcome that anybody wants."""
        if self._allows("dropped"):
            log.info("job dropped", extra={"trial": str(job.trial), "lease": job.lease})

    def ended(self, job: Job, outcome: Outcome) -> None:
        """A job ended."""
        if not self._allows("ended"):
            return
        fields: dict[str, Any] = {"trial": str(job.trial), "lease": job.lease, "budget": job.budget}
        match outcome:
            case Completed(loss, _, seconds):
                log.info("job finished", extra={**fields, "loss": loss, "seconds": round(seconds, 3)})
            case Failed(reason, message, _, seconds):
                fields |= {"reason": reason, "error": message, "seconds": round(seconds, 3)}
                log.warning("job failed", extra=fields)
            case Released(reason, message):
                log.warning("job released", extra={**fields, "reason": reason, "error": message})

    def acknowledged(self, leases: Sequence[int]) -> None:
        """The master has the outcomes of these leases."""
        if not leases:
            return
        trials = [self._trials.pop(lease, None) for lease in leases]
        if self._allows("acknowledged"):
            log.info("outcomes acknowledged", extra={"leases": list(leases), "trials": trials})

    def lost(self, leases: Sequence[int]) -> None:
        """The master has given these leases to others."""
        for lease in leases:
            log.warning("lease lost", extra={"lease": lease, "trial": self._trials.pop(lease, None)})

    def undelivered(self, leases: Sequence[int]) -> None:
        """The master could not be told the outcomes of these leases."""
        if leases:
            trials = [self._trials.get(lease) for lease in leases]
            log.warning("outcomes not delivered", extra={"leases": list(leases), "trials": trials})

    def _allows(self, kind: str) -> bool:
        now = self._clock.monotonic()
        is_allowed = self._rate.allows(now, kind)
        if (left_out := self._rate.take_left_out(now)) is not None:
            log.info("lines left out", extra=left_out)
        return is_allowed
