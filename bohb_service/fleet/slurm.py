"""Workers as tasks of SLURM's job arrays.

A task is a worker: it leaves when the study ends, when the master has nothing for it, before its time limit, and
when it is preempted; then SLURM queues it again. Jobs of a run are found by their name, so that a master that was
killed finds those that live on. SLURM's database is not needed.
"""

import contextlib
import hashlib
import logging
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bohb_service.errors import BohbError, StudyError
from bohb_service.fleet.fleet import Place, local_arguments, remote_arguments, worker_command, worker_environment
from bohb_service.fleet.last_words import last_words
from bohb_service.fleet.staffing import Unit
from bohb_service.study import Slurm

log = logging.getLogger("bohb_service.fleet")

_COMMANDS = ("sbatch", "squeue", "scancel")
_COMMAND_SECONDS = 60.0
_WAITING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED"})
# A suspended one may hold a job, and goes on by itself.
_RUNNING = frozenset({"RUNNING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING"})
_SET_ASIDE = frozenset({"REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"})
_REQUEUED_HELD = re.compile("requeued.*held")
"""Reason of what is PENDING: after a failed launch, or because an administrator has set it aside."""

_LARGEST_ARRAY = 1000
"""SLURM's own default allows 1001 tasks."""

_HIDDEN = re.compile(
    "(SBATCH_(ARRAY_INX|CLUSTERS|ERROR|JOB_NAME|OUTPUT|WAIT)|SLURM_(CLUSTERS|RESTART_COUNT)|(SQUEUE|SCANCEL)_.*)"
)
"""Variables that would make SLURM's commands do something else, and those that workers read of their own job alone."""

_DEFAULTS = {"requeue": True, "open-mode": "append", "signal": "B:USR1@120"}
_PLAIN = re.compile(r"[\w@%+=:,./\[\]*-]+")


def job_name(place: Place) -> str:
    """What the jobs of a run are called: the same whichever master asks, and another for another run directory."""
    digest = hashlib.sha256(os.fsencode(place.directory.path.resolve())).hexdigest()[:8]
    return f"bohb-{place.study}-{digest}"


def slurm_script(place: Place, slurm: Slurm, slots: int = 1) -> str:
    """The batch script of the workers of a run, for one task of a job array.

    Args:
        place: The run.
        slurm: Options of the study file; they win over the defaults.
        slots: Workers of each task.
    """
    logs = _logs(place, slurm).resolve()
    options = {
        "job-name": job_name(place),
        "output": str(logs).replace("%", "%%") + "/slurm-%A_%a.log",
        **_DEFAULTS,
        **slurm.options,
    }
    if "no-requeue" in slurm.options:
        del options["requeue"]
    directives = [line for key, value in options.items() for line in _directives(key, value)]
    name = "slurm-${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}.${SLURM_RESTART_COUNT:-0}"
    if slurm.folder is None:
        arguments = local_arguments(place.directory, slots)
    else:
        arguments = remote_arguments(place, slurm.credentials, slots)
    *command, _ = worker_command(arguments, name, slurm.python)
    return "\n".join(
        [
            "#!/bin/bash",
            *directives,
            *slurm.setup,
            "# The worker takes the place of the shell, so SLURM's signals reach it: it gives its job back and leaves.",
            f'exec {shlex.join(command)} "{name}"',
            "",
        ]
    )


def _logs(place: Place, slurm: Slurm) -> Path:
    """The folder of the workers' logs, which the nodes see."""
    return place.directory.logs if slurm.folder is None else slurm.folder


class SlurmLauncher:
    """Starts workers with ``sbatch``.

    Args:
        place: For which run.
        slurm: How.
        slots: Workers of each task.
    """

    def __init__(self, place: Place, slurm: Slurm, slots: int = 1) -> None:
        self._logs = _logs(place, slurm)
        self._name = job_name(place)
        self._script = slurm_script(place, slurm, slots)
        self._n_units = 0
        self._set_aside: set[str] = set()
        self._largest = _LARGEST_ARRAY
        self._is_full = False

    def check(self) -> None:
        """Ask SLURM whether it would take a worker.

        Raises:
            StudyError: SLURM is not there, or it does not take the options of the study file.
        """
        for command in _COMMANDS:
            if shutil.which(command) is None:
                raise StudyError(
                    f"--fleet slurm: there is no command {command} here; run this on a login node of the cluster, "
                    "or start workers in another way"
                )
        try:
            self._logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(
                f"fleet.slurm.folder: {self._logs} cannot be made: {error.strerror or error}; name another folder"
            ) from error
        try:
            self._run("sbatch", "--test-only", "--array=0-0", stdin=self._script)
        except BohbError as error:
            raise StudyError(
                f"fleet.slurm: {error}; see the script with `bohb-master run FILE --fleet slurm --print`"
            ) from error

    def units(self) -> list[Unit]:
        """All tasks that run, or wait and will run by themselves; oldest first.

        Raises:
            BohbError: SLURM does not answer.
        """
        found, set_aside = [], set()
        listed = self._run("squeue", "--noheader", "--array", f"--name={self._name}", "--format=%i|%T|%r")
        for line in listed.splitlines():
            task, state, reason = (f"{line.strip()}||").split("|")[:3]
            if state in _SET_ASIDE or (state == "PENDING" and _REQUEUED_HELD.search(reason)):
                set_aside.add(task)
            elif state in _WAITING | _RUNNING:
                found.append(Unit(f"slurm-{task}", state in _RUNNING))
        for task in sorted(set_aside - self._set_aside):
            log.warning("SLURM holds task %s, so another one takes its place; `scancel %s` ends it", task, task)
        self._set_aside, self._n_units = set_aside, len(found)
        return sorted(found, key=lambda unit: [int(number) for number in re.findall(r"\d+", unit.name)])

    def start(self, n: int) -> list[str]:
        """Submit arrays of so many workers, or of as many as SLURM takes; the names of their tasks.

        Raises:
            BohbError: SLURM takes none, and there is none yet.
        """
        names: list[str] = []
        while len(names) < n:
            size = min(n - len(names), self._largest)
            try:
                answer = self._run("sbatch", "--parsable", f"--array=0-{size - 1}", stdin=self._script)
            except _RefusedError as error:
                # Arrays are refused as a whole: by their size, or because a limit of jobs has room for some tasks only.
                self._largest = max(1, size // 2)
                if size > 1:
                    continue
                if not names and not self._n_units:
                    raise
                if not self._is_full:
                    log.warning("SLURM takes no more workers now: %s", error)
                self._is_full = True
                break
            # In a federation the answer is ID;CLUSTER.
            job = answer.strip().partition(";")[0]
            names += [f"slurm-{job}_{number}" for number in range(size)]
            self._largest = min(_LARGEST_ARRAY, max(self._largest, 2 * size))
            self._is_full = False
        return names

    def cancel(self, names: Sequence[str]) -> None:
        """End these tasks: those that run get a signal first, and give their jobs back.

        Raises:
            BohbError: SLURM does not answer.
        """
        self._run("scancel", *(name.removeprefix("slurm-") for name in names))

    def last_words(self, name: str) -> str:
        """Why the worker of a task could not work, from its log."""
        path, text = self._logs / f"{name}.log", ""
        with contextlib.suppress(OSError), path.open("rb") as file:
            text = last_words(file, str(path))
        return text or f"see {path} on the node, and `scontrol show job {name.removeprefix('slurm-')}`"

    @staticmethod
    def _run(command: str, *arguments: str, stdin: str = "") -> str:
        """What a command of SLURM prints."""
        try:
            done = subprocess.run(  # noqa: S603  (SLURM's commands, as the search path has them)
                [command, *arguments],
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_COMMAND_SECONDS,
                env={name: value for name, value in worker_environment().items() if not _HIDDEN.fullmatch(name)},
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BohbError(f"{command} has not answered for {_COMMAND_SECONDS:g} s; is slurmctld up?") from None
        except OSError as error:
            raise BohbError(f"{command} cannot be run: {error.strerror or error}; is SLURM installed here?") from error
        if done.returncode:
            words = " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
            raise _RefusedError(f"{command} says: {words}")
        return done.stdout


class _RefusedError(BohbError):
    """A command of SLURM has failed."""


def _directives(key: str, value: object) -> list[str]:
    """The lines that set one option of sbatch."""
    if value is True:
        return [f"#SBATCH --{key}"]
    items = value if isinstance(value, list) else [value]
    texts = [str(item) for item in items]
    return [f"#SBATCH --{key}=" + (text if _PLAIN.fullmatch(text) else f'"{text}"') for text in texts]
