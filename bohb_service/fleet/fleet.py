"""What every starter of workers has in common, whatever it starts them with."""

import math
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bohb_service.errors import BohbError
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.scheduler.needs import Labels, Needs

WORKER_MODULE = "bohb_service.cli.worker"

_HIDDEN = ("RUN_DIR", "NAMESERVER", "STUDY", "CREDENTIALS", "INSECURE", "NAME", "WORKER", "SLOTS", "LOG_TEXT")


class Fleet(Protocol):
    """Workers that somebody starts, looks after and ends."""

    def start(self) -> None:
        """Take over what an earlier master of this run has started, and start the rest.

        Raises:
            BohbError: Nothing can be started here at all; the message says why.
        """
        ...

    def watch(self) -> None:
        """See how the workers are, without waiting; called several times a second."""
        ...

    @property
    def error(self) -> BohbError | None:
        """Why no worker of this fleet can work, or None while one can or may."""
        ...

    def stop(self, patience_s: float) -> None:
        """Let the workers leave, then end those that do not.

        Args:
            patience_s: How long they may take.
        """
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """For which run workers are started.

    Attributes:
        directory: Its run directory.
        study: Name of the study.
        address: ``host:port`` of the master, as workers on other machines see it.
        credentials: Folder with what workers show to the master, as this machine sees it; None: it wants none.
        insecure: The master speaks in clear to other machines.
    """

    directory: RunDirectory
    study: str
    address: str
    credentials: Path | None = None
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class Demand:
    """What a study could make use of now.

    Attributes:
        work: How many trials wait for a worker, by budget.
        needs: What trials need of a worker.
        workers: Names of the workers that are there, whoever started them, and what each of them has.
        idle: Those of them that have nothing to do, and for how many seconds.
        most: No more of the trials than so many can be leased in all; infinite without a limit.
        awaited: So many workers must be there before anything is handed out; 0 once they have been.
    """

    work: Mapping[float, int]
    needs: Needs
    workers: Mapping[str, Labels]
    idle: Mapping[str, float]
    most: float = math.inf
    awaited: int = 0


@dataclass(frozen=True, slots=True)
class Employer:
    """The master, as far as a fleet that follows the demand needs it. Both functions may raise `TransportError`.

    Attributes:
        demand: Tells the demand. Of each budget trials are counted no further than to a number of workers, beyond those
            that are there.
        dismiss: Lets idle workers leave, by their names. Those of a group leave together: if one of them has got a job
            meanwhile, all of it stays.
    """

    demand: Callable[[int], Demand]
    dismiss: Callable[[Collection[frozenset[str]]], None]


def worker_command(arguments: Sequence[str], name: str, python: str | None = None) -> list[str]:
    """The command of a worker.

    It logs JSON, from which `last_words` reads why it cannot work.

    Args:
        arguments: What `local_arguments` or `remote_arguments` returned.
        name: Name of the worker; it comes last.
        python: Interpreter; by default the one that runs this.
    """
    return [python or sys.executable, "-m", WORKER_MODULE, "--log-json", *arguments, "--name", name]


def local_arguments(directory: RunDirectory, slots: int = 1) -> list[str]:
    """The options of a worker that finds its master through the run directory, credentials included.

    Args:
        directory: The run directory.
        slots: Number of workers that share the place of one.
    """
    return ["--run-dir", str(directory.path.resolve()), *slot_arguments(slots)]


def remote_arguments(place: Place, credentials: str | None, slots: int) -> list[str]:
    """The options of a worker that sees no run directory.

    Args:
        place: For which run.
        credentials: Where what it shows to the master is on its machine; None: where it is on this one.
        slots: Number of workers that share the place of one.
    """
    shown = []
    if place.credentials is not None:
        shown = ["--credentials", credentials or str(place.credentials.resolve())]
    elif place.insecure:
        shown = ["--insecure"]
    return ["--nameserver", place.address, "--study", place.study, *shown, *slot_arguments(slots)]


def slot_arguments(slots: int) -> list[str]:
    """What makes a `bohb-worker` as many workers, each with a share of what is there; nothing for one."""
    return [] if slots == 1 else ["--slots", str(slots)]


def worker_environment() -> dict[str, str]:
    """This process's environment without the variables that the command of a worker decides.

    It says where the master is, how many slots there are, and that it logs JSON.
    """
    hidden = {f"BOHB_{option}" for option in _HIDDEN}
    return {name: value for name, value in os.environ.items() if name not in hidden}
