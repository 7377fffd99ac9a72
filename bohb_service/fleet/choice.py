"""Makes the fleet that was asked for by name."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bohb_service.clock import Clock
from bohb_service.errors import StudyError
from bohb_service.fleet.dask import DaskLauncher
from bohb_service.fleet.elastic import ElasticFleet, Launcher
from bohb_service.fleet.fleet import Employer, Place
from bohb_service.fleet.slurm import SlurmLauncher, slurm_script
from bohb_service.fleet.staffing import Size
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.rpc.endpoint import Endpoint
from bohb_service.rpc.pyro import format_address
from bohb_service.study import Fleet as FleetSection
from bohb_service.study import Study
from bohb_service.suggestions import did_you_mean

_LAUNCHERS: dict[str, Callable[[Place, FleetSection], Launcher]] = {
    "dask": lambda place, section: DaskLauncher(place, section.dask, section.slots),
    "slurm": lambda place, section: SlurmLauncher(place, section.slurm, section.slots),
}

FLEETS: Sequence[str] = ("local", *_LAUNCHERS)
"""What workers can be started with."""


def check_fleet(name: str) -> None:
    """Refuse a fleet that does not exist.

    Raises:
        StudyError: There is none of that name.
    """
    if name not in FLEETS:
        if name == "kubernetes":
            raise StudyError("--fleet kubernetes: workers go there as manifests; see `bohb-master manifests FILE`")
        hint = did_you_mean(name, FLEETS) or "choose another"
        raise StudyError(f"--fleet: {name!r} is not known; {hint} (allowed: {', '.join(FLEETS)})")


def size_of(section: FleetSection, workers: int) -> Size:
    """How large a fleet may be.

    Args:
        section: What the study file says.
        workers: What the command line says; 0 leaves it to the study file.

    Raises:
        StudyError: Neither says how many workers there may be, or the numbers contradict each other.
    """
    most = workers or section.workers
    if most is None:
        raise StudyError(
            "it must be known how many workers there may be: give --workers N, or the study file fleet.workers"
        )
    if section.min_workers > most:
        raise StudyError(
            f"fleet.min_workers: {section.min_workers} is more than the {most} workers that there may be; "
            "lower it, or raise --workers or fleet.workers"
        )
    return Size(most, section.min_workers, section.slots, section.idle_seconds, section.poll_seconds)


def elastic_fleet(  # noqa: PLR0917  (the parts that it joins)
    name: str, place: Place, section: FleetSection, workers: int, employer: Employer, clock: Clock
) -> ElasticFleet:
    """The fleet of this name, not started yet.

    Args:
        name: One of `FLEETS` but ``local``.
        place: For which run.
        section: What the study file says.
        workers: Most workers; 0 leaves it to the study file.
        employer: The master.
        clock: Time.

    Raises:
        StudyError: The numbers or options cannot be used.
    """
    return ElasticFleet(_LAUNCHERS[name](place, section), size_of(section, workers), employer, clock)


def fleet_script(name: str, study: Study, directory: Path, endpoint: Endpoint) -> str:
    """What a fleet would submit for a study.

    Args:
        name: One of `FLEETS`.
        study: The study.
        directory: Its run directory.
        endpoint: Where the master would listen; a port that it would only choose then is shown as such.

    Raises:
        StudyError: The fleet submits no script.
    """
    check_fleet(name)
    if name != "slurm":
        raise StudyError(f"--print: --fleet {name} submits no script; give --fleet slurm")
    address = "HOST:PORT"
    if endpoint.security != "loopback":
        address = format_address(endpoint.host, endpoint.port)
        address = address if endpoint.port else f"{address.removesuffix('0')}PORT"
    held = None if endpoint.credentials is None else endpoint.credentials.source
    place = Place(RunDirectory(directory), study.name, address, held, insecure=endpoint.insecure)
    return slurm_script(place, study.fleet.slurm, study.fleet.slots)
