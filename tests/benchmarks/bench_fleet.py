"""A master and its workers over TLS with the token: speed-up, many connections, CPU, hand-off, restart.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.bench_fleet [speed-up] [connections] [exchange] [hand-off] [restart]

Without arguments everything is measured, in some five minutes. Masters are real `bohb-master run` processes with a
journal on disk. Speed-up is measured with real `bohb-worker` processes; the rest with `light_fleet.py`, whose workers
have real connections and wait instead of running an objective. CPU is that of the master's process, all threads, the
one that draws configurations included. Each row has a target, what was measured, and whether that is reached.
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


def row(what: str, target: str, measured: str, *, is_reached: bool) -> None:
    """Print one row of the table."""
    print(f"| {what} | {target} | {measured} | {'yes' if is_reached else 'no'} |", flush=True)


def speed_up(workers: int, job_s: float, target: float, seconds: float = 20.0) -> None:
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
    cpu_us = [1e6 * (now - then) / n_jobs for then, now in zip(before, after, strict=True)]
    row(
        f"speed-up, {workers} real workers, {job_s:g}-s jobs",
        f">= {target:g}",
        f"{figure:.2f} ({100 * figure / workers:.1f} % busy; CPU per job: master {cpu_us[0]:.0f} us, "
        f"workers {cpu_us[1]:.0f} us)",
        is_reached=figure >= target,
    )


def light(workers: int, job_s: float, seconds: float, method: str = "hyperband") -> dict[str, float]:
    """What a fleet of light workers sees of a master, and what that costs the master."""
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
    rate = seen["exchanges"] / seen["wall_s"]
    return seen | {"cpu_us": 1e6 * cpu / seen["exchanges"], "rate": rate, "alone_mb": alone, "connected_mb": connected}


def connections() -> None:
    """Many workers that are connected and busy."""
    seen = light(1000, 1.0, 15.0)
    measured = f"{seen['connected_mb']:.0f} MB ({seen['alone_mb']:.0f} MB alone)"
    row("master with 1 000 connected workers", "<= 150 MB", measured, is_reached=seen["connected_mb"] <= 150)
    seen = light(2000, 1.0, 15.0)
    busy = min(1.0, seen["busy"])
    row("2 000 connected workers, 1-s jobs", ">= 98 % busy", f"{100 * busy:.1f} %", is_reached=busy >= 0.98)


def exchange() -> None:
    """CPU per exchange, at as many exchanges as go."""
    seen = light(1000, 0.1, 15.0)
    measured = (
        f"{seen['cpu_us']:.0f} us ({seen['rate']:.0f} exchanges/s, {seen['jobs'] / seen['exchanges']:.2f} jobs each)"
    )
    row("CPU of the master per exchange", "<= 100 us", measured, is_reached=seen["cpu_us"] <= 100)


def hand_off() -> None:
    """How soon a worker that asks has its next job, the journal's commit in between."""
    seen = light(100, 1.0, 30.0, "bohb")
    p50, p99 = seen["turnaround_p50_ms"], seen["turnaround_p99_ms"]
    is_reached = p50 < 1.0 and p99 < 30.0
    row(
        "result to next job, sampler at work",
        "p50 < 1 ms, p99 < 30 ms",
        f"{p50:.2f} ms, {p99:.1f} ms",
        is_reached=is_reached,
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
    what = f"after kill -9 with {workers} workers and {n_trials} trials"
    row(f"serving {what}", "<= 10 s", f"{served:.1f} s", is_reached=served <= 10)
    row(f"all workers back {what}", "<= 30 s", f"{back:.1f} s", is_reached=back <= 30)
    row(f"acknowledged results lost {what}", "0", f"{lost} of {len(acknowledged)}", is_reached=not lost)
    row(f"memory of the master then, {n_trials} trials", "<= 400 MB", f"{rss:.0f} MB", is_reached=rss <= 400)


def main() -> None:
    """Measure and print."""
    parts = sys.argv[1:] or ["speed-up", "connections", "exchange", "hand-off", "restart"]
    load = os.getloadavg()[0]
    print(
        f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, load before {load:.1f}\n"
    )
    print("| what | target | measured | reached |\n|---|---|---|---|")
    if "speed-up" in parts:
        for workers, job_s, target in (
            (32, 1.0, 31.7),
            (64, 1.0, 63),
            (32, 0.2, 31.3),
            (32, 0.05, 30),
            (32, 0.01, 28.8),
        ):
            speed_up(workers, job_s, target)
    if "connections" in parts:
        connections()
    if "exchange" in parts:
        exchange()
    if "hand-off" in parts:
        hand_off()
    if "restart" in parts:
        restart(2000, 100_000, 10.0)


if __name__ == "__main__":
    main()
