"""What a master is at one moment, as far as monitoring wants to know."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Figures that are read together.

    Attributes:
        study: Name of the study.
        study_id: Identity of the run.
        version: Version of this package.
        state: ``running``, ``draining``, ``refitting`` or ``finished``.
        workers: How many workers there are, by state: ``busy``, ``idle``, ``lost``.
        waiting: How many of them wait for a job.
        lost_workers: How often a worker was lost.
        running: Trials that are leased.
        queued: Trials that wait for a worker: promoted, or to be done again.
        abandoned: Trials whose last attempt was lost, without a result since.
        configurations: Suggested configurations.
        from_model: How many of them the model proposed.
        incumbent_loss: Loss of the incumbent, or None before the first result.
        incumbent_budget: Its budget, or None.
        spent: Budgets of all trials started, in units of the largest budget.
        elapsed_s: Working time, in seconds.
        share_done: How much of the study is done, in [0, 1], by the stopping rule that is nearest.
        connections: Open connections.
        refused: Refused peers by reason, one of few.
        certificate_days: For how many days the certificate stays valid; None without one.
    """

    study: str
    study_id: str
    version: str
    state: str
    workers: Mapping[str, int]
    waiting: int
    lost_workers: int
    running: int
    queued: int
    abandoned: int
    configurations: int
    from_model: int
    incumbent_loss: float | None
    incumbent_budget: float | None
    spent: float
    elapsed_s: float
    share_done: float
    connections: int
    refused: Mapping[str, int]
    certificate_days: float | None
