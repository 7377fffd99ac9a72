"""When a worker calls its master, and what it tells of its leases."""

import pytest

from bohb_service.errors import MasterUnreachableError
from bohb_service.rpc.messages import Answer, Registration, WorkerInfo
from bohb_service.scheduler.outcomes import Completed
from bohb_service.scheduler.replies import Job
from bohb_service.scheduler.trial import TrialId
from bohb_service.testing.clock import ManualClock
from bohb_service.worker.conversation import COALESCE_S, Conversation
from bohb_service.worker.link import Link
from bohb_service.worker.signals import StopSignals

REGISTRATION = Registration("s", "t", "m:C", {}, "/c", "id", None, None, 60.0, 15.0, 20.0, "epoch")


class Scripted:
    """A master whose next answer the test sets; each call takes a while."""

    def __init__(self, clock):
        self.clock = clock
        self.registration = REGISTRATION
        self.answer = Answer()
        self.seconds = 0.0
        self.fault = None
        self.infos = []
        self.requests = []

    def register(self, info):
        self.infos.append(info)
        return self.registration

    def exchange(self, request):
        self.requests.append(request)
        self.clock.advance(self.seconds)
        if self.fault is not None:
            raise self.fault
        return self.answer

    def goodbye(self, unstarted, reason):
        pass

    def close(self):
        pass


def conversation_of(*leases, prefetch=1):
    """A conversation in which these leases were granted, its master and its clock."""
    clock = ManualClock()
    master = Scripted(clock)
    talk = Conversation(Link(master, StopSignals(), clock), WorkerInfo("w", "h", 1, 0.0, "0"), clock)
    talk.register(())
    jobs = tuple(Job(lease, TrialId(lease, 0), 1, {}, 1.0, None, 0) for lease in leases)
    master.answer = Answer(jobs=jobs, prefetch=prefetch)
    talk.exchange((), prefetch)
    master.answer = Answer(prefetch=prefetch)
    return talk, master, clock


def test_the_outcome_of_the_only_job_is_delivered_at_once():
    talk, _, clock = conversation_of(0)
    talk.outbox.add(0, Completed(0.5))
    assert talk.next_call(n_held=0, wants_jobs=True, job_s=0.0) == clock.monotonic()


def test_outcomes_gather_while_more_than_half_is_left_to_do_but_not_for_long():
    talk, master, clock = conversation_of(*range(8), prefetch=8)
    began = clock.monotonic()
    assert talk.next_call(n_held=8, wants_jobs=False, job_s=0.0) == began + 15.0
    assert not talk.is_gathering
    talk.outbox.add(0, Completed(0.5))
    assert talk.next_call(n_held=7, wants_jobs=False, job_s=0.01) == began + COALESCE_S
    assert talk.is_gathering
    clock.advance(COALESCE_S / 2)
    talk.outbox.add(1, Completed(0.5))
    assert talk.next_call(n_held=6, wants_jobs=False, job_s=0.01) == began + COALESCE_S
    assert talk.next_call(n_held=4, wants_jobs=False, job_s=0.01) <= clock.monotonic()
    master.answer = Answer(acks=(0, 1), prefetch=8)
    talk.exchange(tuple(range(2, 8)), 2)
    assert not talk.is_gathering
    talk.outbox.add(2, Completed(0.5))
    assert talk.next_call(n_held=5, wants_jobs=False, job_s=0.1) == clock.monotonic() + COALESCE_S


def test_outcomes_gather_no_longer_than_it_should_take_until_half_is_left_to_do():
    talk, _, clock = conversation_of(*range(8), prefetch=8)
    talk.outbox.add(0, Completed(0.5))
    due = talk.next_call(n_held=7, wants_jobs=False, job_s=0.002)
    assert due - clock.monotonic() == pytest.approx(3 * 0.002, rel=0.1)


def test_nothing_gathers_while_the_master_does_not_answer():
    talk, master, _ = conversation_of(*range(8), prefetch=8)
    talk.outbox.add(0, Completed(0.5))
    talk.next_call(n_held=7, wants_jobs=False, job_s=0.01)
    assert talk.is_gathering
    master.fault = MasterUnreachableError("gone")
    assert talk.exchange(tuple(range(1, 8)), 1) is None
    talk.next_call(n_held=7, wants_jobs=False, job_s=0.01)
    assert not talk.is_gathering


def test_a_worker_that_may_hold_two_delivers_each_outcome():
    talk, _, clock = conversation_of(0, 1, prefetch=2)
    talk.outbox.add(0, Completed(0.5))
    assert talk.next_call(n_held=1, wants_jobs=False, job_s=0.01) == clock.monotonic()


def test_the_duration_of_the_last_exchange_that_did_not_wait_is_told():
    talk, master, _ = conversation_of(0, 1, prefetch=2)
    master.seconds = 0.25
    talk.exchange((0, 1), 0)
    master.seconds = 7.0
    talk.exchange((), 2)
    talk.exchange((0, 1), 0)
    assert [request.turnaround_s for request in master.requests] == [0.0, 0.0, 0.25, 0.25]
    talk.exchange((0, 1), 0)
    assert master.requests[-1].turnaround_s == 7.0


def test_leases_are_told_with_the_epoch_in_which_they_were_granted():
    talk, master, _ = conversation_of(0, 1, 2, prefetch=3)
    talk.outbox.add(0, Completed(0.5))
    master.registration = Registration(*(*REGISTRATION_FACTS, "later"))
    talk.needs_registration = True
    talk.register((1, 2))
    assert master.infos[-1].running == ((1, "epoch"), (2, "epoch"), (0, "epoch"))
    master.answer = Answer(acks=(0,), jobs=(Job(3, TrialId(3, 0), 1, {}, 1.0, None, 0),), prefetch=3)
    talk.exchange((1, 2), 1)
    talk.register((1, 3))
    assert master.infos[-1].running == ((1, "epoch"), (3, "later"))


def test_epochs_are_kept_for_what_is_held_or_not_acknowledged_alone():
    talk, master, _ = conversation_of(0, 1, 2, 3, prefetch=4)
    talk.outbox.add(1, Completed(0.5))
    master.answer = Answer(lost=(2,), prefetch=4)
    talk.exchange((0, 2, 3), 0)
    assert talk._epochs.keys() == {0, 1, 2, 3}
    talk.exchange((0, 3), 0)
    assert talk._epochs.keys() == {0, 1, 3}
    master.answer = Answer(acks=(1,), prefetch=4)
    talk.exchange((0,), 0)
    assert talk._epochs.keys() == {0}


def test_outcomes_of_leases_that_were_never_granted_are_forgotten():
    talk, master, _ = conversation_of(0, 1, prefetch=2)
    talk.outbox.add(0, Completed(0.5))
    talk.outbox.add(1, Completed(0.75))
    master.registration = Registration(*(*REGISTRATION_FACTS, "later", (1,)))
    talk.register(())
    assert talk.outbox.leases == (0,)


REGISTRATION_FACTS = ("s", "t", "m:C", {}, "/c", "id", None, None, 60.0, 15.0, 20.0)
