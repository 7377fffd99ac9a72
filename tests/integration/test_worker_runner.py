"""The whole worker, with real objective processes and signals, against a master in memory."""

import dataclasses
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from bohb_service.api.study_run import StudyRun
from bohb_service.errors import MasterUnreachableError, ProtocolError, UnknownSessionError
from bohb_service.line_rate import LineRate
from bohb_service.rpc.messages import FAULT, Answer, Registration, Report, WorkerInfo
from bohb_service.scheduler.outcomes import Completed, Failed, Released
from bohb_service.scheduler.replies import Job
from bohb_service.scheduler.trial import TrialId
from bohb_service.study import parse_study
from bohb_service.worker import head
from bohb_service.worker.checkpoint import CheckpointFile
from bohb_service.worker.events import Dropped, Finished, Started
from bohb_service.worker.runner import WorkerRunner
from tests.polling import wait_until

OBJECTIVES = Path(__file__).parents[1] / "objectives.py"
INFO = WorkerInfo("w/1", "host", os.getpid(), 0.0, "0", running=())


class MemoryMaster:
    """Hands out jobs, keeps outcomes, and says stop when all are in.

    Attributes:
        before: Called with each request; may return an answer, raise, or return None to go on.
        requests: All requests that were answered.
        calls: All requests, the failed ones included.
    """

    def __init__(self, registration, configs, prefetch=1):
        self.registration = registration
        self.prefetch = prefetch
        self.waiting = deque(
            Job(lease, TrialId(lease, 0), 1, {"how": config} if isinstance(config, str) else config, 1.0, None, 0)
            for lease, config in enumerate(configs)
        )
        self.n_jobs = len(self.waiting)
        self.outcomes = {}
        self.reports = []
        self.infos = []
        self.calls = []
        self.requests = []
        self.goodbyes = []
        self.answers = {}
        self.before = lambda _request: None

    def register(self, info):
        self.infos.append(info)
        return self.registration

    def exchange(self, request):
        self.calls.append(request)
        answer = self.before(request) or self.answers.get(request.seq) or self.answer(request)
        self.answers = {request.seq: answer}
        return answer

    def answer(self, request):
        self.requests.append(request)
        for lease, outcome in request.results:
            self.outcomes.setdefault(lease, outcome)
        self.reports += request.reports
        jobs = tuple(self.waiting.popleft() for _ in range(min(request.max_jobs, len(self.waiting))))
        stop = "all done" if len(self.outcomes) == self.n_jobs else None
        return Answer(tuple(lease for lease, _ in request.results), jobs, (), self.prefetch, stop)

    def goodbye(self, unstarted, reason):
        self.goodbyes.append((unstarted, reason))

    def close(self):
        pass


@pytest.fixture
def master(tmp_path):
    configurations = tmp_path / "run" / "configurations"
    configurations.mkdir(parents=True)
    (configurations / "id").write_text("study-17\n")

    def make(*configs, worker="Misbehaves", prefetch=1, options=None, **changes):
        if options is None:
            options = {"folder": str(tmp_path)} if worker == "Misbehaves" else {}
        facts = {
            "session": "s",
            "study": "test",
            "worker_spec": f"{OBJECTIVES}:{worker}",
            "worker_options": options,
            "configurations": str(configurations),
            "study_id": "study-17",
            "limit_seconds": None,
            "limit_memory_mb": None,
            "lease_s": 60.0,
            "heartbeat_s": 15.0,
            "wait_s": 20.0,
            "epoch": "epoch",
        }
        return MemoryMaster(Registration(**{**facts, **changes}), configs, prefetch)

    return make


def run(master, tmp_path, **options):
    return WorkerRunner(master, INFO, scratch=tmp_path / "scratch", **options).run()


@contextmanager
def signalled(condition, number=signal.SIGTERM, then=lambda: None):
    """Send this process a signal as soon as a condition holds, then do something else."""
    stop = threading.Event()

    def watch():
        while not stop.wait(0.005):
            if condition():
                os.kill(os.getpid(), number)
                then()
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# -- the ordinary course ----------------------------------------------------------------------------------------


def test_jobs_are_evaluated_and_delivered_in_the_exchange_that_asks_for_the_next(master, tmp_path):
    one = master({"x": 0.25, "y": 0.5}, {"x": 0.5, "y": 0.5}, {"x": 1.0, "y": 0.5}, worker="NoOp")

    assert run(one, tmp_path) == 0

    assert [one.outcomes[lease].loss for lease in range(3)] == [0.75, 1.0, 1.5]
    assert [(len(request.results), request.max_jobs) for request in one.requests] == [(0, 1), (1, 1), (1, 1), (1, 1)]
    assert [request.seq for request in one.requests] == [1, 2, 3, 4]
    assert one.goodbyes == [((), "all done")]


def test_many_short_jobs_share_exchanges(master, tmp_path):
    one = master(*[{"x": 0.0, "y": lease / 1000} for lease in range(300)], worker="NoOp", prefetch=16)

    assert run(one, tmp_path) == 0

    assert [one.outcomes[lease].loss for lease in range(300)] == [lease / 1000 for lease in range(300)]
    assert max(len(request.running) for request in one.requests) <= 16
    assert len(one.requests) < 300 / 4
    assert max(request.turnaround_s for request in one.requests) > 0.0
    delivered = [lease for request in one.requests for lease, _ in request.results]
    assert sorted(delivered) == list(range(300))


def test_directories_are_those_of_the_master_where_they_are_visible(master, tmp_path):
    one = master({}, {}, worker="Remembers")

    assert run(one, tmp_path) == 0

    folder = tmp_path / "run" / "configurations" / "1"
    assert (folder / "budgets").read_text() == "1.0"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "run" / "logs" / "w_1.log").exists()
    assert not (tmp_path / "scratch").exists()


def test_directories_are_local_where_the_masters_are_not_visible(master, tmp_path):
    one = master({}, worker="Remembers", study_id="another-study")

    assert run(one, tmp_path) == 0

    assert (tmp_path / "scratch" / "another-study" / "0" / "budgets").exists()


def test_the_checkpoints_of_what_is_over_are_removed(master, tmp_path):
    one = master("ok", "ok")
    folder = tmp_path / "run" / "configurations" / "7"
    CheckpointFile(folder, "mark", 0).save(b"weights", 1.0)
    one.before = lambda request: dataclasses.replace(one.answer(request), over=(6, 7)) if request.seq == 1 else None

    assert run(one, tmp_path) == 0

    assert not folder.exists()
    assert {request.place for request in one.requests} == {""}


def test_workers_with_a_folder_of_their_own_tell_which(master, tmp_path):
    places = set()
    for scratch in ("a", "b", "b"):
        one = master("ok", study_id="another-study")
        assert WorkerRunner(one, INFO, scratch=tmp_path / scratch).run() == 0
        places |= {request.place for request in one.requests}

    assert len(places) == 2
    assert "" not in places


def test_failures_are_outcomes_like_others(master, tmp_path):
    one = master("raises", "segfaults", "ok", limit_seconds=5.0)

    assert run(one, tmp_path) == 0

    assert [type(one.outcomes[lease]) for lease in range(3)] == [Failed, Failed, Completed]


def test_curve_points_travel_while_the_job_runs(master, tmp_path):
    one = master("reports_and_naps")

    assert run(one, tmp_path) == 0

    assert one.reports == [Report(0, 0.0, 1.0), Report(0, 1.0, 0.5)]
    assert one.outcomes[0].curve == ((0.0, 1.0), (1.0, 0.5))
    carrying = [request for request in one.requests if request.reports and not request.results]
    assert len(carrying) == 1


def test_leases_are_renewed_while_the_objective_holds_the_interpreter_lock(master, tmp_path):
    one = master("holds_the_lock", heartbeat_s=0.1)

    assert run(one, tmp_path) == 0

    renewals = [request for request in one.requests if request.running == (0,)]
    assert len(renewals) >= 10
    assert {(request.max_jobs, request.wait_s) for request in renewals} == {(0, 0.0)}


@pytest.mark.slow
def test_heartbeats_go_on_while_one_call_holds_the_interpreter_lock_for_half_a_minute(master, tmp_path):
    one = master("holds_the_lock_for_half_a_minute", lease_s=60.0, heartbeat_s=1.0)
    renewals = []
    one.before = lambda request: renewals.append(time.monotonic()) if request.running == (0,) else None

    assert run(one, tmp_path) == 0

    outcome = one.outcomes[0]
    assert isinstance(outcome, Completed)
    assert outcome.seconds >= 30
    # A thread beside the objective, where a design with one process has its heartbeats, was stopped all the time.
    assert outcome.info["beats"] <= 1
    assert len(renewals) >= 25
    assert max(after - before for before, after in pairwise(renewals)) < 5
    assert len(one.infos) == 1


def test_more_is_fetched_while_a_job_runs_if_the_master_wants_that(master, tmp_path):
    one = master("ok", "naps", "ok", "ok", heartbeat_s=0.05)
    one.before = lambda request: setattr(one, "prefetch", 3 if one.outcomes else 1)

    assert run(one, tmp_path) == 0

    assert any(len(request.running) > 1 for request in one.requests)


def test_each_event_is_one_log_record(master, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="bohb_service.worker")
    one = master({"x": 0.25, "y": 0.5}, worker="NoOp")

    run(one, tmp_path)

    messages = [record.message for record in caplog.records]
    assert messages == [
        "registered",
        "job started",
        "job finished",
        "outcomes acknowledged",
        "stopping: all done",
        "worker ended",
    ]
    finished = caplog.records[2]
    assert (finished.trial, finished.budget, finished.loss) == ("0.0", 1.0, 0.75)
    assert finished.seconds >= 0


# -- faults of the network --------------------------------------------------------------------------------------


def test_a_lost_answer_is_fetched_by_the_same_request(master, tmp_path):
    one = master("ok", "ok")
    lost = []

    def lose_the_second(request):
        if request.seq == 2 and not lost:
            lost.append(one.answer(request))
            one.answers = {2: lost[0]}
            raise MasterUnreachableError("the connection broke")

    one.before = lose_the_second

    assert run(one, tmp_path) == 0

    second = [request for request in one.calls if request.seq == 2]
    assert len(second) == 2
    assert second[0] == second[1]
    assert len(one.outcomes) == 2


def test_a_job_goes_on_without_the_master_and_its_outcome_is_held(master, tmp_path):
    one = master("naps", heartbeat_s=0.05)
    outage = []

    def be_away(request):
        if request.running and not outage:
            outage.append(time.monotonic())
        if outage and time.monotonic() - outage[0] < 0.5:
            raise MasterUnreachableError("nobody there")

    one.before = be_away

    assert run(one, tmp_path) == 0

    assert isinstance(one.outcomes[0], Completed)
    assert one.outcomes[0].seconds < 0.5


def test_after_an_outage_leases_are_renewed_at_once(master, tmp_path):
    one = master("naps_longer", heartbeat_s=0.3)
    failures = []

    def fail_once(request):
        if request.running and not failures:
            failures.append(time.monotonic())
            raise MasterUnreachableError("nobody there")

    one.before = fail_once

    assert run(one, tmp_path) == 0

    renewing = [request.seq for request in one.requests if request.running]
    # One at 0.3 s, which failed and was repeated, and one right after it, before the job ended at 0.6 s.
    assert len(renewing) >= 2


def test_an_unknown_session_registers_again_with_what_it_holds(master, tmp_path):
    one = master("naps", heartbeat_s=0.05)
    refused = []

    def forget(request):
        if request.running and not refused:
            refused.append(request)
            raise UnknownSessionError("who are you?")

    one.before = forget

    assert run(one, tmp_path) == 0

    assert [info.running for info in one.infos] == [(), ((0, "epoch"),)]
    assert isinstance(one.outcomes[0], Completed)


def test_another_study_at_the_same_address_starts_afresh(master, tmp_path):
    one = master("sleeps", heartbeat_s=0.05)
    another = master({"x": 0.5, "y": 0.5}, worker="NoOp", study_id="study-18")

    def change(request):
        if request.running and one.infos[-1].running == ():
            one.registration = another.registration
            raise UnknownSessionError("who are you?")
        return another.exchange(request) if len(one.infos) > 1 else None

    one.before = change

    assert run(one, tmp_path) == 0

    assert one.outcomes == {}
    assert another.outcomes[0].loss == 1.0


def test_a_worker_started_before_its_master_waits(master, tmp_path):
    one = master("ok")
    register, attempts = one.register, []

    def late(info):
        attempts.append(info)
        if len(attempts) < 4:
            raise MasterUnreachableError("nobody there")
        return register(info)

    one.register = late

    assert run(one, tmp_path) == 0

    assert len(attempts) == 4


def test_a_master_that_never_comes_is_not_waited_for_for_ever(master, tmp_path, caplog):
    one = master()

    def never(_info):
        raise MasterUnreachableError("nobody there")

    one.register = never

    assert run(one, tmp_path, orphan_timeout_s=0.3) == 4

    assert "no master for 0.3 s" in caplog.text


def test_an_orphan_gives_up_and_kills_its_job(master, tmp_path, caplog):
    one = master("sleeps", heartbeat_s=0.05)

    def vanish(request):
        if request.running and (tmp_path / "sleeping").exists():
            raise MasterUnreachableError("nobody there")

    one.before = vanish

    assert run(one, tmp_path, orphan_timeout_s=0.3) == 4

    assert "no master for 0.3 s" in caplog.text
    assert not is_alive(int((tmp_path / "sleeping").read_text()))


def test_the_patience_of_an_orphan_begins_with_the_first_call_that_fails(master, tmp_path):
    one = master("sleeps", heartbeat_s=0.6)
    failures = []

    def vanish(request):
        if request.running:
            failures.append(time.monotonic())
            raise MasterUnreachableError("nobody there")

    one.before = vanish

    assert run(one, tmp_path, orphan_timeout_s=0.5) == 4

    # By the first failure the last contact was longer ago than that already.
    assert len(failures) > 1
    assert time.monotonic() - failures[0] >= 0.5


def test_a_refused_worker_ends(master, tmp_path, caplog):
    one = master()

    def refuse(_info):
        raise ProtocolError("a worker named 'w/1' is connected already")

    one.register = refuse

    assert run(one, tmp_path) == 4

    assert "connected already" in caplog.text


def test_a_master_that_answers_at_once_without_a_job_is_not_flooded(master, tmp_path):
    one = master("ok")
    began = time.monotonic()
    one.before = lambda _request: Answer() if time.monotonic() - began < 0.6 else None

    assert run(one, tmp_path) == 0

    assert len(one.calls) < 10


# -- what the master may demand ---------------------------------------------------------------------------------


def test_a_lost_lease_kills_the_running_job(master, tmp_path):
    one = master("sleeps", "ok", heartbeat_s=0.05)

    def take_away(request):
        if 0 in request.running and (tmp_path / "sleeping").exists():
            one.n_jobs = 1
            one.requests.append(request)
            return Answer(lost=(0,))
        return None

    one.before = take_away

    assert run(one, tmp_path) == 0

    assert not is_alive(int((tmp_path / "sleeping").read_text()))
    assert list(one.outcomes) == [1]


def test_a_lost_lease_that_has_not_begun_is_never_run(master, tmp_path):
    one = master("naps", "starts_a_process", "ok", prefetch=3, heartbeat_s=0.02)
    taken = []

    def take_away(request):
        if 1 in request.running and (tmp_path / "napping").exists() and not taken:
            taken.append(1)
            one.n_jobs = 2
            return Answer(lost=(1,), prefetch=3)
        return None

    one.before = take_away

    assert run(one, tmp_path) == 0

    assert sorted(one.outcomes) == [0, 2]
    assert not (tmp_path / "grandchild").exists()


def test_a_job_that_comes_twice_is_done_once(master, tmp_path):
    one = master("counts", "ok", heartbeat_s=0.02)
    job = one.waiting[0]
    one.before = lambda request: Answer(jobs=(job,)) if request.running == (0,) else None

    assert run(one, tmp_path) == 0

    assert (tmp_path / "counts").read_text() == "x"


def test_stop_ends_a_running_job_and_gives_it_back(master, tmp_path):
    one = master("ok", "sleeps", "ok", prefetch=2, heartbeat_s=0.05)

    def stop(request):
        is_running = len(request.running) == 2 and (tmp_path / "sleeping").exists()
        return Answer(stop="enough") if is_running else None

    one.before = stop

    assert run(one, tmp_path) == 0

    assert not is_alive(int((tmp_path / "sleeping").read_text()))
    assert one.goodbyes == [((1, 2), "enough")]


def test_an_orderly_stop_runs_teardown(master, tmp_path):
    one = master({}, worker="TearsDown", options={"folder": str(tmp_path)})

    assert run(one, tmp_path) == 0

    assert (tmp_path / "torn-down").exists()


def test_what_was_fetched_ahead_goes_back_when_the_running_job_is_a_long_one(master, tmp_path, monkeypatch):
    monkeypatch.setattr(head, "SLOW_S", 0.2)
    one = master("ok", "naps_longer", "counts", "counts", prefetch=3, heartbeat_s=0.05)
    given_back = []

    def look(request):
        given_back.extend(lease for lease, outcome in request.results if isinstance(outcome, Released))

    one.before = look

    assert run(one, tmp_path) == 0

    assert given_back[:2] == [2, 3]
    assert one.outcomes[2] == Released("unstarted", "worker w/1 is at a long job")
    assert isinstance(one.outcomes[1], Completed)
    assert not (tmp_path / "counts").exists()


def test_what_was_begun_while_the_worker_was_in_a_call_is_not_given_back(master, tmp_path, monkeypatch):
    monkeypatch.setattr(head, "SLOW_S", 0.2)
    one = master("ok", "naps", "counts", "counts", prefetch=3, heartbeat_s=0.05)
    given_back = []

    def hold(request):
        given_back.extend(lease for lease, outcome in request.results if isinstance(outcome, Released))
        if request.running[:2] == (1, 2) and not (tmp_path / "counts").exists():
            wait_until((tmp_path / "counts").exists)
            began = time.monotonic()
            wait_until(lambda: time.monotonic() - began > 0.25)

    one.before = hold

    assert run(one, tmp_path) == 0

    assert given_back == []
    assert all(isinstance(outcome, Completed) for outcome in one.outcomes.values())


def test_nothing_is_fetched_behind_a_long_job(master, tmp_path, monkeypatch):
    monkeypatch.setattr(head, "SLOW_S", 0.2)
    one = master("ok", "naps_longer", prefetch=3, heartbeat_s=0.05)
    asked = []
    one.before = lambda request: asked.append((request.max_jobs, time.monotonic())) if request.running == (1,) else None

    assert run(one, tmp_path) == 0

    began = asked[0][1]
    assert {wanted for wanted, at in asked if at > began + 0.25} == {0}
    assert asked[0][0] == 2


def test_a_new_job_waits_for_none_that_is_dropped(master, tmp_path, monkeypatch):
    """After it has given jobs back, the worker asks for new ones as soon as the long job is over."""
    monkeypatch.setattr(head, "SLOW_S", 0.2)
    one = master("ok", "naps_longer", "counts", "ok", prefetch=2, heartbeat_s=0.05)

    assert run(one, tmp_path) == 0

    assert isinstance(one.outcomes[2], Released)
    assert isinstance(one.outcomes[3], Completed)


def test_a_job_behind_the_running_one_that_is_dropped_makes_that_no_new_one(master):
    one = WorkerRunner(master("ok", "ok", "ok"), INFO)
    first, second, third = one._link.master.waiting
    supervisor = one._supervisor = SimpleNamespace(held=(0, 1, 2))
    since = []
    for event, held in (
        (Started(first), (0, 1, 2)),
        (Dropped(second), (0, 2)),
        (Dropped(first), (2,)),
        (Started(third), (2,)),
        (Finished(third, Completed(0.5)), ()),
    ):
        supervisor.held, one._head._since = held, 0.0
        one._take_events([event])
        since.append(one._head._since > 0.0)
    assert since == [True, False, True, True, True]


# -- leases of another history of the study ------------------------------------------------------------------------


def test_jobs_and_outcomes_that_the_master_never_granted_are_forgotten(master, tmp_path):
    """The journal was restored from an older copy; the number of the running job is given to another one."""
    one = master("ok", "sleeps", "counts", "counts", prefetch=3, heartbeat_s=0.05)
    renewed = dataclasses.replace(one.registration, session="t", epoch="later", foreign=(0, 1, 2))
    again = dataclasses.replace(one.waiting[1], config={"how": "naps"})

    def restore(request):
        if request.running == (1, 2, 3) and (tmp_path / "sleeping").exists():
            one.registration = renewed
            one.waiting.clear()
            one.waiting.append(again)
            one.outcomes.clear()
            one.n_jobs = 2
            raise UnknownSessionError("who are you?")

    one.before = restore

    assert run(one, tmp_path) == 0

    assert one.infos[1].running == ((1, "epoch"), (2, "epoch"), (3, "epoch"))
    assert not is_alive(int((tmp_path / "sleeping").read_text()))
    # The one that it was granted in this history is done, the others are not.
    assert {lease: outcome.loss for lease, outcome in one.outcomes.items()} == {1: 0.5, 3: 0.5}
    assert (tmp_path / "counts").read_text() == "x"


def test_a_goodbye_after_a_refusal_tells_it(master, tmp_path):
    one = master("ok")

    def refuse(request):
        if request.results:
            raise ProtocolError("a request has not the form that protocol expects")

    one.before = refuse

    assert run(one, tmp_path) == 4

    assert one.goodbyes == [
        ((), f"{FAULT}the master refused its request: a request has not the form that protocol expects")
    ]


# -- workers that cannot be used --------------------------------------------------------------------------------


def test_a_class_that_cannot_be_loaded_ends_the_worker_before_it_takes_a_job(master, tmp_path, caplog):
    one = master("ok", worker="Misbehavs")

    assert run(one, tmp_path) == 2

    assert "did you mean 'Misbehaves'?" in caplog.text
    assert len(one.waiting) == 1
    assert len(one.goodbyes) == 1


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        ("raises", "w/1: setup failed: ValueError: no such thing"),
        ("segfaults", "w/1: setup failed: segmentation fault (SIGSEGV)"),
    ],
)
def test_failures_of_setup_give_jobs_back_and_three_of_them_end_the_worker(master, tmp_path, caplog, setup, message):
    one = master(*["ok"] * 5, prefetch=2, options={"folder": str(tmp_path), "setup": setup})

    assert run(one, tmp_path) == 2

    assert one.outcomes == dict.fromkeys(range(3), Released("unstarted", message))
    assert one.goodbyes[0][0] == (3,) or one.goodbyes[0][0] == ()
    last_error = next(record.message for record in caplog.records if record.levelname == "ERROR")
    assert "setup failed 3 times in a row" in last_error
    assert ("Traceback" if setup == "raises" else "about to crash") in last_error


def test_a_job_that_met_a_failed_setup_can_be_done_by_the_same_worker(master, tmp_path):
    one = master({"exit": False}, worker="FailsInSetup", options={"folder": str(tmp_path), "pattern": "x."})
    again = dataclasses.replace(one.waiting[0], lease=1)

    def lease_again(request):
        if any(isinstance(outcome, Released) for _, outcome in request.results):
            one.waiting.append(again)
            one.n_jobs = 2

    one.before = lease_again

    assert run(one, tmp_path) == 0

    assert one.outcomes[0] == Released("unstarted", "w/1: setup failed: OSError: the data set is not there")
    assert isinstance(one.outcomes[1], Completed)


def test_a_folder_that_cannot_be_made_ends_the_worker(master, tmp_path, caplog):
    one = master("ok", study_id="another-study")
    (tmp_path / "scratch").write_text("a file is in the way")

    assert run(one, tmp_path) == 2

    assert "use --scratch" in caplog.text


def test_a_directory_that_cannot_be_made_gives_the_job_back(master, tmp_path, caplog):
    one = master("ok", "ok", "ok")

    def vanish(request):
        if request.seq == 2:
            (tmp_path / "run" / "configurations").rename(tmp_path / "run" / "gone")

    one.before = vanish

    assert run(one, tmp_path) == 2

    assert "cannot make" in caplog.text
    assert one.outcomes[1].reason == "unstarted"


# -- signals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_preemption_ends_a_job_that_goes_on_and_gives_everything_back(master, tmp_path, number):
    one = master("ok", "sleeps", "ok", prefetch=2)

    with signalled((tmp_path / "sleeping").exists, number):
        assert run(one, tmp_path, grace_s=0.3) == 75

    assert one.outcomes.pop(0).loss == 0.5
    assert one.outcomes == {1: Released("preempted", "worker w/1 got SIGTERM or SIGUSR1")}
    assert one.goodbyes == [((2,), "preempted")]
    assert not is_alive(int((tmp_path / "sleeping").read_text()))


def test_a_preempted_job_is_told_and_saves(master, tmp_path):
    one = master("ok", "saves_when_preempted", "ok", prefetch=2)

    with signalled((tmp_path / "training").exists):
        assert run(one, tmp_path) == 75

    assert (tmp_path / "saved").read_text() == "half a training"
    assert isinstance(one.outcomes.pop(0), Completed)
    assert one.outcomes.pop(1) == Released("preempted", "worker w/1 got SIGTERM or SIGUSR1")
    assert {outcome.reason for outcome in one.outcomes.values()} <= {"unstarted"}
    assert one.goodbyes == [((), "preempted")]


def test_a_preempted_job_that_raises_has_not_failed(master, tmp_path):
    one = master("raises_when_preempted")

    with signalled((tmp_path / "training").exists):
        assert run(one, tmp_path) == 75

    assert one.outcomes == {0: Released("preempted", "worker w/1 got SIGTERM or SIGUSR1")}


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("needs_a_program", "exception: ChildProcessError: the program ended with -15"),
        ("crashes_without_its_program", "crash: aborted (SIGABRT)"),
        ("dies_of_termination", "lost: the objective's process was killed from outside (SIGTERM)"),
    ],
)
def test_a_job_that_fails_because_all_its_processes_were_terminated_has_not_failed(master, tmp_path, how, words):
    one = master("raises", how)
    program = tmp_path / "program"

    with signalled(program.exists, then=lambda: os.kill(int(program.read_text()), signal.SIGTERM)):
        assert run(one, tmp_path) == 75

    assert one.outcomes[0].reason == "exception"
    assert one.outcomes[1] == Released("preempted", f"worker w/1 got SIGTERM or SIGUSR1; then {words}")
    assert one.goodbyes == [((), "preempted")]


def test_a_limit_that_is_passed_in_the_grace_period_is_a_failure(master, tmp_path):
    one = master("sleeps", limit_seconds=1.0)

    with signalled((tmp_path / "sleeping").exists):
        assert run(one, tmp_path) == 75

    assert one.outcomes[0].reason == "timeout"


def test_a_job_that_does_not_ask_counts_if_it_ends_in_the_grace_period(master, tmp_path):
    one = master("naps_longer")

    with signalled((tmp_path / "napping").exists):
        assert run(one, tmp_path) == 75

    assert one.outcomes[0].loss == 0.5


def test_a_lease_is_renewed_in_the_grace_period(master, tmp_path, caplog):
    one = master("naps_longer", heartbeat_s=0.05)

    with signalled((tmp_path / "napping").exists):
        assert run(one, tmp_path) == 75

    assert sum(request.running == (0,) for request in one.requests) > 1
    assert "preempted: the running evaluation has 20 s to save" in caplog.text


def test_an_interrupt_ends_the_grace_period(master, tmp_path, caplog):
    one = master("sleeps")

    with (
        signalled((tmp_path / "sleeping").exists),
        signalled(lambda: "preempted:" in caplog.text, signal.SIGINT),
    ):
        assert run(one, tmp_path, grace_s=600.0) == 75

    assert one.outcomes == {0: Released("preempted", "worker w/1 got SIGTERM or SIGUSR1")}


def test_a_worker_whose_job_is_still_set_up_does_not_wait(master, tmp_path):
    one = master("ok", options={"folder": str(tmp_path), "setup": "sleeps"})

    with signalled((tmp_path / "sleeping").exists):
        assert run(one, tmp_path, grace_s=600.0) == 75

    assert one.outcomes == {}
    assert one.goodbyes == [((0,), "preempted")]


def test_the_first_interrupt_lets_the_running_job_finish_and_gives_the_others_back(master, tmp_path):
    one = master("ok", "naps_longer", "ok", "ok", "ok", prefetch=3)

    with signalled((tmp_path / "napping").exists, signal.SIGINT):
        assert run(one, tmp_path) == 130

    assert isinstance(one.outcomes[1], Completed)
    assert [one.outcomes[lease].reason for lease in (2, 3)] == ["unstarted", "unstarted"]
    assert len(one.waiting) == 1
    assert one.goodbyes == [((), "drained")]


def test_the_second_interrupt_kills(master, tmp_path, caplog):
    one = master("sleeps")

    with (
        signalled((tmp_path / "sleeping").exists, signal.SIGINT),
        signalled(lambda: "draining" in caplog.text, signal.SIGINT),
    ):
        assert run(one, tmp_path) == 130

    assert one.outcomes == {0: Released("preempted", "worker w/1 got SIGINT")}
    assert not is_alive(int((tmp_path / "sleeping").read_text()))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_signal_ends_the_wait_for_a_job_at_once(master, tmp_path, number, code):
    one = master()
    parked = threading.Event()

    def park(request):
        if request.wait_s:
            parked.set()
            # As a blocking read does, this returns only when a signal handler raises.
            threading.Event().wait(15)
            return None
        return Answer(tuple(lease for lease, _ in request.results))

    one.before = park
    began = time.monotonic()

    with signalled(parked.is_set, number):
        assert run(one, tmp_path) == code

    assert time.monotonic() - began < 5
    assert len(one.goodbyes) == 1


def test_an_outcome_in_an_interrupted_exchange_is_delivered_by_another(master, tmp_path):
    one = master("ok", "ok")
    parked = threading.Event()

    def park(request):
        if request.results and request.wait_s:
            parked.set()
            threading.Event().wait(15)

    one.before = park
    began = time.monotonic()

    with signalled(parked.is_set):
        assert run(one, tmp_path) == 75

    assert time.monotonic() - began < 5
    assert isinstance(one.outcomes[0], Completed)
    assert [(request.seq, request.wait_s) for request in one.calls] == [(1, 20.0), (2, 20.0), (3, 0.0)]


def test_a_job_that_comes_while_draining_goes_back(master, tmp_path, caplog):
    one = master("naps_longer", heartbeat_s=0.05)
    late = dataclasses.replace(one.waiting[0], lease=9)
    one.before = lambda request: Answer(jobs=(late,)) if request.running and "draining" in caplog.text else None

    with signalled((tmp_path / "napping").exists, signal.SIGINT):
        assert run(one, tmp_path) == 130

    assert isinstance(one.outcomes[0], Completed)
    assert one.outcomes[9].reason == "unstarted"


def test_a_signal_while_there_is_no_master_ends_the_wait(master, tmp_path):
    one = master()

    def never(_info):
        raise MasterUnreachableError("nobody there")

    one.register = never
    began = time.monotonic()

    with signalled(lambda: time.monotonic() - began > 0.3):
        assert run(one, tmp_path) == 75

    assert time.monotonic() - began < 5


def test_a_release_that_nobody_takes_does_not_keep_a_preempted_worker(master, tmp_path):
    one = master("sleeps")

    def vanish(request):
        if request.results:
            raise MasterUnreachableError("nobody there")

    one.before = vanish

    with signalled((tmp_path / "sleeping").exists), signalled(lambda: len(one.calls) > 3, signal.SIGINT):
        assert run(one, tmp_path, grace_s=0.0) == 75


def test_handlers_are_as_before_afterwards(master, tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]

    run(master("ok"), tmp_path)

    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)] == before


# -- footprint --------------------------------------------------------------------------------------------------


def test_the_worker_process_stays_small(tmp_path):
    """The command as a process of its own, at work for a real master; the objective is in another process."""
    study = {
        "name": "weight",
        "worker": f"{OBJECTIVES}:NoOp",
        "fidelity": {"min": 1, "max": 81},
        "stop": {"brackets": 99},
        "limits": {"memory_mb": 1000},
    }
    parsed = parse_study(study, base=tmp_path, source="test")
    with StudyRun(parsed, tmp_path / "run", workers=1) as running:
        give_up = time.monotonic() + 30
        while (status := running.status())["evaluations"]["completed"] < 50:
            assert time.monotonic() < give_up
            running.wait(0.05)
        process = psutil.Process(status["workers"][0]["pid"])
        assert "bohb_service.cli.worker" in process.cmdline()
        size_mib = process.memory_info().rss / 2**20

    # 35 MiB is the aim, and what it has on common systems; more would be felt by hundreds of workers on a node.
    assert 10 < size_mib < 45


def test_the_worker_process_loads_nothing_heavy(tmp_path):
    script = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
import bohb_service.worker.command
from bohb_service.rpc.messages import Answer, Registration, WorkerInfo
from bohb_service.scheduler.replies import Job
from bohb_service.scheduler.trial import TrialId
from bohb_service.worker.runner import WorkerRunner
from tests.polling import wait_until

class Master:
    def register(self, info):
        spec = {f"{OBJECTIVES}:NoOp"!r}
        return Registration("s", "t", spec, {{}}, "/nowhere", "id", 10.0, 1000, 60.0, 15.0, 20.0)

    def exchange(self, request):
        job = Job(1, TrialId(0, 0), 1, {{"x": 0.25, "y": 0.5}}, 1.0, None, 0)
        if request.results:
            return Answer((1,), stop=str(request.results[0][1].loss))
        return Answer(jobs=(job,) if request.max_jobs else ())

    def goodbye(self, unstarted, reason):
        print(reason)

    def close(self):
        pass

code = WorkerRunner(Master(), WorkerInfo("w", "h", 1, 0.0, "0"), scratch=Path({str(tmp_path)!r})).run()
heavy = {{"numpy", "ConfigSpace", "pydantic", "rich", "asyncio", "multiprocessing", "scipy", "click"}}
print(code, sorted(heavy & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)

    loss, facts = done.stdout.splitlines()
    assert loss == "0.75"
    assert facts == "0 []"


def test_lines_on_very_many_jobs_are_counted(master, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("bohb_service.worker.job_lines.LineRate", lambda: LineRate(30.0, 0.0))
    one = master(*[{"x": 0.0, "y": lease / 1000} for lease in range(100)], worker="NoOp", prefetch=16)
    with caplog.at_level(logging.INFO, "bohb_service.worker"):
        assert run(one, tmp_path) == 0
    assert sum(record.message.startswith(("job ", "outcomes ")) for record in caplog.records) == 30
