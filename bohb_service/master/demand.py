"""What a study could have done now, by whoever could take it, for those who start and end workers."""

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bohb_service.master.master import Master


def waiting_work(master: "Master", at_most: int) -> dict[float, int]:
    """How many trials wait for a worker, by budget, each counted no further than to a bound.

    Trials that the workers which are there hold do not wait. Those of workers that are not there do: after a restart
    of the master their workers may come back, or not.

    Args:
        master: Of the study.
        at_most: The bound.
    """
    scheduler = master.scheduler
    if master.is_draining or master.end is not None:
        return {}
    work = Counter(scheduler.outlook.work(n_cycles=at_most))
    work.update(_budgets_of_absent(master))
    return {budget: min(at_most, count) for budget, count in work.items()}


def most_work(master: "Master") -> float:
    """How many of all trials that wait can be leased before the search ends; infinite without a limit."""
    return master.scheduler.outlook.startable + len(_budgets_of_absent(master))


def idle_workers(master: "Master") -> dict[str, float]:
    """Names of the workers that have nothing to do, and for how many seconds."""
    now = master.now()
    return {
        session.name: now - session.idle_since
        for session in master.sessions
        if session.is_idle and session.idle_since is not None
    }


def _budgets_of_absent(master: "Master") -> list[float]:
    """The budgets of trials that are leased to workers that are not there."""
    leased = master.scheduler.state.current.values()
    return [trial.budget for trial in leased if master.sessions.named(trial.worker) is None]
