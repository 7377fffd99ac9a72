"""The control groups of this process, by which containers and batch systems limit its memory."""

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


def memory_groups(root: Path = _ROOT, own: Path = _OWN) -> list[MemoryGroup]:
    """This process's groups, each inside of the next one; in a container only the last may be there.

    Args:
        root: Where control groups are.
        own: File that names this process's.
    """
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        base = root / "memory" if controllers else root
        group = base / path.lstrip("/")
        inner = [folder for folder in (group, *group.parents) if folder.is_relative_to(base)]
        found += [MemoryGroup(folder, is_unified=not controllers) for folder in inner]
    return found


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):  # ValueError: "max"
        return None
