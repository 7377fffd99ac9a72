"""Which file system a path is on, as the kernel tells it."""

import re
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

_NETWORK = frozenset(
    {
        "9p",
        "acfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "fhgfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "mfs",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "prl_fs",
        "pvfs2",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
        "vmhgfs",
        "wekafs",
    }
)
_NETWORK_FUSE = frozenset(
    {
        "beegfs",
        "ceph",
        "curlftpfs",
        "davfs",
        "davfs2",
        "gcsfuse",
        "glusterfs",
        "goofys",
        "grpcfuse",
        "juicefs",
        "mfs",
        "mount.davfs",
        "osxfs",
        "rclone",
        "s3fs",
        "seaweedfs",
        "sshfs",
        "vmhgfs-fuse",
    }
)
_FLEETING = frozenset({"tmpfs", "ramfs"})
_CONTAINER = frozenset({"overlay", "aufs"})
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system.

    Attributes:
        point: Where it is mounted.
        kind: Its type, e.g. ``ext4`` or ``nfs4``.
        source: What is mounted: a device, or ``server:/path``.
    """

    point: Path
    kind: str
    source: str

    @property
    def is_network(self) -> bool:
        """Whether several machines may share it, or a host and its guest: no place for an SQLite file."""
        kind, _, inner = self.kind.partition(".")
        if kind in {"fuse", "fuseblk"}:
            return inner in _NETWORK_FUSE
        return self.kind in _NETWORK

    @property
    def is_fleeting(self) -> bool:
        """Whether it is memory, and gone with the next boot."""
        return self.kind in _FLEETING

    @property
    def is_container(self) -> bool:
        """Whether it is the layer of a container, and gone with it."""
        return self.kind in _CONTAINER


def mount_of(path: Path, text: str | None = None) -> Mount | None:
    """The file system on which a path is, or would be made; None where the kernel does not tell.

    Args:
        path: Need not exist.
        text: What `MOUNTS` says; None: read it.
    """
    if text is None:
        try:
            text = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return None
    resolved = path.resolve()
    # Of two file systems on one mount point the later hides the earlier.
    found = [mount for mount in map(_parse, text.splitlines()) if mount and resolved.is_relative_to(mount.point)]
    return max(reversed(found), key=lambda mount: len(mount.point.parts), default=None)


def _parse(line: str) -> Mount | None:
    before, separator, after = line.partition(" - ")
    fields, rest = before.split(" "), after.split(" ")
    if not separator or len(fields) < 5 or len(rest) < 2:
        return None
    return Mount(Path(_plain(fields[4])), rest[0], _plain(rest[1]))


def _plain(text: str) -> str:
    """The text without the kernel's escapes."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
