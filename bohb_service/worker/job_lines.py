"""The log lines of a worker on its jobs."""

import logging

from bohb_service.scheduler.outcomes import Completed, Failed, Outcome, Released
from bohb_service.scheduler.replies import Job

log = logging.getLogger("bohb_service.worker")


def log_started(job: Job) -> None:
    """A job came to its turn."""
    fields = {"trial": str(job.trial), "lease": job.lease, "budget": job.budget, "attempt": job.attempt}
    log.info("job started", extra=fields)


def log_dropped(job: Job) -> None:
    """A job ended without an outcome that anybody wants."""
    log.info("job dropped", extra={"trial": str(job.trial), "lease": job.lease})


def log_outcome(job: Job, outcome: Outcome) -> None:
    """A job ended."""
    fields = {"trial": str(job.trial), "lease": job.lease, "budget": job.budget}
    match outcome:
        case Completed(loss, _, seconds):
            log.info("job finished", extra={**fields, "loss": loss, "seconds": round(seconds, 3)})
        case Failed(reason, message, _, seconds):
            log.warning(
                "job failed", extra={**fields, "reason": reason, "error": message, "seconds": round(seconds, 3)}
            )
        case Released(reason, message):
            log.warning("job released", extra={**fields, "reason": reason, "error": message})
