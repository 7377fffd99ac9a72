"""The service itself, with its real threads and journal, a clock moved by hand and no network."""

import pytest

from bohb_service.errors import JournalWriteError, ProtocolError, UnknownSessionError
from bohb_service.master.terms import StudyFacts
from bohb_service.optimizer.brackets import FullBudgetSchedule
from bohb_service.rpc.messages import Request, WorkerInfo
from bohb_service.scheduler.events import TrialCompleted, TrialLeased, TrialRequeued
from bohb_service.scheduler.outcomes import Completed, Released
from bohb_service.scheduler.scheduler import Scheduler
from tests.house import Peer, houses


@pytest.fixture
def house():
    with houses() as make:
        yield make


def test_a_worker_gets_jobs_and_delivers(house):
    here = house(brackets=1)
    peer = Peer(here)
    job = peer.ask().jobs[0]
    answer = peer.ask(results=((job.lease, Completed(0.5)),))
    assert answer.acks == (job.lease,)
    assert answer.jobs[0].lease == 1
    assert here.events(TrialCompleted)[0].loss == 0.5


def test_nothing_is_told_before_it_is_durable(house):
    here = house()
    peer = Peer(here)
    job = peer.ask().jobs[0]
    here.journal.gate.clear()
    answers = peer.say(results=((job.lease, Completed(0.5)),), max_jobs=1, wait_s=20.0)
    here.pump()
    assert not answers
    assert not here.events(TrialCompleted)
    here.journal.gate.set()
    here.pump(lambda: answers)
    assert here.events(TrialCompleted)
    assert here.events(TrialLeased)[-1].lease == answers[0].jobs[0].lease


def test_a_repeated_exchange_gets_the_same_answer_also_while_it_is_not_durable(house):
    here = house()
    peer = Peer(here)
    first = peer.ask()
    again = peer.send(Request(peer.seq, max_jobs=1, wait_s=20.0))
    assert again == [first]
    here.journal.gate.clear()
    request = Request(2, results=((0, Completed(0.5)),), max_jobs=1, wait_s=20.0)
    one = peer.send(request)
    here.pump()
    two = peer.send(request)
    here.pump()
    assert not one
    assert not two
    here.journal.gate.set()
    here.pump(lambda: two)
    assert len(here.events(TrialCompleted)) == 1
    assert two[0].jobs


def test_a_journal_that_cannot_be_written_ends_the_master_unanswered(house):
    here = house()
    peer = Peer(here)
    job = peer.ask().jobs[0]
    here.journal.error = JournalWriteError("disk full")
    answers = peer.say(results=((job.lease, Completed(0.5)),), max_jobs=1, wait_s=20.0)
    here.pump(here.master.ended.is_set)
    assert here.master.end == "failed"
    assert isinstance(here.master.error, JournalWriteError)
    here.pump()
    assert not answers


def test_a_sampler_that_breaks_ends_the_master(house):
    here = house()
    here.sampler.suggest = lambda *_: 1 / 0
    Peer(here).say(max_jobs=1, wait_s=20.0)
    here.pump(here.master.ended.is_set)
    assert isinstance(here.master.error, ZeroDivisionError)


def test_an_expired_lease_goes_to_another_and_is_lost_to_the_first(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=1)
    slow, fast = Peer(here, "slow"), Peer(here, "fast")
    job = slow.ask().jobs[0]
    waiting = fast.say(max_jobs=1, wait_s=20.0)
    for _ in range(3):
        here.clock.advance(19)
        assert slow.ask(running=(job.lease,), max_jobs=0, wait_s=0.0).lost == ()
        here.master.tick()
    here.pump(lambda: waiting)
    assert waiting[0].jobs == ()
    waiting = fast.say(max_jobs=1, wait_s=20.0)
    here.clock.advance(61)
    here.master.tick()
    here.pump(lambda: waiting)
    again = waiting[0].jobs[0]
    assert (again.trial, again.attempt) == (job.trial, 2)
    assert "no sign of life from worker slow" in here.events(TrialRequeued)[0].message
    assert slow.ask(running=(job.lease,), max_jobs=0, wait_s=0.0).lost == (job.lease,)
    assert slow.ask(results=((job.lease, Completed(0.5)),), max_jobs=0, wait_s=0.0).acks == (job.lease,)
    assert fast.ask(running=(again.lease,), max_jobs=0, wait_s=0.0).lost == (again.lease,)


def test_a_broken_connection_has_a_grace_period(house):
    here = house()
    peer = Peer(here)
    job = peer.ask().jobs[0]
    here.master.disconnected(peer.session)
    here.clock.advance(4)
    here.master.tick()
    assert not here.events(TrialRequeued)
    back = Peer(here, running=(job.lease,))
    assert back.session == peer.session
    here.clock.advance(10)
    here.master.tick()
    assert here.scheduler.state.holds(job.lease, "w")
    here.master.disconnected(peer.session)
    here.clock.advance(5.5)
    here.master.tick()
    here.pump(lambda: here.events(TrialRequeued))
    with pytest.raises(UnknownSessionError):
        peer.say()
    assert here.master.status()["lost_workers"] == [
        {"name": "w", "reason": "its connection broke and it did not return within 5 s"}
    ]


def test_goodbye_gives_everything_back_at_once(house):
    here = house()
    peer, other = Peer(here), Peer(here, "other")
    job = peer.ask().jobs[0]
    here.master.goodbye(peer.session, (job.lease,), "leaving")
    assert other.ask().jobs[0].trial == job.trial
    assert here.events(TrialRequeued)[0].reason == "unstarted"


def test_names_are_unique_among_the_connected(house):
    here = house()
    Peer(here, "w", pid=1)
    with pytest.raises(ProtocolError, match="another --name"):
        Peer(here, "w", pid=2)


def test_a_new_process_of_the_same_name_replaces_a_dead_one(house):
    here = house()
    peer = Peer(here, "w", pid=1)
    job = peer.ask().jobs[0]
    here.master.disconnected(peer.session)
    assert Peer(here, "w", pid=2).ask().jobs[0].trial == job.trial


def test_a_worker_of_another_class_is_refused(house):
    here = house()
    with pytest.raises(ProtocolError, match="needs 'w'"):
        here.master.register(WorkerInfo("w", "h", 1, 0.0, "0", spec="other:Class"))


def test_one_worker_is_never_proposed_anything_ahead(house):
    here = house(brackets=3)
    peer = Peer(here)
    results = ()
    for number in range(12):
        answer = peer.ask(results=results)
        assert answer.prefetch == 1
        results = ((answer.jobs[0].lease, Completed(float(number), seconds=1e-4)),)
    here.pump()
    first = [n for n, event in enumerate(here.events(TrialLeased)) if event.trial.rung == 0]
    assert here.sampler.seen == first


def test_several_workers_are_proposed_ahead_and_short_jobs_come_in_groups(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=2000)
    peers = [Peer(here, f"w{i}") for i in range(4)]
    results = {peer.name: () for peer in peers}
    largest = 0
    for _ in range(20):
        for peer in peers:
            answer = peer.ask(results=results[peer.name], max_jobs=8)
            largest = max(largest, len(answer.jobs))
            results[peer.name] = tuple((job.lease, Completed(1.0, seconds=1e-3)) for job in answer.jobs)
    assert 1 < largest <= 8
    here.pump()
    assert len(here.scheduler.state.unassigned) > 0


def test_long_jobs_are_leased_one_at_a_time(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=50)
    peers = [Peer(here, f"w{i}") for i in range(2)]
    job = peers[0].ask().jobs[0]
    answer = peers[0].ask(results=((job.lease, Completed(1.0, seconds=5.0)),), max_jobs=16)
    assert len(answer.jobs) == 1
    assert answer.prefetch == 1


def test_draining_hands_out_nothing_more_and_ends_when_nothing_runs(house):
    here = house()
    busy, idle = Peer(here, "busy"), Peer(here, "idle")
    job = busy.ask().jobs[0]
    here.master.drain()
    waiting = idle.say(max_jobs=1, wait_s=20.0)
    here.pump()
    assert not waiting
    last = busy.ask(results=((job.lease, Completed(1.0)),))
    assert last.stop is not None
    assert not last.jobs
    here.pump(lambda: waiting)
    assert waiting[0].stop is not None
    here.pump(here.master.ended.is_set)
    assert here.master.end == "interrupted"


def test_the_clock_ends_the_search(house):
    facts = StudyFacts("study", "id", "w", {}, "/c", None, None, seconds_limit=100.0, seconds_before=60.0)
    here = house(facts=facts)
    peer = Peer(here)
    job = peer.ask().jobs[0]
    here.clock.advance(39)
    here.master.tick()
    assert here.scheduler.state.stop_reason is None
    here.clock.advance(1)
    here.master.tick()
    assert here.scheduler.state.stop_reason == "seconds"
    answer = peer.ask(running=(job.lease,), max_jobs=0, wait_s=0.0)
    assert answer.lost == (job.lease,)
    assert answer.stop is not None


def test_nothing_is_handed_out_before_enough_workers_came(house):
    here = house(min_workers=2)
    one = Peer(here, "one")
    waiting = one.say(max_jobs=1, wait_s=20.0)
    here.pump()
    assert not waiting
    assert Peer(here, "two").ask().jobs
    here.pump(lambda: waiting)
    assert waiting[0].jobs


def test_after_a_restart_every_lease_has_one_fresh_term(house):
    here = house()
    peer = Peer(here)
    job = peer.ask().jobs[0]
    replayed = Scheduler(here.scheduler.settings)
    for record in here.journal.read():
        replayed.state.apply(record.event)
    there = house(scheduler=replayed, journal=here.journal)
    there.clock.advance(59)
    there.master.tick()
    assert there.scheduler.state.holds(job.lease, "w")
    back = Peer(there, running=(job.lease,))
    there.clock.advance(59)
    there.master.tick()
    assert back.ask(results=((job.lease, Completed(0.5)),)).acks == (job.lease,)
    assert len(there.events(TrialCompleted)) == 1


def test_leases_of_workers_that_are_known_to_be_dead_go_back(house):
    here = house()
    dead, alive = Peer(here, "local-dead"), Peer(here, "local-alive")
    lost, kept = dead.ask().jobs[0], alive.ask().jobs[0]
    here.master.release(lambda name: name == "local-dead", "it died")
    assert not here.scheduler.state.holds(lost.lease, "local-dead")
    assert here.scheduler.state.holds(kept.lease, "local-alive")


def test_preempted_work_is_done_again_without_using_an_attempt(house):
    here = house()
    peer = Peer(here)
    job = peer.ask().jobs[0]
    answer = peer.ask(results=((job.lease, Released("preempted", "evicted")),))
    assert (answer.jobs[0].trial, answer.jobs[0].attempt) == (job.trial, 1)
