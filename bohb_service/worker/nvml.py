"""The NVIDIA GPUs of this machine, as their driver tells them."""

import contextlib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, or a part of one that is divided (MIG).

    Attributes:
        uuid: Its identity, ``GPU-...`` or ``MIG-...``.
        name: Its model.
        memory: Bytes of memory; 0 where it has none of its own, but uses the machine's.
        whole: Identity of the GPU of which it is a part; empty if it is none.
    """

    uuid: str
    name: str
    memory: int
    whole: str = ""


@dataclass(frozen=True, slots=True)
class GpuReading:
    """What could be found out.

    Attributes:
        gpus: In the order of their indices; for one that is divided its parts, since it cannot be used as a whole.
        driver: Version of the driver; empty if there is none.
        problem: Why they could not be looked at; empty if they could, or there are none.
    """

    gpus: tuple[Gpu, ...] = ()
    driver: str = ""
    problem: str = ""


def read_gpus(devices: Path = Path("/dev")) -> GpuReading:
    """The GPUs of this machine; without a driver, or without the extra ``gpu``, none.

    Args:
        devices: Where device files are.
    """
    has_files = next(devices.glob("nvidia[0-9]*"), None) is not None
    try:
        nvml = import_module("pynvml")
    except ImportError:
        return GpuReading(problem="the library nvidia-ml-py is not installed" if has_files else "")
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return GpuReading(problem=str(error) if has_files else "")
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())]
        gpus = [gpu for handle in handles for gpu in _gpus(nvml, handle)]
        return GpuReading(tuple(gpus), _text(nvml.nvmlSystemGetDriverVersion()))
    except nvml.NVMLError as error:
        return GpuReading(problem=str(error))
    finally:
        with contextlib.suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def _gpus(nvml: Any, handle: Any) -> list[Gpu]:
    """The GPU, or its parts."""
    gpu = _gpu(nvml, handle)
    try:
        is_divided = nvml.nvmlDeviceGetMigMode(handle)[0] == nvml.NVML_DEVICE_MIG_ENABLE
    except nvml.NVMLError:  # it is of a model that cannot be divided
        is_divided = False
    if not is_divided:
        return [gpu]
    parts = []
    for number in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        with contextlib.suppress(nvml.NVMLError):  # not all numbers are taken
            parts.append(_gpu(nvml, nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number), gpu.uuid))
    return parts


def _gpu(nvml: Any, handle: Any, whole: str = "") -> Gpu:
    memory = 0
    with contextlib.suppress(nvml.NVMLError):
        memory = int(nvml.nvmlDeviceGetMemoryInfo(handle).total)
    return Gpu(_text(nvml.nvmlDeviceGetUUID(handle)), _text(nvml.nvmlDeviceGetName(handle)), memory, whole)


def _text(value: str | bytes) -> str:
    """Older versions of the library return bytes."""
    return value.decode() if isinstance(value, bytes) else value
