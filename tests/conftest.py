"""What all tests share: a quiet environment, the Hypothesis profiles, and the project's commands as processes."""

import gc
import os
import signal
import subprocess
import sysconfig
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, settings

from bohb_service import log_context

ROOT = Path(__file__).parents[1]

# Set here, because NumPy reads it when it is first imported; child processes inherit it.
os.environ["OMP_NUM_THREADS"] = "1"
for _name in [name for name in os.environ if name.startswith("BOHB_")]:
    del os.environ[_name]
# A shell lets what it runs in the background ignore interrupts, and so would all commands that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How fast an example runs says more about the machine's other work than about the code.
settings.register_profile("dev", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), max_examples=100, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    """Commands that are run in this process set the garbage collector as they need it."""
    callbacks = list(gc.callbacks)
    yield
    gc.callbacks[:] = callbacks
    gc.unfreeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _log_context() -> Iterator[None]:
    """Commands that are run in this process say what their log lines are about."""
    yield
    log_context.clear()


@dataclass(frozen=True, slots=True)
class Running:
    """A command under way; its output goes to two files, so that it never waits for a reader."""

    process: subprocess.Popen[bytes]
    stdout_path: Path
    stderr_path: Path

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return self.stdout_path.read_text()

    @property
    def stderr(self) -> str:
        """What it has logged so far."""
        return self.stderr_path.read_text()

    def wait(self, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Exit code and output; the test fails when the command takes longer than `timeout` seconds."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            command = " ".join(map(str, self.process.args))
            pytest.fail(f"{command} still ran after {timeout} s\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}")
        return subprocess.CompletedProcess(self.process.args, code, self.stdout, self.stderr)


class CommandLine:
    """Runs the installed commands; whatever they leave behind is killed with `close`.

    `run_cli("bohb-master", "status")` waits for the end, `run_cli.start("bohb-worker")` does not.
    Each command leads its own process group. Its environment carries a mark, by which also those
    descendants are found that moved to a group of their own.
    """

    _MARK = "TEST_RUN_MARK"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._value = uuid.uuid4().hex
        self._started: list[Running] = []

    def environment(self) -> dict[str, str]:
        """The environment of what is started here; it carries the mark."""
        return {**os.environ, self._MARK: self._value}

    @staticmethod
    def program(command: str | Path) -> Path:
        """The path of a command of this environment; any other path stays as it is."""
        return Path(sysconfig.get_path("scripts")) / command

    def start(
        self, command: str | Path, *args: object, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> Running:
        """A command of this environment, or of another one when given by its path, in the test's folder or `cwd`."""
        program = self.program(command)
        name = f"{len(self._started)}-{program.name}"
        running_env = {**self.environment(), **(env or {})}
        out, err = self._folder / f"{name}.out", self._folder / f"{name}.err"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [str(program), *map(str, args)],
                cwd=cwd or self._folder,
                env=running_env,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        self._started.append(Running(process, out, err))
        return self._started[-1]

    def __call__(
        self,
        command: str | Path,
        *args: object,
        timeout: float = 60,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Exit code and output of a command that ends by itself."""
        return self.start(command, *args, cwd=cwd, env=env).wait(timeout)

    def survivors(self) -> list[psutil.Process]:
        """Processes started here, or by those, that are still alive."""
        return [process for process in psutil.process_iter() if self._is_marked(process)]

    def close(self) -> None:
        """Kill what is still alive."""
        for running in self._started:
            if running.process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(running.process.pid, signal.SIGKILL)
            running.process.wait()
        deadline = time.monotonic() + 10
        while (alive := self.survivors()) and time.monotonic() < deadline:
            for process in alive:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(alive, timeout=1)

    def _is_marked(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(self._MARK) == self._value
        except psutil.Error:  # gone, a zombie, or somebody else's
            return False


@pytest.fixture
def run_cli(tmp_path: Path) -> Iterator[CommandLine]:
    folder = tmp_path / "commands"
    folder.mkdir()
    command_line = CommandLine(folder)
    yield command_line
    command_line.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no data sets in {folder}")
    return folder
