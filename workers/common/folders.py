"""Folders that are there as a whole or not at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill inside the block; afterwards it is at the path.

    What was there is replaced, or left as it was if the block raises: no reader finds half a folder.

    Args:
        path: Where it will be.

    Raises:
        OSError: The folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as name:
        made, old = Path(name) / "new", Path(name) / "old"
        made.mkdir()
        yield made
        if not path.exists():
            made.rename(path)
            return
        path.rename(old)
        try:
            made.rename(path)
        except BaseException:
            old.rename(path)
            raise
