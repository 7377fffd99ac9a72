"""A real master and a well-behaved fleet, and what attacks do to both: its pace, the master's memory, its log."""

import contextlib
import mmap
import os
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from bohb_service._version import VERSION
from bohb_service.api.find_master import access_of
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.rpc.client import AdminClient, MasterClient
from bohb_service.rpc.locate import ByNameServer
from bohb_service.rpc.messages import WorkerInfo
from tests.hostile import fleet
from tests.intruders import Keys, make_keys
from tests.polling import wait_until

ROOT = Path(__file__).parents[2]
OBJECTIVES = ROOT / "tests" / "objectives.py"

WINDOW_S = 0.8
"""How long each attack lasts at least."""

_SAMPLE_S = 0.02


@dataclass(frozen=True, slots=True)
class Pace:
    """What the fleet did in some time.

    Attributes:
        rate: Exchanges a second.
        latency_s: Mean time of an exchange.
        worst_s: Longest exchange.
        jobs: Jobs that were completed.
        failures: Exchanges that failed.
    """

    rate: float
    latency_s: float
    worst_s: float
    jobs: int
    failures: int


@dataclass(frozen=True, slots=True)
class Damage:
    """What an attack did.

    Attributes:
        before: Pace of the fleet right before it.
        during: Pace while it went on.
        grown_bytes: How much more memory the master had at most than before all attacks.
        jump_bytes: The same, compared with the moment before this attack.
        refused: How many peers were refused meanwhile, by reason.
        log_lines: Lines of refusals in the master's log.
        seconds: How long it took.
    """

    before: Pace
    during: Pace
    grown_bytes: int
    jump_bytes: int
    refused: dict[str, int]
    log_lines: int
    seconds: float

    @property
    def slow_down(self) -> float:
        """How many times slower the fleet was."""
        return self.before.rate / max(self.during.rate, 1e-9)

    @property
    def latency_ratio(self) -> float:
        """How many times longer its exchanges took."""
        return self.during.latency_s / max(self.before.latency_s, 1e-9)


class Scene:
    """The master's process, the fleet's, and how to look at them.

    Attributes:
        keys: Credentials, right ones and wrong ones.
        port: Where the master listens.
        level: Memory of the master before all attacks, in bytes.
    """

    def __init__(self, keys: Keys, directory: RunDirectory, master: psutil.Process, log: Path, table: Any) -> None:
        self.keys = keys
        self._master = master
        self._log = log
        self._table = table
        address = directory.read_address()
        assert address is not None
        self.port = address.port
        self._admin = AdminClient(address.host, address.port, access_of(address, "admin"))
        self.level = 0
        self.peace = Pace(0, 0, 0, 0, 0)

    def begin(self) -> None:
        """Wait until the fleet works, and see how fast it is in peace."""
        wait_until(lambda: sum(self._column(2)) >= fleet.WORKERS, 60)
        self.peace = self._watched(lambda is_over: None, WINDOW_S)[0]
        self.level = self._master.memory_info().rss

    def close(self) -> None:
        """Close the connection to the master."""
        self._admin.close()

    def suffer(self, attack: Callable[["Scene", Callable[[], bool]], None]) -> Damage:
        """Let an attack happen.

        Args:
            attack: Called with the scene and with what tells it when it is over.
        """
        pace = self._watched(lambda is_over: None, WINDOW_S)[0]
        before, lines, memory = self.refused(), self._refusal_lines(), self._master.memory_info().rss
        began = time.monotonic()
        during, most = self._watched(lambda is_over: attack(self, is_over), WINDOW_S)
        seconds = time.monotonic() - began
        after = self.refused()
        refused = {reason: n - before.get(reason, 0) for reason, n in after.items() if n > before.get(reason, 0)}
        lines = self._refusal_lines() - lines
        return Damage(pace, during, most - self.level, most - memory, refused, lines, seconds)

    def join(self, name: str) -> None:
        """Let one more worker register, as every worker does, and leave.

        Raises:
            BohbError: It was not let in within its time.
        """
        client = MasterClient(ByNameServer(f"127.0.0.1:{self.port}", "hostile", self.keys.access()))
        with contextlib.closing(client):
            client.register(WorkerInfo(name, "elsewhere", 1, 0.0, VERSION))
            client.goodbye((), "enough")

    def status(self) -> dict[str, Any]:
        """What the master says."""
        return self._admin.status()

    def refused(self) -> dict[str, int]:
        """How many peers the master has refused, by reason."""
        counts: dict[str, int] = self.status()["refused"]
        return counts

    def _watched(self, work: Callable[[Callable[[], bool]], None], seconds: float) -> tuple[Pace, int]:
        """The fleet's pace and the master's largest memory while something is done, or for so long at least."""
        most = 0
        is_done = threading.Event()

        def sample() -> None:
            nonlocal most
            while not is_done.wait(_SAMPLE_S):
                most = max(most, self._master.memory_info().rss)

        sampler = threading.Thread(target=sample)
        for row in range(fleet.WORKERS):
            self._table[row * fleet.COLUMNS + 4] = 0.0
        exchanges, spent, jobs, failures = (sum(self._column(column)) for column in range(4))
        began = time.monotonic()
        sampler.start()
        try:
            work(lambda: time.monotonic() - began >= seconds)
            while (left := began + seconds - time.monotonic()) > 0:
                is_done.wait(left)
        finally:
            is_done.set()
            sampler.join()
        took = time.monotonic() - began
        n = sum(self._column(0)) - exchanges
        pace = Pace(
            n / took,
            (sum(self._column(1)) - spent) / max(n, 1),
            max(self._column(4)),
            round(sum(self._column(2)) - jobs),
            round(sum(self._column(3)) - failures),
        )
        return pace, most

    def _column(self, column: int) -> list[float]:
        return [self._table[row * fleet.COLUMNS + column] for row in range(fleet.WORKERS)]

    def _refusal_lines(self) -> int:
        return self._log.read_text().count(" peer refused ")


@contextlib.contextmanager
def at_work(folder: Path) -> Iterator[Scene]:
    """A master with credentials on loopback and a fleet that works.

    Args:
        folder: Where everything is written.
    """
    keys = make_keys(folder / "keys")
    study = {
        "name": "hostile",
        "worker": f"{OBJECTIVES}:NoOp",
        "method": {"name": "random"},
        "fidelity": {"min": 1, "max": 9},
        "stop": {"brackets": 100_000},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    directory, log, counters = RunDirectory(folder / "run"), folder / "master.log", folder / "counters"
    counters.write_bytes(bytes(8 * fleet.WORKERS * fleet.COLUMNS))
    program = Path(sysconfig.get_path("scripts")) / "bohb-master"
    run = [program, "run", folder / "study.yaml", "--run-dir", directory.path, "--credentials", keys.path]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BOHB_")}
    with contextlib.ExitStack() as stack:
        stderr = stack.enter_context(log.open("wb"))
        master = stack.enter_context(_process(run, environment, stderr))
        wait_until(directory.read_address, 60)
        scene_file = stack.enter_context(counters.open("r+b"))
        table = memoryview(mmap.mmap(scene_file.fileno(), 0)).cast("d")
        scene = Scene(keys, directory, psutil.Process(master.pid), log, table)
        stack.callback(scene.close)
        work = [sys.executable, fleet.__file__, f"127.0.0.1:{scene.port}", "hostile", keys.path, counters]
        errors = stack.enter_context((folder / "fleet.log").open("wb"))
        stack.enter_context(_process(work, environment, errors))
        scene.begin()
        yield scene
        assert master.poll() is None, log.read_text()[-2000:]


@contextlib.contextmanager
def _process(command: list[Any], environment: dict[str, str], stderr: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=ROOT,
        env={**environment, "PYTHONPATH": f"{ROOT}{os.pathsep}{environment.get('PYTHONPATH', '')}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def as_line(name: str, damage: Damage) -> str:
    """An attack as a row of a table under `HEADER`."""
    during = damage.during
    slower = f"{damage.slow_down:5.2f}x {damage.latency_ratio:6.1f}x"
    pace = f"{slower} {1e3 * during.latency_s:7.2f} {1e3 * during.worst_s:7.0f} {during.failures:4d}"
    refused = f"{sum(damage.refused.values()):7d} {damage.log_lines:4d}"
    return f"{name:<34} {pace} {damage.grown_bytes / 2**20:+7.1f} {refused} {damage.seconds:5.1f}"


HEADER = f"{'attack':<34} slower latency mean ms   worst fail      MB refused  log     s"
