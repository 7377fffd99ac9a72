"""Who uses the memory: resident size of an objective, and what the kernel's OOM killer did."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bohb_service.clock import Clock
from bohb_service.worker.control_groups import memory_groups

if TYPE_CHECKING:
    import psutil

SAMPLE_INTERVAL_S = 0.25
"""How often the resident size is measured, at most."""

_MAX_CPU_SHARE = 0.05
_MIB = 1 << 20


class MemoryGauge:
    """Measures a process and all its descendants.

    Attributes:
        peak_mib: Largest size measured since the last `reset`, in MiB.

    Args:
        pid: The process.
        clock: Measures the cost of measuring.
    """

    def __init__(self, pid: int, clock: Clock) -> None:
        self._pid = pid
        self._clock = clock
        self.peak_mib = 0.0
        self.next_sample = clock.monotonic()

    def reset(self) -> None:
        """Forget the peak."""
        self.peak_mib = 0.0

    def sample(self, limit_mib: float) -> bool:
        """Whether the limit is passed now.

        The sum of resident sizes counts pages shared by forked processes once for each; only where that
        sum passes the limit, the proportional sizes decide, which cost more to measure. The next sample
        is set so far ahead that sampling takes at most a twentieth of a core.

        Args:
            limit_mib: Size allowed, in MiB.
        """
        started = self._clock.monotonic()
        processes = process_tree(self._pid)
        total = _resident_bytes(processes)
        if total > limit_mib * _MIB and len(processes) > 1:
            total = _proportional_bytes(processes)
        now = self._clock.monotonic()
        self.next_sample = now + max(SAMPLE_INTERVAL_S, (now - started) / _MAX_CPU_SHARE)
        self.peak_mib = max(self.peak_mib, total / _MIB)
        return total > limit_mib * _MIB


def process_tree(pid: int) -> "list[psutil.Process]":
    """The process and its living descendants, in whatever process group they are; empty if it is gone."""
    # Loaded at first use: the worker process of a study without a memory limit stays small.
    import psutil

    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def kill_processes(processes: "Sequence[psutil.Process]") -> None:
    """Kill each process that still is the one it was when it was listed."""
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _resident_bytes(processes: "Sequence[psutil.Process]") -> int:
    import psutil

    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def _proportional_bytes(processes: "Sequence[psutil.Process]") -> int:
    import psutil

    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += getattr(process.memory_full_info(), "pss", process.memory_info().rss)
    return total


class OomWatch:
    """Tells whether the kernel's OOM killer struck since the watch was made.

    The counter of this process's control group is read if there is one, in version 2 or 1, otherwise
    that of the whole machine.

    Args:
        files: Files with a line ``oom_kill N``; by default those of this process.
    """

    def __init__(self, files: Sequence[Path] | None = None) -> None:
        self._files = _counter_files() if files is None else files
        self._before = self._read()

    def has_struck(self) -> bool:
        """Whether a counter rose."""
        return any(now > before for now, before in zip(self._read(), self._before, strict=True))

    def _read(self) -> list[int]:
        return [_counter(file) or 0 for file in self._files]


def _counter_files() -> list[Path]:
    candidates = [group.events for group in memory_groups()]
    found = next((file for file in candidates if _counter(file) is not None), None)
    return [found] if found is not None else [Path("/proc/vmstat")]


def _counter(file: Path) -> int | None:
    try:
        for line in file.read_text(encoding="utf-8").splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    except (OSError, ValueError):
        pass
    return None
