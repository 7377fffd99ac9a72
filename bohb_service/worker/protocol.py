"""What the worker process and its objective process say to each other, as plain lists.

To the child:   ``[START, spec, options]``, ``[JOB, ...]``, ``[DROP, lease]``, ``[PREEMPT]``, ``[END]``.
From the child: ``[READY]`` or ``[BROKEN, message, detail]`` once; ``[UP, time]`` after `setup`, which is run
before the first job, or ``[SETUP_FAILED, lease, message, detail, is_final]`` with that job, and the process ends; then
for each job, in the order of the jobs, ``[REPORT, lease, step, loss]`` and ``[DONE, lease, time, outcome]``
or ``[DROPPED, lease]``, and after PREEMPT ``[PREEMPTED, lease, time]`` for one that was told of it or had not
begun. Times are of the monotonic clock, which the processes of a machine share.
"""

from typing import Any

from bohb_service.scheduler.outcomes import Completed, Failed, Outcome
from bohb_service.scheduler.replies import Job
from bohb_service.scheduler.trial import TrialId

START, JOB, DROP, PREEMPT, END = "start", "job", "drop", "preempt", "end"
READY, BROKEN, UP, SETUP_FAILED = "ready", "broken", "up", "setup-failed"
REPORT, DONE, DROPPED, PREEMPTED = "report", "done", "dropped", "preempted"


def encode_job(job: Job, directory: str) -> list[Any]:
    """The message that hands a job to the child."""
    return [
        JOB,
        job.lease,
        job.trial.configuration,
        job.trial.rung,
        job.attempt,
        dict(job.config),
        job.budget,
        job.previous_budget,
        job.seed,
        directory,
    ]


def decode_job(message: list[Any]) -> tuple[Job, str]:
    """The job and its directory from the message of `encode_job`."""
    _, lease, configuration, rung, attempt, config, budget, previous_budget, seed, directory = message
    trial = TrialId(configuration, rung)
    return Job(lease, trial, attempt, config, budget, previous_budget, seed), directory


def encode_outcome(outcome: Outcome) -> list[Any]:
    """A completed or failed evaluation as a list; nothing else comes from a child.

    Raises:
        TypeError: The outcome is a release, which only the worker process decides.
    """
    if isinstance(outcome, Completed):
        return [outcome.loss, dict(outcome.info), outcome.seconds, outcome.continued_from, outcome.curve]
    if isinstance(outcome, Failed):
        return [outcome.reason, outcome.message, outcome.detail, outcome.seconds, outcome.curve]
    raise TypeError(f"the objective process cannot say {outcome!r}")


def decode_outcome(encoded: list[Any]) -> Completed | Failed:
    """The outcome from the list of `encode_outcome`."""
    *fields, curve = encoded
    points = tuple((step, loss) for step, loss in curve)
    if isinstance(fields[1], dict):
        loss, info, seconds, continued_from = fields
        return Completed(loss, info, seconds, points, continued_from)
    reason, message, detail, seconds = fields
    return Failed(reason, message, detail, seconds, points)
