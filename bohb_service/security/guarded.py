"""Reads a folder of credentials, and only what nobody else can have written or read."""

import errno
import os
import shlex
import stat
from pathlib import Path
from typing import Self

from bohb_service.errors import CredentialsError

_OF_GROUP_OR_OTHERS = 0o077
_WRITING_BY_GROUP_OR_OTHERS = 0o022


class GuardedFolder:
    """A folder of the own user or of root that others cannot write into; use it as a context manager.

    All is judged by what has been opened, so nobody can exchange it between the judgement and the reading.

    Args:
        path: The folder.

    Raises:
        CredentialsError: Others could have put the folder, or what is in it, there; the message says what to do.
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _check_folder(path, os.fstat(self._descriptor))
        except CredentialsError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, name: str) -> bytes:
        """The content of a file that only its owner can read.

        Raises:
            CredentialsError: It belongs to somebody else, or others can read or write it.
            OSError: It is missing or cannot be read.
        """
        # Without waiting: a named pipe in the place of a file must not hold anybody up.
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK, dir_fd=self._descriptor)
        with open(descriptor, "rb") as file:  # noqa: PTH123  (of a descriptor)
            status = os.fstat(descriptor)
            _check_owner(self.path / name, status)
            if status.st_mode & _OF_GROUP_OR_OTHERS:
                raise CredentialsError(
                    f"{self.path / name} can be read or written by other users (mode {stat.S_IMODE(status.st_mode):04o}"
                    f"), so it proves nothing; {_closing(self.path)}"
                )
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "it is no regular file")
            return file.read()

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


def _check_folder(path: Path, status: os.stat_result) -> None:
    _check_owner(path, status)
    if status.st_mode & _WRITING_BY_GROUP_OR_OTHERS:
        raise CredentialsError(f"other users may write into {path}, so its files could be anybody's; {_closing(path)}")


def _check_owner(path: Path, status: os.stat_result) -> None:
    own = os.geteuid()
    if status.st_uid not in {0, own}:
        raise CredentialsError(
            f"{path} belongs to user {status.st_uid}, neither to you (user {own}) nor to root, so it proves nothing; "
            "copy the folder from the head node again, as the user who runs this"
        )


def _closing(directory: Path) -> str:
    return f"type: chmod -R go= {shlex.quote(str(directory))}"
