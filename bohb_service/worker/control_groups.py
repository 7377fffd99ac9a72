"""The control groups of this process, by which containers and batch systems limit memory and cores."""

from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    """A group that counts this process's memory, together with that of others.

    Attributes:
        folder: Its files.
        is_unified: It is one of version 2.
    """

    folder: Path
    is_unified: bool

    @property
    def limit(self) -> int | None:
        """Bytes that all its processes may use together; None where there is no limit, or no such group here."""
        return _number(self.folder / ("memory.max" if self.is_unified else "memory.limit_in_bytes"))

    @property
    def used(self) -> int | None:
        """Bytes that they use now; None where there is no such group here."""
        return _number(self.folder / ("memory.current" if self.is_unified else "memory.usage_in_bytes"))

    @property
    def events(self) -> Path:
        """The file that counts what was killed for want of memory."""
        return self.folder / ("memory.events" if self.is_unified else "memory.oom_control")


@dataclass(frozen=True, slots=True)
class CpuGroup:
    """A group that limits the processor time of this process, together with that of others.

    Attributes:
        folder: Its files.
        is_unified: It is one of version 2.
    """

    folder: Path
    is_unified: bool

    @property
    def limit(self) -> float | None:
        """Cores whose time all its processes may use together; None where there is no limit, or no such group here."""
        if self.is_unified:
            quota, period = _numbers(self.folder / "cpu.max", 2)
        else:
            (quota,) = _numbers(self.folder / "cpu.cfs_quota_us", 1)
            (period,) = _numbers(self.folder / "cpu.cfs_period_us", 1)
        return quota / period if quota is not None and quota > 0 and period else None


def memory_groups(root: Path = _ROOT, own: Path = _OWN) -> list[MemoryGroup]:
    """This process's groups for memory, each inside of the next one; in a container only the last may be there.

    Args:
        root: Where control groups are.
        own: File that names this process's.
    """
    return [MemoryGroup(folder, is_unified=unified) for folder, unified in _groups("memory", root, own)]


def cpu_groups(root: Path = _ROOT, own: Path = _OWN) -> list[CpuGroup]:
    """This process's groups for processor time, as `memory_groups`.

    Args:
        root: Where control groups are.
        own: File that names this process's.
    """
    return [CpuGroup(folder, is_unified=unified) for folder, unified in _groups("cpu", root, own)]


def _groups(controller: str, root: Path, own: Path) -> list[tuple[Path, bool]]:
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        base = root / controller if controllers else root
        group = base / path.lstrip("/")
        inner = [folder for folder in (group, *group.parents) if folder.is_relative_to(base)]
        found += [(folder, not controllers) for folder in inner]
    return found


def _number(file: Path) -> int | None:
    (number,) = _numbers(file, 1)
    return number


def _numbers(file: Path, count: int) -> list[int | None]:
    """The numbers in a file; None for each where one is missing or none, as the "max" that is no limit."""
    try:
        numbers = [int(word) for word in file.read_text(encoding="ascii").split()]
    except (OSError, ValueError):
        numbers = []
    return [*numbers] if len(numbers) == count else [None] * count
