"""What is asked of SLURM's commands, and what is made of their answers; stand-ins for them answer here."""

import logging
import os

import pytest

from bohb_service.cli.master import main as master
from bohb_service.errors import BohbError, StudyError
from bohb_service.fleet.fleet import Place
from bohb_service.fleet.slurm import SlurmLauncher, job_name
from bohb_service.fleet.staffing import Unit
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.study import Slurm
from tests.acceptance.study_files import write_study

SBATCH = """#!/bin/bash
cd "$(dirname "$0")"
cat > script
env > environment
for argument; do case $argument in --array=0-*) size=$((${argument#--array=0-} + 1)) ;; esac; done
[[ $* = *--test-only* ]] || echo $size >> asked
room=$(cat room)
if [ $size -gt "$(cat largest)" ]; then echo "sbatch: error: Invalid job array specification" >&2; exit 1; fi
if [ $size -gt $room ]; then echo "sbatch: error: QOSMaxSubmitJobPerUserLimit" >&2; exit 1; fi
echo $((room - size)) > room
wc -l < asked
"""
SQUEUE = """#!/bin/bash
cat "$(dirname "$0")/queue"
env > "$(dirname "$0")/environment"
"""


class Commands:
    """Stand-ins for SLURM's commands."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        for name, text in {"sbatch": SBATCH, "squeue": SQUEUE, "scancel": "#!/bin/bash\n"}.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        self.write("queue", "")
        self.allow()

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def read(self, name):
        return (self.folder / name).read_text()

    def allow(self, *, largest=1001, room=100_000):
        """How large an array may be, and how many tasks there may be."""
        self.write("largest", str(largest))
        self.write("room", str(room))

    def asked(self):
        """Sizes of the arrays that were asked for since the last call."""
        sizes = [int(size) for size in self.read("asked").split()]
        self.write("asked", "")
        return sizes


@pytest.fixture
def commands(tmp_path, monkeypatch):
    made = Commands(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{made.folder}:{os.environ['PATH']}")
    return made


@pytest.fixture
def place(tmp_path):
    return Place(RunDirectory(tmp_path / "run"), "s", "head:1")


@pytest.fixture
def launcher(commands, place):
    return SlurmLauncher(place, Slurm())


def test_tasks_count_that_run_or_will_run_by_themselves(launcher, commands, caplog):
    queue = {
        "12_10": "PENDING|Resources",
        "12_9": "RUNNING|None",
        "7_0": "SUSPENDED|None",
        "12_1": "COMPLETING|None",
        "12_2": "PREEMPTED|None",
        "12_3": "CONFIGURING|None",
        "12_4": "REQUEUED|None",
        "12_5": "SPECIAL_EXIT|job requeued in held state",
        "12_6": "PENDING|launch failed requeued held",
        "12_7": "PENDING|JobHeldUser",
        "12_8": "OUT_OF_MEMORY|OutOfMemory",
    }
    commands.write("queue", "".join(f"{task}|{state}\n" for task, state in queue.items()))
    with caplog.at_level(logging.WARNING):
        units = launcher.units()
        assert launcher.units() == units
    assert units == [
        # What is suspended may hold a job: it is not cancelled as one that waits would be.
        Unit("slurm-7_0", is_running=True),
        Unit("slurm-12_3", is_running=False),
        Unit("slurm-12_4", is_running=False),
        Unit("slurm-12_7", is_running=False),
        Unit("slurm-12_9", is_running=True),
        Unit("slurm-12_10", is_running=False),
    ]
    # Those that were set aside are told once.
    assert [message.partition(",")[0] for message in caplog.messages] == [
        "SLURM holds task 12_5",
        "SLURM holds task 12_6",
    ]


def test_arrays_are_as_large_as_slurm_takes_them(launcher, commands):
    names = launcher.start(1501)
    assert len(set(names)) == 1501
    assert commands.asked() == [1000, 501]
    commands.allow(largest=300)
    assert len(launcher.start(1001)) == 1001
    *refused, _ = (size for size in commands.asked() if size > 300)
    assert refused
    assert names[0] == "slurm-1_0"


def test_where_a_limit_has_room_for_some_these_are_started(launcher, commands, caplog):
    commands.allow(room=10)
    with caplog.at_level(logging.WARNING):
        names = launcher.start(16)
        assert len(names) == 10
        commands.asked()
        commands.write("queue", "".join(f"{name.removeprefix('slurm-')}|PENDING|Priority\n" for name in names))
        assert len(launcher.units()) == 10
        # With ten there, that is no fault; SLURM is asked once for each look.
        assert launcher.start(6) == []
        assert launcher.start(6) == []
    assert commands.asked() == [1, 1]
    assert caplog.messages == [
        "SLURM takes no more workers now: sbatch says: sbatch: error: QOSMaxSubmitJobPerUserLimit"
    ]
    commands.allow()
    assert len(launcher.start(6)) == 6
    commands.write("queue", "")
    launcher.units()
    commands.allow(room=0)
    with pytest.raises(BohbError, match="QOSMaxSubmitJobPerUserLimit"):
        launcher.start(6)


def test_the_commands_do_what_they_are_told_whatever_the_environment_says(launcher, commands, monkeypatch):
    hidden = ("SBATCH_JOB_NAME", "SBATCH_CLUSTERS", "SLURM_CLUSTERS", "SLURM_RESTART_COUNT", "SQUEUE_STATES")
    for name in (*hidden, "SBATCH_PARTITION", "SLURM_CONF"):
        monkeypatch.setenv(name, "1")
    for call in (lambda: launcher.start(1), launcher.units):
        call()
        names = {line.partition("=")[0] for line in commands.read("environment").splitlines()}
        assert names.isdisjoint(hidden)
        assert {"SBATCH_PARTITION", "SLURM_CONF"} <= names


def test_jobs_of_two_run_directories_have_two_names(place, tmp_path):
    assert job_name(place) != job_name(Place(RunDirectory(tmp_path / "other"), "s", "head:1"))
    assert job_name(place) == job_name(Place(RunDirectory(tmp_path / "x" / ".." / "run"), "s", "other:2"))


def test_what_is_printed_is_what_is_submitted(commands, run_cli, tmp_path):
    keys = tmp_path / "keys"
    assert run_cli("bohb-master", "credentials", keys, "--host", "127.0.0.1").returncode == 0
    study = write_study(tmp_path, fleet={"workers": 2, "slurm": {"folder": "logs"}})
    where = ("--run-dir", tmp_path / "run", "--port", "47901")
    for security in (("--credentials", keys), ("--insecure", "--bind", "0.0.0.0")):
        command = ("bohb-master", "run", study, *where, "--fleet", "slurm", *security)
        printed = run_cli(*command, "--print")
        assert printed.returncode == 0, printed.stderr
        assert security[0] in printed.stdout
        assert f"--output={tmp_path}/logs/" in printed.stdout
        commands.allow(room=0)
        assert run_cli(*command).returncode == 2
        assert commands.read("script") == printed.stdout
    bare = run_cli("bohb-master", "run", study, "--fleet", "slurm", "--print").stdout
    assert "--nameserver HOST:PORT --study test --name" in bare


def test_where_slurm_is_not_installed_that_is_told(run_cli, tmp_path):
    study = write_study(tmp_path, fleet={"workers": 2})
    ended = run_cli(
        "bohb-master", "run", study, "--run-dir", tmp_path / "run", "--fleet", "slurm", "--insecure", "--bind",
        "0.0.0.0", env={"PATH": str(tmp_path)},
    )  # fmt: skip
    assert ended.returncode == 2
    (line,) = [line for line in ended.stderr.splitlines() if "insecure: " not in line]
    assert line.startswith("error: --fleet slurm: there is no command sbatch here; run this on a login node")


def test_a_fleet_that_is_started_in_another_way_is_named(run_cli, tmp_path):
    study = write_study(tmp_path, fleet={"workers": 2})
    told = run_cli("bohb-master", "run", study, "--fleet", "kubernetes").stderr
    assert "see `bohb-master manifests FILE`" in told
    assert master.commands["manifests"]


def test_a_folder_for_logs_that_cannot_be_made_is_told(commands, place, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StudyError, match=r"fleet\.slurm\.folder: .*file/logs cannot be made: Not a directory"):
        SlurmLauncher(place, Slurm(folder=tmp_path / "file" / "logs")).check()
