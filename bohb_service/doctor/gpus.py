"""Which GPUs this machine has, and which of them an objective would see."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from bohb_service.doctor.finding import Finding
from bohb_service.doctor.wording import size
from bohb_service.worker.devices import VISIBLE, visible_devices
from bohb_service.worker.nvml import Gpu, GpuReading


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
    listed = "; ".join(f"{gpu.name}, {_memory(gpu)}, {gpu.uuid}" for gpu in reading.gpus)
    findings = [Finding.ok("GPUs", f"{len(reading.gpus)} with driver {reading.driver}: {listed}")]
    if visible is not None:
        findings.append(judge_visible(visible, list(dict.fromkeys(gpu.whole or gpu.uuid for gpu in reading.gpus))))
    if torch.endswith("+cpu"):
        findings.append(
            Finding.warn("PyTorch", f"{torch} is a build without CUDA", "install a build of PyTorch with CUDA")
        )
    return findings


def judge_visible(visible: str, uuids: Sequence[str]) -> Finding:
    """Whether ``CUDA_VISIBLE_DEVICES`` names GPUs that are there.

    Args:
        visible: Its value.
        uuids: Identities of the whole GPUs, in the order of their indices.
    """
    names = visible_devices({VISIBLE: visible})
    unknown = [name for name in names if not _is_there(name, uuids)]
    if unknown:
        return Finding.fail(
            VISIBLE,
            f"{visible!r} names {', '.join(unknown)}, and there are {len(uuids)} GPUs; CUDA hides it and all behind it",
            "correct or unset the variable; under a cluster's scheduler, ask it for GPUs",
        )
    if not names:
        return Finding.warn(VISIBLE, f"{visible!r}: objectives see no GPU", "unset it where they are to use GPUs")
    return Finding.ok(VISIBLE, f"{visible}: {len(names)} of {len(uuids)} GPUs are seen")


def _memory(gpu: Gpu) -> str:
    return size(gpu.memory) if gpu.memory else "memory of the machine"


def _is_there(name: str, uuids: Sequence[str]) -> bool:
    if name.isdigit():
        return int(name) < len(uuids)
    # A part of a GPU (MIG) is not in the list of whole ones; the start of an identity is enough for CUDA.
    return name.startswith("MIG-") or any(uuid.startswith(name) for uuid in uuids)
