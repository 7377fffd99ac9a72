"""The graphics devices that a worker may use."""

import os
from collections.abc import Mapping, Sequence
from itertools import takewhile

from bohb_service.worker.nvml import GpuReading, read_gpus

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The variable by which batch systems, and we, say which devices a process may use."""


def visible_devices(environment: Mapping[str, str] | None = None, reading: GpuReading | None = None) -> tuple[str, ...]:
    """The devices that may be used, as `VISIBLE` takes them, each once.

    Where it is set, those that it names, up to the first one that is no device: CUDA sees nothing from there on. They
    are believed where no driver can be asked. Where it is not set all that NVML tells, by UUID, since numbers may
    change; parts of divided GPUs (MIG) are devices.

    Args:
        environment: Variables; by default those of this process.
        reading: What `read_gpus` returned; by default it is asked.
    """
    given = (os.environ if environment is None else environment).get(VISIBLE)
    found = read_gpus() if reading is None else reading
    if given is None:
        return tuple(gpu.uuid for gpu in found.gpus)
    names = takewhile(lambda name: is_device(name, found), named_devices(given))
    return tuple(dict.fromkeys(names))


def named_devices(given: str) -> list[str]:
    """What a value of `VISIBLE` names, whether that is there or not.

    Args:
        given: The value.
    """
    return [name.strip() for name in given.split(",")]


def is_device(name: str, reading: GpuReading) -> bool:
    """Whether CUDA would find it.

    Args:
        name: One of `named_devices`: an index, or the identity of a GPU or of a part of one, or as much of the start of
            it as no other has.
        reading: What is there; where that could not be found out, any well-formed name is.
    """
    wholes = dict.fromkeys(gpu.whole or gpu.uuid for gpu in reading.gpus)
    if name.isdecimal():
        return not wholes or int(name) < len(wholes)
    if name.startswith("MIG-GPU-"):  # as older drivers name parts: by the whole and two numbers
        return True
    parts = [gpu.uuid for gpu in reading.gpus if gpu.whole]
    if name.startswith(("GPU-", "MIG-")):
        return not wholes or sum(uuid.startswith(name) for uuid in (*wholes, *parts)) == 1
    return False


def n_usable(devices: Sequence[str]) -> int:
    """How many of the visible devices one process can use: of parts of divided GPUs only one.

    Args:
        devices: What `visible_devices` returned.
    """
    return 1 if any(device.startswith("MIG-") for device in devices) else len(devices)
