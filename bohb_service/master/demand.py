"""How many workers a study could make use of, for whoever starts and ends them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bohb_service.master.master import Master


def useful_workers(master: "Master", at_most: int) -> int:
    """How many workers could be busy now, counted no further than to an upper bound."""
    scheduler = master.scheduler
    running = scheduler.state.running
    if scheduler.is_finished or master.end is not None:
        return 0
    if master.is_draining:
        return min(at_most, running)
    if scheduler.state.stop_reason is not None:
        return 1  # the final training is one job
    ready = scheduler.supply(at_most)
    return min(at_most, max(running + ready, master.min_workers))


def idle_workers(master: "Master") -> dict[str, float]:
    """Names of the workers that have nothing to do, and for how many seconds."""
    now = master.now()
    return {
        session.name: now - session.idle_since
        for session in master.sessions
        if session.is_idle and session.idle_since is not None
    }
