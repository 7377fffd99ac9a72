"""A master and its workers over TLS with the token: speed-up, many connections, CPU, hand-off, restart.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.bench_fleet [speed-up] [connections] [hand-off] [restart]

Without arguments everything is measured, in some five minutes. Masters are real `bohb-master run` processes with a
journal on disk. Speed-up is measured with real `bohb-worker` processes; the rest with `light_fleet.py`, whose workers
have real connections and wait instead of running an objective. CPU is that of the master's process, all threads.
"""

import contextlib
import json
import os
import platform
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import yaml

from bohb_service.api.find_master import access_of
from bohb_service.clock import SystemClock
from bohb_service.errors import TransportError
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.rpc.client import AdminClient
from bohb_service.security.authority import make_credentials
from tests.benchmarks.bench_restart import make_run

HERE = Path(__file__).parent
OBJECTIVES = HERE.parent / "objectives.py"
WARM_UP_S = 3.0


class Master:
    """A `bohb-master run` process that serves a study without end.

    Args:
        folder: Where study, credentials and run directory are; made if absent.
        study: Study file.
        workers: Real local workers to start, and to wait for.
        port: TCP port; 0 takes a free one.
    """

    def __init__(self, folder: Path, study: Path, workers: int = 0, port: int = 0) -> None:
        self.run_directory = folder / "run"
        self.credentials = folder / "credentials"
        if not self.credentials.exists():
            make_credentials(self.credentials, ["localhost"], clock=SystemClock())
        command = [sys.executable, "-m", "bohb_service.cli.master", "run", str(study)]
        command += ["--run-dir", str(self.run_directory), "--credentials", str(self.credentials), "--port", str(port)]
        command += ["--workers", str(workers), "--min-workers", str(workers)]
        self.log = (folder / "master.log").open("ab")
        self.popen = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=self.log)
        self.process = psutil.Process(self.popen.pid)

    def answers(self) -> bool:
        """Whether it says its status."""
        address = RunDirectory(self.run_directory).read_address()
        if address is None or address.pid != self.popen.pid:
            return False
        client = AdminClient(address.host, address.port, access_of(address, "admin"))
        with contextlib.suppress(TransportError), contextlib.closing(client):
            return bool(client.status())
        return False

    def wait(self) -> None:
        """Wait until it answers."""
        while not self.answers():
            if self.popen.poll() is not None:
                raise SystemExit(f"the master has ended: {Path(self.log.name).read_text()[-500:]}")
            time.sleep(0.05)

    @property
    def cpu_s(self) -> float:
        """CPU seconds so far."""
        times = self.process.cpu_times()
        return times.user + times.system

    @property
    def rss_mb(self) -> float:
        """Resident size in MB."""
        return self.process.memory_info().rss / 1e6

    def events(self, kind: str) -> list[tuple[float, dict[str, Any]]]:
        """Time and content of the journal's events of a kind."""
        path = self.run_directory / "journal.sqlite"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT at, body FROM events WHERE kind = ? ORDER BY seq", (kind,))
            return [(at, json.loads(body)) for at, body in rows]

    def kill(self) -> None:
        """End it as a crash would."""
        self.popen.kill()
        self.popen.wait()
        self.log.close()

    def stop(self) -> None:
        """End it, and its workers."""
        for _ in range(2):
            self.popen.send_signal(2)
            time.sleep(0.5)
        self.popen.wait(60)
        self.log.close()


def write_study(folder: Path, method: str, job_s: float = 0.0) -> Path:
    """A study without end, whose jobs sleep that long in real workers."""
    file = folder / "study.yaml"
    study = {
        "name": "fleet",
        "worker": f"{OBJECTIVES}:Sleeps",
        "worker_options": {"seconds": job_s},
        "fidelity": {"min": 1, "max": 81},
        "method": method,
        "stop": {"brackets": 1_000_000},
    }
    file.write_text(yaml.safe_dump(study))
    return file


@contextlib.contextmanager
def light_fleet(master: Master, workers: int, job_s: float) -> Iterator[subprocess.Popen[str]]:
    """A fleet of light workers, connected."""
    address = json.loads((master.run_directory / "master.json").read_text())
    command = [sys.executable, str(HERE / "light_fleet.py"), f"127.0.0.1:{address['port']}"]
    command += ["--credentials", str(master.credentials), "--workers", str(workers), "--job", str(job_s)]
    fleet = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    read(fleet)
    yield fleet
    fleet.kill()
    fleet.wait()


def tell(fleet: subprocess.Popen[str], seconds: float) -> None:
    """Let a fleet go on."""
    assert fleet.stdin is not None
    fleet.stdin.write(f"{seconds}\n")
    fleet.stdin.flush()


def read(fleet: subprocess.Popen[str]) -> dict[str, Any]:
    """What a fleet has seen."""
    assert fleet.stdout is not None
    figures: dict[str, Any] = json.loads(fleet.stdout.readline())
    return figures


def go_on(fleet: subprocess.Popen[str], seconds: float) -> dict[str, Any]:
    """Let a fleet work for a while."""
    tell(fleet, seconds)
    return read(fleet)


def speed_up(workers: int, job_s: float, seconds: float) -> None:
    """Useful time over wall time, each worker from its first to its last result in the window."""
    with tempfile.TemporaryDirectory() as folder:
        master = Master(Path(folder), write_study(Path(folder), "random", job_s), workers)
        master.wait()
        while len({body["worker"] for _, body in master.events("TrialLeased")}) < workers:
            time.sleep(0.2)
        time.sleep(max(WARM_UP_S, 2 * job_s))
        children = master.process.children(recursive=True)
        before = master.cpu_s, sum(sum(child.cpu_times()[:2]) for child in children)
        began = time.time()
        time.sleep(seconds)
        ended = time.time()
        after = master.cpu_s, sum(sum(child.cpu_times()[:2]) for child in children)
        holders = {body["lease"]: body["worker"] for _, body in master.events("TrialLeased")}
        results: dict[str, list[float]] = defaultdict(list)
        for at, body in master.events("TrialCompleted"):
            if began <= at <= ended:
                results[holders[body["lease"]]].append(at)
        master.stop()
    figure = sum(job_s * (len(at) - 1) / (at[-1] - at[0]) for at in results.values() if len(at) > 1)
    n_jobs = sum(map(len, results.values()))
    print(
        f"  {workers} workers, {job_s:g} s jobs: speed-up {figure:.2f}; "
        f"CPU per job: master {1e6 * (after[0] - before[0]) / n_jobs:.0f} us, "
        f"workers {1e6 * (after[1] - before[1]) / n_jobs:.0f} us",
        flush=True,
    )


def connections(workers: int, job_s: float, seconds: float, method: str = "hyperband") -> None:
    """How busy a master keeps many connected workers, and what that costs."""
    with tempfile.TemporaryDirectory() as folder:
        master = Master(Path(folder), write_study(Path(folder), method))
        master.wait()
        alone = master.rss_mb
        with light_fleet(master, workers, job_s) as fleet:
            connected = master.rss_mb
            go_on(fleet, WARM_UP_S)
            before = master.cpu_s
            seen = go_on(fleet, seconds)
            cpu = master.cpu_s - before
        master.stop()
    print(
        f"  {workers} workers, {job_s:g} s jobs, {method}: {100 * seen['busy']:.1f} % busy, "
        f"{seen['exchanges'] / seen['wall_s']:.0f} exchanges/s, {1e6 * cpu / seen['exchanges']:.0f} us of CPU each; "
        f"job at the worker after {seen['turnaround_p50_ms']:.2f} ms (p99 {seen['turnaround_p99_ms']:.1f}); "
        f"master {alone:.0f} MB alone, {connected:.0f} MB with all connected",
        flush=True,
    )


def restart(workers: int, n_trials: int, job_s: float) -> None:
    """Kill a master with a large journal; how long until it serves, until all workers are back, what is lost."""
    file, run = make_run(n_trials)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(run, Path(folder) / "run")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        first = Master(Path(folder), file, port=port)
        first.wait()
        with light_fleet(first, workers, job_s) as fleet:
            acknowledged = go_on(fleet, 2 * job_s)["acknowledged"]
            tell(fleet, 1.0)
            time.sleep(0.5)
            first.kill()
            began = time.monotonic()
            second = Master(Path(folder), file, port=port)
            served: float | None = None
            while True:
                seen = read(fleet)
                acknowledged += seen["acknowledged"]
                now = time.monotonic() - began
                if served is None and second.answers():
                    served = now
                if served is not None and seen["connected"] == workers:
                    break
                tell(fleet, 0.1)
            back, rss = now, second.rss_mb
            acknowledged += go_on(fleet, 2 * job_s)["acknowledged"]
        ended = [body["lease"] for kind in ("TrialCompleted", "TrialFailed") for _, body in second.events(kind)]
        lost = len(set(acknowledged) - set(ended))
        second.stop()
    print(
        f"  {workers} workers, {n_trials} trials: serving after {served:.1f} s, all workers back after {back:.1f} s, "
        f"{rss:.0f} MB; of {len(acknowledged)} results acknowledged before and after {lost} are not in the journal",
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    parts = sys.argv[1:] or ["speed-up", "connections", "hand-off", "restart"]
    print(
        f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]}"
    )
    if "speed-up" in parts:
        print("speed-up with real bohb-worker processes, random search")
        for workers, job_s in ((32, 1.0), (64, 1.0), (32, 0.2), (32, 0.05), (32, 0.01)):
            speed_up(workers, job_s, 20.0)
    if "connections" in parts:
        print("connections")
        connections(1000, 1.0, 15.0)
        connections(2000, 1.0, 15.0)
        connections(64, 0.02, 10.0)
    if "restart" in parts:
        print("restart after kill -9")
        restart(2000, 100_000, 10.0)
    if "hand-off" in parts:
        print("hand-off with the sampler at work")
        connections(100, 1.0, 20.0, "bohb")


if __name__ == "__main__":
    main()
