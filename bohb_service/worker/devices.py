"""The graphics devices that a worker may use."""

import os
from collections.abc import Mapping, Sequence

from bohb_service.worker.nvml import read_gpus

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The variable by which batch systems, and we, say which devices a process may use."""

_NONE = frozenset({"", "-1", "NoDevFiles"})


def visible_devices(environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The devices that may be used, as `VISIBLE` takes them, each once.

    What is set there already is believed and nothing else is looked for. Otherwise NVML is asked, and the devices are
    told by UUID, since their numbers may change; parts of divided GPUs (MIG) are devices.

    Args:
        environment: Variables; by default those of this process.
    """
    given = (os.environ if environment is None else environment).get(VISIBLE)
    if given is None:
        return tuple(gpu.uuid for gpu in read_gpus().gpus)
    devices = []
    for device in given.split(","):
        if device.strip() in _NONE:  # CUDA itself sees nothing behind what is no device
            break
        devices.append(device.strip())
    return tuple(dict.fromkeys(devices))


def n_usable(devices: Sequence[str]) -> int:
    """How many of the visible devices one process can use: of parts of divided GPUs only one.

    Args:
        devices: What `visible_devices` returned.
    """
    return 1 if any(device.startswith("MIG-") for device in devices) else len(devices)
