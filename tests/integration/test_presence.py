"""Workers that come, go and are lost: always with a reason, in the journal and in the status."""

import subprocess
import sys
import time

import psutil
import pytest

from bohb_service.clock import seconds_after_boot
from bohb_service.machine import machine_id
from bohb_service.master import presence
from bohb_service.optimizer.brackets import FullBudgetSchedule
from bohb_service.rpc.messages import FAULT, WorkerInfo
from bohb_service.scheduler.events import MasterStarted, TrialCompleted, TrialRequeued, WorkerJoined, WorkerLeft
from bohb_service.scheduler.outcomes import Completed
from bohb_service.scheduler.scheduler import Scheduler
from tests.house import GatedJournal, Peer, restarted

REPLACED = "its process was replaced by another of the same name"


def lost(here):
    """Names and reasons of the lost workers: the status and the journal agree."""
    here.pump()
    told = [(gone["name"], gone["reason"]) for gone in here.master.status()["lost_workers"]]
    assert told == [(event.worker, event.reason) for event in here.events(WorkerLeft) if event.is_lost][-20:]
    return told


def test_a_worker_that_joins_is_written_down_once_for_each_process(house):
    here = house()
    peer = Peer(here, "w", pid=7, host="node")
    here.master.disconnected(peer.session)
    Peer(here, "w", pid=7, host="node")
    here.pump()
    assert here.events(WorkerJoined) == [WorkerJoined("w", "node", 7, "0", machine="another")]
    assert list(here.scheduler.state.workers) == ["w"]


@pytest.mark.parametrize("reason", ["the study is finished (brackets)", "drained", "preempted"])
def test_an_orderly_goodbye_is_written_down_and_no_loss(house, reason):
    here = house()
    here.master.goodbye(Peer(here).session, (), reason)
    here.pump()
    assert here.events(WorkerLeft) == [WorkerLeft("w", reason, is_lost=False)]
    assert lost(here) == []
    assert here.scheduler.state.workers == {}


def test_a_goodbye_that_tells_of_a_fault_is_a_loss(house):
    here = house()
    peer, other = Peer(here), Peer(here, "other")
    job = peer.ask().jobs[0]
    here.master.goodbye(peer.session, (job.lease,), f"{FAULT}worker cannot be used: no such class")
    assert other.ask().jobs[0].trial == job.trial
    assert lost(here) == [("w", "worker cannot be used: no such class")]
    assert here.events(TrialRequeued)[0].message == "worker w left: worker cannot be used: no such class"


def test_a_silent_worker_is_forgotten_after_three_terms_though_its_connection_looks_alive(house):
    here = house()
    other, peer = Peer(here, "other"), Peer(here)
    job = peer.ask().jobs[0]
    for _ in range(8):
        here.clock.advance(22)
        other.ask(max_jobs=0, wait_s=0.0)
        here.master.tick()
    assert [event.reason for event in here.events(TrialRequeued)] == ["lost"]
    assert lost(here) == []
    here.clock.advance(4)
    here.master.tick()
    assert lost(here) == [("w", "it was silent for 180 s")]
    assert [session.name for session in here.master.sessions] == ["other"]
    back = Peer(here, running=(job.lease,))
    assert back.ask(results=((job.lease, Completed(0.5)),)).acks == (job.lease,)
    assert len(here.events(TrialCompleted)) == 1
    assert len(here.events(WorkerJoined)) == 3


def test_an_idle_worker_that_waits_is_not_silent(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=1)
    busy, idle = Peer(here, "busy"), Peer(here, "idle")
    held = (busy.ask().jobs[0].lease,)
    for _ in range(12):
        answers = idle.say(max_jobs=1, wait_s=20.0)
        here.clock.advance(20)
        busy.ask(running=held, max_jobs=0, wait_s=0.0)
        here.master.tick()
        here.pump(lambda answers=answers: answers)
    assert lost(here) == []


def test_a_dead_process_a_broken_connection_and_a_replaced_process_have_reasons_of_their_own(house):
    here = house()
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    here.master.disconnected(Peer(here, "dead", pid=process.pid, machine=machine_id()).session)
    here.master.disconnected(Peer(here, "replaced", pid=1).session)
    Peer(here, "replaced", pid=2)
    here.master.disconnected(Peer(here, "away").session)
    here.clock.advance(5.1)
    here.master.tick()
    assert lost(here) == [
        ("dead", "its process died"),
        ("replaced", REPLACED),
        ("away", "its connection broke and it did not return within 5 s"),
    ]
    assert list(here.scheduler.state.workers) == ["replaced"]


def test_a_worker_that_is_back_does_not_hide_one_that_is_not(house):
    here = house()
    back, away = Peer(here, "back"), Peer(here, "away")
    here.master.disconnected(back.session)
    here.master.disconnected(away.session)
    back.ask(max_jobs=0, wait_s=0.0)
    here.clock.advance(5.1)
    here.master.tick()
    assert [name for name, _ in lost(here)] == ["away"]


def test_a_process_that_dies_after_its_connection_broke_is_noticed_before_the_grace_is_over(house):
    here = house()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        peer = Peer(
            here, pid=process.pid, machine=machine_id(), started=seconds_after_boot(psutil.Process(process.pid))
        )
        here.master.disconnected(peer.session)
        here.master.tick()
        assert lost(here) == []
    here.clock.advance(0.25)
    here.master.tick()
    assert lost(here) == [("w", "its process died")]


def test_after_a_restart_workers_are_expected_back_for_one_term(house):
    here = house()
    faithful, gone, left = Peer(here, "faithful"), Peer(here, "gone"), Peer(here, "left")
    held, dropped = faithful.ask().jobs[0].lease, gone.ask().jobs[0].lease
    here.master.goodbye(left.session, (), "drained")
    there = restarted(house, here)
    Peer(there, "faithful", running=(held,))
    there.clock.advance(59.9)
    there.master.tick()
    assert lost(there) == []
    there.clock.advance(0.1)
    there.master.tick()
    why = "the master was restarted and it did not come back within 60 s"
    assert lost(there) == [("gone", why)]
    requeued = {event.lease: event.message for event in there.events(TrialRequeued)}
    assert requeued[dropped] == f"worker gone: {why}"
    assert [event.worker for event in there.events(WorkerLeft)] == ["left", "gone"]
    late = Peer(there, "gone", running=(dropped,))
    assert late.ask(running=(dropped,), max_jobs=0, wait_s=0.0).lost == (dropped,)
    assert list(there.scheduler.state.workers) == ["faithful", "gone"]


@pytest.mark.parametrize("other", [{"pid": 2}, {"started": 3.0}, {"machine": "a third"}, {"host": "h"}])
def test_another_process_of_the_name_of_an_expected_one_replaces_it(house, other):
    here = house()
    job = Peer(here, "w", pid=1).ask().jobs[0]
    there = restarted(house, here)
    Peer(there, "w", **{"pid": 1, **other})
    assert lost(there) == [("w", REPLACED)]
    (event,) = there.events(TrialRequeued)
    assert (event.lease, event.reason, event.message) == (job.lease, "lost", f"worker w: {REPLACED}")
    there.clock.advance(60)
    there.master.tick()
    assert len(lost(there)) == 1


def test_what_an_older_version_wrote_of_a_worker_is_enough_to_know_it_again(house, monkeypatch):
    here = house()
    monkeypatch.setattr(presence, "WorkerJoined", lambda *fields: WorkerJoined(*fields[:4]))
    Peer(here, "back", pid=7, started=3.5)
    Peer(here, "replaced", pid=8)
    monkeypatch.undo()
    there = restarted(house, here)
    Peer(there, "back", pid=7, started=3.5)
    Peer(there, "replaced", pid=9)
    assert lost(there) == [("replaced", REPLACED)]


def test_workers_known_to_have_died_while_no_master_was_there_are_lost_at_once(house):
    here = house()
    job = Peer(here, "local-dead").ask().jobs[0]
    Peer(here, "local-idle")
    there = restarted(house, here)
    there.master.release(lambda name: name.startswith("local-"), "its process died while no master was there")
    assert [name for name, _ in lost(there)] == ["local-dead", "local-idle"]
    assert there.events(TrialRequeued)[0].lease == job.lease
    there.clock.advance(61)
    there.master.tick()
    assert len(lost(there)) == 2


def test_losses_are_told_by_later_masters_too(house):
    here = house()
    here.master.disconnected(Peer(here).session)
    here.clock.advance(6)
    here.master.tick()
    assert lost(restarted(house, here)) == lost(here) != []


def test_no_time_passes_while_the_master_waits_for_workers(house):
    here = house(min_workers=2)
    here.clock.advance(100)
    Peer(here, "one")
    status = here.master.status()
    assert (status["min_workers"], len(status["workers"]), status["elapsed_s"]) == (2, 1, 0.0)
    here.clock.advance(100)
    Peer(here, "two")
    here.clock.advance(7)
    status = here.master.status()
    assert (status["min_workers"], status["elapsed_s"]) == (0, 7.0)


def test_outcomes_of_another_history_of_the_study_are_ignored(house):
    """A copy of the journal is taken, the study goes on, the master dies, and the copy is restored."""
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=20)
    first = restarted(house, here, "a" * 16)
    peer, other = Peer(first), Peer(first, "other")
    kept = peer.ask().jobs[0]
    first.pump()
    copy = GatedJournal()
    copy.append([(record.at, record.event) for record in first.journal.read()])
    mine, theirs = peer.ask(running=(kept.lease,)).jobs[0], other.ask().jobs[0]

    scheduler = Scheduler(first.scheduler.settings)
    for record in copy.read():
        scheduler.state.apply(record.event)
    again = house(scheduler=scheduler, journal=copy)
    started = MasterStarted("0", "head", 2, "b" * 16)
    scheduler.state.apply(started)
    copy.append([(0.0, started)])
    # The numbers of the forgotten leases are given anew, the one of `mine` to the other worker.
    held = ((kept.lease, "a" * 16), (mine.lease, "a" * 16))
    third = Peer(again, "third")
    fresh = third.ask().jobs[0]
    assert fresh.lease == mine.lease
    told = again.master.register(WorkerInfo("w", "elsewhere", 1, 0.0, "0", running=held, machine="another"))
    assert (told.epoch, told.foreign) == ("b" * 16, (mine.lease,))
    told = again.master.register(WorkerInfo("other", "elsewhere", 1, 0.0, "0", running=((theirs.lease, "a" * 16),)))
    assert told.foreign == (theirs.lease,)
    assert again.scheduler.state.holds(kept.lease, "w")
    assert again.scheduler.state.holds(fresh.lease, "third")
    assert again.master.status()["foreign_leases"] == 2
    back = Peer(again, running=(kept.lease,))
    assert back.ask(results=((kept.lease, Completed(0.25)),)).acks == (kept.lease,)
    assert [(event.lease, event.loss) for event in again.events(TrialCompleted)] == [(kept.lease, 0.25)]


def test_a_journal_without_epochs_goes_on(house):
    here = house()
    job = Peer(here).ask().jobs[0]
    there = restarted(house, here, "c" * 16)
    info = WorkerInfo("w", "elsewhere", 1, 0.0, "0", running=((job.lease, ""),), machine="another")
    told = there.master.register(info)
    assert (told.epoch, told.foreign) == ("c" * 16, ())
    assert there.scheduler.state.holds(job.lease, "w")
    assert [there.scheduler.state.epoch_of(lease) for lease in (-1, 0, 1)] == [None, "", None]


@pytest.mark.parametrize("n_left", [3, 8, 9, 100])
def test_of_what_is_left_nobody_gets_more_than_an_even_share(house, n_left):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=4 + n_left)
    peers = [Peer(here, f"w{number}") for number in range(4)]
    held = {peer.name: () for peer in peers}
    for peer in peers:
        job = peer.ask(turnaround_s=0.01).jobs[0]
        held[peer.name] = ((job.lease, Completed(1.0, seconds=0.015)),)
    here.pump()
    for peer in peers:
        peer.ask(results=held[peer.name], max_jobs=0, wait_s=0.0)
    here.pump()
    jobs = []
    for peer in peers:
        answers = peer.say(max_jobs=16, wait_s=20.0)
        here.pump()
        jobs.append(len(answers[0].jobs) if answers else 0)
    share = min(5, -(-n_left // 4))
    assert max(jobs) == jobs[0] == share
    assert sum(jobs) <= n_left
    if n_left <= 4:
        assert jobs == [1, 1, 1, 0]


def seconds_of(house, n_waiting):
    """CPU time of 200 exchanges of a busy worker and 20 ticks, while others wait for a job."""
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=1)
    busy = Peer(here, "busy")
    held = (busy.ask().jobs[0].lease,)
    for number in range(n_waiting):
        Peer(here, f"w{number}").say(max_jobs=1, wait_s=20.0)
    here.pump()
    assert here.master.sessions.n_waiting == n_waiting
    began = time.process_time()
    for _ in range(200):
        busy.say(running=held)
    exchanges = time.process_time()
    for _ in range(20):
        here.master.tick()
    return exchanges - began, time.process_time() - exchanges


def test_exchanges_cost_the_same_however_many_wait(house):
    """Walking all of them takes a hundred times as long."""
    few, many = seconds_of(house, 20), seconds_of(house, 2000)
    assert many[0] < 10 * few[0]
    assert many[1] < 0.2
