"""What a study could have done now, who idles, and how those are let go."""

import math

import pytest

from bohb_service.api.study_run import StudyRun
from bohb_service.master.demand import idle_workers, most_work, waiting_work
from bohb_service.scheduler.outcomes import Completed, Released
from bohb_service.scheduler.trial import REFIT_RUNG
from bohb_service.study import parse_study
from tests.house import Peer, houses


@pytest.fixture
def make_house():
    with houses() as make:
        yield make


def test_what_waits_follows_the_rungs_and_ends_with_the_study(make_house):
    house = make_house(brackets=1)
    first, second = Peer(house, "a"), Peer(house, "b")
    seen = [waiting_work(house.master, 100)]
    answer = first.ask()
    while answer.jobs:
        seen.append(waiting_work(house.master, 100))
        (job,) = answer.jobs
        answer = first.ask(results=((job.lease, _loss(job)),), max_jobs=1)
    assert seen == [*({1.0: n} for n in range(9, 0, -1)), {}, {3.0: 2}, {3.0: 1}, {}, {}]
    assert waiting_work(house.master, 100) == {}
    assert second.name == "b"


def test_brackets_that_are_not_open_yet_wait_too_as_far_as_anybody_wants_to_know(make_house):
    house = make_house(brackets=5)  # of 9, 5, 3, 9 and 5 configurations
    assert waiting_work(house.master, 100) == {1.0: 18, 3.0: 10, 9.0: 3}
    assert waiting_work(house.master, 4) == {1.0: 4, 3.0: 4, 9.0: 3}
    endless = make_house(full_budgets=1000.0)
    assert waiting_work(endless.master, 200) == dict.fromkeys((1.0, 3.0, 9.0), 200)


def test_no_more_waits_than_the_stopping_rules_allow(make_house):
    house = make_house(evaluations=4)
    assert waiting_work(house.master, 100) == dict.fromkeys((1.0, 3.0, 9.0), 4)
    assert most_work(house.master) == 4
    peer = Peer(house)
    (job,) = peer.ask().jobs
    assert most_work(house.master) == 3
    peer.ask(results=((job.lease, Released("preempted", "evicted")),), max_jobs=0, wait_s=0.0)
    assert most_work(house.master) == 4
    assert waiting_work(house.master, 100) == {1.0: 4, 3.0: 3, 9.0: 3}
    thrifty = make_house(full_budgets=2.5)
    assert waiting_work(thrifty.master, 100) == {1.0: 22, 3.0: 7, 9.0: 2}
    assert most_work(thrifty.master) == math.inf


def test_the_final_training_waits_like_a_trial(make_house):
    house = make_house(brackets=1, refit=True)
    peer = Peer(house)
    answer = peer.ask()
    for _ in range(13):
        (job,) = answer.jobs
        answer = peer.ask(results=((job.lease, _loss(job)),), max_jobs=1)
    assert answer.jobs[0].trial.rung == REFIT_RUNG
    assert waiting_work(house.master, 100) == {}
    house.master.goodbye(peer.session, (), "drained")
    assert waiting_work(house.master, 100) == {9.0: 1}


def test_what_a_worker_of_an_earlier_master_holds_waits_for_it(make_house):
    house = make_house(brackets=1)
    assert Peer(house, "back").ask().jobs
    again = make_house(scheduler=house.scheduler)
    assert waiting_work(again.master, 100) == {1.0: 9}
    assert most_work(again.master) == math.inf
    Peer(again, "back", running=(0,))
    assert waiting_work(again.master, 100) == {1.0: 8}


def test_a_fleet_is_told_of_enough_work_for_itself_beside_all_who_are_there(make_house, tmp_path, monkeypatch):
    keys = {"name": "s", "worker": "sklearn-mlp", "fidelity": {"min": 1, "max": 9}}
    run = StudyRun(parse_study(keys, base=tmp_path, source="test"), tmp_path / "run")
    house = make_house(full_budgets=1000.0, min_workers=9)
    monkeypatch.setattr(run, "_master", house.master)
    monkeypatch.setattr(run, "_call", lambda work: work())
    idle = {f"by-hand-{n}": Peer(house, f"by-hand-{n}", labels={"n": n}) for n in range(3)}
    for peer in idle.values():
        peer.say(max_jobs=1, wait_s=20.0)
    told = run._demand(2)
    assert told.work == dict.fromkeys((1.0, 3.0, 9.0), 5)
    assert told.workers == {name: {"n": n} for n, name in enumerate(idle)}
    assert (told.idle, told.awaited, told.most) == (dict.fromkeys(idle, 0.0), 9, math.inf)


def test_when_draining_nothing_waits(make_house):
    house = make_house(brackets=1)
    assert Peer(house).ask().jobs
    house.master.drain()
    assert waiting_work(house.master, 100) == {}


def test_those_of_a_group_leave_together_or_not_at_all(make_house):
    house = make_house(brackets=1, evaluations=1)
    busy, idle, other = (Peer(house, name) for name in ("busy", "idle", "other"))
    (job,) = busy.ask().jobs
    answers = {peer.name: peer.say(max_jobs=1, wait_s=20.0) for peer in (idle, other)}
    busy.say(running=(job.lease,), max_jobs=0, wait_s=20.0)
    house.pump()
    house.master.dismiss([frozenset({"busy", "idle"}), frozenset({"other"})], "no more")
    house.pump(lambda: answers["other"])
    assert answers["other"][0].stop == "no more"
    assert answers["idle"] == []


def test_only_who_waits_for_a_job_is_idle_and_is_let_go(make_house):
    house = make_house(brackets=1, evaluations=1)
    busy, idle = Peer(house, "busy"), Peer(house, "idle")
    (job,) = busy.ask().jobs
    answers = idle.say(max_jobs=1, wait_s=20.0)
    ahead = busy.say(running=(job.lease,), max_jobs=1, wait_s=20.0)
    house.pump()
    house.clock.advance(7.0)
    assert idle_workers(house.master) == {"idle": 7.0}
    house.master.dismiss([frozenset({name}) for name in ("busy", "idle", "unknown")], "no more")
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
    return Completed(float(job.trial.configuration))
