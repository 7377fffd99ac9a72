"""The command `bohb-master logs`."""

import os
from pathlib import Path

import click

from bohb_service.cli.edge import guarded, print_json
from bohb_service.cli.options import option

_RUN_DIRECTORY_VARIABLE = "BOHB_RUN_DIR"


@click.command()
@click.argument("directory", required=False, envvar=_RUN_DIRECTORY_VARIABLE)
@click.argument("trial", required=False)
@option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
@guarded
def logs(*, directory: str | None, trial: str | None, as_json: bool) -> None:
    """Show what happened to TRIAL in the run in DIRECTORY, e.g. 12.0; without TRIAL, which trials failed.

    Shown are all attempts, each with its worker and how it ended; of a failure the last output and the traceback.
    DIRECTORY may be left away where BOHB_RUN_DIR names it.
    """
    from bohb_service.cli.collector import pause_collector

    pause_collector()
    path, name = _place_of(directory, trial, os.environ.get(_RUN_DIRECTORY_VARIABLE))
    if name is None:
        _list_failures(path, as_json=as_json)
        return
    from bohb_service.results.trial_log import log_to_dict, trial_log

    log = trial_log(path, name)
    if as_json:
        print_json(log_to_dict(log))
        return
    from bohb_service.cli.blocks import show
    from bohb_service.cli.logs_view import trial_view
    from bohb_service.journal.run_directory import RunDirectory

    show(trial_view(log, RunDirectory(path)))


def _place_of(directory: str | None, trial: str | None, default: str | None) -> tuple[Path, str | None]:
    """The run directory and the trial that are meant; one argument alone may be either where there is a default."""
    if directory is None:
        raise click.UsageError("Missing argument 'DIRECTORY'.")
    if trial is None and default and directory != default and not Path(directory).is_dir():
        return Path(default), directory
    return Path(directory), trial


def _list_failures(directory: Path, *, as_json: bool) -> None:
    from bohb_service.cli.logs_view import failed_trials, failures_view
    from bohb_service.results.run import load_run

    run = load_run(directory)
    if as_json:
        from bohb_service.results.export import trial_to_dict

        print_json([trial_to_dict(failed) for failed in failed_trials(run)])
        return
    from bohb_service.cli.blocks import show

    show(failures_view(run))
