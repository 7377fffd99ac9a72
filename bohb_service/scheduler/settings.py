"""What does not change while a study runs."""

from dataclasses import dataclass, field

from bohb_service.optimizer.brackets import Schedule
from bohb_service.scheduler.needs import Needs
from bohb_service.scheduler.stopping import StopRules


@dataclass(frozen=True, slots=True)
class Settings:
    """What does not change while a study runs.

    Attributes:
        schedule: The brackets.
        stop: Stopping rules.
        max_attempts: Leases a trial may lose before it is abandoned, at least 1.
        max_budget: The study's largest budget.
        seed: Seed of the study; evaluations get theirs from it.
        refit: Whether the worker offers a last job that retrains the incumbent.
        needs: What trials need of a worker.
    """

    schedule: Schedule
    stop: StopRules
    max_attempts: int
    max_budget: float
    seed: int
    refit: bool = False
    needs: Needs = field(default_factory=Needs)
