"""Real objective processes that misbehave in every way we could think of."""

import math
import os
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

import psutil
import pytest

from bohb_service.scheduler.outcomes import Completed, Failed, Released
from bohb_service.scheduler.replies import Job
from bohb_service.scheduler.trial import REFIT_RUNG, TrialId
from bohb_service.worker.events import Broken, Dropped, Finished, Limits, Reported, SetupFailed, Started
from bohb_service.worker.logs import MAX_LOG_BYTES, LogFile
from bohb_service.worker.process import Launch
from bohb_service.worker.supervisor import Supervisor
from bohb_service.worker.waiting import Waiting

OBJECTIVES = Path(__file__).parents[1] / "objectives.py"


class Bench:
    """A supervisor with jobs 0, 1, 2, ..., polled as a worker does it."""

    def __init__(self, folder, worker="Misbehaves", limits=None, /, **options):
        self.folder = folder
        self.log = LogFile(folder / "output.log")
        self.waiting = Waiting()
        launch = Launch(f"{OBJECTIVES}:{worker}", options, self.log)
        self.supervisor = Supervisor(launch, limits or Limits(), self.waiting)
        self.events = []
        self.n_jobs = 0

    def submit(self, *configs, rung=0, budget=1.0):
        """Hand over one job for each configuration; a text stands for ``{"how": text}``."""
        jobs = []
        for config in configs:
            values = {"how": config} if isinstance(config, str) else config
            trial = TrialId(self.n_jobs, rung)
            jobs.append((Job(self.n_jobs, trial, 1, values, budget, None, 7), str(self.folder)))
            self.n_jobs += 1
        self.supervisor.submit(jobs)

    def until(self, condition, within=20.0):
        give_up = time.monotonic() + within
        while not condition():
            now = time.monotonic()
            assert now < give_up, f"not within {within} s; events: {self.events}"
            self.waiting.wait(min(self.supervisor.deadline, now + 0.1) - now)
            self.events += self.supervisor.poll()

    def outcomes(self, *configs, **options):
        """The outcomes of these jobs, in the order of the jobs."""
        self.submit(*configs, **options)
        self.until(lambda: not self.supervisor.held)
        return [self.outcome(number) for number in range(self.n_jobs - len(configs), self.n_jobs)]

    def outcome(self, lease):
        (found,) = [event.outcome for event in self.of_kind(Finished) if event.job.lease == lease]
        return found

    def of_kind(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def trace(self, name):
        """What the objective has written down, once it has."""
        self.until((self.folder / name).exists)
        self.events += self.supervisor.poll()  # the file may be there before what was said first has been heard
        return (self.folder / name).read_text()


@pytest.fixture
def bench(tmp_path):
    benches = []

    def make(worker="Misbehaves", limits=None, **options):
        if worker == "Misbehaves":
            options.setdefault("folder", str(tmp_path))
        benches.append(Bench(tmp_path, worker, limits, **options))
        return benches[-1]

    yield make
    for made in benches:
        made.supervisor.kill()
        made.waiting.close()


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition, within=10.0):
    give_up = time.monotonic() + within
    while not condition():
        assert time.monotonic() < give_up, f"not within {within} s"
        time.sleep(0.005)


# -- what compute may return or raise: the process survives all of it ------------------------------------------


@pytest.mark.parametrize(
    ("how", "reason", "words"),
    [
        ("raises", "exception", "ValueError: no such thing"),
        ("raises_keyboard_interrupt", "exception", "KeyboardInterrupt"),
        ("returns_none", "bad-result", "None"),
        ("returns_nan", "non-finite", "nan"),
        ("returns_inf", "non-finite", "inf"),
        ("returns_minus_inf", "non-finite", "-inf"),
        ("returns_text", "bad-result", "'0.3'"),
        ("returns_no_loss", "bad-result", "without 'loss'"),
        ("returns_model", "unserialisable", "info.history[1].model is of type object"),
        ("returns_too_much", "unserialisable", "bytes packed"),
        ("exits", "exit", "sys.exit(3)"),
    ],
)
def test_a_bad_evaluation_is_one_failure_and_the_process_goes_on(bench, how, reason, words):
    one = bench()

    bad, good = one.outcomes(how, "ok")

    assert isinstance(bad, Failed)
    assert bad.reason == reason
    assert words in bad.message
    assert good == Completed(0.5, {}, good.seconds)
    assert len({event.job.lease for event in one.of_kind(Started)}) == 2


def test_the_traceback_begins_in_the_users_code(bench):
    (failed,) = bench().outcomes("raises")

    lines = failed.detail.splitlines()
    assert lines[0].startswith("Traceback")
    assert "objectives.py" in lines[1]
    assert "bohb_service" not in failed.detail


def test_a_failure_has_what_was_printed_since_it_began(bench):
    _, first, second, silent = bench().outcomes("ok", "prints_and_raises", "prints_and_raises", "raises")

    for number, failed in ((1, first), (2, second)):
        output, _, traceback = failed.detail.partition("\n\n")
        assert output == f"Last output:\nepoch of configuration {number}\na line without an end"
        assert traceback.startswith("Traceback")
        assert traceback.rstrip().endswith("ValueError: diverged")
    assert silent.detail.startswith("Traceback")


def test_numpy_values_become_plain(bench):
    (outcome,) = bench().outcomes("returns_numpy")

    assert outcome == Completed(0.25, {"curve": [0, 1, 2], "best": 7}, outcome.seconds)
    assert type(outcome.info["best"]) is int


def test_the_predecessors_signature_is_called_unchanged(bench, tmp_path):
    (outcome,) = bench("LegacyWorker", offset=1.0).outcomes({"x": 0.25, "y": 0.0})

    assert outcome.loss == 1.25
    assert outcome.info == {"config_id": [0, 0, 0], "folder": str(tmp_path)}


def test_refit_is_called_for_the_refit_rung(bench):
    (outcome,) = bench("Quadratic").outcomes({"x": 0.3, "y": 0.7}, rung=REFIT_RUNG, budget=4.0)

    assert outcome.info == {"test_error": 0.25}
    assert outcome.loss == 0.25


def test_one_process_does_all_jobs_and_directories_persist(bench):
    outcomes = bench("Remembers").outcomes({}, {}, {})

    assert len({outcome.info["process"] for outcome in outcomes}) == 1
    assert [len(outcome.info["before"]) for outcome in outcomes] == [0, 1, 2]


# -- learning curves --------------------------------------------------------------------------------------------


def test_points_arrive_live_and_in_the_failure(bench):
    one = bench()

    (failed,) = one.outcomes("raises_after_points")

    assert [(event.step, event.loss) for event in one.of_kind(Reported)] == [(0, 1), (1, 0.5), (2, 1 / 3)]
    assert failed.curve == ((0, 1), (1, 0.5), (2, 1 / 3))


def test_a_flood_of_points_is_thinned_on_the_way_and_capped_in_the_curve(bench):
    one = bench()

    (outcome,) = one.outcomes("reports_a_lot")

    assert 5_000 <= len(outcome.curve) <= 10_000
    assert outcome.curve[0] == (0.0, 0.0)
    assert outcome.curve[-1] == (24_999.0, 24_999.0)
    assert 1 <= len(one.of_kind(Reported)) <= 20 + 20 * (outcome.seconds + 1)


# -- deaths -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "reason", "words"),
    [
        ("exits_hard", "exit", "exit code 7"),
        ("segfaults", "crash", "segmentation fault (SIGSEGV)"),
        ("aborts", "crash", "aborted (SIGABRT)"),
    ],
)
def test_a_dead_process_is_a_failure_and_a_fresh_one_goes_on(bench, how, reason, words):
    one = bench()

    before, bad, good, another = one.outcomes("ok", how, "ok", "ok")

    assert isinstance(before, Completed)
    assert isinstance(bad, Failed)
    assert bad.reason == reason
    assert words in bad.message
    assert isinstance(good, Completed)
    assert isinstance(another, Completed)


def test_a_crash_shows_the_last_lines_of_output(bench):
    (crash,) = bench().outcomes("segfaults")

    assert crash.detail.startswith("about to crash")
    assert "in segfaults" in crash.detail


def test_killed_from_outside_is_nobodys_fault(bench):
    one = bench()
    one.submit("sleeps", "ok")
    os.kill(int(one.trace("sleeping")), signal.SIGKILL)

    one.until(lambda: not one.supervisor.held)

    assert one.outcome(0) == Released("lost", "the objective's process was killed from outside (SIGKILL)")
    assert isinstance(one.outcome(1), Completed)


def kill_when_idle(one):
    victim = one.supervisor.pid
    os.kill(victim, signal.SIGKILL)
    one.until(lambda: one.supervisor.pid != victim and (one.supervisor.is_ready or one.of_kind(Broken)))


def test_killed_while_idle_is_replaced(bench):
    one = bench()
    for _ in range(4):
        assert isinstance(one.outcomes("ok")[0], Completed)
        kill_when_idle(one)

    assert not one.of_kind(Broken)


def test_killed_while_idle_again_and_again_is_given_up(bench):
    one = bench()
    one.outcomes("ok")
    for _ in range(3):
        kill_when_idle(one)

    (broken,) = one.of_kind(Broken)
    assert "died 3 times without a job" in broken.message


def test_points_reported_before_a_kill_are_kept(bench):
    (late,) = bench(limits=Limits(seconds=0.4)).outcomes("reports_and_sleeps")

    assert late.reason == "timeout"
    assert late.curve == ((0, 1), (1, 0.5), (2, 1 / 3))


# -- limits -----------------------------------------------------------------------------------------------------


def test_the_time_limit_kills(bench):
    one = bench(limits=Limits(seconds=0.4))

    late, good = one.outcomes("sleeps", "ok")

    assert late.reason == "timeout"
    assert late.message == "passed the limit of 0.4 s"
    assert 0.4 <= late.seconds < 5
    assert isinstance(good, Completed)


def test_the_time_limit_is_for_each_job_not_for_the_batch(bench):
    outcomes = bench(limits=Limits(seconds=0.45)).outcomes(*["naps"] * 4)

    assert [type(outcome) for outcome in outcomes] == [Completed] * 4


def test_setup_is_not_counted_as_evaluation(bench):
    one = bench(limits=Limits(seconds=0.45), setup="takes_a_while")

    (outcome,) = one.outcomes("naps")

    assert isinstance(outcome, Completed)
    assert outcome.seconds < 0.45


@pytest.mark.parametrize("reading", [math.nan, math.inf, 0.0, -1e9])
def test_limits_and_durations_survive_an_objective_that_spoils_its_clock(bench, reading):
    one = bench(limits=Limits(seconds=0.5))
    began = time.monotonic()

    first, second, third = one.outcomes({"how": "spoils_the_clock", "reading": reading}, "naps", "sleeps")

    total = time.monotonic() - began
    assert isinstance(first, Completed)
    assert isinstance(second, Completed)
    assert third.reason == "timeout"
    assert third.seconds >= 0.5
    assert all(0 <= outcome.seconds <= total for outcome in (first, second, third))


@pytest.mark.parametrize("how", ["eats_memory", "child_eats_memory"])
def test_the_memory_limit_counts_descendants_and_kills(bench, how):
    big, good = bench(limits=Limits(memory_mib=120)).outcomes(how, "ok")

    assert isinstance(big, Failed)
    assert big.reason == "memory"
    assert "passed the limit of 120 MiB with 1" in big.message
    assert isinstance(good, Completed)


def test_holding_the_interpreter_lock_does_not_hold_up_the_parent(bench):
    one = bench()
    one.submit("holds_the_lock")
    one.trace("busy")
    slowest, began = 0.0, time.monotonic()
    while one.supervisor.held:
        before = time.monotonic()
        one.events += one.supervisor.poll()
        slowest = max(slowest, time.monotonic() - before)
        one.waiting.wait(0.01)

    assert time.monotonic() - began > 1.0
    assert slowest < 1.0
    assert isinstance(one.outcome(0), Completed)


def test_a_process_that_holds_the_lock_can_be_killed(bench):
    one = bench(limits=Limits(seconds=0.3))

    late, good = one.outcomes("holds_the_lock", "ok")

    assert late.reason == "timeout"
    assert late.seconds < 1.5
    assert isinstance(good, Completed)


# -- output and descriptors -------------------------------------------------------------------------------------


def test_printing_50_mb_neither_blocks_nor_fills_the_disk(bench):
    one = bench()

    (outcome,) = one.outcomes("prints_a_lot")
    one.until(lambda: one.log.size() <= MAX_LOG_BYTES)

    assert isinstance(outcome, Completed)
    kept = one.log.path.with_name("output.log.1")
    assert kept.stat().st_size <= MAX_LOG_BYTES
    assert "the last line" in one.log.tail() + LogFile(kept).tail()


@pytest.mark.parametrize("how", ["closes_stdout", "closes_all_small_files"])
def test_closing_files_that_are_not_its_own_costs_nothing(bench, how):
    one = bench()
    outcomes = one.outcomes(how, "ok")

    assert [type(outcome) for outcome in outcomes] == [Completed, Completed]


def test_closing_the_connection_itself_is_a_failure(bench):
    cut, good = bench().outcomes("closes_everything", "ok")

    assert cut.reason == "exit"
    assert "closed the worker's own connection" in cut.message
    assert isinstance(good, Completed)


def test_a_forked_copy_of_the_process_has_no_say(bench):
    one = bench()
    outcomes = one.outcomes("forks_and_returns_twice", "ok")

    assert [outcome.loss for outcome in outcomes] == [0.5, 0.5]
    assert len(one.of_kind(Finished)) == 2


# -- descendants ------------------------------------------------------------------------------------------------


def test_what_an_evaluation_left_running_ends_with_the_process(bench):
    one = bench()
    one.outcomes("starts_a_process")
    grandchild = int(one.trace("grandchild"))
    assert is_alive(grandchild)

    one.supervisor.end()
    one.until(lambda: not one.supervisor.is_running)

    wait_for(lambda: not is_alive(grandchild))


@pytest.mark.parametrize("how", ["starts_a_process_and_exits", "forks_and_exits"])
def test_descendants_do_not_survive_a_death(bench, how):
    one = bench()

    (dead, good) = one.outcomes(how, "ok")

    assert dead.reason == "exit"
    wait_for(lambda: not is_alive(int(one.trace("grandchild"))))
    assert isinstance(good, Completed)


def test_a_kill_reaches_descendants_in_other_sessions(bench):
    one = bench()
    one.submit("starts_processes_and_sleeps", "ok")
    one.trace("sleeping")

    one.supervisor.drop(0)
    one.until(lambda: not one.supervisor.held)

    assert [event.job.lease for event in one.of_kind(Dropped)] == [0]
    assert isinstance(one.outcome(1), Completed)
    wait_for(lambda: not is_alive(int(one.trace("grandchild"))))
    wait_for(lambda: not is_alive(int(one.trace("stray"))))


@pytest.mark.parametrize("how", ["starts_processes_and_sleeps", "holds_the_lock", "closes_everything"])
def test_a_killed_parent_leaves_nothing_behind(tmp_path, how):
    script = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_worker_child import Bench
bench = Bench(Path({str(tmp_path)!r}), folder={str(tmp_path)!r})
bench.submit({how!r}, "sleeps")
bench.until(lambda: not bench.supervisor.held, within=60)
"""
    parent = subprocess.Popen([sys.executable, "-c", script])
    trace = tmp_path / ("sleeping" if how == "starts_processes_and_sleeps" else "busy")
    try:
        wait_for(trace.exists)
        family = [int(trace.read_text())]
        if how == "starts_processes_and_sleeps":
            family.append(int((tmp_path / "grandchild").read_text()))
        assert all(map(is_alive, family))
    finally:
        parent.kill()
        parent.wait()

    wait_for(lambda: not any(map(is_alive, family)), within=2.0)
    if (tmp_path / "stray").exists():
        os.kill(int((tmp_path / "stray").read_text()), signal.SIGKILL)


# -- dropping ---------------------------------------------------------------------------------------------------


def test_a_dropped_job_that_has_not_begun_never_runs(bench):
    one = bench()
    one.submit("naps", "starts_a_process", "ok")
    one.trace("napping")

    one.supervisor.drop(1)
    one.until(lambda: not one.supervisor.held)

    assert [event.job.lease for event in one.of_kind(Dropped)] == [1]
    assert [event.job.lease for event in one.of_kind(Started)] == [0, 2]
    assert not (one.folder / "grandchild").exists()


def test_a_drop_behind_a_long_job_costs_no_process(bench):
    one = bench()
    one.submit("naps_longer", "starts_a_process", "ok")
    one.trace("napping")
    process, channel = one.supervisor.pid, one.supervisor._process.channel
    receive, kept = channel.receive_ready, deque()

    def receive_one():
        """As if the process paused between the end of the one and the word on the other."""
        kept.extend(receive())
        return [kept.popleft()] if kept else []

    channel.receive_ready = receive_one
    one.supervisor.drop(1)
    one.until(lambda: not one.supervisor.held)

    assert [event.job.lease for event in one.of_kind(Dropped)] == [1]
    assert one.outcome(2).loss == 0.5
    assert one.supervisor.pid == process


def test_a_running_job_that_is_dropped_is_killed_and_the_others_go_on(bench):
    one = bench()
    one.submit("sleeps", "ok", "ok")
    first = int(one.trace("sleeping"))

    one.supervisor.drop(0)
    one.until(lambda: not one.supervisor.held)

    assert not is_alive(first)
    assert [event.job.lease for event in one.of_kind(Dropped)] == [0]
    assert isinstance(one.outcome(1), Completed)
    assert isinstance(one.outcome(2), Completed)


def test_a_kill_tells_what_was_running_and_what_not(bench):
    one = bench()
    one.submit("sleeps", "ok", "ok")
    pid = int(one.trace("sleeping"))

    assert one.supervisor.kill() == (0, (1, 2))
    assert not is_alive(pid)
    assert one.supervisor.held == ()


# -- loading and setting up -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"constrct": "ok"}, "did you mean 'construct'?"),
        ({"construct": "raises"}, "constructing Misbehaves with worker_options"),
        ({"construct": "exits"}, "SystemExit: 3"),
        ({"construct": "exits_hard"}, "exit code 7"),
        ({"construct": "segfaults"}, "SIGSEGV"),
    ],
)
def test_a_worker_that_cannot_be_constructed_is_given_up_at_once(bench, options, words):
    one = bench(**options)
    one.submit("ok")

    one.until(lambda: one.of_kind(Broken))

    assert words in one.of_kind(Broken)[0].message
    assert one.supervisor.held == (0,)
    assert not one.supervisor.is_running


def test_a_worker_that_does_not_exist_is_given_up_at_once(bench):
    one = bench("NotThere")
    one.supervisor.start()

    one.until(lambda: one.of_kind(Broken))

    assert "has no class 'NotThere'" in one.of_kind(Broken)[0].message


def test_loading_that_takes_too_long_is_given_up(bench):
    one = bench(limits=Limits(setup_s=0.5), construct="sleeps_at_once")
    one.supervisor.start()

    one.until(lambda: one.of_kind(Broken))

    assert one.of_kind(Broken)[0].message == "loading the worker took longer than 0.5 s"


@pytest.mark.parametrize(
    ("setup", "message", "detail"),
    [
        ("raises", "ValueError: no such thing", "Traceback"),
        ("exits_hard", "the objective ended its process with exit code 7", ""),
        ("segfaults", "segmentation fault (SIGSEGV)", "about to crash"),
        ("is_killed", "the objective's process was killed from outside (SIGKILL)", ""),
        ("eats_memory", "passed the limit of 120 MiB", ""),
        ("sleeps_at_once", "passed the limit of 1.5 s", ""),
    ],
)
def test_a_failed_setup_is_no_outcome_of_a_job_and_after_three_the_worker_is_given_up(bench, setup, message, detail):
    one = bench(limits=Limits(memory_mib=120, setup_s=1.5), setup=setup)
    one.submit("ok", "ok", "ok", "ok")

    one.until(lambda: one.of_kind(Broken))

    assert [event.job.lease for event in one.of_kind(SetupFailed)] == [0, 1, 2]
    assert all(event.message.startswith(message) for event in one.of_kind(SetupFailed))
    assert one.of_kind(Finished) == []
    (broken,) = one.of_kind(Broken)
    assert broken.message.startswith(f"setup failed 3 times in a row; the last time: {message}")
    assert broken.detail.startswith(detail)
    assert one.supervisor.held == (3,)


def test_a_setup_that_says_that_the_study_is_wrong_is_not_tried_again(bench):
    one = bench(setup="refuses")
    one.submit("ok", "ok", "ok")

    one.until(lambda: one.of_kind(Broken))

    assert [event.job.lease for event in one.of_kind(SetupFailed)] == [0]
    assert one.of_kind(Broken) == [Broken("setup failed: worker_options.data: there is no file x.csv")]
    assert one.supervisor.held == (1, 2)


def test_setup_that_fails_now_and_then_is_no_reason_to_give_up(bench, tmp_path):
    one = bench("FailsInSetup", pattern="xx.xx.", folder=str(tmp_path))
    stay, leave = {"exit": False}, {"exit": True}

    one.submit(stay, stay, stay, leave, stay, stay, stay)
    one.until(lambda: not one.supervisor.held)

    assert [event.job.lease for event in one.of_kind(SetupFailed)] == [0, 1, 4, 5]
    assert one.outcome(3).reason == "exit"
    assert [type(one.outcome(lease)) for lease in (2, 6)] == [Completed, Completed]
    assert not one.of_kind(Broken)


def test_a_job_that_nobody_wants_any_more_ends_during_setup_without_counting_as_its_failure(bench):
    one = bench(setup="sleeps")
    one.submit("ok")
    one.trace("sleeping")

    one.supervisor.drop(0)
    one.until(lambda: not one.supervisor.held)

    assert one.of_kind(SetupFailed) == []
    assert [event.job.lease for event in one.of_kind(Dropped)] == [0]


def test_a_log_is_cut_also_when_its_process_has_ended(bench):
    one = bench()
    one.outcomes("ok")
    with one.log.path.open("ab") as file:
        file.write(b"x" * (MAX_LOG_BYTES + 1))

    one.supervisor.kill()

    assert one.log.size() == 0
    assert one.log.path.with_name(f"{one.log.path.name}.1").stat().st_size == MAX_LOG_BYTES


def test_a_process_that_cannot_be_started_is_told(bench, tmp_path):
    one = bench()
    one.log.path.mkdir()
    one.supervisor.start()

    assert one.supervisor.deadline <= time.monotonic()
    (broken,) = one.supervisor.poll()
    assert "cannot be started: [Errno 21] Is a directory" in broken.message


def test_an_orderly_end_runs_teardown(bench, tmp_path):
    one = bench("TearsDown", folder=str(tmp_path))
    one.outcomes({})

    one.supervisor.end()
    one.until(lambda: not one.supervisor.is_running)

    assert (tmp_path / "torn-down").exists()


# -- preemption -------------------------------------------------------------------------------------------------


def test_the_objective_is_left_alone_by_a_termination_that_is_meant_for_its_worker(bench):
    one = bench()
    one.submit("naps")
    os.kill(int(one.trace("napping")), signal.SIGTERM)
    one.until(lambda: not one.supervisor.held)

    assert one.outcome(0).loss == 0.5


def test_what_the_objective_starts_can_be_terminated(bench):
    one = bench()

    (outcome,) = one.outcomes("terminates_what_it_starts")

    assert outcome.info == {"codes": [-signal.SIGTERM, -signal.SIGTERM]}


def test_jobs_behind_a_preempted_one_are_not_begun(bench):
    one = bench()
    one.submit("saves_when_preempted", "counts")
    one.trace("training")

    assert one.supervisor.preempt("evicted")
    one.until(lambda: not one.supervisor.held)

    assert [one.outcome(lease) for lease in range(2)] == [Released("preempted", "evicted")] * 2
    assert not (one.folder / "counts").exists()


def test_there_is_nothing_to_preempt_before_the_first_job_and_after_the_last(bench):
    one = bench()
    assert not one.supervisor.preempt("evicted")

    one.outcomes("ok")

    assert not one.supervisor.preempt("evicted")


def test_a_thread_that_outlives_its_evaluation_may_ask_for_preemption(bench):
    one = bench()

    outcomes = one.outcomes("leaves_a_thread_that_asks", *["ok"] * 50)

    assert {outcome.loss for outcome in outcomes} == {0.5}
