"""What this process may use of the machine."""

import os
import resource
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from bohb_service.doctor.finding import Finding
from bohb_service.doctor.wording import size
from bohb_service.errors import TransportError
from bohb_service.rpc.daemon import share_descriptors
from bohb_service.worker.control_groups import MemoryGroup, memory_groups
from bohb_service.worker.labels import own_cores

FEW_WORKERS = 500
"""A master that has room for fewer is told."""

MASTER_BYTES = 512 << 20
WORKER_BYTES = 256 << 20
_LEAST_BYTES = 160 << 20
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory that there is.

    Attributes:
        available: Bytes that can be had without swapping.
        limited_by: What limits it.
    """

    available: int
    limited_by: str = "this machine"


def check_limits(*, serves: bool, limit_memory_mb: int | None = None) -> list[Finding]:
    """What is to be said of this process's limits.

    Args:
        serves: Whether a master is to run here; a worker needs fewer open files.
        limit_memory_mb: What the study allows to an evaluation, in MiB, if that is known.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    findings = [judge_open_files(soft, hard) if serves else judge_worker_files(soft, hard)]
    findings.append(judge_memory(memory(memory_groups()), MASTER_BYTES if serves else WORKER_BYTES, limit_memory_mb))
    address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
    if address_space != resource.RLIM_INFINITY:
        findings.append(
            Finding.warn(
                "address space",
                f"limited to {size(address_space)}, which counts memory that is only reserved; GPUs reserve a lot",
                "`ulimit -v unlimited`, and use `limits: {memory_mb: ...}` in the study file instead",
            )
        )
    return [*findings, judge_cores(own_cores(), os.environ.get("OMP_NUM_THREADS"))]


def judge_open_files(soft: int, hard: int) -> Finding:
    """For how many workers a master has room.

    Args:
        soft: Limit of open files of a process, or a negative number for none.
        hard: What a process may raise it to.
    """
    most = 1 << 16
    limit = most if hard < 0 else max(soft, min(hard, most))
    remedy = "raise the hard limit: `ulimit -Hn 65536`, LimitNOFILE= of systemd, or --ulimit nofile= of a container"
    try:
        room, _ = share_descriptors(limit)
    except TransportError:
        return Finding.fail("open files", f"{limit}, too few to serve anybody", remedy)
    found = f"{limit}, so room for {room} connections"
    return Finding.warn("open files", found, remedy) if room < FEW_WORKERS else Finding.ok("open files", found)


def judge_worker_files(soft: int, hard: int) -> Finding:
    """Whether an objective will be able to open its files.

    Args:
        soft: Limit of open files of a process, or a negative number for none.
        hard: What a process may raise it to.
    """
    if 0 <= soft < 256:
        return Finding.warn("open files", f"{soft} at most", f"`ulimit -n {hard if hard > 0 else 4096}`")
    return Finding.ok("open files", "no limit" if soft < 0 else f"{soft} at most")


def judge_memory(found: Memory, wanted: int, limit_mb: int | None) -> Finding:
    """Whether there is enough memory.

    Args:
        found: What there is.
        wanted: What should be there, in bytes.
        limit_mb: What the study allows to an evaluation, in MiB, or None.
    """
    text = f"{size(found.available)} available ({found.limited_by})"
    if found.available < _LEAST_BYTES:
        return Finding.fail("memory", text, "end other processes, or take a larger machine")
    if limit_mb is not None and found.available < limit_mb * _MIB:
        return Finding.warn(
            "memory",
            f"{text}, less than the {limit_mb} MiB that the study allows to one evaluation",
            "start fewer workers here, or take a larger machine: the system may kill what the study allows",
        )
    if found.available < wanted:
        return Finding.warn("memory", text, "end other processes, start fewer workers, or take a larger machine")
    return Finding.ok("memory", text)


def judge_cores(n_cores: int, threads: str | None) -> Finding:
    """Whether workers beside each other would fight for the cores.

    Args:
        n_cores: Cores that this process may use.
        threads: The variable ``OMP_NUM_THREADS``, or None.
    """
    if threads is None and n_cores > 1:
        return Finding.ok(
            "cores",
            f"{n_cores}; OMP_NUM_THREADS is not set, so each objective may use all: set it where several workers run",
        )
    return Finding.ok("cores", f"{n_cores}" + (f"; OMP_NUM_THREADS={threads}" if threads else ""))


def memory(groups: Sequence[MemoryGroup]) -> Memory:
    """What memory there is for this process.

    Args:
        groups: Its control groups.
    """
    free = Memory(psutil.virtual_memory().available)
    for group in groups:
        limit, used = group.limit, group.used
        if limit is not None and used is not None and limit - used < free.available:
            free = Memory(max(0, limit - used), f"control group {group.folder}")
    return free
