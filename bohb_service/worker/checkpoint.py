"""A checkpoint as one file that is whole or not there, whenever and however its writer dies.

The file is a line that tells its format, the SHA-256 of all that follows, 32 bytes, the length of a head, 4 bytes, the
head in JSON, and the content. The head has the budget that the content stands for, and the mark of the configuration:
where an older journal was restored, a folder may have belonged to another one.
"""

import contextlib
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

NAME = "checkpoint"
"""Name of the file in the directory of a configuration."""

_MAGIC = b"bohb-service checkpoint 1\n"
_DIGEST_BYTES = 32
_LENGTH_BYTES = 4
_DRAFT = f".{NAME}."


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What an evaluation saved to go on from.

    Attributes:
        content: What was saved.
        spent: The budget that it stands for, in units of the study's fidelity.
    """

    content: bytes
    spent: float


class CheckpointFile:
    """The one checkpoint of a configuration, as seen by one attempt at one of its trials.

    Args:
        folder: Directory of the configuration; made when something is saved.
        mark: Tells the configuration from others that may have had the same folder.
        attempt: Grows from attempt to attempt; an older one that still writes does no harm, and what it leaves behind
            is removed.
    """

    def __init__(self, folder: Path, mark: str, attempt: int) -> None:
        self._folder = folder
        self._mark = mark
        self._attempt = attempt

    def save(self, content: bytes, spent: float) -> None:
        """Replace the checkpoint; when this returns the new one is durable, and until then the old one is there.

        Args:
            content: Anything.
            spent: The budget that it stands for.

        Raises:
            OSError: It cannot be written; the old one is as it was.
        """
        head = json.dumps({"mark": self._mark, "spent": spent}).encode()
        prefix = len(head).to_bytes(_LENGTH_BYTES) + head
        digest = hashlib.sha256(prefix)
        digest.update(content)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._remove_leftovers()
        draft = self._folder / f"{_DRAFT}{self._attempt}"
        try:
            with draft.open("wb") as file:
                file.writelines((_MAGIC, digest.digest(), prefix, content))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._folder / NAME)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        _sync_folder(self._folder)

    def load(self, most: float) -> Checkpoint | None:
        """The last good checkpoint, or None if there is none that can be continued.

        A file that is missing, damaged, of another configuration or too far is no error: the evaluation starts anew.
        Damage is told on stderr.

        Args:
            most: Largest acceptable budget.
        """
        try:
            raw = (self._folder / NAME).read_bytes()
        except OSError:
            return None
        start = len(_MAGIC) + _DIGEST_BYTES
        body = memoryview(raw)[start:]
        if not raw.startswith(_MAGIC) or hashlib.sha256(body).digest() != raw[len(_MAGIC) : start]:
            sys.stderr.write(f"{self._folder / NAME} is damaged, so the evaluation begins anew\n")
            return None
        # With the right digest it was written here and is whole.
        end = _LENGTH_BYTES + int.from_bytes(body[:_LENGTH_BYTES])
        head = json.loads(bytes(body[_LENGTH_BYTES:end]))
        if head["mark"] != self._mark or head["spent"] > most:
            return None
        return Checkpoint(bytes(body[end:]), head["spent"])

    def _remove_leftovers(self) -> None:
        """Remove what killed attempts were writing."""
        for path in self._folder.glob(f"{_DRAFT}*"):
            number = path.name.removeprefix(_DRAFT)
            if number.isdecimal() and int(number) < self._attempt:
                path.unlink(missing_ok=True)


def discard(folder: Path) -> None:
    """Remove the checkpoint of a configuration, and what killed attempts have left of it.

    Args:
        folder: Directory of the configuration; what else is in it stays, and it is removed if nothing is.
    """
    if not folder.is_dir():  # most objectives make none
        return
    with contextlib.suppress(OSError):
        for path in (folder / NAME, *folder.glob(f"{_DRAFT}*")):
            path.unlink(missing_ok=True)
        folder.rmdir()


def mark_of(config: object, seed: int) -> str:
    """What tells a configuration from others: a digest of its values and its seed.

    Args:
        config: Its values, plain data.
        seed: Its seed.
    """
    return hashlib.sha256(json.dumps([config, seed], sort_keys=True).encode()).hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
