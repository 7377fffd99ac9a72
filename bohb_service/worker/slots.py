"""Several workers of one machine, each a process of its own with its share of the machine."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bohb_service.clock import SystemClock
from bohb_service.errors import StudyError
from bohb_service.exit_codes import ExitCode
from bohb_service.scheduler.needs import Label
from bohb_service.worker.devices import VISIBLE, visible_devices
from bohb_service.worker.keeper import Keeper
from bohb_service.worker.labels import own_labels

PARENT = "BOHB_SLOT_OF"
"""The variable that names the process which started a slot."""

_LOOK_S = 0.2

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@dataclass(frozen=True, slots=True)
class Slot:
    """One worker.

    Attributes:
        name: Its name.
        device: The device that it may use, as `VISIBLE` takes it; None where there are none.
        labels: Its share of the machine.
    """

    name: str
    device: str | None
    labels: Mapping[str, Label]


def plan_slots(n_slots: int, per_device: int, name: str, given: Mapping[str, Label]) -> list[Slot]:
    """The slots of this machine: one device each, cores and memory in equal shares.

    Args:
        n_slots: How many, at least 1.
        per_device: How many may share a device, at least 1.
        name: Begins the names of all.
        given: Labels from the command line, which win.

    Raises:
        StudyError: There are devices, but not enough.
    """
    devices = visible_devices()
    n_places = per_device * len(devices)
    if devices and n_slots > n_places:
        raise StudyError(
            f"--slots {n_slots}: {_plural(len(devices), 'device')} with {_plural(per_device, 'slot')} each; "
            f"ask for at most {n_places}, or let slots share a device with --slots-per-gpu (BOHB_SLOTS_PER_GPU)"
        )
    shares = {label: int(amount) // n_slots for label, amount in own_labels(given).items() if label not in given}
    labels = {**shares, "gpu": min(1, len(devices)), "cpus": max(1, shares.get("cpus", 1)), **given}
    return [
        Slot(f"{name}.{number}", devices[number % len(devices)] if devices else None, labels)
        for number in range(n_slots)
    ]


def run_slots(slots: Sequence[Slot], command: Sequence[str]) -> int:
    """Run one worker for each slot until all have ended; signals go to all of them.

    In place of one that is killed, by an operator or for want of memory, another one is started, so that no device lies
    idle.

    Args:
        slots: What each may use.
        command: The command of a worker, to which its name and labels are added.

    Returns:
        0 if all ended so; 75 if one was preempted; else the code of the first one that did not end with 0.
    """
    received: list[int] = []
    clock = SystemClock()
    workers = [Keeper(slot.name, partial(_start, slot, command), received, clock) for slot in slots]

    def forward(number: int, _frame: object) -> None:
        received.append(number)
        for worker in workers:
            worker.send(number)

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        while None in (codes := [worker.look() for worker in workers]):
            time.sleep(_LOOK_S)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if ExitCode.TRY_AGAIN in codes or (received and any(code < 0 for code in codes if code)):
        return ExitCode.TRY_AGAIN
    return next((code if code > 0 else ExitCode.FAILURE for code in codes if code), ExitCode.OK)


def _start(slot: Slot, command: Sequence[str], name: str) -> subprocess.Popen[bytes]:
    arguments = [*command, "--slots", "0", "--name", name]
    for label, value in slot.labels.items():
        arguments += ["--label", f"{label}={value}"]
    environment = {**os.environ, PARENT: str(os.getpid())}
    if slot.device is not None:
        # Before anything is imported there; and no more than was visible here.
        environment[VISIBLE] = slot.device
    # A session of its own: an interrupt at the terminal comes from here alone, once.
    return subprocess.Popen(arguments, env=environment, start_new_session=True)  # noqa: S603  (our own program)


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
