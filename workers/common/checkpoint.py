"""The state of a training between two budgets, as a file of plain arrays (no pickle).

The file is the SHA-256 of an NPZ archive, 32 bytes, followed by the archive: a file with the right digest
was written here and is whole, so that nothing else about it can surprise the reader.
"""

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FORMAT = 1
_DIGEST_BYTES = 32
_STATE = "state_"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A training after some epochs.

    Attributes:
        curve: Validation error after each epoch so far, fractions, shape ``(epochs,)``, at least one.
        arrays: The network's state.
    """

    curve: NDArray[np.float64]
    arrays: Mapping[str, NDArray[Any]]


def fingerprint(**facts: Any) -> str:
    """Text that is equal for two trainings exactly if all the facts are.

    Args:
        **facts: JSON values: whatever the course of the training depends on.
    """
    return json.dumps({"format": _FORMAT, **facts}, sort_keys=True)


def save_checkpoint(path: Path, mark: str, checkpoint: Checkpoint, *, is_durable: bool = False) -> None:
    """Write the file, or leave the old one as it was: no reader ever finds half a file.

    An empty folder in its place, as of a file that was lost and is mounted into a container, is replaced.

    Args:
        path: Where to; the directory is made if need be.
        mark: The training's `fingerprint`.
        checkpoint: What to keep.
        is_durable: Return only when the content is on the disk, for the machine is about to go down.

    Raises:
        OSError: The file cannot be written, or a folder that holds something is in its place.
    """
    archive = io.BytesIO()
    arrays: dict[str, Any] = {f"{_STATE}{name}": array for name, array in checkpoint.arrays.items()}
    np.savez(archive, mark=np.asarray(mark), curve=checkpoint.curve, **arrays)
    content = archive.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    # The name is new each time: an attempt that is given up elsewhere may still be writing into the directory.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(content).digest())
            file.write(content)
            if is_durable:
                file.flush()
                os.fsync(file.fileno())
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def keep_checkpoint(path: Path, mark: str, checkpoint: Checkpoint) -> dict[str, Any]:
    """Write the file if that is possible: a result stands without it, only the next budget has to start over.

    Args:
        path: As for `save_checkpoint`.
        mark: As for `save_checkpoint`.
        checkpoint: As for `save_checkpoint`.

    Returns:
        What there is to tell of it: nothing, or the reason as ``checkpoint_error``.
    """
    try:
        save_checkpoint(path, mark, checkpoint)
    except OSError as error:
        return {"checkpoint_error": str(error)}
    return {}


def load_checkpoint(path: Path, mark: str, max_epochs: int) -> Checkpoint | None:
    """The checkpoint if it can be continued up to `max_epochs`, else None.

    A file that is missing, damaged, no file, of another training or too far is no error: the training starts anew.

    Args:
        path: The file.
        mark: The training's `fingerprint`.
        max_epochs: Largest acceptable number of epochs.
    """
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    digest, content = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        if str(archive["mark"]) != mark or len(archive["curve"]) > max_epochs:
            return None
        return Checkpoint(
            curve=archive["curve"],
            arrays={name.removeprefix(_STATE): archive[name] for name in archive.files if name.startswith(_STATE)},
        )
