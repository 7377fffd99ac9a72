"""What a worker has of that which trials may need."""

import os
from collections.abc import Mapping

import psutil

from bohb_service.scheduler.needs import Label
from bohb_service.worker.control_groups import cpu_groups, memory_groups
from bohb_service.worker.devices import n_usable, visible_devices


def own_labels(given: Mapping[str, Label]) -> dict[str, Label]:
    """The labels of a worker: what is found here, and what it was given, which wins.

    Args:
        given: From the command line.

    Returns:
        At least ``gpu`` (devices that it may use), ``cpus`` (cores) and ``memory_mb`` (MiB): of the machine, or what
        its container or batch job allows.
    """
    found: dict[str, Label] = {}
    if "gpu" not in given:
        found["gpu"] = n_usable(visible_devices())
    if "cpus" not in given:
        found["cpus"] = own_cores()
    if "memory_mb" not in given:
        found["memory_mb"] = _memory_mib()
    return {**found, **given}


def own_cores() -> int:
    """How many cores this process may use: those that it may run on, or whose time its container is allowed."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = [int(limit) for group in cpu_groups() if (limit := group.limit) is not None]
    return max(1, min([own, *limits]))


def _memory_mib() -> int:
    limits = [limit for group in memory_groups() if (limit := group.limit) is not None]
    return min([psutil.virtual_memory().total, *limits]) >> 20
