"""Whether a run directory can be where it is to be."""

import os
import shutil
from pathlib import Path

from bohb_service.clock import Clock
from bohb_service.doctor.clocks import file_system_skew, judge_skew
from bohb_service.doctor.finding import Finding
from bohb_service.doctor.mounts import Mount, mount_of
from bohb_service.doctor.trial_journal import JournalTrial, try_journal
from bohb_service.doctor.wording import size, span
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.journal.sqlite import SqliteJournal

SLOW_COMMIT_S = 0.1
"""A result waits for so long, or longer, until it is on disk: that is told."""

LITTLE_SPACE = 1 << 30
TOO_LITTLE_SPACE = 64 << 20
_FEW_FILES = 1000

_ELSEWHERE = (
    "keep the run directory on a disk of the master's machine (--run-dir); workers on other machines need not see it: "
    "they find the master with --nameserver, and keep their files under --scratch"
)


def check_run_directory(path: Path, clock: Clock) -> list[Finding]:
    """What is to be said of a run directory, there already or not.

    Args:
        path: The directory.
        clock: This machine's.
    """
    folder = existing(path)
    is_there = folder == path.absolute()
    findings = [judge_mount(path, mount_of(path))]
    try:
        trial = try_journal(folder)
    except OSError as error:
        why = error.strerror or str(error)
        where = str(path) if is_there else f"{path}: {folder} is there, but"
        remedy = "mend its owner and permissions, or give another --run-dir"
        return [*findings, Finding.fail("run directory", f"{where} cannot be written: {why}", remedy)]
    findings.append(Finding.ok("run directory", f"{path}{'' if is_there else ', to be made'}: can be written"))
    findings += [judge_trial(trial), *check_space(folder)]
    findings.append(judge_skew("clock of the file system", file_system_skew(folder, clock), "the file system"))
    return findings + check_journal(RunDirectory(path))


def existing(path: Path) -> Path:
    """The path, or its nearest ancestor that exists."""
    absolute = path.absolute()
    return next(folder for folder in (absolute, *absolute.parents) if folder.exists())


def judge_mount(path: Path, mount: Mount | None) -> Finding:
    """Whether a journal may be on this file system.

    Args:
        path: The run directory.
        mount: Its file system, or None if that is not known.
    """
    check = "file system"
    if mount is None:
        return Finding.ok(check, f"the system does not tell which one {path} is on")
    what = f"{mount.kind} ({mount.source} on {mount.point})"
    if mount.is_network:
        return Finding.fail(
            check, f"{what}: shared by machines, where SQLite's write-ahead log is not safe", _ELSEWHERE
        )
    if mount.is_fleeting:
        return Finding.warn(check, f"{what}: memory, gone with the next boot", "keep runs that matter on a disk")
    if mount.is_container:
        return Finding.warn(
            check, f"{what}: the layer of a container, gone with it", "mount a volume and put --run-dir on it"
        )
    return Finding.ok(check, what)


def judge_trial(trial: JournalTrial) -> Finding:
    """Whether a journal would be safe and quick.

    Args:
        trial: What came of the throw-away database.
    """
    check = "journal on this disk"
    if trial.fault:
        return Finding.fail(check, trial.fault, _ELSEWHERE)
    if trial.commit_s >= SLOW_COMMIT_S:
        return Finding.warn(
            check,
            f"safe, but each commit takes {span(trial.commit_s)}, for which results wait",
            "use a faster disk for --run-dir; results that come together share a commit, so many workers suffer less",
        )
    return Finding.ok(check, f"safe: write-ahead log, locks and a second reader work; a commit takes {_ms(trial)}")


def check_space(folder: Path) -> list[Finding]:
    """How much room there is.

    Args:
        folder: Must exist.
    """
    check, remedy = "free space", "free some, or use another disk: a master whose journal cannot be written stops"
    free, system = shutil.disk_usage(folder).free, os.statvfs(folder)
    if system.f_files and system.f_favail < _FEW_FILES:
        return [Finding.warn(check, f"only {system.f_favail} more files can be made on the disk of {folder}", remedy)]
    found = f"{size(free)} on the disk of {folder}"
    if free < TOO_LITTLE_SPACE:
        return [Finding.fail(check, found, remedy)]
    return [Finding.warn(check, found, remedy) if free < LITTLE_SPACE else Finding.ok(check, found)]


def check_journal(directory: RunDirectory) -> list[Finding]:
    """Whether the journal that is there is sound; nothing is said of one that is not there.

    Raises:
        JournalError: It cannot be read, is damaged, or is none.
    """
    if not directory.journal.exists():
        return []
    journal = SqliteJournal.open(directory.journal, read_only=True)
    try:
        version = journal.meta.get("version", "?")
    finally:
        journal.close()
    return [Finding.ok("journal", f"{directory.journal} is sound; begun by version {version}")]


def _ms(trial: JournalTrial) -> str:
    return f"{1000 * trial.commit_s:.2g} ms"
