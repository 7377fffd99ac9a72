"""The processes of one run: a master that is started again whenever it is gone, and workers that are replaced."""

import contextlib
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import yaml

from tests.chaos.plan import STUDY, Plan

SHIM = Path(__file__).with_name("shim")

DISK_BYTES = 48 << 20


def program(name, *arguments):
    """The command line of one of the two commands."""
    return [sys.executable, "-m", f"bohb_service.cli.{name}", *map(str, arguments)]


def environment(clock):
    """Variables of a process whose clock and log are the campaign's; see the shim."""
    path = os.pathsep.join(filter(None, (str(SHIM), os.environ.get("PYTHONPATH"))))
    chosen = {"CHAOS_CLOCK": str(clock), "CHAOS_ALL_LINES": "1", "OMP_NUM_THREADS": "1"}
    return {**os.environ, "PYTHONPATH": path, **chosen}


def turn_clock(clock, offset):
    """Let the wall clock of all processes that look at this file be wrong by so many seconds."""
    descriptor = os.open(clock, os.O_WRONLY | os.O_CREAT, 0o644)
    os.pwrite(descriptor, struct.pack("d", offset), 0)
    os.close(descriptor)


@dataclass(slots=True)
class Started:
    """A process, and what may become of it.

    Attributes:
        allowed: Exit codes for which there is a reason.
    """

    name: str
    process: subprocess.Popen
    log: Path
    allowed: set[int] = field(default_factory=set)

    @property
    def is_alive(self):
        return self.process.poll() is None

    def send(self, number, *allowed):
        """Send a signal; from now on the process may end with one of these codes."""
        self.allowed.update(allowed)
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)


class Site:
    """The folder of one run, and everything that runs for it.

    Args:
        folder: Where everything is kept.
        plan: The run.
        nameserver: The name server that knows the proxy.
        with_disk: Whether the run directory is a small disk of its own, which needs root.
        credentials: Folder that `bohb-master credentials` made, or None for a run in clear.
        reuses_names: Workers of this machine are started again under their old names.

    Attributes:
        run_dir: The run directory.
        master: The last master that was started, or None.
        workers: The last worker of each place, or None.
        problems: What went wrong beside the journal.
        dead: Names of workers whose processes have ended.
        is_over: The study is finished.
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        nameserver: str,
        *,
        with_disk: bool,
        credentials: Path | None = None,
        reuses_names: bool = True,
    ) -> None:
        self.folder, self.plan = folder, plan
        self.disk = folder / "disk"
        self.logs = folder / "logs"
        self.run_dir = self.disk / "run"
        self.side_log = folder / "side.jsonl"
        self.clock = folder / "clock"
        self.with_disk = with_disk
        self.master: Started | None = None
        self.workers: list[Started | None] = [None] * plan.n_workers
        self.started: list[Started] = []
        self.problems: list[str] = []
        self.dead: set[str] = set()
        self.is_over = False
        self.was_full = 0.0
        self._nameserver = nameserver
        self._reuses_names = reuses_names
        self._secure_master = () if credentials is None else ("--credentials", credentials)
        self._secure_worker = () if credentials is None else ("--credentials", credentials / "worker")
        self._n_masters = 0
        self._due: dict[int, float] = {}
        for path in (self.disk, self.logs):
            path.mkdir(parents=True)
        if with_disk:
            options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}"]
            subprocess.run(["mount", *options, "tmpfs", str(self.disk)], check=True)
        self.turn_clock(0.0)
        (folder / "study.yaml").write_text(yaml.safe_dump(plan.study(self.side_log)))

    # -- what runs -------------------------------------------------------------------------------------------

    def keep_up(self, patience: float) -> None:
        """Start what is missing, so many seconds after it was found missing."""
        if self.master is None or not self.master.is_alive:
            self._judge_master()
            if not self.is_over and self._is_due(-1, patience):
                self._start_master()
        for place, worker in enumerate(self.workers):
            if worker is None or not worker.is_alive:
                self._judge_worker(place)
                if not self.is_over and self._is_due(place, patience):
                    self._start_worker(place)

    def is_master_up(self):
        """Whether the master has said where it listens."""
        return (
            self.master is not None and self.master.is_alive and self._address().get("pid") == self.master.process.pid
        )

    def upstream(self):
        """Where the master listens, or None."""
        address = self._address()
        return (address["host"], address["port"]) if address else None

    def child_of(self, worker: Started) -> psutil.Process | None:
        """The process of a worker's objective, or None."""
        try:
            children = psutil.Process(worker.process.pid).children()
        except psutil.NoSuchProcess:
            return None
        return children[0] if children else None

    def turn_clock(self, offset):
        """Let the wall clock of all processes be wrong by so many seconds."""
        turn_clock(self.clock, offset)

    def fill_disk(self):
        """Leave no room where the run directory is; the bytes that it took."""
        self.was_full = time.monotonic()
        ballast = self.disk / "ballast"
        with ballast.open("wb", buffering=0) as file:
            for size in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while file.write(b"x" * size) == size:
                        pass
        return ballast.stat().st_size

    def free_disk(self):
        """Make room again."""
        (self.disk / "ballast").unlink(missing_ok=True)
        self.was_full = time.monotonic()

    # -- the end ---------------------------------------------------------------------------------------------

    def wind_up(self) -> None:
        """End whatever still runs; workers are given a moment to do it themselves."""
        deadline = time.monotonic() + 5.0
        for worker in filter(None, self.workers):
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(max(0.05, deadline - time.monotonic()))
        for each in self.started:
            if each.is_alive:
                each.send(signal.SIGCONT)
                each.send(signal.SIGKILL, -signal.SIGKILL)
            each.process.wait()
        for place in range(len(self.workers)):
            self._judge_worker(place)
        for each in self.started:
            if "Traceback" in each.log.read_text(errors="replace"):
                self.problems.append(f"{each.name} has printed a traceback: {each.log}")

    def remove(self):
        """Take the small disk away; the run directory goes with it unless it is wanted."""
        if self.with_disk:
            subprocess.run(["umount", "-l", str(self.disk)], check=False)

    def keep(self):
        """Save the run directory from the small disk."""
        shutil.copytree(self.run_dir, self.folder / "run")

    # -- inside ----------------------------------------------------------------------------------------------

    def _address(self):
        try:
            return json.loads((self.run_dir / "master.json").read_text())
        except (OSError, ValueError):
            return {}

    def _is_due(self, place, patience):
        due = self._due.setdefault(place, time.monotonic() + patience)
        if time.monotonic() < due:
            return False
        del self._due[place]
        return True

    def _start(self, name, arguments, **more):
        log = self.logs / f"{name}.jsonl"
        env = {**environment(self.clock), **more}
        with log.open("ab") as stderr, (self.logs / f"{name}.out").open("ab") as stdout:
            process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=env, start_new_session=True
            )
        self.started.append(Started(name, process, log))
        return self.started[-1]

    def _start_master(self):
        """Start a master; every other one comes back at another port."""
        if self._n_masters % 2:
            (self.run_dir / "port").unlink(missing_ok=True)
        times = ("--lease", self.plan.lease_s, "--grace", self.plan.grace_s)
        arguments = (
            "run",
            self.folder / "study.yaml",
            "--run-dir",
            self.run_dir,
            *times,
            "--log-json",
            *self._secure_master,
        )
        self.master = self._start(f"master-{self._n_masters}", program("master", *arguments))
        self._n_masters += 1

    def _start_worker(self, place):
        """Start a worker; every other place is a machine of its own, place 0 reaches the master directly."""
        is_remote = place % 2 == 1
        number = sum(each.name.startswith(f"w{place}.") for each in self.started)
        name = f"w{place}" if self._reuses_names and not is_remote else f"w{place}.{number}"
        where = ("--run-dir", self.run_dir) if place == 0 else ("--nameserver", self._nameserver, "--study", STUDY)
        arguments = program("worker", *where, "--log-json", *self._secure_worker)
        more = {"BOHB_NAME": name, **({"CHAOS_HOST": f"node{place}"} if is_remote else {})}
        self.workers[place] = self._start(f"w{place}.{number}", arguments, **more)

    def _judge_master(self):
        master = self.master
        if master is None or self.is_over:
            return
        code, allowed = master.process.returncode, set(master.allowed)
        self.is_over = code == 0
        if time.monotonic() - self.was_full < 15.0:
            allowed.add(5)
        if code not in {0, *allowed}:
            self.problems.append(f"{master.name} ended with exit code {code}: {master.log}")
        master.allowed.add(code)

    def _judge_worker(self, place):
        worker = self.workers[place]
        if worker is None or worker.is_alive:
            return
        self.workers[place] = None
        code, allowed = worker.process.returncode, set(worker.allowed)
        text = worker.log.read_text(errors="replace")
        if not self.is_over:
            self.dead.update((worker.name, worker.name.partition(".")[0]))
        if time.monotonic() - self.was_full < 15.0 or "died 3 times without a job" in text:
            allowed.add(2)
        if "is connected already" in text:
            allowed.add(4)
        if "stopping: " in text:
            allowed.add(0)
        if code not in allowed:
            self.problems.append(f"{worker.name} ended with exit code {code}: {worker.log}")
