"""The command `bohb-master`."""

import shlex
import sys
from pathlib import Path

import click

from bohb_service._version import VERSION
from bohb_service.cli.doctor import master_doctor
from bohb_service.cli.edge import guarded, print_json, print_run, supervisable
from bohb_service.cli.logs import logs
from bohb_service.cli.options import Address, Listen, Seconds, log_options, option, wants_json
from bohb_service.errors import StudyError

_EPILOG = """\b
Exit codes: 0 done; 1 failure; 2 wrong options, study file, credentials or worker; 3 no evaluation succeeded;
4 no master answers or the port is taken; 5 run directory or journal cannot be used; 6 the final training failed;
75 stopped on request; 130 interrupted; 143 terminated. After the last three the same command goes on."""

_RUN_DIRECTORY = click.argument("directory", type=click.Path(path_type=Path), envvar="BOHB_RUN_DIR")
_ADMIN_CREDENTIALS = option(
    "--credentials",
    type=click.Path(path_type=Path),
    help="Folder with certificate and token of an admin. Default: as the run directory says.",
)
_AS_JSON = option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, epilog=_EPILOG)
@click.version_option(VERSION, prog_name="bohb-master")
def main() -> None:
    """Optimise hyperparameters with BOHB, on one machine or many: check a study file, then run it."""


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@option(
    "--run-dir",
    type=click.Path(path_type=Path),
    help="Where the run is stored. Default: runs/NAME.",
)
@option(
    "--workers",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Workers to start on this machine; with --fleet the most at once, by default those of the study file.",
)
@option(
    "--fleet",
    default="local",
    show_default=True,
    help="What starts workers: local; or as many as are of use with slurm or dask, by the options of the study file.",
)
@option(
    "--print",
    "as_script",
    is_flag=True,
    help="Print what --fleet would submit with the other options, and do nothing else.",
)
@option(
    "--min-workers",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Begin only when so many workers, from wherever, have joined.",
)
@option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address or name of this machine that workers connect to.",
)
@option(
    "--bind",
    help="Address to listen on, e.g. 0.0.0.0 where --host is a name outside of this machine. Default: that of --host.",
)
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="TCP port. Default: that of the run's last master, or else a free one.",
)
@option(
    "--nameserver",
    type=Address(),
    help="External Pyro5 name server to register at, beside the embedded one.",
)
@option(
    "--credentials",
    type=click.Path(path_type=Path),
    help="Folder made by `bohb-master credentials`; without it, only this machine's workers may connect.",
)
@option("--insecure", is_flag=True, help="Let other machines connect without credentials, in a network that you trust.")
@option(
    "--lease",
    type=Seconds(min=1),
    default=60.0,
    show_default=True,
    help="Seconds after which a worker that gives no sign of life loses its job; it gives four in that time.",
)
@option(
    "--grace",
    type=Seconds(min=0),
    default=5.0,
    show_default=True,
    help="Seconds that a worker whose connection broke may take to come back.",
)
@option(
    "--continue-wait",
    type=Seconds(min=0),
    default=10.0,
    show_default=True,
    help="Seconds that a trial which can be continued waits for a worker that holds its directory, "
    "where the run directory is not visible to the workers.",
)
@option(
    "--metrics",
    type=Listen(),
    help="Show figures for Prometheus at http://HOST:PORT/metrics; HOST is 127.0.0.1 unless given.",
)
@option(
    "--supervised",
    is_flag=True,
    help="For what starts failed commands again whatever their exit code is, such as Docker: "
    "2, 3, 5, 6 and 75 become 0.",
)
@log_options
@_AS_JSON
@supervisable
@guarded
def run(
    *,
    file: Path,
    run_dir: Path | None,
    workers: int,
    fleet: str,
    as_script: bool,
    min_workers: int,
    host: str,
    bind: str | None,
    port: int,
    nameserver: str | None,
    credentials: Path | None,
    insecure: bool,
    lease: float,
    grace: float,
    continue_wait: float,
    metrics: tuple[str, int] | None,
    log_json: bool,
    log_text: bool,
    as_json: bool,
) -> None:
    """Run the study in FILE, or go on with it.

    Starts the master with its name server, and --workers local workers; more may join from anywhere at any time.
    The first Ctrl-C lets running evaluations finish, the second ends at once; the same command goes on later.
    """
    from bohb_service.api.study_run import StudyRun
    from bohb_service.cli.watch import watch
    from bohb_service.master.terms import Terms
    from bohb_service.rpc.endpoint import Endpoint
    from bohb_service.security.credentials import load_credentials
    from bohb_service.study import load_study

    lines_as_json = wants_json(log_json=log_json, log_text=log_text)
    if insecure and credentials is not None:
        raise StudyError("give either --credentials or --insecure")
    study = load_study(file)
    held = None if credentials is None else load_credentials(credentials, "master")
    endpoint = Endpoint(host, port, bind, held, insecure=insecure, name_server=nameserver)
    directory = run_dir if run_dir is not None else Path("runs") / study.name
    if as_script:
        from bohb_service.fleet.choice import fleet_script

        click.echo(fleet_script(fleet, study, directory, endpoint), nl=False)
        return
    study_run = StudyRun(
        study,
        directory,
        workers=workers,
        min_workers=min_workers,
        endpoint=endpoint,
        terms=Terms.of(lease_s=lease, grace_s=grace, hold_s=continue_wait),
        fleet=fleet,
        metrics=metrics,
    )
    sys.exit(watch(study_run, file, n_workers=workers, as_json=as_json, log_json=lines_as_json))


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@_AS_JSON
@guarded
def check(*, file: Path, as_json: bool) -> None:
    """Validate the study in FILE; show its brackets and what they will cost."""
    from bohb_service.api.preview import preview
    from bohb_service.cli.tables import preview_table, show
    from bohb_service.study import load_study

    facts = preview(load_study(file))
    if as_json:
        print_json(facts)
    else:
        show(preview_table(facts))


@main.command()
@_RUN_DIRECTORY
@_ADMIN_CREDENTIALS
@_AS_JSON
@guarded
def status(*, directory: Path, credentials: Path | None, as_json: bool) -> None:
    """Show what goes on in the run in DIRECTORY, live if a master serves it."""
    from bohb_service.api.status import run_status
    from bohb_service.cli.collector import pause_collector
    from bohb_service.cli.tables import show, status_table

    pause_collector()
    facts = run_status(directory, credentials)
    if as_json:
        print_json(facts)
    else:
        show(status_table(facts))


@main.command()
@_RUN_DIRECTORY
@option(
    "--top",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="How many of the best configurations to show.",
)
@_AS_JSON
@guarded
def results(*, directory: Path, top: int, as_json: bool) -> None:
    """Show what the run in DIRECTORY has found; also while it goes on."""
    from bohb_service.cli.collector import pause_collector
    from bohb_service.results.run import load_run

    pause_collector()
    found = load_run(directory)
    if as_json:
        print_run(found)
        return
    from bohb_service.cli.tables import results_table, show, summary_table
    from bohb_service.results.summary import summary_of

    show(summary_table(summary_of(found)))
    show(results_table(found, top))


@main.command()
@_RUN_DIRECTORY
@_ADMIN_CREDENTIALS
@guarded
def stop(*, directory: Path, credentials: Path | None) -> None:
    """Ask the master of the run in DIRECTORY to end when nothing runs; the run can go on later."""
    from bohb_service.api.status import stop_run

    stop_run(directory, credentials)
    click.echo("asked the master to stop; it ends when its running evaluations have finished", err=True)


@main.command()
@_RUN_DIRECTORY
@_ADMIN_CREDENTIALS
@guarded
def health(*, directory: Path, credentials: Path | None) -> None:
    """Succeed if the master of the run in DIRECTORY answers; for health checks of containers."""
    from bohb_service.api.status import check_health

    check_health(directory, credentials)


@main.command()
@click.argument("directory", type=click.Path(path_type=Path), envvar="BOHB_CREDENTIALS")
@option(
    "--host",
    "hosts",
    multiple=True,
    help="Name or address by which workers reach this machine; may be repeated.",
)
@option(
    "--days",
    type=int,
    default=365,
    show_default=True,
    help="How long the certificates are valid, at most 3650.",
)
@option(
    "--renew",
    is_flag=True,
    help="Make new certificates in an existing DIRECTORY; --host adds names to the old ones.",
)
@_AS_JSON
@guarded
def credentials(*, directory: Path, hosts: tuple[str, ...], days: int, renew: bool, as_json: bool) -> None:
    """Make certificates and tokens in DIRECTORY, for a master that listens in a network.

    The folder "worker" is what a worker node needs. "authority" and "master" stay on this machine.
    """
    from bohb_service.clock import SystemClock
    from bohb_service.security.authority import make_credentials

    made = make_credentials(directory, hosts, days=days, renew=renew, clock=SystemClock())
    if as_json:
        print_json(made.to_dict())
        return
    from bohb_service.cli.credentials_view import credentials_view, show

    show(credentials_view(made))


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@option("--output", type=click.Path(path_type=Path), help="Folder to make. Default: manifests-NAME.")
@option("--workers", type=click.IntRange(min=1), help="How many workers. Default: those of the study file.")
@guarded
def manifests(*, file: Path, output: Path | None, workers: int | None) -> None:
    """Write the study in FILE as manifests for Kubernetes, with its objective and new credentials."""
    from bohb_service.api.manifests import write_manifests
    from bohb_service.study import load_study

    study = load_study(file)
    folder = output if output is not None else Path(f"manifests-{study.name}")
    for path in write_manifests(study, folder, workers or 0):
        click.echo(path)
    job, deployment = (shlex.quote(str(folder / overlay)) for overlay in ("job", "deployment"))
    click.echo(
        f"start it with\n  kubectl apply -k {job}\nor, with workers that stay and can be scaled,\n"
        f"  kubectl apply -k {deployment}",
        err=True,
    )


@main.command()
@guarded
def schema() -> None:
    """Print the JSON schema of study files, for editors."""
    from bohb_service.study import study_schema

    print_json(study_schema())


main.add_command(logs)
main.add_command(master_doctor)

if __name__ == "__main__":
    main()
