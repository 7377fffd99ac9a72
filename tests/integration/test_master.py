"""The service itself, with its real threads and journal, a clock moved by hand and no network."""

import os
import queue
import socket
import subprocess
import sys
import threading
import time

import psutil
import pytest

from bohb_service.clock import seconds_after_boot
from bohb_service.errors import JournalWriteError, ProtocolError, UnknownSessionError
from bohb_service.machine import machine_id
from bohb_service.master.committer import Committer
from bohb_service.master.processes import is_process_gone
from bohb_service.master.proposer import Proposer
from bohb_service.master.terms import StudyFacts, Terms
from bohb_service.optimizer.brackets import FullBudgetSchedule
from bohb_service.optimizer.observation import Suggestion
from bohb_service.rpc.messages import Registration, Request, WorkerInfo
from bohb_service.scheduler.events import StudyStopped, TrialCompleted, TrialLeased, TrialRequeued
from bohb_service.scheduler.outcomes import Completed, Released
from bohb_service.scheduler.scheduler import Scheduler
from bohb_service.scheduler.trial import REFIT_RUNG
from bohb_service.study.worker_name import is_same_class
from tests.house import GatedJournal, Peer


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


def test_a_worker_is_told_all_it_needs_to_know(house):
    facts = StudyFacts("name", "identity", "m:C", {"a": [1]}, "/there", 5.0, 100)
    peer = Peer(house(facts=facts))
    assert peer.registration == Registration(
        session=peer.session,
        study="name",
        worker_spec="m:C",
        worker_options={"a": [1]},
        configurations="/there",
        study_id="identity",
        limit_seconds=5.0,
        limit_memory_mb=100,
        lease_s=60.0,
        heartbeat_s=15.0,
        wait_s=20.0,
    )


@pytest.mark.parametrize(
    ("spec", "runs"), [("m:C", True), ("", True), ("m:D", False), ("/a/w.py:C", False), ("C", False)]
)
def test_a_worker_may_be_told_its_class_if_it_is_the_right_one(house, spec, runs):
    here = house(facts=StudyFacts("study", "id", "m:C", {}, "/c", None, None))
    info = WorkerInfo("w", "h", 1, 0.0, "0", spec=spec)
    if runs:
        assert here.master.register(info).worker_spec == "m:C"
    else:
        with pytest.raises(ProtocolError, match=f"worker w runs '{spec}', but study 'study' needs 'm:C'"):
            here.master.register(info)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("/a/w.py:C", "/b/w.py:C", True),
        ("w.py:C", "/b/w.py:C", True),
        ("/a/w.py:C", "/b/w.py:D", False),
        ("/a/v.py:C", "/b/w.py:C", False),
        ("a/m:C", "b/m:C", False),
        ("m:C", "m:C", True),
        ("m:C", "n:C", False),
    ],
)
def test_a_file_may_lie_elsewhere_on_the_workers_machine(one, other, same):
    assert is_same_class(one, other) is same
    assert is_same_class(other, one) is same


def test_an_exchange_that_waits_in_vain_is_answered_at_its_deadline(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=1)
    busy, idle, patient = Peer(here, "busy"), Peer(here, "idle"), Peer(here, "patient")
    job = busy.ask().jobs[0]
    short = idle.say(results=((99, Completed(1.0)),), running=(7,), max_jobs=1, wait_s=5.0)
    long = patient.say(max_jobs=1, wait_s=1e9)
    here.clock.advance(4.9)
    here.master.tick()
    here.pump()
    assert not short
    here.clock.advance(0.1)
    here.master.tick()
    here.pump(lambda: short)
    assert (short[0].acks, short[0].jobs, short[0].lost, short[0].stop) == ((99,), (), (7,), None)
    here.clock.advance(14.9)
    here.master.tick()
    here.pump()
    assert not long
    here.clock.advance(0.1)
    here.master.tick()
    here.pump(lambda: long)
    assert long[0].jobs == ()
    assert here.scheduler.state.holds(job.lease, "busy")


@pytest.mark.parametrize("wait_s", [0.0, -5.0])
def test_who_does_not_wait_is_answered_at_once(house, wait_s):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=1)
    peer = Peer(here)
    assert peer.ask(wait_s=wait_s).jobs == ()
    here.pump(lambda: here.scheduler.state.unassigned)
    answer = peer.ask(wait_s=wait_s)
    assert [str(job.trial) for job in answer.jobs] == ["0.0"]
    assert peer.ask(max_jobs=-1, wait_s=wait_s).jobs == ()


def test_who_has_waited_longest_is_served_first(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=3)
    peers = {name: Peer(here, name) for name in ("a", "b", "c")}
    here.journal.gate.clear()
    waiting = {name: peers[name].say(max_jobs=1, wait_s=20.0) for name in ("c", "a", "b")}
    here.journal.gate.set()
    here.pump(lambda: all(waiting.values()))
    assert [event.worker for event in here.events(TrialLeased)] == ["c", "a", "b"]


def test_all_who_wait_get_something_proposed(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=40)
    peers = [Peer(here, f"w{i}") for i in range(14)]
    waiting = [peer.say(max_jobs=1, wait_s=20.0) for peer in peers]
    here.pump(lambda: all(waiting))
    assert sorted(answers[0].jobs[0].lease for answers in waiting) == list(range(14))
    here.pump()
    # One ahead for every fourth worker.
    assert len(here.scheduler.state.unassigned) == 3


def test_suggestions_that_come_before_the_loop_looks_are_taken_together(house):
    here = house()
    for number in range(3):
        here.master._deliver(number, Suggestion({"x": float(number)}, "prior"))
    assert here.posted.qsize() == 1
    here.posted.get()()
    assert [configuration.values["x"] for configuration in here.scheduler.state.configurations] == [0.0, 1.0, 2.0]
    here.master._deliver(3, Suggestion({"x": 3.0}, "prior"))
    here.pump(lambda: len(here.scheduler.state.configurations) == 4)


def test_two_workers_have_one_proposal_ahead(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=40)
    peers = [Peer(here, f"w{i}") for i in range(2)]
    for peer in peers:
        peer.ask()
    here.pump()
    assert len(here.scheduler.state.unassigned) == 1


def test_what_is_held_counts_against_what_may_be_held(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=500)
    peer = Peer(here)
    Peer(here, "other")
    held = ()
    for _ in range(3):  # two exchanges of 40 ms take as long as eight jobs of 10 ms beside the running one
        job = peer.ask(running=held, turnaround_s=0.04).jobs[0]
        peer.ask(results=((job.lease, Completed(1.0, seconds=0.01)),), running=held, max_jobs=0, wait_s=0.0)
    here.pump()
    leases = ()
    while len(leases) < 9:
        answer = peer.ask(running=leases, max_jobs=16)
        assert answer.prefetch == 9
        leases += tuple(job.lease for job in answer.jobs)
    assert len(leases) == 9
    full = peer.ask(running=leases, max_jobs=16)
    assert len(full.jobs) == 1
    assert set(peer.ask(running=(*leases, full.jobs[0].lease), max_jobs=0, wait_s=0.0).lost) == set()


def test_a_worker_whose_process_is_gone_is_given_up_at_once(house):
    here = house()
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    peer = Peer(here, pid=process.pid, machine=machine_id())
    job = peer.ask().jobs[0]
    here.master.disconnected(peer.session)
    assert not here.scheduler.state.holds(job.lease, "w")
    assert here.master.status()["lost_workers"] == [{"name": "w", "reason": "its process died"}]
    here.pump(lambda: here.events(TrialRequeued))
    assert here.events(TrialRequeued)[0].message == "worker w: its process died"


def test_a_worker_whose_process_lives_has_its_grace_period_on_this_machine_too(house):
    here = house()
    own = psutil.Process()
    peer = Peer(here, pid=own.pid, machine=machine_id(), started=seconds_after_boot(own))
    here.master.disconnected(peer.session)
    here.clock.advance(5.0)
    here.master.tick()
    assert len(here.master.sessions) == 1
    here.clock.advance(0.1)
    here.master.tick()
    assert len(here.master.sessions) == 0


@pytest.mark.parametrize(("offset", "gone"), [(0.0, False), (1.5, False), (-1.5, False), (2.5, True), (-2.5, True)])
def test_a_process_is_known_by_its_start_too(offset, gone):
    own = psutil.Process()
    assert is_process_gone(machine_id(), own.pid, seconds_after_boot(own) + offset) is gone
    # A container of the same host name has another table of processes.
    assert is_process_gone(f"{machine_id()}9", own.pid, seconds_after_boot(own) + offset) is False
    assert is_process_gone(socket.gethostname(), own.pid, seconds_after_boot(own) + offset) is False
    assert is_process_gone("", own.pid, seconds_after_boot(own) + offset) is False
    assert is_process_gone(machine_id(), 2**22 + 1, 0.0) is True


def test_a_process_stays_known_when_the_clock_is_set(monkeypatch):
    own = psutil.Process()
    started = seconds_after_boot(own)
    booted = psutil.boot_time()
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: booted + 3600.0)
    assert abs(psutil.Process().create_time() - booted - started) > 3000
    assert is_process_gone(machine_id(), own.pid, started) is False


def test_a_zombie_is_gone():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = seconds_after_boot(psutil.Process(process.pid))
        assert not is_process_gone(machine_id(), process.pid, started)
        process.stdin.close()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_process_gone(machine_id(), process.pid, started)


def test_a_return_within_the_grace_period_is_forgiven_by_an_exchange_too(house):
    here = house()
    peer = Peer(here)
    job = peer.ask().jobs[0]
    here.master.disconnected(peer.session)
    here.clock.advance(4)
    peer.ask(running=(job.lease,), max_jobs=0, wait_s=0.0)
    here.clock.advance(4)
    here.master.tick()
    assert here.scheduler.state.holds(job.lease, "w")
    assert here.master.status()["workers"][0]["state"] == "busy"


def test_a_registration_renews_the_leases_that_are_still_held_and_no_others(house):
    here = house()
    peer, other = Peer(here), Peer(here, "other")
    mine, theirs = peer.ask().jobs[0].lease, other.ask().jobs[0].lease
    here.clock.advance(50)
    Peer(here, running=(mine, theirs, 99))
    workers = {worker["name"]: worker for worker in here.master.status()["workers"]}
    assert [trial["trial"] for trial in workers["w"]["trials"]] == ["0.0"]
    here.clock.advance(11)
    here.master.tick()
    assert here.scheduler.state.holds(mine, "w")
    assert not here.scheduler.state.holds(theirs, "other")
    here.clock.advance(49)
    here.master.tick()
    assert not here.scheduler.state.holds(mine, "w")
    assert here.scheduler.state.n_requeued == 2


def test_after_a_return_numbers_may_begin_again(house):
    here = house()
    peer = Peer(here)
    first = peer.ask().jobs[0]
    back = Peer(here, running=(first.lease,))
    answer = back.ask(results=((first.lease, Completed(0.5)),))
    assert answer.acks == (first.lease,)
    assert answer.jobs[0].lease == 1


def test_calls_of_unknown_sessions(house):
    here = house()
    here.master.goodbye("nobody", (0,), "bye")
    here.master.disconnected("nobody")
    with pytest.raises(UnknownSessionError, match="register again"):
        here.master.exchange("nobody", Request(1), print)
    assert here.master.status()["lost_workers"] == []


def test_a_worker_that_was_replaced_is_not_known_any_more(house):
    here = house()
    old = Peer(here, pid=1)
    here.master.disconnected(old.session)
    new = Peer(here, pid=2)
    assert len(here.master.sessions) == 1
    with pytest.raises(UnknownSessionError):
        old.say()
    here.master.goodbye(old.session, (), "too late")
    assert new.ask().jobs
    assert [gone["reason"] for gone in here.master.status()["lost_workers"]] == [
        "its process was replaced by another of the same name"
    ]


def test_enough_workers_are_needed_once_only(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=9, min_workers=2)
    one, two = Peer(here, "one"), Peer(here, "two")
    here.master.goodbye(one.session, (), "bye")
    assert two.ask().jobs


def test_a_worker_that_leaves_makes_room_for_those_who_wait(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=1)
    busy, idle = Peer(here, "busy"), Peer(here, "idle")
    job = busy.ask().jobs[0]
    waiting = idle.say(max_jobs=1, wait_s=20.0)
    here.pump()
    assert not waiting
    here.master.goodbye(busy.session, (), "leaving")
    here.pump(lambda: waiting)
    assert waiting[0].jobs[0].trial == job.trial
    assert (here.events(TrialRequeued)[0].reason, here.events(TrialRequeued)[0].message) == (
        "preempted",
        "worker busy left: leaving",
    )


def test_the_end_is_told_to_all_and_known_when_all_have_left(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=1)
    busy, idle = Peer(here, "busy"), Peer(here, "idle")
    job = busy.ask().jobs[0]
    waiting = idle.say(max_jobs=1, wait_s=20.0)
    last = busy.ask(results=((job.lease, Completed(0.5)),))
    here.pump(here.master.ended.is_set)
    here.pump(lambda: waiting)
    assert last.stop == waiting[0].stop == "the study is finished (evaluations)"
    assert (here.master.end, here.master.error) == ("finished", None)
    assert idle.ask().stop == last.stop
    here.master.goodbye(busy.session, (), "bye")
    here.pump()
    assert not here.master.left.is_set()
    answered = []
    here.journal.gate.clear()
    here.master.goodbye(idle.session, (), "bye")
    here.master.when_durable(lambda: answered.append(here.master.left.is_set()))
    here.pump()
    assert (answered, here.master.left.is_set()) == ([], False)
    here.journal.gate.set()
    here.pump(here.master.left.is_set)
    assert answered == [False]  # the last goodbye is answered before the port closes


def test_the_end_is_not_told_before_it_is_durable(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=1)
    peer = Peer(here)
    job = peer.ask().jobs[0]
    here.journal.gate.clear()
    peer.say(results=((job.lease, Completed(0.5)),), max_jobs=1, wait_s=20.0)
    here.pump()
    assert here.master.end == "finished"
    assert not here.master.ended.is_set()
    here.journal.gate.set()
    here.pump(here.master.ended.is_set)
    assert isinstance(here.records()[-1].event, StudyStopped)


def test_an_abort_answers_all_and_leaves_the_study_open(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=1)
    busy, idle = Peer(here, "busy"), Peer(here, "idle")
    job = busy.ask().jobs[0]
    waiting = idle.say(max_jobs=1, wait_s=20.0)
    here.master.abort()
    here.pump(here.master.ended.is_set)
    assert here.master.end == "interrupted"
    assert waiting[0].jobs == ()
    assert here.scheduler.state.stop_reason is None
    assert here.scheduler.state.holds(job.lease, "busy")
    here.master.abort()
    assert busy.ask(results=((job.lease, Completed(0.5)),)).acks == (job.lease,)
    assert here.master.end == "interrupted"


def test_with_nobody_there_the_end_is_the_end(house):
    here = house()
    here.master.drain()
    here.pump(here.master.left.is_set)
    assert (here.master.end, here.master.ended.is_set()) == ("interrupted", True)


def test_draining_tells_why_and_takes_results(house):
    here = house()
    one, two = Peer(here, "one"), Peer(here, "two")
    jobs = one.ask().jobs[0], two.ask().jobs[0]
    here.master.drain()
    here.master.drain()
    answer = one.ask(results=((jobs[0].lease, Completed(1.0)),), wait_s=0.0)
    assert (answer.jobs, answer.stop) == ((), None)
    assert here.master.end is None
    last = two.ask(results=((jobs[1].lease, Completed(1.0)),))
    assert last.stop == "the master was asked to stop"
    assert here.scheduler.state.n_completed == 2


def test_the_clock_ends_the_search_but_not_the_refit(house):
    facts = StudyFacts("study", "id", "w", {}, "/c", None, None, seconds_limit=100.0)
    here = house(facts=facts, refit=True)
    peer = Peer(here)
    job = peer.ask().jobs[0]
    job = peer.ask(results=((job.lease, Completed(0.5)),)).jobs[0]
    here.clock.advance(100)
    here.master.tick()
    refit = peer.ask(running=(job.lease,)).jobs[0]
    assert refit.trial.rung == REFIT_RUNG
    here.clock.advance(10)
    here.master.tick()
    last = peer.ask(results=((refit.lease, Completed(0.5, {"test_error": 0.1})),))
    assert last.stop == "the study is finished (seconds)"
    assert [event.reason for event in here.events(StudyStopped)] == ["seconds"]


def test_every_event_is_told_once_it_is_durable_and_in_order(house):
    here = house()
    peer = Peer(here)
    job = peer.ask().jobs[0]
    here.journal.gate.clear()
    told = len(here.heard)
    here.clock.advance(7)
    peer.say(results=((job.lease, Completed(0.5)),), max_jobs=0)
    here.pump()
    assert len(here.heard) == told
    here.journal.gate.set()
    here.pump(lambda: len(here.heard) > told)
    assert here.heard == [record.event for record in here.records()]
    assert here.records()[-1].at == here.clock.now()


def test_closing_makes_the_last_events_durable(house):
    here = house()
    peer = Peer(here)
    job = peer.ask().jobs[0]
    peer.say(results=((job.lease, Completed(0.5)),), max_jobs=0)
    here.master.close()
    assert len(here.events(TrialCompleted)) == 1


def test_only_the_first_error_is_kept(house):
    here = house()
    first, second = RuntimeError("first"), RuntimeError("second")
    here.master.fail(first)
    here.master.fail(second)
    assert (here.master.error, here.master.end, here.master.ended.is_set()) == (first, "failed", True)


class Ledger:
    """A committer, what it told, and the loop it posts to: the test's thread."""

    def __init__(self):
        self.journal = GatedJournal()
        self.posted = queue.SimpleQueue()
        self.told = []
        self.failures = []
        self.committer = Committer(self.journal, self.posted.put, self.told.append, self.failures.append)

    def add(self, *names):
        """Events of one round of the loop, which hands them over at its end."""
        self.committer.add([(0.0, StudyStopped(name)) for name in names])
        if names:
            self.run_one()

    def run_one(self):
        self.posted.get(timeout=10)()


@pytest.fixture
def ledger():
    ledger = Ledger()
    yield ledger
    ledger.journal.gate.set()
    ledger.committer.close()


def test_events_that_come_while_the_disk_is_busy_share_one_commit(ledger):
    heard = []
    ledger.committer.when_durable(lambda: heard.append("nothing to wait for"))
    assert heard == ["nothing to wait for"]
    ledger.journal.gate.clear()
    ledger.add("a")
    ledger.committer.when_durable(lambda: heard.append("a"))
    deadline = time.monotonic() + 10
    while ledger.committer._entries:  # until the thread is in its first append
        assert time.monotonic() < deadline
    ledger.add("b", "c")
    ledger.add()
    ledger.committer.when_durable(lambda: heard.append("bc"))
    ledger.committer.when_durable(lambda: heard.append("bc again"))
    ledger.add("d")
    ledger.committer.when_durable(lambda: heard.append("d"))
    ledger.journal.gate.set()
    ledger.run_one()
    assert heard[1:] == ["a"]
    ledger.run_one()
    assert heard[2:] == ["bc", "bc again", "d"]
    assert ledger.journal.appended == [1, 3]
    assert [[event.reason for _, event in entries] for entries in ledger.told] == [["a"], ["b", "c", "d"]]
    ledger.committer.when_durable(lambda: heard.append("at once"))
    assert heard[5:] == ["at once"]


def test_events_of_one_round_of_the_loop_share_one_commit(ledger):
    for name in ("a", "b", "c"):
        ledger.committer.add([(0.0, StudyStopped(name))])
    ledger.run_one()
    ledger.run_one()
    assert ledger.posted.empty()
    assert ledger.journal.appended == [3]


def test_answers_come_before_the_news_of_their_events(ledger):
    heard = []
    ledger.committer._on_durable = lambda _: heard.append("event")
    ledger.add("a")
    ledger.committer.when_durable(lambda: heard.append("answer"))
    ledger.run_one()
    assert heard == ["answer", "event"]


@pytest.mark.parametrize("error", [JournalWriteError("disk full"), RuntimeError("a bug")])
def test_after_a_failed_commit_nothing_is_called_durable_any_more(ledger, error):
    heard = []
    ledger.journal.error = error
    ledger.add("a")
    ledger.committer.when_durable(lambda: heard.append("a"))
    ledger.run_one()
    ledger.committer.when_durable(lambda: heard.append("later"))
    ledger.add("b")
    ledger.committer.when_durable(lambda: heard.append("b"))
    ledger.committer.close()
    assert (heard, ledger.told, ledger.failures) == ([], [], [error])
    assert ledger.posted.empty()


def test_closing_waits_for_the_disk(ledger):
    ledger.journal.gate.clear()
    ledger.add("a")
    closing = threading.Thread(target=ledger.committer.close)
    closing.start()
    closing.join(0.05)
    assert closing.is_alive()
    ledger.journal.gate.set()
    closing.join(10)
    assert ledger.journal.appended == [1]


def test_a_failure_with_nothing_to_wait_for_is_no_licence(ledger):
    heard = []
    ledger.add("a")
    ledger.run_one()
    ledger.journal.error = JournalWriteError("disk full")
    ledger.add("b")
    ledger.run_one()
    ledger.committer._durable = ledger.committer._appended
    ledger.committer.when_durable(lambda: heard.append("never"))
    assert not heard


class Proposals:
    """A proposer with a sampler that the test can hold or break."""

    def __init__(self, taken=()):
        self.gate = threading.Event()
        self.gate.set()
        self.observations = []
        self.delivered = queue.SimpleQueue()
        self.failures = queue.SimpleQueue()
        self.calls = []
        self.proposer = Proposer(
            lambda: self, self.observations, taken, lambda *news: self.delivered.put(news), self.failures.put
        )

    def suggest(self, number, observations, taken):
        self.calls.append((number, len(observations), list(taken)))
        assert self.gate.wait(10)
        return Suggestion({"x": number}, "prior")

    def close(self):
        self.gate.set()
        self.proposer.close()


def test_proposals_are_made_up_to_what_was_asked_for_and_no_further():
    made = Proposals(taken=[{"x": "old"}])
    made.proposer.request(1)
    made.proposer.request(3)
    assert [made.delivered.get(timeout=10)[0] for _ in range(2)] == [1, 2]
    made.observations.append("result")
    made.proposer.request(2)
    made.proposer.request(4)
    number, suggestion = made.delivered.get(timeout=10)
    assert (number, suggestion.values) == (3, {"x": 3})
    made.close()
    assert made.delivered.empty()
    assert [(number, seen) for number, seen, _ in made.calls] == [(1, 0), (2, 0), (3, 1)]
    assert made.calls[2][2] == [{"x": "old"}, {"x": 1}, {"x": 2}]


def test_closing_ends_proposals_after_the_one_under_way():
    made = Proposals()
    made.gate.clear()
    made.proposer.request(100)
    deadline = time.monotonic() + 10
    while not made.calls:
        assert time.monotonic() < deadline
    closing = threading.Thread(target=made.proposer.close)
    closing.start()
    while not made.proposer._closing:
        assert time.monotonic() < deadline
    made.gate.set()
    closing.join(10)
    assert len(made.calls) == 1


def test_a_sampler_that_cannot_be_built_is_a_failure_too():
    failures = queue.SimpleQueue()

    def make():
        raise ImportError("no such package")

    proposer = Proposer(make, [], [], print, failures.put)
    assert str(failures.get(timeout=10)) == "no such package"
    proposer.close()


def test_leases_are_renewed_by_those_who_say_that_they_hold_them(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=9)
    peer = Peer(here)
    Peer(here, "other")
    first = peer.ask().jobs[0]
    second = peer.ask(running=(first.lease,)).jobs[0]
    for _ in range(3):
        here.clock.advance(50)
        peer.ask(running=(second.lease,), max_jobs=0, wait_s=0.0)
        here.master.tick()
    assert here.scheduler.state.holds(second.lease, "w")
    assert not here.scheduler.state.holds(first.lease, "w")
    (worker, _) = here.master.status()["workers"]
    assert [trial["trial"] for trial in worker["trials"]] == [str(second.trial)]


def test_a_lease_that_nobody_claims_after_a_restart_expires(house):
    here = house()
    job = Peer(here).ask().jobs[0]
    replayed = Scheduler(here.scheduler.settings)
    for record in here.journal.read():
        replayed.state.apply(record.event)
    there = house(scheduler=replayed, journal=here.journal)
    there.clock.advance(60)
    there.master.tick()
    assert not there.scheduler.state.holds(job.lease, "w")


def test_a_waiting_exchange_that_is_repeated_is_answered_where_it_came_from_last(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=1)
    busy, peer = Peer(here, "busy"), Peer(here)
    job = busy.ask().jobs[0]
    request = Request(1, max_jobs=1, wait_s=20.0)
    before = peer.send(request)
    here.master.disconnected(peer.session)
    after = peer.send(request)
    here.pump()
    assert (before, after) == ([], [])
    busy.ask(results=((job.lease, Released("preempted", "evicted")),), max_jobs=0, wait_s=0.0)
    here.pump(lambda: after)
    assert before == []
    assert after[0].jobs[0].trial == job.trial


def test_an_exchange_that_was_answered_is_not_taken_twice(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=9)
    peer = Peer(here)
    job = peer.ask().jobs[0]
    request = Request(2, results=((job.lease, Completed(0.5, seconds=1.0)),), max_jobs=1, wait_s=20.0)
    first = peer.send(request)
    here.pump(lambda: first)
    for _ in range(3):
        again = peer.send(request)
        here.pump()
        assert again == first
    assert len(here.scheduler.state.leases) == 2
    assert here.master.status()["workers"][0]["finished"] == 1


def test_released_leases_go_to_those_who_wait(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=1)
    dead, idle = Peer(here, "dead"), Peer(here, "idle")
    job = dead.ask().jobs[0]
    waiting = idle.say(max_jobs=1, wait_s=20.0)
    here.master.release(lambda name: name == "dead", "it died")
    here.pump(lambda: waiting)
    assert waiting[0].jobs[0].trial == job.trial


def test_after_an_abort_nothing_is_handed_out(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=9)
    busy, idle = Peer(here, "busy"), Peer(here, "idle")
    busy.ask()
    here.master.abort()
    here.pump(here.master.ended.is_set)
    answers = idle.say(max_jobs=1, wait_s=0.0)
    here.pump(lambda: answers)
    assert answers[0].jobs == ()
    assert here.scheduler.state.running == 1


def test_closing_ends_both_threads_and_nothing_is_left_of_leases_that_ended(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=9)
    peer = Peer(here)
    job = peer.ask().jobs[0]
    assert len(here.master.books.leases) == 1
    peer.ask(results=((job.lease, Completed(0.5)),), max_jobs=0, wait_s=0.0)
    assert len(here.master.books.leases) == 0
    here.master.close()
    assert not here.master._committer._thread.is_alive()
    assert not here.master._proposer._thread.is_alive()


def test_what_may_be_held_follows_the_budget_that_was_leased_last(house):
    here = house(brackets=1)
    peer = Peer(here)
    Peer(here, "other")
    results = ()
    told = []
    for _ in range(11):
        answer = peer.ask(results=results, turnaround_s=0.01)
        (job,) = answer.jobs
        told.append((job.budget, answer.prefetch))
        results = ((job.lease, Completed(float(job.lease), seconds=1e-3)),)
    assert told == [(1, 1), *[(1, 16)] * 8, (3, 1), (3, 16)]


def test_other_terms_hold_if_they_are_given(house):
    here = house(terms=Terms(lease_s=9.0, heartbeat_s=3.0, wait_s=2.0, grace_s=1.0))
    peer = Peer(here)
    told = peer.registration
    assert (told.lease_s, told.heartbeat_s, told.wait_s) == (9.0, 3.0, 2.0)
    job = peer.ask().jobs[0]
    here.clock.advance(8.9)
    here.master.tick()
    assert here.scheduler.state.holds(job.lease, "w")
    here.clock.advance(0.1)
    here.master.tick()
    assert not here.scheduler.state.holds(job.lease, "w")
    here.master.disconnected(peer.session)
    here.clock.advance(1.1)
    here.master.tick()
    assert len(here.master.sessions) == 0


def test_a_worker_that_comes_back_after_a_restart_is_busy_at_once(house):
    here = house()
    job = Peer(here).ask().jobs[0]
    replayed = Scheduler(here.scheduler.settings)
    for record in here.journal.read():
        replayed.state.apply(record.event)
    there = house(scheduler=replayed, journal=here.journal)
    Peer(there, running=(job.lease,))
    assert there.master.status()["workers"][0]["state"] == "busy"


def test_a_new_exchange_takes_the_place_of_one_that_waits(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=1)
    peer = Peer(here)
    job = peer.ask().jobs[0]
    old = peer.say(running=(job.lease,), max_jobs=1, wait_s=20.0)
    assert peer.ask(results=((job.lease, Completed(0.5)),), max_jobs=1).acks == (job.lease,)
    assert old == []


def test_an_outcome_counts_for_the_worker_that_was_given_the_lease_alone(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=1)
    peer, other = Peer(here), Peer(here, "other")
    job = peer.ask().jobs[0]
    told = other.ask(results=((job.lease, Completed(0.0, seconds=1.0)), (99, Completed(0.0))), wait_s=0.0)
    assert told.acks == (job.lease, 99)
    assert here.scheduler.state.holds(job.lease, "w")
    for _ in range(2):
        peer.ask(results=((job.lease, Completed(0.5, seconds=1.0)),), max_jobs=0, wait_s=0.0)
    assert here.scheduler.state.incumbent.loss == 0.5
    workers = {worker["name"]: (worker["finished"], worker["busy_s"]) for worker in here.master.status()["workers"]}
    assert workers == {"w": (1, 1.0), "other": (0, 0.0)}


def test_a_lease_whose_answer_was_lost_goes_back_when_its_worker_returns_without_it(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=2)
    peer = Peer(here)
    first, lost = peer.ask().jobs[0], peer.ask(running=(0,)).jobs[0]
    back = Peer(here, running=(first.lease,))
    again = back.ask(running=(first.lease,)).jobs[0]
    assert (again.trial, again.attempt) == (lost.trial, 1)
    assert [(event.lease, event.reason) for event in here.events(TrialRequeued)] == [(lost.lease, "unstarted")]


def test_after_an_error_nothing_changes_any_more(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=9)
    peer = Peer(here)
    job = peer.ask().jobs[0]
    here.master.fail(RuntimeError("a bug"))
    before = len(here.records())
    answers = peer.say(results=((job.lease, Completed(0.5)),), max_jobs=1, wait_s=0.0)
    here.master.release(lambda _: True, "it died")
    here.master.goodbye(peer.session, (), "bye")
    here.master.disconnected(peer.session)
    here.clock.advance(100)
    here.master.tick()
    Peer(here)
    here.pump()
    assert answers == []
    assert len(here.records()) == before
    assert here.scheduler.state.holds(job.lease, "w")


def test_a_worker_that_leaves_early_is_not_the_last_one(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=9)
    here.master.goodbye(Peer(here).session, (), "bye")
    assert not here.master.left.is_set()


def test_jobs_in_hand_leave_less_room_for_others(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=500)
    peer, *_ = [Peer(here, f"w{i}") for i in range(4)]
    job = peer.ask(turnaround_s=0.01).jobs[0]
    peer.ask(results=((job.lease, Completed(1.0, seconds=1e-3)),), max_jobs=0, wait_s=0.0)
    here.pump()
    held = tuple(job.lease for job in peer.ask(max_jobs=10).jobs)
    assert len(held) == 10
    here.pump()
    assert len(peer.ask(running=held, max_jobs=16).jobs) == 6


def test_a_worker_that_waits_again_waits_behind_the_others(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=4)
    one, two, busy = Peer(here, "one"), Peer(here, "two"), Peer(here, "busy")
    jobs = [busy.ask().jobs[0].lease for _ in range(4)]

    def give_back():
        lease = jobs.pop()
        busy.ask(results=((lease, Released("preempted", "evicted")),), running=jobs, max_jobs=0, wait_s=0.0)

    first = one.say(max_jobs=1, wait_s=20.0)
    second = two.say(max_jobs=1, wait_s=20.0)
    give_back()
    here.pump(lambda: first)
    first = one.say(running=(first[0].jobs[0].lease,), max_jobs=1, wait_s=20.0)
    give_back()
    here.pump(lambda: second)
    assert first == []
    two.say(running=(second[0].jobs[0].lease,), max_jobs=1, wait_s=20.0)
    one.say(max_jobs=1, wait_s=20.0)  # now it is behind
    give_back()
    here.pump(lambda: len(here.events(TrialLeased)) == 7)
    assert here.events(TrialLeased)[-1].worker == "two"


@pytest.mark.parametrize("how", ["left", "gave up", "came back"])
def test_nothing_is_handed_to_a_wait_that_is_over(house, how):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=1)
    busy, peer = Peer(here, "busy"), Peer(here)
    job = busy.ask().jobs[0]
    over = peer.say(max_jobs=1, wait_s=20.0)
    if how == "left":
        here.master.goodbye(peer.session, (), "bye")
    elif how == "gave up":
        here.master.disconnected(peer.session)
        here.clock.advance(6)
        here.master.tick()
    else:
        Peer(here)
    idle = Peer(here, "idle")
    waiting = idle.say(max_jobs=1, wait_s=20.0)
    busy.ask(results=((job.lease, Released("preempted", "evicted")),), max_jobs=0, wait_s=0.0)
    here.pump(lambda: waiting)
    assert over == []
    assert waiting[0].jobs[0].trial == job.trial


def test_the_name_of_a_worker_that_left_is_free_again(house):
    here = house()
    here.master.goodbye(Peer(here, pid=1).session, (), "bye")
    assert Peer(here, pid=2).ask().jobs


def test_who_hides_what_it_holds_gets_no_more_for_that(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=500)
    liar, honest = Peer(here, "liar"), Peer(here, "honest")
    got = 0
    for _ in range(30):
        answers = liar.say(max_jobs=1, wait_s=20.0)
        here.pump()
        got += sum(len(answer.jobs) for answer in answers)
    assert got == 16
    assert len(honest.ask().jobs) == 1
