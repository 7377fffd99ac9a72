"""How many workers a study could make use of, for whoever starts and ends them."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from bohb_service.scheduler.needs import Labels

if TYPE_CHECKING:
    from bohb_service.master.master import Master


def useful_workers(master: "Master", at_most: int, kinds: Collection[Labels] = ()) -> int:
    """How many workers could be busy now.

    Args:
        master: Of the study.
        at_most: Upper bound of the answer.
        kinds: Labels of the workers that there could be; none: any that a trial needs.
    """
    scheduler = master.scheduler
    needs = scheduler.settings.needs

    def fits(budget: float) -> bool:
        return not kinds or any(needs.fits(budget, labels) for labels in kinds)

    running = sum(fits(trial.budget) for trial in scheduler.state.current.values())
    if scheduler.is_finished or master.end is not None:
        return 0
    if master.is_draining:
        return min(at_most, running)
    if scheduler.state.stop_reason is not None:
        return int(fits(scheduler.settings.max_budget))  # the final training is one job
    ready = scheduler.supply(at_most, kinds)
    return min(at_most, max(running + ready, master.min_workers))


def idle_workers(master: "Master") -> dict[str, float]:
    """Names of the workers that have nothing to do, and for how many seconds."""
    now = master.now()
    return {
        session.name: now - session.idle_since
        for session in master.sessions
        if session.is_idle and session.idle_since is not None
    }
