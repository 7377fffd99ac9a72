"""The command `bohb-master`."""

import sys
from pathlib import Path

import click

from bohb_service._version import VERSION
from bohb_service.cli.edge import guarded, print_json
from bohb_service.cli.options import Address, option

_EPILOG = """\b
Exit codes: 0 done; 1 failure; 2 wrong options, study file or worker; 3 no evaluation succeeded;
4 no master answers or the port is taken; 5 run directory or journal cannot be used;
75 stopped on request; 130 interrupted; 143 terminated. After the last three the same command goes on."""

_RUN_DIRECTORY = click.argument("directory", type=click.Path(path_type=Path), envvar="BOHB_RUN_DIR")
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
    help="Workers to start on this machine.",
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
    help="Address of this machine that workers connect to.",
)
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="TCP port. Default: a free one.",
)
@option(
    "--nameserver",
    type=Address(),
    help="External Pyro5 name server to register at, beside the embedded one.",
)
@option(
    "--lease",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    help="Seconds after which a worker that gives no sign of life loses its job; it gives four in that time.",
)
@option(
    "--grace",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    help="Seconds that a worker whose connection broke may take to come back.",
)
@option("--log-json", is_flag=True, help="Log as JSON lines.")
@_AS_JSON
@guarded
def run(
    *,
    file: Path,
    run_dir: Path | None,
    workers: int,
    min_workers: int,
    host: str,
    port: int,
    nameserver: str | None,
    lease: float,
    grace: float,
    log_json: bool,
    as_json: bool,
) -> None:
    """Run the study in FILE, or go on with it.

    Starts the master with its name server, and --workers local workers; more may join from anywhere at any time.
    The first Ctrl-C lets running evaluations finish, the second ends at once; the same command goes on later.
    """
    from bohb_service.api.study_run import StudyRun
    from bohb_service.cli.watch import watch
    from bohb_service.master.terms import Terms
    from bohb_service.study import load_study

    study = load_study(file)
    directory = run_dir if run_dir is not None else Path("runs") / study.name
    study_run = StudyRun(
        study,
        directory,
        workers=workers,
        min_workers=min_workers,
        host=host,
        port=port,
        name_server=nameserver,
        terms=Terms.of(lease_s=lease, grace_s=grace),
    )
    sys.exit(watch(study_run, file, n_workers=workers, as_json=as_json, log_json=log_json))


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
@_AS_JSON
@guarded
def status(*, directory: Path, as_json: bool) -> None:
    """Show what goes on in the run in DIRECTORY, live if a master serves it."""
    from bohb_service.api.status import run_status
    from bohb_service.cli.tables import show, status_table

    facts = run_status(directory)
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
    from bohb_service.results.run import load_run

    found = load_run(directory)
    if as_json:
        print_json(found.to_dict())
        return
    from bohb_service.cli.tables import results_table, show, summary_table
    from bohb_service.results.summary import summary_of

    show(summary_table(summary_of(found)))
    show(results_table(found, top))


@main.command()
@_RUN_DIRECTORY
@guarded
def stop(*, directory: Path) -> None:
    """Ask the master of the run in DIRECTORY to end when nothing runs; the run can go on later."""
    from bohb_service.api.status import stop_run

    stop_run(directory)
    click.echo("asked the master to stop; it ends when its running evaluations have finished", err=True)


@main.command()
@guarded
def schema() -> None:
    """Print the JSON schema of study files, for editors."""
    from bohb_service.study import study_schema

    print_json(study_schema())


if __name__ == "__main__":
    main()
