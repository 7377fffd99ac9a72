"""What `bohb-master run --fleet slurm` does with SLURM's commands, where scripts stand in for them."""

import os
import signal
import socket

import psutil
import pytest

from bohb_service.results.run import load_run
from tests.acceptance.study_files import outcomes, write_study
from tests.polling import wait_until


def own_address():
    """An address of this machine that is not a loopback one."""
    for addresses in psutil.net_if_addrs().values():
        for found in addresses:
            if found.family == socket.AF_INET and not found.address.startswith("127."):
                return found.address
    pytest.skip("this machine has no address but loopback ones")


class Commands:
    """Scripts in place of SLURM's commands; what they are called with goes to a file."""

    def __init__(self, run_cli, folder):
        self._cli, self._folder = run_cli, folder
        (folder / "bin").mkdir()

    def give(self, name, text):
        path = self._folder / "bin" / name
        path.write_text(f'#!/bin/sh\nPATH=/usr/bin:/bin\necho {name} "$@" >> {self._folder}/calls\n{text}\n')
        path.chmod(0o755)

    def calls(self, name):
        path = self._folder / "calls"
        return [line for line in path.read_text().splitlines() if line.startswith(f"{name} ")] if path.exists() else []

    def start(self, fleet=None, **keys):
        study = write_study(self._folder, fleet={"workers": 2, **(fleet or {})}, **keys)
        return self._cli.start(
            "bohb-master", "run", study, "--run-dir", self._folder / "run", "--fleet", "slurm", "--insecure",
            "--host", own_address(), env={"PATH": str(self._folder / "bin")},
        )  # fmt: skip


@pytest.fixture
def commands(run_cli, tmp_path):
    made = Commands(run_cli, tmp_path)
    made.give("sbatch", "cat > /dev/null\necho 7")
    made.give("squeue", "printf '7_0|PENDING\\n7_1|PENDING\\n'")
    made.give("scancel", "")
    return made


def test_where_slurm_is_not_there_one_message_says_so(commands):
    (commands._folder / "bin" / "sbatch").unlink()
    ended = commands.start().wait()
    assert ended.returncode == 2
    (line,) = [line for line in ended.stderr.splitlines() if '"insecure' not in line]
    assert line.startswith("error: --fleet slurm: there is no command sbatch here")


def test_what_slurm_refuses_is_told_in_one_message(commands):
    commands.give("sbatch", "cat > /dev/null\ncase $* in *test-only*) ;; *) echo limit reached >&2; exit 1 ;; esac")
    commands.give("squeue", "")
    ended = commands.start().wait()
    assert ended.returncode == 1
    lines = [line for line in ended.stderr.splitlines() if '"insecure' not in line]
    assert lines == ["error: sbatch says: limit reached"]


def test_at_the_end_the_queue_is_asked_once(commands):
    master = commands.start({"poll_seconds": 300})
    wait_until(lambda: commands.calls("squeue"), seconds=30)
    os.kill(master.process.pid, signal.SIGINT)
    assert master.wait(60).returncode == 130
    assert len(commands.calls("squeue")) == 2
    assert commands.calls("scancel") == ["scancel 7_0 7_1"]


def test_a_queue_that_hangs_does_not_hold_up_the_end(commands):
    master = commands.start({"poll_seconds": 0.2})
    wait_until(lambda: len(commands.calls("squeue")) >= 2, seconds=30)
    commands.give("squeue", "exec sleep 300")
    n = len(commands.calls("squeue"))
    wait_until(lambda: len(commands.calls("squeue")) >= n + 1, seconds=30)
    for _ in range(2):
        os.kill(master.process.pid, signal.SIGINT)
    ended = master.wait(40)
    assert ended.returncode == 130
    assert "workers may be left in the cluster" in ended.stderr


SBATCH = """
case "$*" in *test-only*) cat > /dev/null; exit 0 ;; esac
job=$(($(cat jobs 2> /dev/null || echo 0) + 1))
echo $job > jobs
cat > script-$job
last=$(echo "$*" | sed 's/.*--array=0-//')
for task in $(seq 0 $last); do
    SLURM_ARRAY_JOB_ID=$job SLURM_ARRAY_TASK_ID=$task bash script-$job > /dev/null 2>&1 < /dev/null &
    echo "${job}_$task $!" >> tasks
done
echo $job
"""
SQUEUE = """
while read task process; do
    case $(ps -o stat= -p $process) in ""|Z*) ;; *) echo "$task|RUNNING" ;; esac
done < tasks
"""


def test_workers_that_others_started_keep_nobody_away_who_can_do_what_they_cannot(run_cli, tmp_path):
    commands = Commands(run_cli, tmp_path)
    commands.give("sbatch", f"cd {tmp_path}{SBATCH}")
    commands.give("squeue", f"cd {tmp_path}\ntouch tasks{SQUEUE}")
    commands.give("scancel", "")
    master = commands.start(
        needs=[{"gpu": 0, "hand": 1}, {"gpu": 1, "hand": 0, "min_budget": 9}],
        worker_options={"sleep_per_unit": 0.2},
        stop={"brackets": 1},
        refit=False,
        fleet={"poll_seconds": 0.3, "idle_seconds": 0.3, "slurm": {"setup": ["export BOHB_LABEL=gpu=1"]}},
    )
    by_hand = [
        run_cli.start("bohb-worker", "--run-dir", tmp_path / "run", "--label", "hand=1", "--label", "gpu=0")
        for _ in range(3)
    ]
    ended = master.wait(60)
    assert ended.returncode == 0, ended.stderr
    assert len(outcomes(tmp_path / "run")) == 13
    (top,) = [trial for trial in load_run(tmp_path / "run").trials if trial.budget == 9]
    assert top.worker.startswith("slurm-")
    assert [worker.wait(20).returncode for worker in by_hand] == [0] * 3
