"""Folders that are there as a whole or not at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bohb_service.errors import StudyError


@contextmanager
def whole_folder(path: Path, mark: str) -> Iterator[Path]:
    """An empty folder to fill inside the block; afterwards it is at the path.

    One of the same kind that was there is replaced, or left as it was if the block raises: no reader finds half a
    folder.

    Args:
        path: Where it will be.
        mark: Name of a file that all folders of this kind have, and no others.

    Raises:
        StudyError: Something else is there.
        OSError: The folder cannot be written.
    """
    _refuse_others(path, mark)
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


def _refuse_others(path: Path, mark: str) -> None:
    if not path.exists() or (path / mark).is_file() or (path.is_dir() and not any(path.iterdir())):
        return
    raise StudyError(
        f"{path}: something else is there, without a {mark}; it is not replaced, name a folder that does not exist"
    )
