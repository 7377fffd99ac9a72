"""Work that no connected worker can take: `status` tells it, and a line of the log when it lasts."""

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bohb_service.master.master import Master

log = logging.getLogger("bohb_service.master")

_LOOK_S = 10.0
"""Workers that are started together may join one after the other; nothing is logged that a second look does not see."""


def unfit_work(master: "Master") -> list[dict[str, Any]]:
    """What could be done now or in the brackets of the next cycle, if a worker that can do it were there.

    Returns:
        Plain values, smallest budget first: ``budget``, ``trials`` and what they ``need``. Nothing while there is no
        worker, which says enough, and when nothing is handed out any more.
    """
    needs = master.scheduler.settings.needs
    if not needs.rules or master.is_draining or master.end is not None:
        return []
    connected = [session.info.labels for session in master.sessions if session.lost_since is None]
    if not connected:
        return []
    return [
        {"budget": budget, "trials": count, "need": dict(needs.at(budget))}
        for budget, count in sorted(master.scheduler.outlook.work(n_cycles=1).items())
        if not any(needs.fits(budget, labels) for labels in connected)
    ]


class UnfitWatch:
    """Logs each budget for which no worker is there, once for as long as that lasts."""

    def __init__(self) -> None:
        self._next = 0.0
        self._before: frozenset[float] = frozenset()
        self._told: frozenset[float] = frozenset()

    def look(self, master: "Master", now: float) -> None:
        """Look again if the last time was a while ago.

        Args:
            master: The master.
            now: Monotonic time, seconds.
        """
        if now < self._next:
            return
        self._next = now + _LOOK_S
        found = {work["budget"]: work for work in unfit_work(master)}
        lasting = self._before.intersection(found)
        for budget in sorted(lasting - self._told):
            work = found[budget]
            log.warning(
                "no connected worker can take what comes next",
                extra={"budget": budget, "trials": work["trials"], "needs": work["need"]},
            )
        self._told = lasting
        self._before = frozenset(found)
