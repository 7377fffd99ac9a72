"""Folders that are saved once, and whose damage is noticed when they are read.

A JSON file holds what is not in files of its own: facts. Beside them it has the SHA-256 of each other file of the
folder, and of itself, where its own digest counts as 64 zeros.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from bohb_service.errors import StudyError

from .folders import whole_folder

Loaded = TypeVar("Loaded")

_BLANK = "0" * 64
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class SealedKind:
    """Folders of one kind.

    Attributes:
        noun: How messages call what a folder holds.
        facts: Name of the JSON file, by which such a folder is known.
        version: Of the content; folders of other versions are refused.
    """

    noun: str
    facts: str
    version: int

    def save(self, path: Path, fill: Callable[[Path], Mapping[str, Any]]) -> None:
        """Write a folder; one of the kind that is there already is replaced, or left as it was if this fails.

        Args:
            path: The folder.
            fill: Writes all files but the JSON file into an empty folder, and returns the facts, JSON values.

        Raises:
            StudyError: Something else is there.
            OSError: The folder cannot be written.
        """
        with whole_folder(path, self.facts) as made:
            self.seal(made, fill(made))

    def seal(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """Write the JSON file of a folder whose other files are written.

        Args:
            folder: The folder.
            facts: JSON values.

        Raises:
            OSError: A file cannot be read or written.
        """
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        digests = {name: _file_digest(path) for name, path in files.items() if name != self.facts}
        data = {"format": self.version, "sha256": _BLANK, "files": digests, **facts}
        blank = json.dumps(data, indent=1).encode()
        (folder / self.facts).write_bytes(blank.replace(_BLANK.encode(), hashlib.sha256(blank).hexdigest().encode(), 1))

    def load(self, folder: Path, make: Callable[[Mapping[str, Any]], Loaded]) -> Loaded:
        """What is made of a folder that is, file by file, as it was saved.

        Args:
            folder: The folder.
            make: Makes it of the facts, and of the other files.

        Raises:
            StudyError: There is no such folder, it is of another version, a file is missing or was changed, or nothing
                can be made of it.
            ImportError: As `make`.
            MemoryError: As `make`.
        """
        facts = self._read(folder)
        try:
            return make(facts)
        except (StudyError, ImportError, MemoryError):
            raise
        except Exception as error:
            # Some libraries tell of errors in several lines.
            why = " ".join(f"{type(error).__name__}: {error}".split())
            raise self._damaged(folder, f"the {self.noun} cannot be read ({why})") from error

    def _read(self, folder: Path) -> Mapping[str, Any]:
        """The facts, once all files are found to be as they were saved."""
        path = folder / self.facts
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise StudyError(
                f"{folder}: there is no {self.noun}; a study with `refit: true` leaves one, see its results"
            ) from error
        except OSError as error:
            raise self._damaged(path, f"cannot be read ({error.strerror})") from error
        data = self._checked(path, content)
        for name, digest in data["files"].items():
            self._check_file(folder, name, digest)
        return data

    def _checked(self, path: Path, content: bytes) -> dict[str, Any]:
        """The JSON file, if it is as it was saved."""
        try:
            data = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self._damaged(path, f"is not the JSON file that was saved ({error})") from error
        if not isinstance(data, dict) or data.get("format") != self.version:
            raise StudyError(
                f"{path}: the {self.noun} was saved by another version of this program; train it again, or read it "
                "with that version"
            )
        digest = data.get("sha256")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise self._damaged(path, "has no digest of itself")
        if hashlib.sha256(content.replace(digest.encode(), _BLANK.encode(), 1)).hexdigest() != digest:
            raise self._damaged(path, "was changed since it was saved")
        if not isinstance(data.get("files"), dict):
            raise self._damaged(path, "has no digests of the other files")
        return data

    def _check_file(self, folder: Path, name: str, digest: Any) -> None:
        path = folder / name
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise self._damaged(folder / self.facts, f"lists {name!r}, which is not inside of the folder")
        try:
            if not path.is_file():
                raise self._damaged(path, f"is missing, or no file, though {self.facts} lists it")
            if _file_digest(path) != digest:
                raise self._damaged(path, f"was changed since it was saved: {self.facts} has another SHA-256 of it")
        except OSError as error:
            raise self._damaged(path, f"cannot be read ({error.strerror})") from error

    def _damaged(self, path: Path, what: str) -> StudyError:
        return StudyError(
            f"{path}: {what}; copy the whole folder of the {self.noun} again from where it was saved, or train it again"
        )


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
