"""What is looked at where a worker is to run."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bohb_service.api.find_master import by_run_directory
from bohb_service.clock import Clock
from bohb_service.doctor import certificates, clocks, gpus, limits, run_folder, versions
from bohb_service.doctor.finding import Check, Finding, examine
from bohb_service.doctor.mounts import mount_of
from bohb_service.errors import (
    CredentialsError,
    MasterUnreachableError,
    ProtocolError,
    StudyEndedError,
    WorkerSpecError,
)
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.rpc.about import About
from bohb_service.rpc.access import Access
from bohb_service.rpc.client import MasterClient
from bohb_service.rpc.locate import ByNameServer, Connect
from bohb_service.security.credentials import load_credentials
from bohb_service.worker.describe import describe
from bohb_service.worker.devices import VISIBLE
from bohb_service.worker.folders import is_of_study
from bohb_service.worker.nvml import read_gpus


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """How a worker is to be started: the options of ``bohb-worker``.

    Attributes:
        run_dir: Run directory of the study, or None.
        name_server: ``host:port`` of a name server, or None; without either the machine alone is looked at.
        study: Name of the study at the name server.
        credentials: Folder with a worker's credentials; None: as the run directory says.
        insecure: Speak in clear to a master on another machine.
        spec: Worker class; empty for the study's.
        scratch: Parent of the directories of configurations where the run directory is not visible.
    """

    run_dir: Path | None = None
    name_server: str | None = None
    study: str | None = None
    credentials: Path | None = None
    insecure: bool = False
    spec: str = ""
    scratch: Path | None = None


def examine_worker(place: WorkerPlace, clock: Clock) -> Iterator[Finding]:
    """All that is found on this machine, one finding after another.

    Args:
        place: How a worker is to be started.
        clock: This machine's.
    """
    yield from examine([("version", lambda: [versions.judge_own()])])
    credentials = _credentials_of(place)
    if credentials is not None:
        yield from examine(
            [("credentials", lambda: certificates.check_credentials(credentials, "worker", clock))],
        )
    about: list[About] = []
    if place.run_dir is not None or place.name_server is not None:
        yield from examine([("master", lambda: _check_master(place, clock, about))])
    master = about[0] if about else None
    limit_memory_mb = None if master is None else master.limit_memory_mb
    checks: list[tuple[str, Check]] = []
    if master is not None or place.spec:
        checks.append(("worker class", lambda: [_check_class(place.spec, master)]))
    checks += [
        ("files", lambda: _check_files(place, master)),
        ("clock", lambda: [clocks.judge_synchronised(synchronised=clocks.is_synchronised())]),
        ("GPUs", lambda: gpus.judge_gpus(read_gpus(), os.environ.get(VISIBLE), gpus.torch_version())),
        ("limits", lambda: limits.check_limits(serves=False, limit_memory_mb=limit_memory_mb)),
    ]
    yield from examine(checks)


def _credentials_of(place: WorkerPlace) -> Path | None:
    if place.credentials is not None or place.run_dir is None:
        return place.credentials
    address = RunDirectory(place.run_dir).read_address()
    return Path(address.credentials) if address is not None and address.credentials is not None else None


def _connect_of(place: WorkerPlace) -> Connect:
    if place.run_dir is not None:
        return by_run_directory(place.run_dir, place.credentials)
    held = None if place.credentials is None else load_credentials(place.credentials, "worker")
    return ByNameServer(place.name_server or "", place.study or "", Access("worker", held, insecure=place.insecure))


def _check_master(place: WorkerPlace, clock: Clock, about: list[About]) -> Iterator[Finding]:
    """Connect as a worker does, and ask; what the master says of itself is added to ``about``."""
    check = "master"
    try:
        with contextlib.closing(MasterClient(_connect_of(place))) as client:
            client.about()  # the first call connects, which takes its time; the second one measures the clocks
            before = clock.now()
            told = client.about()
            after = clock.now()
    except StudyEndedError as error:
        yield Finding.ok(check, str(error))
        return
    except MasterUnreachableError as error:
        remedy = (
            "start `bohb-master run` if it does not run; else compare the address with what `bohb-master doctor` says "
            "on its machine, and let the port pass the firewall"
        )
        yield Finding.of_error(check, error, remedy)
        return
    except CredentialsError as error:
        yield Finding.of_error(check, error)
        return
    except ProtocolError as error:
        yield Finding.of_error(check, error, "if the versions differ, install the same one on both machines")
        return
    about.append(told)
    seen = f"; it sees this machine as {told.peer}" if told.peer else ""
    yield Finding.ok(check, f"found, and it accepts this machine; it serves study {told.study!r}{seen}")
    yield versions.judge_other("the master", told.version, told.protocol)
    middle, half = (before + after) / 2, (after - before) / 2
    yield clocks.judge_skew("clock of the master", told.now - middle, "the master", half)


def _check_class(spec: str, master: About | None) -> Finding:
    """Whether the class of the objective can be loaded here."""
    check = "worker class"
    named = spec or (master.worker_spec if master is not None else "")
    options = {} if master is None else master.worker_options
    try:
        describe(named, options, portfolio=False)
    except WorkerSpecError as error:
        remedy = "install on this machine what the objective needs, at the place that the study names, or give --worker"
        return Finding.of_error(check, error, remedy)
    return Finding.ok(check, f"{named} can be loaded here")


def _check_files(place: WorkerPlace, master: About | None) -> Iterator[Finding]:
    """Where configurations will keep their files, and whether those follow them to other machines."""
    check = "files"
    if master is not None and is_of_study(Path(master.configurations), master.study_id):
        folder, whose = Path(master.configurations), "the master's, so a configuration finds its files on every machine"
    else:
        folder, whose = place.scratch or Path(tempfile.gettempdir()), "this machine's: they stay where they were made"
    there = run_folder.existing(folder)
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        why = error.strerror or str(error)
        yield Finding.fail(check, f"{folder} cannot be written: {why}", "mend its permissions, or give --scratch")
        return
    mount = mount_of(folder)
    if mount is not None and mount.is_fleeting:
        found = f"{folder} ({whose}) is memory ({mount.kind}), which files of configurations use up"
        yield Finding.warn(check, found, "give --scratch a folder on a disk")
    else:
        yield Finding.ok(check, f"{folder} ({whose})")
    yield from run_folder.check_space(there)
