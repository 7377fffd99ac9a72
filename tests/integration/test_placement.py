"""Trials that are continued where their checkpoints are, and checkpoints that can go."""

import pytest

from bohb_service.master import placement
from bohb_service.master.sessions import Sessions
from bohb_service.master.terms import Terms
from bohb_service.optimizer.brackets import Rung
from bohb_service.scheduler.events import WorkerPlaced
from bohb_service.scheduler.needs import NeedRule, Needs
from bohb_service.scheduler.outcomes import Completed, Released
from tests.house import Peer, houses, restarted


class TwoRungs:
    """Three configurations, of which the best goes on."""

    cycle = 1

    def bracket(self, _index):
        return (Rung(3, 1.0), Rung(1, 9.0))


@pytest.fixture
def house():
    with houses() as make:
        yield lambda **options: make(**{"schedule": TwoRungs(), "brackets": 1, "terms": Terms(hold_s=10.0), **options})


def rung_zero(here, loss_of_first, *peers):
    """Let the first peer take configuration 0, and so on; the answers that deliver the results."""
    jobs = [peer.ask().jobs[0] for peer in peers]
    answers = []
    for peer, job in zip(peers, jobs, strict=True):
        loss = loss_of_first if job.trial.configuration == 0 else float(job.trial.configuration)
        answers.append(peer.ask(results=((job.lease, Completed(loss)),), max_jobs=0, wait_s=0.0))
    return answers


def test_a_promoted_trial_waits_for_the_place_that_holds_its_directory(house):
    here = house()
    holder, other, third = (Peer(here, name, place=name) for name in ("a", "b", "c"))
    rung_zero(here, 0.0, holder, other, third)

    waiting = other.say(max_jobs=1, wait_s=20.0)
    here.pump()
    assert waiting == []

    assert str(holder.ask().jobs[0].trial) == "0.1"


def test_another_worker_of_the_same_machine_and_folder_will_do(house):
    here = house()
    holder, beside, third = Peer(here, "a", place="x"), Peer(here, "b", place="x"), Peer(here, "c", place="y")
    rung_zero(here, 0.0, holder, beside, third)

    assert str(beside.ask().jobs[0].trial) == "0.1"


def test_after_a_while_it_goes_elsewhere(house):
    here = house()
    holder, other, third = (Peer(here, name, place=name) for name in ("a", "b", "c"))
    rung_zero(here, 0.0, holder, other, third)
    waiting = other.say(max_jobs=1, wait_s=20.0)
    here.pump()
    here.clock.advance(10.0)
    here.master.tick()
    here.pump(lambda: waiting)

    assert str(waiting[0].jobs[0].trial) == "0.1"


def test_it_does_not_wait_for_a_place_where_nobody_is_left(house):
    here = house()
    holder, other, third = (Peer(here, name, place=name) for name in ("a", "b", "c"))
    rung_zero(here, 0.0, holder, other, third)
    waiting = other.say(max_jobs=1, wait_s=20.0)
    here.pump()
    here.master.goodbye(holder.session, (), "drained")
    here.pump(lambda: waiting)

    assert str(waiting[0].jobs[0].trial) == "0.1"


def test_who_asks_while_a_trial_waits_costs_no_walk_over_all_workers(house, monkeypatch):
    here = house()
    holder, other, third = (Peer(here, name, place=name) for name in ("a", "b", "c"))
    rung_zero(here, 0.0, holder, other, third)
    monkeypatch.setattr(Sessions, "__iter__", lambda _: pytest.fail("all sessions were walked"))
    waiting = other.say(max_jobs=1, wait_s=20.0)

    assert waiting == []
    assert str(holder.ask().jobs[0].trial) == "0.1"


def test_a_worker_that_left_and_came_back_is_at_its_place(house):
    here = house()
    holder, other, third = (Peer(here, name, place=name) for name in ("a", "b", "c"))
    lease = holder.ask().jobs[0].lease
    holder.ask(results=((lease, Released("preempted", "evicted")),), max_jobs=0, wait_s=0.0)
    here.master.goodbye(holder.session, (), "preempted")
    jobs = [other.ask().jobs[0]]
    holder = Peer(here, "a", pid=2, place="a")
    jobs += [holder.ask().jobs[0], third.ask().jobs[0]]
    for peer, job, loss in zip((other, holder, third), jobs, (1.0, 0.0, 1.0), strict=True):
        peer.ask(results=((job.lease, Completed(loss)),), max_jobs=0, wait_s=0.0)
    waiting = other.say(max_jobs=1, wait_s=20.0)
    here.pump()

    assert waiting == []
    assert str(holder.ask().jobs[0].trial) == "1.1"


def test_a_worker_that_keeps_its_directories_elsewhere_now_is_at_no_other_place(house):
    here = house()
    holder, other, third = (Peer(here, name, place=name) for name in ("a", "b", "c"))
    rung_zero(here, 0.0, holder, other, third)
    holder.place = ""
    assert holder.ask(max_jobs=0, wait_s=0.0).jobs == ()

    assert str(other.ask().jobs[0].trial) == "0.1"
    assert [event.place for event in here.events(WorkerPlaced)] == ["a", "b", "c", ""]


def test_on_a_shared_folder_it_goes_to_whoever_asks(house):
    here = house()
    peers = [Peer(here, name) for name in ("a", "b", "c")]
    rung_zero(here, 0.0, *peers)

    assert str(peers[2].ask().jobs[0].trial) == "0.1"


def test_a_preempted_trial_goes_on_at_its_place(house):
    here = house()
    preempted, beside = Peer(here, "a", place="x"), Peer(here, "b", place="x")
    elsewhere = Peer(here, "c", place="y")
    job = preempted.ask().jobs[0]
    preempted.ask(results=((job.lease, Released("preempted", "evicted")),), max_jobs=0, wait_s=0.0)

    assert str(elsewhere.ask().jobs[0].trial) == "1.0"
    assert str(beside.ask().jobs[0].trial) == "0.0"


def over(*peers):
    """What each is told that it can remove the checkpoints of."""
    return [peer.ask(max_jobs=0, wait_s=0.0).over for peer in peers]


def test_on_a_shared_folder_someone_is_told_once_which_checkpoints_can_go(house):
    here = house()
    peers = [Peer(here, name) for name in ("a", "b", "c")]
    told = [answer.over for answer in rung_zero(here, 0.0, *peers)]

    assert told + over(*peers) == [(), (), (1, 2), (), (), ()]


def test_each_place_is_told_which_of_its_checkpoints_can_go(house):
    here = house()
    peers = [Peer(here, name, place=place) for name, place in (("a", "x"), ("b", "y"), ("c", "y"))]
    told = [answer.over for answer in rung_zero(here, 0.0, *peers)]

    assert told + over(*peers) == [(), (), (1, 2), (), (), ()]


def test_all_places_are_told_where_a_configuration_was(house):
    here = house()
    first, second, other = (Peer(here, name, place=name) for name in ("a", "b", "c"))
    lost = first.ask().jobs[0]
    first.ask(results=((lost.lease, Released("lost", "killed")),), max_jobs=0, wait_s=0.0)
    here.clock.advance(10.0)
    jobs = [peer.ask().jobs[0] for peer in (second, other, other)]
    assert jobs[0].trial == lost.trial
    for peer, job, loss in zip((second, other, other), jobs, (5.0, 0.0, 1.0), strict=True):
        peer.ask(results=((job.lease, Completed(loss)),), max_jobs=0, wait_s=0.0)

    assert over(first, second) == [(0,), (0,)]


def test_whoever_comes_to_the_place_of_those_who_left_is_told(house):
    here = house()
    gone, stays = Peer(here, "a", place="x"), Peer(here, "b", place="y")
    jobs = [peer.ask().jobs[0] for peer in (gone, stays, stays)]
    gone.ask(results=((jobs[0].lease, Completed(5.0)),), max_jobs=0, wait_s=0.0)
    here.master.goodbye(gone.session, (), "drained")
    results = tuple((job.lease, Completed(1.0)) for job in jobs[1:])
    assert stays.ask(results=results, max_jobs=0, wait_s=0.0).over == (2,)

    assert over(stays, Peer(here, "c", place="x")) == [(), (0,)]


def test_no_more_are_told_at_once_than_an_answer_should_hold(house, monkeypatch):
    monkeypatch.setattr(placement, "_MAX_OVER", 1)
    here = house()
    peer = Peer(here, "a")

    assert [answer.over for answer in rung_zero(here, 0.0, peer, peer, peer)] == [(), (), (1,)]
    assert over(peer, peer) == [(2,), ()]


def told_while_done(peer, n_trials, loss_of):
    """Let a worker do trials; what it is told that it can remove the checkpoints of."""
    told = []
    for _ in range(n_trials):
        job = peer.ask().jobs[0]
        outcome = Completed(loss_of(job.trial.configuration))
        told += peer.ask(results=((job.lease, outcome),), max_jobs=0, wait_s=0.0).over
    return told


def test_the_checkpoint_of_the_incumbent_stays_for_its_final_training(house):
    here = house(refit=True)

    assert told_while_done(Peer(here, "a"), 4, float) == [1, 2]


def test_the_checkpoint_of_an_incumbent_goes_when_it_is_none_any_more(house):
    here = house(refit=True, brackets=2)

    # In the first bracket 2 is the best, in the second 5, which is better.
    told = told_while_done(Peer(here, "a", place="x"), 8, lambda number: float(-number))

    assert here.scheduler.state.incumbent.trial.configuration == 5
    assert told == [0, 1, 3, 4, 2]


# -- after a restart of the master -------------------------------------------------------------------------------


def test_a_promoted_trial_waits_for_its_place_also_after_a_restart(house):
    here = house()
    rung_zero(here, 0.0, *(Peer(here, name, place=name) for name in ("a", "b", "c")))
    there = restarted(house, here)
    other = Peer(there, "b", place="b")
    waiting = other.say(max_jobs=1, wait_s=20.0)
    there.pump()
    assert waiting == []

    assert str(Peer(there, "a", place="a").ask().jobs[0].trial) == "0.1"


def test_after_a_restart_it_does_not_wait_for_ever(house):
    here = house()
    rung_zero(here, 0.0, *(Peer(here, name, place=name) for name in ("a", "b", "c")))
    there = restarted(house, here)
    waiting = Peer(there, "b", place="b").say(max_jobs=1, wait_s=20.0)
    there.clock.advance(10.0)
    there.master.tick()
    there.pump(lambda: waiting)

    assert str(waiting[0].jobs[0].trial) == "0.1"


def test_after_a_restart_it_does_not_wait_for_those_who_had_left(house):
    here = house()
    holder, other, third = (Peer(here, name, place=name) for name in ("a", "b", "c"))
    rung_zero(here, 0.0, holder, other, third)
    here.master.goodbye(holder.session, (), "drained")
    here.pump()
    there = restarted(house, here)

    assert str(Peer(there, "b", place="b").ask().jobs[0].trial) == "0.1"


def test_a_preempted_trial_goes_on_at_its_place_after_a_restart(house):
    here = house()
    preempted = Peer(here, "a", place="x")
    job = preempted.ask().jobs[0]
    preempted.ask(results=((job.lease, Released("preempted", "evicted")),), max_jobs=0, wait_s=0.0)
    there = restarted(house, here)

    assert str(Peer(there, "c", place="y").ask().jobs[0].trial) == "1.0"
    assert str(Peer(there, "b", place="x").ask().jobs[0].trial) == "0.0"


def test_a_promoted_trial_that_nobody_heard_of_still_waits_for_its_place(house):
    here = house()
    holder, other, third = (Peer(here, name, place=name) for name in ("a", "b", "c"))
    rung_zero(here, 0.0, holder, other, third)
    assert holder.ask().jobs
    there = restarted(house, here)
    # It comes back without the lease: the answer that carried it was lost with the master.
    holder = Peer(there, "a", place="a")
    waiting = Peer(there, "b", place="b").say(max_jobs=1, wait_s=20.0)
    there.pump()
    assert waiting == []

    assert str(holder.ask().jobs[0].trial) == "0.1"


def test_after_a_restart_checkpoints_still_go(house):
    here = house(refit=True, brackets=2)
    peer = Peer(here, "a", place="x")
    assert told_while_done(peer, 4, float) == [1, 2]
    here.pump()
    there = restarted(house, here)
    back = Peer(there, "a", place="x")

    # Nobody knows whether it had come to the first ones. The incumbent's stays.
    assert over(back) == [(1, 2)]
    assert told_while_done(back, 4, lambda number: -float(number)) == [3, 4, 0]


def test_what_no_connected_worker_can_take_is_in_the_status(house):
    need = {"gpu": 1, "kind": "a100"}
    here = house(needs=Needs((NeedRule(0.0, need),)))
    assert here.master.status()["unfit"] == []
    cpu = Peer(here, "cpu", labels={"gpu": 0.0})
    waiting = cpu.say(max_jobs=1, wait_s=20.0)
    # Also while no bracket is open: only a worker that can take the first trial opens it.
    assert here.master.status()["unfit"] == [{"budget": 1.0, "trials": 3, "need": need}]
    gpu = Peer(here, "gpu", labels={"gpu": 1.0, "kind": "a100"})
    assert here.master.status()["unfit"] == []
    assert gpu.ask().jobs
    here.master.disconnected(gpu.session)
    assert here.master.status()["unfit"] == [{"budget": 1.0, "trials": 2, "need": need}]
    assert waiting == []

    here.master.drain()
    assert here.master.status()["unfit"] == []


def test_what_no_connected_worker_can_take_is_logged_once_when_it_lasts(house, caplog):
    here = house(needs=Needs((NeedRule(0.0, {"gpu": 1}),)))
    Peer(here, "cpu")

    def tick(seconds):
        here.clock.advance(seconds)
        here.master.tick()
        return [record.__dict__ for record in caplog.records if "no connected worker" in record.message]

    assert tick(0.0) == tick(9.0) == []
    (told,) = tick(1.0)
    assert (told["budget"], told["trials"], told["needs"]) == (1.0, 3, {"gpu": 1})
    assert len(tick(10.0)) == 1
    gpu = Peer(here, "gpu", labels={"gpu": 1.0})
    assert len(tick(10.0)) == 1
    here.master.goodbye(gpu.session, (), "drained")
    assert len(tick(10.0)) == 1
    assert len(tick(10.0)) == 2


def test_a_worker_that_cannot_take_what_is_left_keeps_nobody_behind_it_waiting(house):
    here = house(needs=Needs((NeedRule(9.0, {"gpu": 1}),)))
    cpu, gpu = Peer(here, "cpu"), Peer(here, "gpu", labels={"gpu": 1.0})
    rung_zero(here, 0.0, cpu, cpu, cpu)
    waiting = cpu.say(max_jobs=1, wait_s=20.0)
    here.pump()

    assert str(gpu.ask().jobs[0].trial) == "0.1"
    assert waiting == []
