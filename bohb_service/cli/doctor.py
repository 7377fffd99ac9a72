"""The command ``doctor`` of both programs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bohb_service.cli.edge import guarded, print_json
from bohb_service.cli.options import Address, option
from bohb_service.errors import StudyError
from bohb_service.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bohb_service.doctor.finding import Finding

_AS_JSON = option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


@click.command("doctor")
@option(
    "--run-dir",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Run directory, there already or not; or the folder in which it will be.",
)
@option("--host", default="127.0.0.1", show_default=True, help="Address or name that workers connect to.")
@option("--bind", help="Address to listen on. Default: that of --host.")
@option("--port", type=click.IntRange(0, 65535), default=0, help="TCP port. Default: as `run` chooses it.")
@option("--nameserver", type=Address(), help="External Pyro5 name server.")
@option("--credentials", type=click.Path(path_type=Path), help="Folder made by `bohb-master credentials`.")
@option("--insecure", is_flag=True, help="Other machines may connect without credentials.")
@_AS_JSON
@guarded
def master_doctor(
    *,
    run_dir: Path,
    host: str,
    bind: str | None,
    port: int,
    nameserver: str | None,
    credentials: Path | None,
    insecure: bool,
    as_json: bool,
) -> None:
    """Look at this machine, with the options of `run`, before a master is to run here, or while it does.

    Shown are addresses and what workers will be told, port, name server, certificates, clocks, the disk of the run
    directory, versions, GPUs and limits, each with what to do about it. Ends with 1 if something will not work.
    """
    from bohb_service.clock import SystemClock
    from bohb_service.doctor.master_side import MasterPlace, examine_master

    _check_one(credentials, insecure=insecure)
    place = MasterPlace(run_dir, host, bind, port, nameserver, credentials, insecure)
    _tell(examine_master(place, SystemClock()), as_json=as_json)


@click.command("doctor")
@option("--run-dir", type=click.Path(path_type=Path), help="Run directory of the study, if this machine sees it.")
@option("--nameserver", type=Address(), help="Name server: the address the master prints, or an external one.")
@option("--study", help="Name of the study at the name server.")
@option("--credentials", type=click.Path(path_type=Path), help="Folder with certificate and token of a worker.")
@option("--insecure", is_flag=True, help="Speak in clear to a master on another machine.")
@option("--worker", "spec", default="", help="Worker class. Default: as the study says.")
@option(
    "--scratch",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where configurations keep their files when the run directory is not visible here.",
)
@_AS_JSON
@guarded
def worker_doctor(
    *,
    run_dir: Path | None,
    nameserver: str | None,
    study: str | None,
    credentials: Path | None,
    insecure: bool,
    spec: str,
    scratch: Path | None,
    as_json: bool,
) -> None:
    """Look at this machine, with the options of `bohb-worker`, before a worker is to run here.

    Connects to the master as a worker does, but takes no job. Without --run-dir and --nameserver only the machine is
    looked at. Each finding comes with what to do about it. Ends with 1 if something will not work.
    """
    from bohb_service.clock import SystemClock
    from bohb_service.doctor.worker_side import WorkerPlace, examine_worker

    _check_one(credentials, insecure=insecure)
    if run_dir is not None and nameserver is not None:
        raise StudyError("give either --run-dir DIR, or --nameserver HOST:PORT with --study NAME")
    if nameserver is not None and not study:
        raise StudyError(f"--nameserver {nameserver} needs --study NAME; `bohb-master run` prints both")
    place = WorkerPlace(run_dir, nameserver, study, credentials, insecure, spec, scratch)
    _tell(examine_worker(place, SystemClock()), as_json=as_json)


def _check_one(credentials: Path | None, *, insecure: bool) -> None:
    if insecure and credentials is not None:
        raise StudyError("give either --credentials or --insecure")


def _tell(found: "Iterable[Finding]", *, as_json: bool) -> None:
    from bohb_service.doctor.finding import to_dict, verdict

    findings = list(found)
    if as_json:
        print_json(to_dict(findings))
    else:
        from bohb_service.cli.blocks import show
        from bohb_service.cli.doctor_view import doctor_view

        show(doctor_view(findings))
    sys.exit(ExitCode.FAILURE if verdict(findings) == "fail" else ExitCode.OK)
