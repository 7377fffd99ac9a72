"""What lies where in a run directory, who serves it, and where its master listens."""

import contextlib
import errno
import fcntl
import json
import os
import re
import secrets
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bohb_service.errors import JournalError, JournalWriteError, RunLockedError

_MAX_PORT = 65535


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turn errors of the file system into ours."""
    try:
        yield
    except OSError as error:
        raise JournalWriteError(
            f"cannot write {path}: {error.strerror or error}; "
            "free some space or mend permissions, then run the same command again"
        ) from error


def _replace(path: Path, text: str) -> None:
    """Give a file another content, at once.

    Raises:
        JournalWriteError: It cannot be written.
    """
    draft = path.with_suffix(f".{secrets.token_hex(4)}")
    with _disk_errors(path):
        draft.write_text(text)
        draft.replace(path)


def _lock_folder(descriptor: int) -> None:
    """Lock a folder, where its file system can do that.

    Raises:
        BlockingIOError: Another process has locked it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in {errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.EOPNOTSUPP}:
            raise


@dataclass(frozen=True, slots=True)
class MasterAddress:
    """Where the master of a run listens.

    Attributes:
        host: Address that workers connect to.
        port: TCP port of name server, master and admin object.
        study: Name of the study, by which the master is registered at the name server.
        study_id: Identity of the run; the port may belong to another one by now.
        pid: Process id of the master.
        hostname: Name of its machine.
        local_host: Address for processes of that machine.
        credentials: Where its credentials are, those of workers and admins included; None: it speaks in clear.
        insecure: It speaks in clear to other machines too.
    """

    host: str
    port: int
    study: str
    study_id: str
    pid: int
    hostname: str
    local_host: str
    credentials: str | None = None
    insecure: bool = False


def output_file(worker: str) -> str:
    """The name of the file with the output of a worker's objectives."""
    return f"{re.sub(r'[^A-Za-z0-9._-]', '_', worker)}.log"


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Paths of one run.

    Attributes:
        path: The directory.
    """

    path: Path

    @property
    def journal(self) -> Path:
        """The journal."""
        return self.path / "journal.sqlite"

    @property
    def configurations(self) -> Path:
        """Folder of the per-configuration directories."""
        return self.path / "configurations"

    @property
    def logs(self) -> Path:
        """Folder of the workers' logs."""
        return self.path / "logs"

    def log_of(self, worker: str) -> Path:
        """The file with the output of a worker's objectives, if the worker sees this directory."""
        return self.logs / output_file(worker)

    @property
    def address_file(self) -> Path:
        """Where a live master says how to reach it."""
        return self.path / "master.json"

    @property
    def _ended_file(self) -> Path:
        return self.path / "ended"

    @property
    def _port_file(self) -> Path:
        return self.path / "port"

    def prepare(self) -> None:
        """Make the directory and its folders.

        Raises:
            JournalError: They cannot be made.
        """
        try:
            for folder in (self.path, self.configurations, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalError(f"cannot use {self.path} as run directory: {error}; choose another") from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for one master; the operating system releases it when the process ends, however it ends.

        Raises:
            RunLockedError: Another master holds it; the message names its pid and host.
        """
        path = self.path / "master.lock"
        with _disk_errors(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            folder = os.open(self.path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _lock_folder(folder)  # the file may be removed and made anew
            except BlockingIOError:
                holder = path.read_text().strip() or "an unknown process"
                raise RunLockedError(
                    f"{self.path} is served by another master ({holder}); "
                    "stop it with `bohb-master stop`, or choose another run directory"
                ) from None
            with _disk_errors(path):
                os.truncate(descriptor, 0)
                os.pwrite(descriptor, f"pid {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
            yield
        finally:
            os.close(folder)
            os.close(descriptor)

    def write_address(self, address: MasterAddress) -> None:
        """Tell workers and commands how to reach the master.

        Raises:
            JournalWriteError: The file cannot be written.
        """
        _replace(self.address_file, json.dumps(asdict(address)))

    def write_ended(self) -> None:
        """Tell workers that no master will come, since there is nothing left to do.

        Raises:
            JournalWriteError: The file cannot be written.
        """
        _replace(self._ended_file, "nothing is left to do\n")

    def remove_ended(self) -> None:
        """Say that a master may come: it is there already, and looks whether something is left to do.

        Raises:
            JournalWriteError: The file cannot be removed.
        """
        with _disk_errors(self._ended_file):
            self._ended_file.unlink(missing_ok=True)

    @property
    def has_ended(self) -> bool:
        """Whether its last master has said that nothing is left to do."""
        return self._ended_file.exists()

    def write_port(self, port: int) -> None:
        """Remember the port of a master for the next one; it stays when the master ends.

        Raises:
            JournalWriteError: The file cannot be written.
        """
        _replace(self._port_file, f"{port}\n")

    def read_port(self) -> int | None:
        """The port of the last master, or None."""
        try:
            port = int(self._port_file.read_text())
        except (OSError, ValueError):
            return None
        return port if 0 < port <= _MAX_PORT else None

    def write_id(self, study_id: str) -> None:
        """Mark the configurations folder, so that workers see whether they share it.

        Raises:
            JournalWriteError: The file cannot be written.
        """
        with _disk_errors(self.configurations):
            (self.configurations / "id").write_text(study_id)

    def read_address(self) -> MasterAddress | None:
        """Where the master listens, as last written, or None."""
        try:
            address = MasterAddress(**json.loads(self.address_file.read_text()))
        except (OSError, ValueError, TypeError):
            return None
        texts = (address.host, address.study, address.study_id, address.hostname, address.local_host)
        is_sound = all(type(text) is str for text in texts) and type(address.port) is type(address.pid) is int
        is_sound &= isinstance(address.credentials, str | None)
        return address if is_sound else None

    def remove_address(self) -> None:
        """Say that no master listens any more.

        Raises:
            JournalWriteError: The file cannot be removed.
        """
        with _disk_errors(self.address_file):
            self.address_file.unlink(missing_ok=True)
