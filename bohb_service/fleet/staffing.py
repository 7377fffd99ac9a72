"""Whom a fleet lacks and whom it can spare: pure functions of what there is to do and who is there."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bohb_service.fleet.fleet import Demand
from bohb_service.scheduler.needs import Labels


@dataclass(frozen=True, slots=True)
class Unit:
    """One place for a worker in a cluster, e.g. a task of an array of jobs.

    Attributes:
        name: Without dots. The worker's name is this, a dot, and what tells its starts and slots apart.
        is_running: It runs, or it waits until the cluster has room for it.
    """

    name: str
    is_running: bool


@dataclass(frozen=True, slots=True)
class Size:
    """How large a fleet may be.

    Attributes:
        most: Most units.
        least: Units that are kept whatever the demand is.
        slots: Workers of each unit.
        idle_s: Time without use after which a unit may go, in seconds.
        poll_s: Time between two looks, in seconds.
    """

    most: int
    least: int = 0
    slots: int = 1
    idle_s: float = 60.0
    poll_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Balance:
    """What there is to do, set against who is there.

    Attributes:
        lacking: Trials for which nobody idles, and which workers of the fleet could take.
        strange: Trials that nobody who is there can take, and no kind of worker that the fleet is known to have.
        spare: Names of the fleet's workers that idle, and for which there is nothing.
    """

    lacking: int
    strange: int
    spare: frozenset[str]


@dataclass(frozen=True, slots=True)
class Change:
    """What brings a fleet to the size that it should have.

    Attributes:
        start: Units to start.
        cancel: Names of waiting units to cancel.
        dismiss: Names of idle workers to let go, those of a unit together or not at all.
    """

    start: int = 0
    cancel: tuple[str, ...] = ()
    dismiss: tuple[frozenset[str], ...] = ()


def unit_of(worker: str) -> str:
    """The unit that a worker of this name belongs to, if it belongs to one."""
    unit, dot, _ = worker.partition(".")
    return unit if dot else ""


def staff_of(units: Sequence[Unit], workers: Collection[str]) -> dict[str, list[str]]:
    """The workers of each unit that are there."""
    staff: dict[str, list[str]] = {unit.name: [] for unit in units}
    for worker in workers:
        if unit_of(worker) in staff:
            staff[unit_of(worker)].append(worker)
    return staff


def balance_of(demand: Demand, units: Sequence[Unit], kinds: Collection[Labels]) -> Balance:
    """Whom a fleet lacks and whom it can spare, if everyone who idles takes a trial that fits.

    Args:
        demand: The demand; workers that belong to no unit serve it too.
        units: All that wait or run.
        kinds: What workers of this fleet are known to have; none: they may have whatever is needed.
    """
    needs, left = demand.needs, dict(demand.work)
    ours = {worker for its in staff_of(units, demand.workers).values() for worker in its}
    fitting = {
        worker: [budget for budget in sorted(left, reverse=True) if needs.fits(budget, demand.workers[worker])]
        for worker in demand.idle
    }
    # Others first, so that ours can leave; the least able first, since they have no choice; the last that worked first.
    turn = sorted(fitting, key=lambda worker: (worker in ours, len(fitting[worker]), demand.idle[worker]))
    spare, n_taken = set(), 0
    for worker in turn:
        budget = next((budget for budget in fitting[worker] if left[budget]), None)
        if budget is not None and n_taken < demand.most:
            left[budget], n_taken = left[budget] - 1, n_taken + 1
        elif worker in ours:
            spare.add(worker)
    known = {budget for budget in left if not kinds or any(needs.fits(budget, labels) for labels in kinds)}
    strange = {
        budget for budget in left if not any(needs.fits(budget, labels) for labels in demand.workers.values())
    } - known
    return Balance(
        lacking=int(min(sum(left[budget] for budget in known), max(0, demand.most - n_taken))),
        strange=sum(left[budget] for budget in strange),
        spare=frozenset(spare),
    )


def change_for(
    demand: Demand,
    units: Sequence[Unit],
    size: Size,
    *,
    balance: Balance,
    lacked: int = 0,
    places: Mapping[str, int] | None = None,
) -> Change:
    """What brings a fleet to the size that the demand asks for.

    Args:
        demand: The demand.
        units: All that wait or run, oldest first.
        size: Bounds.
        balance: What `balance_of` says of them.
        lacked: How many workers were lacking at some time of late: units that wait are kept for so many.
        places: How many workers a unit counts for, where it is not what `size` says: some have gone for good.
    """
    staff = staff_of(units, demand.workers)
    held = {unit.name: (places or {}).get(unit.name, size.slots) for unit in units}
    coming = sum(max(0, held[name] - len(its)) for name, its in staff.items())
    total = sum(held.values())
    # How many there must be, whatever there is to do.
    floor = max(size.least * size.slots, demand.awaited - len(demand.workers) + sum(map(len, staff.values())))
    start = math.ceil(max(balance.lacking - coming, floor - total) / size.slots)
    start = min(start, size.most - len(units))
    if start > 0:
        return Change(start=start)
    unneeded = min(coming - max(balance.lacking, lacked), total - floor) // size.slots
    waiting = [unit.name for unit in reversed(units) if not unit.is_running and not staff[unit.name]]
    cancel = waiting[: max(0, unneeded, len(units) - size.most)]
    total -= sum(held[name] for name in cancel)
    # A unit leaves as a whole: all of its workers must have been idle for long enough.
    idle_s = {
        name: min(demand.idle[worker] for worker in its)
        for name, its in staff.items()
        if its and balance.spare.issuperset(its)
    }
    dismiss = []
    for name in sorted(idle_s, key=lambda name: -idle_s[name]):
        if idle_s[name] >= size.idle_s and total - held[name] >= floor:
            total -= held[name]
            dismiss.append(frozenset(staff[name]))
    return Change(cancel=tuple(cancel), dismiss=tuple(dismiss))
