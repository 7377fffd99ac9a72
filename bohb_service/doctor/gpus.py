"""Which GPUs this machine has, and which of them an objective would see."""

from importlib.metadata import PackageNotFoundError, version

from bohb_service.doctor.finding import Finding
from bohb_service.doctor.wording import size
from bohb_service.worker.devices import VISIBLE, is_device, n_usable, named_devices, visible_devices
from bohb_service.worker.nvml import Gpu, GpuReading

_NONE = frozenset({"", "-1", "NoDevFiles"})
"""How users and batch systems say that there is to be no device."""


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
    findings = [_judge_found(reading)]
    if visible is not None:
        findings.append(judge_visible(visible, reading))
    if reading.gpus and torch.endswith("+cpu"):
        findings.append(
            Finding.warn("PyTorch", f"{torch} is a build without CUDA", "install a build of PyTorch with CUDA")
        )
    return findings


def judge_visible(visible: str, reading: GpuReading) -> Finding:
    """What workers make of ``CUDA_VISIBLE_DEVICES``.

    Args:
        visible: Its value.
        reading: What `read_gpus` returned.
    """
    names = [name for name in named_devices(visible) if name not in _NONE]
    unknown = [name for name in names if not is_device(name, reading)]
    seen = visible_devices({VISIBLE: visible}, reading)
    if unknown:
        return Finding.fail(
            VISIBLE,
            f"{visible!r} names {', '.join(unknown)}, which is not here; CUDA hides it and all behind it, and workers "
            f"have {n_usable(seen)} GPUs",
            "correct or unset the variable; under a cluster's scheduler, ask it for GPUs",
        )
    if not seen:
        return Finding.warn(VISIBLE, f"{visible!r}: objectives see no GPU", "unset it where they are to use GPUs")
    if not reading.gpus:
        return Finding.warn(
            VISIBLE,
            f"{visible}: workers believe it and take what needs {n_usable(seen)} GPUs, though none was found",
            "unset it if there are none; if there are, install their driver and 'bohb-service[gpu]', or leave it so",
        )
    return Finding.ok(VISIBLE, f"{visible}: workers have {n_usable(seen)} GPUs")


def _judge_found(reading: GpuReading) -> Finding:
    if reading.problem:
        remedy = "pip install 'bohb-service[gpu]'" if "nvidia-ml-py" in reading.problem else "mend the NVIDIA driver"
        return Finding.warn("GPUs", f"there are some, but they cannot be looked at: {reading.problem}", remedy)
    if not reading.gpus:
        return Finding.ok("GPUs", "none")
    listed = "; ".join(f"{gpu.name}, {_memory(gpu)}, {gpu.uuid}" for gpu in reading.gpus)
    return Finding.ok("GPUs", f"{len(reading.gpus)} with driver {reading.driver}: {listed}")


def _memory(gpu: Gpu) -> str:
    return size(gpu.memory) if gpu.memory else "memory of the machine"
