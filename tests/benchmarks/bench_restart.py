"""What a large journal costs: restart of its master, proposals, reading of its results, and each event of it.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.bench_restart [--trials N]

The journal is made by the real scheduler, with configurations drawn at random and evaluated by a cheap function, and
is kept in the folder for temporary files. The master is killed (SIGKILL) and started again; its CPU seconds include the
interpreter and all imports.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import gc
import platform
import queue
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import psutil
import yaml

from bohb_service.clock import SystemClock
from bohb_service.errors import TransportError
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.journal.sqlite import SqliteJournal
from bohb_service.master.master import Master
from bohb_service.master.terms import StudyFacts
from bohb_service.rpc.access import Access
from bohb_service.rpc.client import AdminClient
from bohb_service.rpc.messages import Answer, Request, WorkerInfo
from bohb_service.scheduler.replies import Job
from tests.large_run import Simulation, large_study, write_run

SCRIPTS = Path(sysconfig.get_path("scripts"))


def make_run(n_trials: int) -> tuple[Path, Path]:
    """The study file and the run directory of so many trials; made once."""
    folder = Path(tempfile.gettempdir()) / f"bohb-bench-restart-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    study = large_study(n_trials)
    file, run = folder / f"{study.name}.yaml", RunDirectory(folder / study.name)
    if not run.journal.exists():
        shutil.rmtree(run.path, ignore_errors=True)
        file.write_text(yaml.safe_dump(study.model_dump(mode="json", exclude_unset=True)))
        write_run(study, run, n_trials)
    return file, run.path


def start(file: Path, directory: Path, *options: str) -> subprocess.Popen:
    """A master of the run."""
    command = [str(SCRIPTS / "bohb-master"), "run", str(file), "--run-dir", str(directory), *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def status(directory: Path) -> dict | None:
    """What the master that serves the run says, or None."""
    address = RunDirectory(directory).read_address()
    if address is None:
        return None
    client = AdminClient(address.host, address.port, Access("admin"))
    try:
        return client.status()
    except TransportError:
        return None
    finally:
        client.close()


def until_served(file: Path, directory: Path, *options: str) -> tuple[subprocess.Popen, float]:
    """A master that serves the run, and the wall seconds that it took to come up."""
    RunDirectory(directory).remove_address()
    began = time.perf_counter()
    master = start(file, directory, *options)
    while status(directory) is None:
        if master.poll() is not None:
            raise SystemExit("the master has ended")
        time.sleep(0.02)
    return master, time.perf_counter() - began


def figures(process: psutil.Process) -> str:
    """CPU and memory of a process up to now."""
    times = process.cpu_times()
    return f"CPU {times.user + times.system:6.2f} s, resident {process.memory_info().rss / 2**20:6.1f} MiB"


def measure_restart(file: Path, directory: Path, n_proposals: int) -> None:
    """Kill a master, start it again, let it propose."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "run"
        shutil.copytree(directory, copy)
        master, _ = until_served(file, copy)
        master.kill()
        master.wait()
        master, wall_s = until_served(file, copy)
        print(f"restart until `status` answers: {figures(psutil.Process(master.pid))}, wall {wall_s:.2f} s", flush=True)
        master.kill()
        master.wait()
        master, _ = until_served(file, copy, "--workers", "1")
        process = psutil.Process(master.pid)
        n_before = status(copy)["configurations"]
        done = 0
        marks = {}
        while done < n_proposals:
            time.sleep(0.1)
            facts = status(copy)
            done = facts["configurations"] - n_before
            if done > 0:
                times = process.cpu_times()
                marks[done] = (times.user + times.system, facts["evaluations"]["completed"])
        (first, last) = min(marks), max(marks)
        print(f"after {done} more proposals: {figures(process)}")
        share = (marks[last][0] - marks[first][0]) / max(1, last - first)
        print(f"  CPU per proposal, with all that belongs to it: {1e3 * share:.2f} ms")
        master.terminate()
        master.wait()


LAUNCHER = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**10)
"""


def measure_reading(directory: Path) -> None:
    """CPU and peak memory of what reads the results, each in a process of its own."""
    master = str(SCRIPTS / "bohb-master")
    code = "import sys; from bohb_service.results.run import load_run; load_run(sys.argv[1])"
    commands = {
        "load_run": [sys.executable, "-c", code, str(directory)],
        "bohb-master results": [master, "results", str(directory)],
        "bohb-master results --json": [master, "results", str(directory), "--json"],
        "bohb-master status": [master, "status", str(directory)],
    }
    for name, command in commands.items():
        # The peak that the system tells of a process is never below the size of the one that started it.
        launcher = [sys.executable, "-S", "-c", LAUNCHER, *command]
        text = subprocess.run(launcher, capture_output=True, text=True, check=True).stdout
        exit_status, cpu_s, peak = text.split()
        if exit_status != "0":
            raise SystemExit(f"{name} failed")
        print(f"{name:28} CPU {float(cpu_s):6.2f} s, peak {float(peak):6.1f} MiB", flush=True)


class Floor:
    """A master whose workers evaluate in no time, all in one process: what an exchange costs beside the wire.

    Args:
        simulation: Goes on from here.
        journal: Where the events go.
    """

    def __init__(self, simulation: Simulation, journal: SqliteJournal) -> None:
        self._simulation = simulation
        self._posted = queue.SimpleQueue()
        facts = StudyFacts("bench", "0", "", {}, "", None, None)
        self._master = Master(simulation.scheduler, journal, facts, SystemClock(), self._posted.put, lambda: simulation)
        self.n_answers = 0
        held: dict[str, list[Job]] = {}
        for lease, trial in simulation.scheduler.state.current.items():
            held.setdefault(trial.worker, []).append(simulation.scheduler.state.job(lease))
        for name in simulation.workers:
            jobs = tuple(held.get(name, ()))
            running = tuple((job.lease, simulation.scheduler.state.epoch) for job in jobs)
            info = WorkerInfo(name, "elsewhere", 1, 0.0, "0", running=running)
            self._say(self._master.register(info).session, 1, jobs)

    def _say(self, session: str, seq: int, jobs: tuple[Job, ...]) -> None:
        """Deliver the outcomes of jobs, and ask for one more."""
        results = tuple((job.lease, self._simulation.outcome(job)) for job in jobs)

        def answered(answer: Answer) -> None:
            self.n_answers += 1
            self._posted.put(lambda: self._say(session, seq + 1, answer.jobs))

        self._master.exchange(session, Request(seq, results, max_jobs=1, wait_s=20.0), answered)

    def exchange(self, n: int) -> float:
        """CPU seconds of so many exchanges, those of the threads included."""
        until, began = self.n_answers + n, time.process_time()
        while self.n_answers < until:
            self._posted.get(timeout=60)()
        return time.process_time() - began

    def close(self) -> None:
        """End the master's threads."""
        self._master.close()


def measure_exchanges(n_trials: int, n_exchanges: int) -> None:
    """CPU of a result and the lease that follows, at the beginning and after many trials."""
    for size in sorted({0, n_trials}):
        simulation = Simulation(large_study(n_trials))
        while simulation.scheduler.state.started < size:
            simulation.step()
        gc.freeze()
        with tempfile.TemporaryDirectory() as folder:
            journal = SqliteJournal.create(Path(folder) / "journal.sqlite", {})
            floor = Floor(simulation, journal)
            floor.exchange(1000)
            cpu_s = floor.exchange(n_exchanges)
            floor.close()
            journal.close()
        print(
            f"exchange of a result for a job after {size:6} trials: {1e6 * cpu_s / n_exchanges:5.1f} us of CPU, "
            "configurations drawn and outcomes made up included",
            flush=True,
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--proposals", type=int, default=300)
    arguments = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    measure_exchanges(arguments.trials, 20_000)
    file, directory = make_run(arguments.trials)
    size = RunDirectory(directory).journal.stat().st_size
    print(f"{arguments.trials} trials, journal of {size / 2**20:.1f} MiB")
    measure_reading(directory)
    measure_restart(file, directory, arguments.proposals)


if __name__ == "__main__":
    main()
