"""How many workers a study could use, who idles, and how those are let go."""

import pytest

from bohb_service.master.demand import idle_workers, useful_workers
from bohb_service.scheduler.needs import NeedRule, Needs
from tests.house import Peer, houses


@pytest.fixture
def make_house():
    with houses() as make:
        yield make


def test_demand_follows_the_rungs_and_ends_with_the_study(make_house):
    house = make_house(brackets=1)
    first, second = Peer(house, "a"), Peer(house, "b")
    seen = []
    answer = first.ask()
    while answer.jobs:
        seen.append(useful_workers(house.master, 100))
        (job,) = answer.jobs
        answer = first.ask(results=((job.lease, _loss(job)),), max_jobs=1)
    assert seen == [9, 8, 7, 6, 5, 4, 3, 2, 1, 3, 2, 1, 1]
    assert useful_workers(house.master, 100) == 0
    assert second.name == "b"


def test_the_demand_is_bounded_and_heeds_min_workers(make_house):
    house = make_house(brackets=30, min_workers=12)
    assert useful_workers(house.master, 4) == 4
    house = make_house(evaluations=2, min_workers=12)
    assert useful_workers(house.master, 100) == 12


def test_what_needs_another_kind_of_worker_is_no_demand(make_house):
    house = make_house(brackets=3, needs=Needs((NeedRule(3.0, {"gpu": 1}),)))
    cpu, gpu = {"gpu": 0}, {"gpu": 1}
    # Brackets of 9, 5 and 3 configurations, from budget 1, 3 and 9 on.
    assert [useful_workers(house.master, 100, kinds) for kinds in ((), [cpu], [gpu], [cpu, gpu])] == [17, 9, 17, 17]
    assert Peer(house, labels=gpu).ask().jobs
    assert [useful_workers(house.master, 100, kinds) for kinds in ((), [cpu], [gpu])] == [17, 9, 17]
    assert useful_workers(house.master, 5, [cpu]) == 5
    small = make_house(evaluations=4, needs=Needs((NeedRule(0.0, {"gpu": 1}),)))
    assert [useful_workers(small.master, 100, kinds) for kinds in ((), [cpu], [gpu])] == [4, 0, 4]


def test_when_draining_only_what_runs_is_wanted(make_house):
    house = make_house(brackets=1)
    assert Peer(house).ask().jobs
    house.master.drain()
    assert useful_workers(house.master, 100) == 1


def test_only_who_waits_for_a_job_is_idle_and_is_let_go(make_house):
    house = make_house(brackets=1, evaluations=1)
    busy, idle = Peer(house, "busy"), Peer(house, "idle")
    (job,) = busy.ask().jobs
    answers = idle.say(max_jobs=1, wait_s=20.0)
    ahead = busy.say(running=(job.lease,), max_jobs=1, wait_s=20.0)
    house.pump()
    house.clock.advance(7.0)
    assert idle_workers(house.master) == {"idle": 7.0}
    house.master.dismiss(frozenset({"busy", "idle", "unknown"}), "no more")
    house.pump(lambda: answers)
    assert (answers[0].stop, answers[0].jobs) == ("no more", ())
    assert house.scheduler.state.holds(job.lease, "busy")
    assert ahead == []
    assert idle_workers(house.master) == {}


def test_idle_time_goes_on_over_exchanges_and_begins_anew_with_each_job(make_house):
    house = make_house(brackets=1, evaluations=1)
    busy, idle = Peer(house, "busy"), Peer(house, "idle")
    (job,) = busy.ask().jobs
    for _ in range(3):
        idle.say(max_jobs=1, wait_s=20.0)
        house.clock.advance(5.0)
    house.pump()
    assert idle_workers(house.master) == {"idle": 15.0}
    assert job.lease == 0


def _loss(job):
    from bohb_service.scheduler.outcomes import Completed

    return Completed(float(job.trial.configuration))
