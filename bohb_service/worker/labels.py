"""What a worker has of that which trials may need."""

import os
from collections.abc import Mapping
from pathlib import Path

import psutil

from bohb_service.scheduler.needs import Label
from bohb_service.worker.devices import visible_devices

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def own_labels(given: Mapping[str, Label]) -> dict[str, Label]:
    """The labels of a worker: what is found here, and what it was given, which wins.

    Args:
        given: From the command line.

    Returns:
        At least ``gpu`` (devices that it may use), ``cpus`` (cores) and ``memory_mb`` (MiB, of the machine or of the
        container).
    """
    found: dict[str, Label] = {}
    if "gpu" not in given:
        found["gpu"] = len(visible_devices())
    if "cpus" not in given:
        found["cpus"] = _n_cpus()
    if "memory_mb" not in given:
        found["memory_mb"] = _memory_mib()
    return {**found, **given}


def _n_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory_mib() -> int:
    size: int = psutil.virtual_memory().total
    for path in _CGROUP_LIMITS:
        try:
            size = min(size, int(path.read_text()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return size >> 20
