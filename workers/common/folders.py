"""Folders that are there as a whole or not at all."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bohb_service.errors import StudyError

from .checks import OptionError


def private_folder(path: Path) -> Path:
    """The path of a folder for checkpoints, which is made for this user alone if that is possible.

    A file in its place, or in that of the folder around it, is left alone and costs no evaluation: what then cannot be
    kept there tells so itself.

    Args:
        path: The folder.
    """
    with suppress(FileExistsError, NotADirectoryError):
        path.mkdir(mode=0o700, exist_ok=True)
    return path


@contextmanager
def whole_folder(path: Path, mark: str) -> Iterator[Path]:
    """An empty folder to fill inside the block; afterwards it is at the path.

    One of the same kind that was there is replaced, or left as it was if the block raises: no reader finds half a
    folder.

    Args:
        path: Where it will be.
        mark: Name of a file that all folders of this kind have, and no others.

    Raises:
        StudyError: Something else is there, or what cannot be replaced.
        OSError: The folder cannot be written.
    """
    # First, for what is at a path with `..` may only be seen once all of it is there.
    path.parent.mkdir(parents=True, exist_ok=True)
    _refuse_others(path, mark)
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


def check_folder_option(key: str, value: str | None, mark: str) -> None:
    """Raise unless `whole_folder` can make, or replace, the folder that an option names; nothing is left behind.

    Args:
        key: Name of the option.
        value: The folder; None if it is not given.
        mark: As for `whole_folder`.

    Raises:
        OptionError: It cannot.
    """
    if value is None:
        return
    path = Path(value).absolute()
    try:
        _rehearse(path, mark)
    except StudyError as error:
        raise OptionError(key, str(error)) from error
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OptionError(
            key, f"{path} cannot be written here ({reason}); name a folder elsewhere, or let this user write there"
        ) from error


def _rehearse(path: Path, mark: str) -> None:
    """Make the folder, but below a temporary one: that tells what making it in its place would."""
    _refuse_others(path, mark)
    there = next(folder for folder in path.parents if os.path.lexists(folder))
    if not there.is_dir():
        raise StudyError(f"{path}: {there} is no folder; name a folder elsewhere")
    rest = path.relative_to(there)
    if ".." in rest.parts:
        _rehearse(Path(os.path.normpath(there.resolve() / rest)), mark)
        return
    with (
        tempfile.TemporaryDirectory(dir=there, prefix=".") as name,
        whole_folder(Path(name) / rest, mark),
    ):
        pass


def _refuse_others(path: Path, mark: str) -> None:
    """Raise unless the path is free, an empty folder, or one of the kind, that can be replaced."""
    if not os.path.lexists(path):
        return
    if not (path / mark).is_file() and not (path.is_dir() and not any(path.iterdir())):
        raise StudyError(
            f"{path}: something else is there, without a {mark}; it is not replaced, name a folder that does not exist"
        )
    # Not `Path.is_mount`, for which a link to another file system is one.
    if os.path.ismount(path):
        raise StudyError(f"{path}: a file system is mounted there, so that it cannot be replaced; name a folder in it")
    if not _may_move(path):
        raise StudyError(f"{path}: this user may not replace it; name another folder, or change its rights")


def _may_move(path: Path) -> bool:
    """Whether the system lets this user give what is there another name."""
    parent, own, user = path.parent.stat(), path.lstat(), os.geteuid()
    if parent.st_mode & stat.S_ISVTX and user not in (0, parent.st_uid, own.st_uid):
        return False
    return stat.S_ISLNK(own.st_mode) or os.access(path, os.W_OK, effective_ids=True)
