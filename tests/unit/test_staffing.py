"""Whom a fleet lacks and whom it can spare."""

import pytest

from bohb_service.fleet.fleet import Demand
from bohb_service.fleet.staffing import Balance, Change, Size, Unit, balance_of, change_for
from bohb_service.scheduler.needs import NeedRule, Needs

CPU, GPU = {"gpu": 0}, {"gpu": 1}
TWENTY = {f"x{n}": 1.0 for n in range(20)}
GPU_FROM_NINE = Needs((NeedRule(9.0, {"gpu": 1}),))


def units(running, waiting=0):
    return [Unit(f"u{n}", n < running) for n in range(running + waiting)]


def demand(waiting, workers=(), idle=None, **more):
    work = waiting if isinstance(waiting, dict) else {1.0: waiting}
    labels = workers if isinstance(workers, dict) else {name: {} for name in workers}
    return Demand(work, more.pop("needs", Needs()), labels, idle or {}, **more)


def idle_for(*seconds, waiting):
    idle = {f"u{n}.0": float(each) for n, each in enumerate(seconds)}
    return demand(waiting, list(idle), idle)


def change(wanted, there, size, *, kinds=(), **more):
    return change_for(wanted, there, size, balance=balance_of(wanted, there, kinds), **more)


def leave(*groups):
    return tuple(map(frozenset, groups))


@pytest.mark.parametrize(
    ("wanted", "there", "size", "expected"),
    [
        (demand(5), units(0), Size(8), Change(start=5)),
        (demand(50), units(2, 1), Size(8), Change(start=5)),
        (demand(3), units(1, 2), Size(8), Change()),
        (demand(0), units(0), Size(8, least=2), Change(start=2)),
        (demand(1), units(1, 3), Size(8), Change(cancel=("u3", "u2", "u1"))),
        (demand(2), units(2, 1), Size(8, least=3), Change()),
        (demand(9), units(3, 1), Size(2), Change(cancel=("u3",))),
        # Those that work are busy: what waits is for others.
        (demand(2, ["u0.0", "u1.0"]), units(2), Size(8), Change(start=2)),
        (demand(2, ["u0.0", "u1.0"]), units(2, 2), Size(8), Change()),
        # Workers that somebody started by hand serve the demand too; what is none of ours is never sent away.
        (demand(3, ["laptop-1-ab"], {"laptop-1-ab": 1.0}), units(0), Size(8), Change(start=2)),
        (demand(3, ["laptop-1-ab"]), units(0), Size(8), Change(start=3)),
        (demand(0, ["x"], {"x": 900.0}), units(0), Size(8), Change()),
        (demand(1, ["u0.0", "x"], {"u0.0": 60.0, "x": 99.0}), units(1), Size(8), Change(dismiss=leave({"u0.0"}))),
        # However many of them there are, those that they leave undone are a demand.
        (demand(30, list(TWENTY), TWENTY), units(0), Size(4), Change(start=4)),
        (demand(22, list(TWENTY), TWENTY), units(0), Size(4), Change(start=2)),
        # No more than the study can begin at all.
        (demand({1.0: 9, 3.0: 9}, most=4), units(0), Size(8), Change(start=4)),
        (demand({1.0: 9, 3.0: 9}, ["x"], {"x": 1.0}, most=4), units(0), Size(8), Change(start=3)),
        (demand(9, ["u0.0", "u1.0"], {"u0.0": 60.0, "u1.0": 61.0}, most=1), units(2), Size(8),
         Change(dismiss=leave({"u1.0"}))),
        # Before the study begins, so many as it waits for.
        (demand(2, ["x"], {"x": 1.0}, awaited=5), units(1), Size(8), Change(start=3)),
        # Those that have had nothing to do for longest leave first, and only after a while.
        (idle_for(70, 80, waiting=1), units(2), Size(8), Change(dismiss=leave({"u1.0"}))),
        (idle_for(59, 60, waiting=0), units(2), Size(8), Change(dismiss=leave({"u1.0"}))),
        (idle_for(70, 80, waiting=0), units(2), Size(8, least=1), Change(dismiss=leave({"u1.0"}))),
        # Places of several workers are asked for as a whole, and leave as a whole.
        (demand(5), units(0), Size(8, slots=4), Change(start=2)),
        (demand(3, ["u0.0", "u0.1", "x"], {"x": 1.0}), units(1), Size(8, slots=2), Change(start=1)),
        (demand(0, ["u0.0", "u0.1"], {"u0.0": 99.0}), units(1), Size(8, slots=2), Change()),
        (demand(0, ["u0.0", "u0.1"], {"u0.0": 99.0, "u0.1": 60.0}), units(1), Size(8, slots=2),
         Change(dismiss=leave({"u0.0", "u0.1"}))),
        # A unit whose workers join one after the other counts as a whole.
        (demand(3, ["u0.0"]), units(1), Size(8, slots=4), Change()),
        # A unit that waits goes before a worker that is there.
        (demand(1, {"u0.0": {}}, {"u0.0": 99.0}), units(1, 1), Size(8), Change(cancel=("u1",))),
    ],
)  # fmt: skip
def test_the_change_that_a_demand_asks_for(wanted, there, size, expected):
    assert change(wanted, there, size) == expected


def test_only_those_who_can_take_a_trial_do_so():
    by_hand = {f"cpu{n}": CPU for n in range(8)}
    idle = dict.fromkeys(by_hand, 1.0)
    # Eight that cannot do it are no help for three trials; and what they can do is no reason to start anybody.
    wanted = demand({1.0: 8, 9.0: 3}, by_hand, idle, needs=GPU_FROM_NINE)
    assert balance_of(wanted, [], [GPU]) == Balance(lacking=3, strange=0, spare=frozenset())
    assert change(wanted, [], Size(8), kinds=[GPU]) == Change(start=3)
    assert balance_of(wanted, [], [CPU]) == Balance(lacking=0, strange=3, spare=frozenset())
    idlers = demand(0, ["x"], {"x": 1.0})
    assert balance_of(idlers, [], []) == Balance(lacking=0, strange=0, spare=frozenset())


def test_one_who_can_do_all_leaves_to_another_what_that_one_can_do():
    needs = Needs((NeedRule(0.0, {"kind": "a"}), NeedRule(9.0, {"kind": "b"})))
    either = Needs((NeedRule(0.0, {"a": 1}), NeedRule(9.0, {"a": 0, "b": 1})))
    both = demand({1.0: 1, 9.0: 1}, {"x": {"a": 1, "b": 1}, "y": {"b": 1}}, {"x": 1.0, "y": 2.0}, needs=either)
    assert balance_of(both, [], []).lacking == 0
    split = demand({1.0: 1, 9.0: 1}, {"x": {"kind": "a"}, "y": {"kind": "a"}}, {"x": 1.0, "y": 2.0}, needs=needs)
    assert balance_of(split, [], []).lacking == 1


def test_what_somebody_else_who_is_busy_can_take_is_not_strange():
    wanted = demand({9.0: 3}, {"gpu": GPU, "u0.0": CPU}, {"u0.0": 5.0}, needs=GPU_FROM_NINE)
    assert balance_of(wanted, units(1), [CPU]) == Balance(lacking=0, strange=0, spare=frozenset({"u0.0"}))


def test_workers_that_cannot_take_what_waits_make_room_for_others():
    small = {"u0.0": CPU, "u1.0": CPU}
    wanted = demand({9.0: 1}, small, dict.fromkeys(small, 60.0), needs=GPU_FROM_NINE)
    assert change(wanted, units(2), Size(3), kinds=[CPU, GPU]) == Change(start=1)
    assert change(wanted, units(2), Size(2), kinds=[CPU, GPU]) == Change(dismiss=leave({"u0.0"}, {"u1.0"}))


def test_what_was_lacking_a_moment_ago_keeps_those_in_the_queue():
    assert change(demand(0), units(0, 3), Size(8), lacked=2) == Change(cancel=("u2",))


def test_a_unit_counts_for_the_workers_that_are_left_of_it():
    wanted = demand(3, ["u0.2"])
    size = Size(8, slots=4)
    assert change(wanted, units(1), size, places={"u0": 1}) == Change(start=1)
    assert change(wanted, units(1), Size(8, least=1, slots=4), places={"u0": 1}) == Change(start=1)
    alone = demand(0, ["u0.2"], {"u0.2": 60.0})
    assert change(alone, units(1), size, places={"u0": 1}) == Change(dismiss=leave({"u0.2"}))
