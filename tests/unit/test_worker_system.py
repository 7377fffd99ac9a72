"""Where the worker process meets the system: folders, logs, deaths, memory."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from bohb_service.errors import StudyError
from bohb_service.rpc.messages import Registration
from bohb_service.scheduler.outcomes import Failed, Released
from bohb_service.testing.clock import ManualClock
from bohb_service.worker.base import EvaluationContext
from bohb_service.worker.deaths import explain_death
from bohb_service.worker.folders import find_folders
from bohb_service.worker.logs import MAX_LOG_BYTES, LogFile
from bohb_service.worker.memory import MemoryGauge, OomWatch

# -- folders ----------------------------------------------------------------------------------------------------


def registration(configurations, study_id="study-17"):
    return Registration("s", "test", "m:C", {}, str(configurations), study_id, None, None, 60.0, 15.0, 20.0)


def test_the_masters_folder_is_used_if_it_is_that_of_the_study(tmp_path):
    (tmp_path / "run" / "configurations").mkdir(parents=True)
    (tmp_path / "run" / "configurations" / "id").write_text("study-17")

    shared = find_folders(registration(tmp_path / "run" / "configurations"), tmp_path / "scratch")
    other = find_folders(registration(tmp_path / "run" / "configurations", "study-1"), tmp_path / "scratch")

    assert shared.place == ""
    assert shared.configurations == tmp_path / "run" / "configurations"
    assert shared.log("a/b c").path == tmp_path / "run" / "logs" / "a_b_c.log"
    assert other.place
    assert other.configurations == tmp_path / "scratch" / "study-1"


def test_directories_of_configurations_are_private(tmp_path):
    folders = find_folders(registration("/nowhere"), tmp_path / "scratch")
    old_mask = os.umask(0o022)
    try:
        directory = context_in(folders.directories([12])[0]).directory
    finally:
        os.umask(old_mask)

    assert directory == tmp_path / "scratch" / "study-17" / "12"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert directory.parent.stat().st_mode & 0o777 == 0o700
    assert context_in(folders.directories([12])[0]).directory == directory


def test_a_place_is_a_folder_whatever_it_is_called_and_on_whatever_machine(tmp_path):
    first = find_folders(registration("/nowhere"), tmp_path / "node")
    (tmp_path / "mounted").symlink_to(tmp_path / "node")
    same = find_folders(registration("/nowhere"), tmp_path / "mounted")
    other = find_folders(registration("/nowhere"), tmp_path / "pod")

    assert first.place == same.place
    assert other.place not in {"", first.place}
    # A folder that was emptied, as that of a new pod with the path and the numbers of an old one, is another.
    shutil.rmtree(tmp_path / "pod")
    assert find_folders(registration("/nowhere"), tmp_path / "pod").place != other.place
    assert sorted(path.name for path in first.configurations.iterdir()) == ["logs", "place"]


def test_workers_that_come_at_the_same_moment_have_the_same_place(tmp_path, monkeypatch):
    def link_last(path, draft):
        monkeypatch.setattr(Path, "hardlink_to", hardlink_to)
        places.append(find_folders(registration("/nowhere"), tmp_path).place)
        path.hardlink_to(draft)

    places, hardlink_to = [], Path.hardlink_to
    monkeypatch.setattr(Path, "hardlink_to", link_last)

    assert find_folders(registration("/nowhere"), tmp_path).place == places[0]


def test_without_hard_links_there_are_places_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)

    first, second = (find_folders(registration("/nowhere"), tmp_path).place for _ in range(2))

    assert first == second != ""


def test_a_directory_is_made_when_it_is_asked_for(tmp_path):
    context = context_in(tmp_path / "0")
    assert not list(tmp_path.iterdir())
    assert context.directory.is_dir()


def context_in(directory):
    return EvaluationContext("12.0", 12, 1.0, None, 0, directory)


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
