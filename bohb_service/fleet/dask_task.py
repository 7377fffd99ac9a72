"""What runs inside Dask's workers: a task that holds one `bohb-worker` process, from its start to its end.

Dask's workers run tasks in threads, and a `bohb-worker` needs a process of its own for its signals. The process ends
with the thread that holds it, so a Dask worker that is killed leaves nothing behind.
"""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

from bohb_service.exit_codes import ExitCode
from bohb_service.fleet.fleet import WORKER_MODULE, worker_environment
from bohb_service.fleet.last_words import last_words
from bohb_service.parent import follow_parent

_DONE = frozenset({ExitCode.OK, ExitCode.TRY_AGAIN, ExitCode.INTERRUPTED})

_held: dict[str, "subprocess.Popen[bytes]"] = {}
_ended: set[str] = set()


@dataclass(frozen=True, slots=True)
class Order:
    """One worker to hold.

    Attributes:
        unit: Name of the unit.
        arguments: Options of `bohb-worker` that say where the master is.
    """

    unit: str
    arguments: tuple[str, ...]


def hold_worker(order: Order) -> int:
    """The exit code of a worker, when it has ended.

    Raises:
        RuntimeError: It could not work; the message says why.
    """
    if order.unit in _ended:
        return ExitCode.TRY_AGAIN
    # Dask does a task again whose worker was lost; the name must tell the second start from the first.
    name = f"{order.unit}.{secrets.token_hex(2)}"
    command = [sys.executable, "-m", __name__, *order.arguments, "--log-json", "--name", name]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(  # noqa: S603  (our own program)
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=worker_environment()
        )
        _held[order.unit] = process
        if order.unit in _ended:  # that was said while it started
            process.terminate()
        try:
            code = process.wait()
        finally:
            del _held[order.unit]
        if code in _DONE or order.unit in _ended:
            return code
        raise RuntimeError(f"exit code {code}: {last_words(output)}")


def held_units() -> list[str]:
    """The units that this process holds."""
    return list(_held)


def end_units(units: Sequence[str]) -> None:
    """Let the workers of these units give back what they have, and end; also those that are about to be started."""
    _ended.update(units)
    for unit in units:
        process = _held.get(unit)
        if process is not None:
            process.terminate()


def main() -> None:
    """Become a `bohb-worker` that gets SIGTERM when the thread that started it is gone."""
    follow_parent(os.getppid())
    os.execv(sys.executable, [sys.executable, "-m", WORKER_MODULE, *sys.argv[1:]])  # noqa: S606


if __name__ == "__main__":
    main()
