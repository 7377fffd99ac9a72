"""Trials that are continued where their checkpoints are, and checkpoints that can go."""

import pytest

from bohb_service.master.terms import Terms
from bohb_service.optimizer.brackets import Rung
from bohb_service.scheduler.needs import NeedRule, Needs
from bohb_service.scheduler.outcomes import Completed, Released
from tests.house import Peer, houses


class TwoRungs:
    """Three configurations, of which the best goes on."""

    cycle = 1

    def bracket(self, _index):
        return (Rung(3, 1.0), Rung(1, 9.0))


@pytest.fixture
def house():
    with houses() as make:
        yield lambda **options: make(schedule=TwoRungs(), brackets=1, terms=Terms(hold_s=10.0), **options)


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


def test_those_who_hold_checkpoints_are_told_when_they_can_go(house):
    here = house()
    peers = [Peer(here, name) for name in ("a", "b", "c")]
    told = [answer.over for answer in rung_zero(here, 0.0, *peers)]
    told += [peer.ask(max_jobs=0, wait_s=0.0).over for peer in peers]

    assert told == [(), (), (2,), (), (1,), ()]


def test_anyone_is_told_of_checkpoints_whose_holders_have_gone(house):
    here = house()
    gone, stays = Peer(here, "a"), Peer(here, "b")
    jobs = [peer.ask().jobs[0] for peer in (gone, stays, stays)]
    gone.ask(results=((jobs[0].lease, Completed(5.0)),), max_jobs=0, wait_s=0.0)
    here.master.goodbye(gone.session, (), "drained")
    stays.ask(results=tuple((job.lease, Completed(1.0)) for job in jobs[1:]), max_jobs=0, wait_s=0.0)

    assert {*stays.ask(max_jobs=0, wait_s=0.0).over} <= {0, 2}
    assert not stays.ask(max_jobs=0, wait_s=0.0).over


def test_the_checkpoint_of_the_incumbent_stays_for_its_final_training(house):
    here = house(refit=True)
    peer = Peer(here, "a")
    over = []
    for _ in range(4):
        job = peer.ask().jobs[0]
        over += peer.ask(results=((job.lease, Completed(float(job.trial.configuration))),), max_jobs=0, wait_s=0.0).over

    assert sorted(over) == [1, 2]


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
