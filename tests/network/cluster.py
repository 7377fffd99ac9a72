"""A study on a test network: a master on the head, workers on the nodes, started as a user starts them."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bohb_service.journal.run_directory import RunDirectory
from bohb_service.rpc.pyro import format_address
from tests.acceptance.study_files import write_study
from tests.conftest import CommandLine, Running
from tests.network.hosts import Host, Network
from tests.polling import wait_until

PORT = 9090

_SECONDS = 0.06
"""A unit of budget; long enough that a worker never takes a trial while it has one."""

_OBJECTIVE = Path(__file__).with_name("objective.py")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the objective's own log.

    Attributes:
        what: ``begin`` or ``end``.
        at: Seconds since the epoch.
    """

    what: str
    trial: str
    attempt: int
    host: str
    at: float


class Cluster:
    """Starts the commands of one study and reads what they leave.

    Args:
        network: Where they run.
        run_cli: Starts them.
        folder: Where the study and its run are.
    """

    def __init__(self, network: Network, run_cli: CommandLine, folder: Path) -> None:
        self.head, self.nodes = network.head, network.nodes
        self.address = format_address(self.head.address, PORT)
        self.run = folder / "run"
        self._credentials = folder / "credentials"
        self._run_cli = run_cli
        self._folder = folder
        self._study = folder / "test.yaml"

    def write_study(self, **keys: Any) -> None:
        """Write the study file: one small cycle, unless told otherwise."""
        options = {"folder": str(self._folder), "seconds": _SECONDS}
        self._study = write_study(self._folder, worker=f"{_OBJECTIVE}:Held", worker_options=options, **keys)

    def write_plain_study(self, evaluations: int) -> None:
        """Write a study file of this many trials, ``0.0``, ``1.0``, and so on, handed out in this order."""
        self.write_study(fidelity={"min": 1, "max": 1}, method="random", stop={"evaluations": evaluations})

    def start_master(self, *options: object, host: str = "", lease: float = 60.0, grace: float = 5.0) -> Running:
        """The master, under way: it has its port.

        Args:
            options: More options of the command.
            host: Address to listen on; by default the IPv4 address of the head.
            lease: Seconds of a lease.
            grace: Seconds that a worker may take to come back.
        """
        if not self._credentials.exists():
            names = ("--host", self.head.address, "--host", self.head.address6)
            self.head.run(self._run_cli.program("bohb-master"), "credentials", self._credentials, *names)
        study = (self._study, "--run-dir", self.run, "--lease", lease, "--grace", grace)
        listen = ("--host", host or self.head.address, "--port", PORT, "--credentials", self._credentials)
        master = self._start(self.head, "bohb-master", "run", *study, *listen, *options)

        def is_up() -> bool:
            announced = RunDirectory(self.run).read_address()
            return announced is not None and announced.pid == master.process.pid

        wait_until(lambda: is_up() or master.process.poll() is not None, seconds=30)
        assert master.process.poll() is None, master.stderr
        return master

    def start_worker(self, host: Host, name_server: str = "") -> Running:
        """A worker of the host's name."""
        where = ("--nameserver", name_server or self.address, "--study", "test")
        who = ("--credentials", self._credentials / "worker", "--name", host.name, "--log-json")
        return self._start(host, "bohb-worker", *where, *who)

    def start(self, host: Host, *command: object) -> Running:
        """Any command on a host."""
        return self._run_cli.start(*host.command(*command))

    def _start(self, host: Host, command: str, *options: object) -> Running:
        return self.start(host, self._run_cli.program(command), *options)

    def status(self) -> dict[str, Any]:
        """What `bohb-master status --json` says on the head."""
        command = (self._run_cli.program("bohb-master"), "status", self.run, "--json")
        status: dict[str, Any] = json.loads(self.head.run(*command))
        return status

    def wait_until_heard(self, host: Host, since: float) -> None:
        """Wait until the master has heard of the host's worker after this monotonic time, for certain."""

        def is_heard() -> bool:
            asked = time.monotonic()
            return any(
                each["name"] == host.name and each["seen_s"] < asked - since for each in self.status()["workers"]
            )

        wait_until(is_heard, seconds=30)

    # -- the objective ---------------------------------------------------------------------------------------

    def hold(self, *names: str) -> None:
        """Hold the trials on a host, a trial, or an attempt of it (``TRIAL-ATTEMPT``) before their end."""
        for name in names:
            (self._folder / f"hold-{name}").touch()

    def release(self, *names: str) -> None:
        """Let go what was held."""
        for name in names:
            (self._folder / f"hold-{name}").unlink()

    def entries(self, what: str, host: str = "", trial: str = "") -> list[Entry]:
        """What the objective itself wrote down, in order."""
        log = self._folder / "entries"
        lines = log.read_text().splitlines() if log.exists() else []
        every = [Entry(*json.loads(line)) for line in lines]
        return [e for e in every if e.what == what and host in {"", e.host} and trial in {"", e.trial}]

    def wait_for(self, what: str, host: str = "", trial: str = "", seconds: float = 30.0) -> Entry:
        """The first entry of this kind; waits for it."""
        return wait_until(lambda: self.entries(what, host, trial), seconds)[0]
