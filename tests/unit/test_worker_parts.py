"""The small parts of the worker process: queue, outbox, line to the master, folders, logs, deaths, memory."""

import os
import signal

import pytest

from bohb_service.errors import MasterUnreachableError, StudyError
from bohb_service.rpc.messages import Registration, Report, Request
from bohb_service.scheduler.outcomes import Completed, Failed, Released
from bohb_service.scheduler.replies import Job
from bohb_service.scheduler.trial import TrialId
from bohb_service.testing.clock import ManualClock
from bohb_service.worker.deaths import explain_death
from bohb_service.worker.folders import find_folders
from bohb_service.worker.link import LONGEST_BACKOFF_S, Link
from bohb_service.worker.logs import MAX_LOG_BYTES, LogFile
from bohb_service.worker.memory import MemoryGauge, OomWatch
from bohb_service.worker.outbox import MAX_REPORTS, MAX_RESULT_BYTES, Outbox
from bohb_service.worker.signals import InterruptedBySignal, StopLevel, StopSignals
from bohb_service.worker.workload import Workload

# -- the queue --------------------------------------------------------------------------------------------------


def workload(tmp_path, n_jobs, size=0):
    jobs = Workload()
    for lease in range(n_jobs):
        jobs.add(Job(lease, TrialId(lease, 0), 1, {"x": "x" * size}, 1.0, None, 0), tmp_path)
    return jobs


def pack(message):
    return repr(message).encode()


def test_all_short_jobs_are_handed_over_at_once(tmp_path):
    jobs = workload(tmp_path, 16)

    assert jobs.head is None
    assert jobs.hand_over(pack, 5)
    assert jobs.head.job.lease == 0
    assert jobs.head.log_offset == 5
    assert not jobs.has_waiting


def test_no_more_is_handed_over_than_a_socket_takes_without_blocking(tmp_path):
    jobs = workload(tmp_path, 5, size=30_000)
    handed = [len(jobs.hand_over(pack, 0))]
    while jobs.head is not None:
        jobs.remove(jobs.head.job.lease)
        handed.append(len(jobs.hand_over(pack, 0)))

    assert max(handed) < 100_000
    assert sum(handed) > 150_000


def test_one_huge_job_is_handed_over_all_the_same(tmp_path):
    jobs = workload(tmp_path, 2, size=200_000)

    jobs.hand_over(pack, 0)
    assert jobs.find_sent(0) is not None
    assert jobs.find_sent(1) is None


def test_what_was_handed_over_comes_back_in_order_without_what_nobody_wants(tmp_path):
    jobs = workload(tmp_path, 3)
    jobs.hand_over(pack, 0)
    jobs.add(Job(3, TrialId(3, 0), 1, {}, 1.0, None, 0), tmp_path)
    jobs.remove(0)
    jobs.find_sent(1).drop_by = 0.0

    assert [held.job.lease for held in jobs.take_back()] == [1]
    assert jobs.leases == (2, 3)
    assert jobs.head is None


# -- the outbox -------------------------------------------------------------------------------------------------


def done(loss=0.5):
    return Completed(loss)


def test_outcomes_are_repeated_until_they_are_acknowledged():
    outbox = Outbox()
    outbox.add(1, done())
    outbox.add(2, done())

    first = outbox.request((3,), 1, 20.0)
    assert first == Request(1, ((1, done()), (2, done())), (), (3,), 1, 20.0)
    outbox.answered([1])
    assert outbox.leases == (2,)
    assert not outbox.has_news
    assert outbox.request((), 0, 0.0).results == ((2, done()),)


def test_a_request_without_an_answer_is_repeated_as_it_was():
    outbox = Outbox()
    first = outbox.request((1,), 0, 0.0)
    outbox.add(1, done())

    assert outbox.request((), 5, 1.0) is first
    outbox.answered([])
    assert outbox.request((), 5, 1.0) == Request(2, ((1, done()),), (), (), 5, 1.0)


def test_the_first_outcome_of_a_lease_stays():
    outbox = Outbox()
    outbox.add(1, done(0.25))
    outbox.add(1, done(0.75))

    assert outbox.request((), 0, 0.0).results == ((1, done(0.25)),)


def test_large_outcomes_are_spread_over_requests():
    outbox = Outbox()
    for lease in range(4):
        outbox.add(lease, done(), n_bytes=MAX_RESULT_BYTES // 2)
    outbox.add(4, done(), n_bytes=2 * MAX_RESULT_BYTES)
    leases = []
    while outbox.leases:
        results = [lease for lease, _ in outbox.request((), 0, 0.0).results]
        leases.append(results)
        outbox.answered(results)

    assert leases == [[0, 1], [2, 3], [4]]


def test_an_outcome_that_is_never_acknowledged_does_not_block_others():
    outbox = Outbox()
    outbox.add(0, done(), n_bytes=MAX_RESULT_BYTES)
    outbox.request((), 0, 0.0)
    outbox.answered([])
    outbox.add(1, done(), n_bytes=MAX_RESULT_BYTES)

    assert [lease for lease, _ in outbox.request((), 0, 0.0).results] == [1]


def test_curve_points_are_taken_in_portions_and_the_oldest_give_way():
    outbox = Outbox()
    for step in range(5000):
        outbox.report(Report(1, step, 0.0))

    reports = outbox.request((), 0, 0.0).reports
    assert len(reports) == MAX_REPORTS
    assert reports[0].step == 3000
    assert outbox.has_reports


# -- the line to the master -------------------------------------------------------------------------------------


class Flaky:
    """A master that fails as often as it is told."""

    def __init__(self, n_failures=0):
        self.n_failures = n_failures
        self.n_closed = 0

    def exchange(self, request):
        if self.n_failures:
            self.n_failures -= 1
            raise MasterUnreachableError("nobody there")
        return request

    def close(self):
        self.n_closed += 1


@pytest.fixture
def signals():
    with StopSignals() as made:
        yield made


def test_pauses_are_random_below_a_limit_that_grows_to_five_seconds(signals):
    limits = [0.1 * 2**n for n in range(20)]
    longest = [0.0] * len(limits)
    for _ in range(60):
        clock = ManualClock()
        link = Link(Flaky(len(limits)), signals, clock)
        for number, _ in enumerate(limits):
            assert link.call(link.master.exchange, None) is None
            longest[number] = max(longest[number], link.retry_at - clock.monotonic())
            clock.advance(10.0)

    for pause, limit in zip(longest, limits, strict=True):
        assert 0.5 * min(limit, LONGEST_BACKOFF_S) < pause <= min(limit, LONGEST_BACKOFF_S)


def test_contact_is_counted_from_the_last_answer(signals):
    clock = ManualClock()
    master = Flaky()
    link = Link(master, signals, clock)
    start = clock.monotonic()
    clock.advance(1.0)
    assert link.call(master.exchange, "x") == "x"
    master.n_failures = 2
    clock.advance(5.0)

    assert link.call(master.exchange, "x") is None
    assert link.last_contact == start + 1.0
    link.call(master.exchange, "x")
    assert link.call(master.exchange, "x") == "x"
    assert link.has_recovered
    assert link.call(master.exchange, "x") == "x"
    assert not link.has_recovered


def test_a_signal_inside_a_call_ends_it_and_closes_the_connection(signals):
    master = Flaky()
    link = Link(master, signals, ManualClock())

    assert link.call(lambda _: os.kill(os.getpid(), signal.SIGTERM), None) is None

    assert link.was_interrupted
    assert master.n_closed == 1


def test_a_signal_just_before_a_call_ends_it_too(signals):
    link = Link(Flaky(), signals, ManualClock())
    os.kill(os.getpid(), signal.SIGTERM)

    assert link.call(link.master.exchange, "x") is None
    assert link.was_interrupted
    assert signals.level() is StopLevel.PREEMPT
    assert link.call(link.master.exchange, "x") == "x"


# -- signals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "level"),
    [
        ((), StopLevel.NONE),
        ((signal.SIGINT,), StopLevel.DRAIN),
        ((signal.SIGINT, signal.SIGINT), StopLevel.PREEMPT),
        ((signal.SIGTERM,), StopLevel.PREEMPT),
        ((signal.SIGUSR1,), StopLevel.PREEMPT),
        ((signal.SIGINT, signal.SIGTERM), StopLevel.PREEMPT),
    ],
)
def test_signals_ask_to_drain_or_to_preempt(signals, numbers, level):
    for number in numbers:
        os.kill(os.getpid(), number)

    assert signals.level() is level
    assert signals.n_received == len(numbers)


def test_outside_a_call_a_signal_raises_nothing(signals):
    os.kill(os.getpid(), signal.SIGTERM)

    assert not signals.is_armed
    with pytest.raises(InterruptedBySignal), signals.interruptible:
        pass
    assert not signals.is_armed


# -- folders ----------------------------------------------------------------------------------------------------


def registration(configurations, study_id="study-17"):
    return Registration("s", "test", "m:C", {}, str(configurations), study_id, None, None, 60.0, 15.0, 20.0)


def test_the_masters_folder_is_used_if_it_is_that_of_the_study(tmp_path):
    (tmp_path / "run" / "configurations").mkdir(parents=True)
    (tmp_path / "run" / "configurations" / "id").write_text("study-17")

    shared = find_folders(registration(tmp_path / "run" / "configurations"), tmp_path / "scratch")
    other = find_folders(registration(tmp_path / "run" / "configurations", "study-1"), tmp_path / "scratch")

    assert shared.is_shared
    assert shared.configurations == tmp_path / "run" / "configurations"
    assert shared.log("a/b c").path == tmp_path / "run" / "logs" / "a_b_c.log"
    assert not other.is_shared
    assert other.configurations == tmp_path / "scratch" / "study-1"


def test_directories_of_configurations_are_private(tmp_path):
    folders = find_folders(registration("/nowhere"), tmp_path / "scratch")
    old_mask = os.umask(0o022)
    try:
        directory = folders.configuration(12)
    finally:
        os.umask(old_mask)

    assert directory == tmp_path / "scratch" / "study-17" / "12"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert directory.parent.stat().st_mode & 0o777 == 0o700
    assert folders.configuration(12) == directory


def test_a_local_folder_of_someone_else_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 12345)

    with pytest.raises(StudyError, match="belongs to user"):
        find_folders(registration("/nowhere"), tmp_path)


def test_without_a_scratch_folder_the_systems_temporary_one_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    assert find_folders(registration("/nowhere"), None).configurations == tmp_path / "study-17"


# -- logs -------------------------------------------------------------------------------------------------------


def test_the_tail_is_what_was_written_since(tmp_path):
    log = LogFile(tmp_path / "w.log")
    assert log.tail() == ""
    (tmp_path / "w.log").write_text("before\n")
    offset = log.size()
    (tmp_path / "w.log").write_text("before\nafter\n" + "x" * 10 + "\xff\n")

    assert log.tail(offset).startswith("after")
    assert log.tail(max_bytes=5).endswith("x\xff")
    assert log.tail(10_000).startswith("before")


def test_a_large_log_starts_anew_and_writers_go_on(tmp_path):
    log = LogFile(tmp_path / "w.log")
    writer = log.open()
    os.write(writer, b"first" + b"x" * MAX_LOG_BYTES + b"last")
    log.cap()
    os.write(writer, b"afterwards")
    os.close(writer)

    assert log.tail() == "afterwards"
    kept = (tmp_path / "w.log.1").read_bytes()
    assert len(kept) == MAX_LOG_BYTES
    assert kept.endswith(b"last")


def test_a_small_log_is_left_alone(tmp_path):
    log = LogFile(tmp_path / "w.log")
    (tmp_path / "w.log").write_bytes(b"x" * MAX_LOG_BYTES)
    log.cap()

    assert log.size() == MAX_LOG_BYTES


# -- deaths and memory ------------------------------------------------------------------------------------------


def death(code, *, oom_struck=False, peak_mib=0.0):
    return explain_death(code, oom_struck=oom_struck, peak_mib=peak_mib, output="last words", seconds=1.0, curve=())


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        (0, "exit", "exit code 0"),
        (1, "exit", "exit code 1"),
        (-signal.SIGSEGV, "crash", "segmentation fault (SIGSEGV)"),
        (-signal.SIGBUS, "crash", "bus error (SIGBUS)"),
        (-signal.SIGFPE, "crash", "SIGFPE"),
        (-signal.SIGILL, "crash", "SIGILL"),
        (-signal.SIGABRT, "crash", "SIGABRT"),
        (-signal.SIGXCPU, "crash", "processor time"),
        (-signal.SIGALRM, "crash", "killed (SIGALRM)"),
        (-63, "crash", "signal 63"),
    ],
)
def test_a_death_of_its_own_is_a_failure(code, reason, words):
    failed = death(code, oom_struck=True)

    assert isinstance(failed, Failed)
    assert failed.reason == reason
    assert words in failed.message
    assert failed.detail == "last words"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_death_from_outside_is_a_loss(number):
    lost = death(-number)

    assert isinstance(lost, Released)
    assert lost.reason == "lost"
    assert number.name in lost.message


def test_a_kill_by_the_oom_killer_is_a_failure():
    failed = death(-signal.SIGKILL, oom_struck=True, peak_mib=812.3)

    assert isinstance(failed, Failed)
    assert failed.reason == "memory"
    assert "812 MiB" in failed.message


def test_the_oom_killers_counter_is_watched(tmp_path):
    counter = tmp_path / "memory.events"
    counter.write_text("low 0\noom 3\noom_kill 2\noom_group_kill 0\n")
    watch = OomWatch([counter])

    assert not watch.has_struck()
    counter.write_text("low 0\noom 4\noom_kill 2\noom_group_kill 0\n")
    assert not watch.has_struck()
    counter.write_text("low 0\noom 4\noom_kill 3\noom_group_kill 0\n")
    assert watch.has_struck()
    counter.unlink()
    assert not watch.has_struck()


def test_this_machine_has_a_counter():
    assert OomWatch()._read() != []


def test_the_gauge_measures_this_process():
    gauge = MemoryGauge(os.getpid(), ManualClock())

    assert gauge.sample(1.0)
    assert 5 < gauge.peak_mib < 5000
    assert not gauge.sample(100_000.0)
    gauge.reset()
    assert gauge.peak_mib == 0.0


def test_the_gauge_of_a_dead_process_measures_nothing():
    assert not MemoryGauge(2**22 + 1, ManualClock()).sample(1.0)
