"""The NVIDIA GPUs of this machine, as their driver tells them."""

import contextlib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU.

    Attributes:
        uuid: Its identity, ``GPU-...``.
        name: Its model.
        memory: Bytes of memory; 0 where it has none of its own, but uses the machine's.
    """

    uuid: str
    name: str
    memory: int


@dataclass(frozen=True, slots=True)
class GpuReading:
    """What could be found out.

    Attributes:
        gpus: In the order of their indices.
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
        gpus = tuple(_gpu(nvml, handle) for handle in handles)
        return GpuReading(gpus, _text(nvml.nvmlSystemGetDriverVersion()))
    except nvml.NVMLError as error:
        return GpuReading(problem=str(error))
    finally:
        with contextlib.suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def _gpu(nvml: Any, handle: Any) -> Gpu:
    memory = 0
    with contextlib.suppress(nvml.NVMLError):
        memory = int(nvml.nvmlDeviceGetMemoryInfo(handle).total)
    return Gpu(_text(nvml.nvmlDeviceGetUUID(handle)), _text(nvml.nvmlDeviceGetName(handle)), memory)


def _text(value: str | bytes) -> str:
    """Older versions of the library return bytes."""
    return value.decode() if isinstance(value, bytes) else value
