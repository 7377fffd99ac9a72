"""How a training that has to end early leaves what it has done."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from .checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from .progress import Preempted

_KEPT = "the machine is to be taken away; what was done is kept"


def leave(path: Path, mark: str, checkpoint: Checkpoint) -> NoReturn:
    """Keep a training for another process, if that is possible, and end it.

    Args:
        path: As for `save_checkpoint`.
        mark: As for `save_checkpoint`.
        checkpoint: As for `save_checkpoint`.

    Raises:
        Preempted: Always.
    """
    try:
        save_checkpoint(path, mark, checkpoint, is_durable=True)
    except OSError as error:
        raise Preempted(f"the machine is to be taken away, and what was done is lost ({error})") from error
    raise Preempted(_KEPT)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A file for what only the same evaluation can go on from, beside the checkpoint that larger budgets go on from.

    Attributes:
        path: The file.
        mark: Text that is equal for two trainings exactly if they take the same course to the same end.
    """

    path: Path
    mark: str

    def load(self) -> Mapping[str, NDArray[Any]] | None:
        """What an earlier attempt has left: arrays by name; None if there is nothing."""
        found = load_checkpoint(self.path, self.mark, 1)
        return None if found is None else found.arrays

    def leave(self, state: Mapping[str, NDArray[Any]]) -> NoReturn:
        """Keep a state, and end the training.

        Args:
            state: Arrays by name.

        Raises:
            Preempted: Always.
        """
        leave(self.path, self.mark, Checkpoint(np.zeros(1), state))

    def drop(self) -> None:
        """Remove the file once the training has come to its end."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
