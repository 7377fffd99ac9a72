"""Where a worker keeps the directories of configurations and the output of objectives."""

import contextlib
import errno
import os
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bohb_service.errors import StudyError
from bohb_service.journal.run_directory import output_file
from bohb_service.rpc.messages import Registration
from bohb_service.security.private_files import write_private
from bohb_service.worker.checkpoint import discard
from bohb_service.worker.logs import LogFile

_PLACE = "place"


@dataclass(frozen=True, slots=True)
class Folders:
    """The two folders of a study on this machine.

    Attributes:
        configurations: Holds one directory for each configuration.
        logs: Holds one file for each worker.
        place: Equal for workers that see the same folder, on whatever machine and in whatever container; empty for the
            master's, where checkpoints follow a configuration everywhere.
    """

    configurations: Path
    logs: Path
    place: str

    def directories(self, numbers: Sequence[int]) -> list[str]:
        """The private directories of configurations, which need not exist yet.

        Raises:
            StudyError: The folder in which they would be made is gone.
        """
        paths = [f"{self.configurations}/{number}" for number in numbers]
        if not self.configurations.is_dir():
            raise _cannot_make(Path(paths[0]), NotADirectoryError(errno.ENOENT, os.strerror(errno.ENOENT)))
        return paths

    def discard_checkpoints(self, numbers: Sequence[int]) -> None:
        """Remove the checkpoints of configurations that cannot be promoted any more, where there are any."""
        for number in numbers:
            discard(self.configurations / str(number))

    def log(self, worker: str) -> LogFile:
        """The output file of a worker."""
        return LogFile(self.logs / output_file(worker))


def find_folders(registration: Registration, scratch: Path | None, logs: Path | None = None) -> Folders:
    """The folders of the master if they can be seen from here, otherwise ones of this machine.

    Args:
        registration: Names the master's folder and the study.
        scratch: Parent of the folder on this machine; by default the system's for temporary files.
        logs: Folder for the output of objectives; by default beside the directories of configurations.

    Raises:
        StudyError: A folder cannot be made, or belongs to someone else.
    """
    shared = Path(registration.configurations)
    if is_of_study(shared, registration.study_id):
        found = Folders(shared, logs or shared.parent / "logs", "")
        if _can_make(found.logs):
            return found
    root = (scratch or Path(tempfile.gettempdir())) / registration.study_id
    own_logs = logs or root / "logs"
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = root.stat().st_uid
        if owner != os.geteuid():
            raise StudyError(f"{root} belongs to user {owner}, not to this one; give another folder with --scratch")
        own_logs.mkdir(mode=0o700, exist_ok=True)
        return Folders(root, own_logs, _place_of(root))
    except OSError as error:
        raise _cannot_make(root, error) from error


def is_of_study(folder: Path, study_id: str) -> bool:
    """Whether this is the master's folder of configurations, seen from here.

    Args:
        folder: Where the master has it.
        study_id: What is in its file ``id``.
    """
    try:
        return study_id in (folder / "id").read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return False


def _place_of(folder: Path) -> str:
    """What tells a folder from all others: a random text that is kept in it.

    Names of machines and paths do not: pods have the same path in folders of their own, and see one under two machines.
    """
    file, draft = folder / _PLACE, folder / f".{_PLACE}.{secrets.token_hex(4)}"
    if not file.exists():
        write_private(draft, secrets.token_hex(8).encode())
        try:
            with contextlib.suppress(FileExistsError):  # another worker was faster
                file.hardlink_to(draft)
        except OSError:  # a file system without links; two workers at the same moment may differ then
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
    return file.read_text(encoding="ascii")


def _can_make(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _cannot_make(path: Path, error: OSError) -> StudyError:
    return StudyError(f"cannot make {path}: {error.strerror}; free space or rights there, or use --scratch")
