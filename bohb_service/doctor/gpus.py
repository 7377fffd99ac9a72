"""Which GPUs this machine has, and which of them an objective would see."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bohb_service.doctor.finding import Finding
from bohb_service.doctor.wording import size

VARIABLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU.

    Attributes:
        uuid: Its identity, ``GPU-...``.
        name: Its model.
        memory: Bytes of memory.
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
    """The GPUs of this machine, as NVML tells them.

    Args:
        devices: Where device files are.
    """
    has_files = next(devices.glob("nvidia[0-9]*"), None) is not None
    try:
        import pynvml
    except ImportError:
        return GpuReading(problem="the library nvidia-ml-py is not installed" if has_files else "")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return GpuReading(problem=str(error) if has_files else "")
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        gpus = tuple(
            Gpu(
                _text(pynvml.nvmlDeviceGetUUID(handle)),
                _text(pynvml.nvmlDeviceGetName(handle)),
                int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
            )
            for handle in handles
        )
        return GpuReading(gpus, _text(pynvml.nvmlSystemGetDriverVersion()))
    except pynvml.NVMLError as error:
        return GpuReading(problem=str(error))
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def torch_version() -> str:
    """The version of PyTorch that is installed, without importing it; empty if none is."""
    try:
        return version("torch")
    except PackageNotFoundError:
        return ""


def judge_gpus(reading: GpuReading, visible: str | None, torch: str = "") -> list[Finding]:
    """What is to be said of the GPUs.

    Args:
        reading: What `read_gpus` returned.
        visible: The variable ``CUDA_VISIBLE_DEVICES``, or None.
        torch: What `torch_version` returned.
    """
    if reading.problem:
        remedy = "pip install 'bohb-service[gpu]'" if "nvidia-ml-py" in reading.problem else "mend the NVIDIA driver"
        return [Finding.warn("GPUs", f"there are some, but they cannot be looked at: {reading.problem}", remedy)]
    if not reading.gpus:
        return [Finding.ok("GPUs", "none")]
    listed = "; ".join(f"{gpu.name}, {size(gpu.memory)}, {gpu.uuid}" for gpu in reading.gpus)
    findings = [Finding.ok("GPUs", f"{len(reading.gpus)} with driver {reading.driver}: {listed}")]
    if visible is not None:
        findings.append(judge_visible(visible, [gpu.uuid for gpu in reading.gpus]))
    if torch.endswith("+cpu"):
        findings.append(
            Finding.warn("PyTorch", f"{torch} is a build without CUDA", "install a build of PyTorch with CUDA")
        )
    return findings


def judge_visible(visible: str, uuids: Sequence[str]) -> Finding:
    """Whether ``CUDA_VISIBLE_DEVICES`` names GPUs that are there.

    Args:
        visible: Its value.
        uuids: Identities of the GPUs, in the order of their indices.
    """
    names = [name.strip() for name in visible.split(",") if name.strip()]
    unknown = [name for name in names if not _is_there(name, uuids)]
    if unknown:
        return Finding.fail(
            VARIABLE,
            f"{visible!r} names {', '.join(unknown)}, and there are {len(uuids)} GPUs; CUDA hides it and all behind it",
            "correct or unset the variable; under a cluster's scheduler, ask it for GPUs",
        )
    if not names:
        return Finding.warn(VARIABLE, "empty: objectives see no GPU", "unset it where they are to use GPUs")
    return Finding.ok(VARIABLE, f"{visible}: {len(names)} of {len(uuids)} GPUs are seen")


def _is_there(name: str, uuids: Sequence[str]) -> bool:
    if name.isdigit():
        return int(name) < len(uuids)
    # A part of a GPU (MIG) is not in the list of whole ones; the start of an identity is enough for CUDA.
    return name.startswith("MIG-") or any(uuid.startswith(name) for uuid in uuids)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
