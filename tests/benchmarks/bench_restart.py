"""What a large journal costs: restart of its master, proposals, reading of its results, and each event of it.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_restart.py [--trials N]

The journal is made by the real scheduler, with configurations drawn at random and evaluated by a cheap function, and
is kept in the folder for temporary files. The master is killed (SIGKILL) and started again; its CPU seconds include the
interpreter and all imports.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import itertools
import platform
import random
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import deque
from pathlib import Path

import numpy as np
import psutil
import yaml

from bohb_service.errors import TransportError
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.journal.sqlite import SqliteJournal
from bohb_service.master.plan import settings_for
from bohb_service.rpc.client import AdminClient
from bohb_service.scheduler.commands import Ask, Suggest, Tell
from bohb_service.scheduler.events import Event, MasterStarted
from bohb_service.scheduler.outcomes import Completed, Failed
from bohb_service.scheduler.replies import Wait
from bohb_service.scheduler.scheduler import Scheduler
from bohb_service.space import SearchSpace, read_space
from bohb_service.study import Study, parse_study

SCRIPTS = Path(sysconfig.get_path("scripts"))
OBJECTIVE = f"{Path(__file__).parent.parent / 'objectives.py'}:SumOfValues"
N_WORKERS = 64
BATCH = 4096
GROUP = 64

SPACE = {
    **{f"rate{i}": {"type": "float", "low": 1e-6, "high": 1.0, "log": True} for i in range(4)},
    **{f"share{i}": [0.0, 1.0] for i in range(4)},
    **{f"size{i}": {"type": "int", "low": 1, "high": 1024, "log": True} for i in range(3)},
    **{f"choice{i}": ["adam", "sgd", "rmsprop", "lion"] for i in range(3)},
    **{f"switch{i}": [True, False] for i in range(2)},
}


def make_study(n_trials: int) -> Study:
    """A study that is never done, of a name that tells its size."""
    data = {
        "name": f"large-{n_trials}",
        "worker": OBJECTIVE,
        "space": SPACE,
        "fidelity": {"min": 1, "max": 81},
        "method": {"name": "bohb", "eta": 3},
        "stop": {"evaluations": 100 * n_trials},
    }
    return parse_study(data, base=Path.cwd(), source="bench")


class Simulation:
    """A study with many workers, evaluated in no time.

    Args:
        study: The study.
    """

    def __init__(self, study: Study) -> None:
        self.scheduler = Scheduler(settings_for(study, offers_refit=False))
        self._space = SearchSpace(read_space(study.space).configuration_space)
        self._chance = random.Random(0)
        self._drawn: deque[dict] = deque()
        self._running: deque[tuple[int, dict, float]] = deque()
        self._worker = itertools.cycle(f"node{i // 8:02}.cluster-{4711 + i}-{i:02}" for i in range(N_WORKERS))

    def step(self) -> list[Event]:
        """The events of one result and of the leases that follow; with nobody waiting for long."""
        events: list[Event] = []
        if len(self._running) >= N_WORKERS:
            self._tell(events)
        while len(self._running) < N_WORKERS:
            transition = self.scheduler.handle(Ask(next(self._worker)))
            events += transition.events
            if isinstance(transition.reply, Wait):
                number = len(self.scheduler.state.configurations)
                origin = "prior" if self._chance.random() < 0.33 else "model"
                events += self.scheduler.handle(Suggest(number, self._draw(), origin)).events
                continue
            job = transition.reply
            self._running.append((job.lease, job.config, job.budget))
        return events

    def _draw(self) -> dict:
        if not self._drawn:
            rng = np.random.default_rng(len(self.scheduler.state.configurations))
            self._drawn.extend(self._space.decode(self._space.sample(BATCH, rng)))
        return self._drawn.popleft()

    def _tell(self, events: list[Event]) -> None:
        self._running.rotate(-self._chance.randrange(4))
        lease, config, budget = self._running.popleft()
        seconds = budget * self._chance.uniform(0.8, 1.2)
        if self._chance.random() < 0.01:
            outcome = Failed("exception", "ValueError: diverged", "Traceback (most recent call last): ...", seconds)
        else:
            loss = sum(config[f"share{i}"] for i in range(4)) + self._chance.random() / budget
            outcome = Completed(loss, {"accuracy": 1 - loss / 5, "epochs": int(budget)}, seconds, ((budget, loss),))
        events += self.scheduler.handle(Tell(lease, outcome)).events


def make_run(n_trials: int) -> tuple[Path, Path]:
    """The study file and the run directory of so many trials; made once."""
    folder = Path(tempfile.gettempdir()) / f"bohb-bench-restart-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    study = make_study(n_trials)
    file, run = folder / f"{study.name}.yaml", RunDirectory(folder / study.name)
    if run.journal.exists():
        return file, run.path
    shutil.rmtree(run.path, ignore_errors=True)
    run.prepare()
    file.write_text(yaml.safe_dump(study.model_dump(mode="json", exclude_unset=True)))
    meta = {
        "study": study.to_json(),
        "study_id": "0" * 32,
        "space": read_space(study.space).to_json(),
        "refit": "false",
        "version": "0",
    }
    draft = run.path / "draft.sqlite"
    journal = SqliteJournal.create(draft, meta)
    started = MasterStarted("0", "localhost", 1)
    simulation = Simulation(study)
    simulation.scheduler.state.apply(started)
    events: list[Event] = [started]
    at = 1.7e9
    while simulation.scheduler.state.started < n_trials:
        events += simulation.step()
        at += 0.01
        if len(events) >= 20_000:
            journal.append([(at, event) for event in events])
            events = []
    journal.append([(at, event) for event in events])
    journal.close()
    draft.rename(run.journal)
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
    client = AdminClient(address.host, address.port)
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
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, exit_status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(exit_status)
        cpu_s, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**10
        print(f"{name:28} CPU {cpu_s:6.2f} s, peak {peak:6.1f} MiB, exit code {process.returncode}", flush=True)


def measure_events(n_trials: int, n_steps: int) -> None:
    """CPU of scheduler and journal for a result and the lease that follows, at the beginning and after many trials."""
    simulation = Simulation(make_study(n_trials))
    for size in sorted({0, n_trials}):
        while simulation.scheduler.state.started < size:
            simulation.step()
        with tempfile.TemporaryDirectory() as folder:
            journal = SqliteJournal.create(Path(folder) / "journal.sqlite", {})
            deciding_s = writing_s = 0.0
            for _ in range(n_steps // GROUP):
                began = time.process_time()
                events = [(time.time(), event) for _ in range(GROUP) for event in simulation.step()]
                middle = time.process_time()
                journal.append(events)
                deciding_s += middle - began
                writing_s += time.process_time() - middle
            journal.close()
        steps = n_steps // GROUP * GROUP
        print(
            f"a result and a lease after {size:6} trials: scheduler {1e6 * deciding_s / steps:5.1f} us, "
            f"journal in groups of {GROUP} {1e6 * writing_s / steps:5.1f} us of CPU",
            flush=True,
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--proposals", type=int, default=300)
    arguments = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    measure_events(arguments.trials, 10_000)
    file, directory = make_run(arguments.trials)
    size = RunDirectory(directory).journal.stat().st_size
    print(f"{arguments.trials} trials, journal of {size / 2**20:.1f} MiB")
    measure_reading(directory)
    measure_restart(file, directory, arguments.proposals)


if __name__ == "__main__":
    main()
