"""Files that nobody else can read at any moment, not even while they are being written."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_private(path: Path, content: bytes) -> None:
    """Make a durable file that only its owner can read.

    Args:
        path: Must not exist.
        content: All of it.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123  (of a descriptor)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def replace_private(path: Path, content: bytes) -> None:
    """Replace a file at once: a reader sees the old content or the new one."""
    draft = _draft_of(path)
    try:
        write_private(draft, content)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


@contextmanager
def complete_folder(path: Path) -> Iterator[Path]:
    """A private folder to fill, which gets its name when the block ends, and vanishes if the block fails.

    Args:
        path: The name; must not exist, or be an empty folder.

    Raises:
        OSError: It cannot be made, or somebody filled it meanwhile.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft_of(path)
    draft.mkdir(mode=0o700)
    try:
        yield draft
        draft.rename(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _draft_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")
