"""The command `bohb-worker`."""

import logging
import sys
from pathlib import Path

import click

from bohb_service._version import VERSION
from bohb_service.cli.edge import guarded
from bohb_service.cli.lines import configure_logging
from bohb_service.cli.options import Address, Seconds, option
from bohb_service.errors import StudyError

log = logging.getLogger("bohb_service.cli")

_EPILOG = """\b
Exit codes: 0 the study ended; 1 failure; 2 wrong options, credentials or worker class; 4 no master for too long;
75 drained by SIGTERM or SIGUSR1, the lease was given back; 130 interrupted."""


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EPILOG,
)
@option(
    "--run-dir",
    type=click.Path(path_type=Path),
    help="Run directory of the study, if this machine sees it; tells where the master is.",
)
@option(
    "--nameserver",
    type=Address(),
    help="Name server: the address the master prints, or an external Pyro5 name server.",
)
@option("--study", help="Name of the study at the name server.")
@option(
    "--credentials",
    type=click.Path(path_type=Path),
    help="Folder with certificate and token of a worker, made by `bohb-master credentials`. "
    "Default: as the run directory says.",
)
@option("--insecure", is_flag=True, help="Speak in clear to a master on another machine, in a network that you trust.")
@option(
    "--worker",
    "spec",
    default="",
    help="Worker class: entry point, package.module:Class or path/to/file.py:Class. Default: as the study says.",
)
@option("--name", help="Unique name. Default: host, pid and a few letters.")
@option(
    "--scratch",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where configurations keep their files when the run directory is not visible here. Default: temporary folder.",
)
@option(
    "--orphan-timeout",
    type=Seconds(min=0),
    default=3600.0,
    show_default=True,
    help="Seconds without a master after which the worker gives up.",
)
@option("--log-json", is_flag=True, help="Log as JSON lines.")
@click.version_option(VERSION, prog_name="bohb-worker")
@click.pass_context
@guarded
def main(
    context: click.Context,
    *,
    run_dir: Path | None,
    nameserver: str | None,
    study: str | None,
    credentials: Path | None,
    insecure: bool,
    spec: str,
    name: str | None,
    scratch: Path | None,
    orphan_timeout: float,
    log_json: bool,
) -> None:
    """Evaluate jobs of a study until it ends.

    The worker finds the master by --run-dir, or by --nameserver and --study. It may be started before the
    master, and survives the master's restarts.
    """
    if context.invoked_subcommand is not None:
        return
    if (run_dir is None) == (nameserver is None):
        raise StudyError("give either --run-dir DIR, or --nameserver HOST:PORT with --study NAME")
    if nameserver is not None and not study:
        raise StudyError(f"--nameserver {nameserver} needs --study NAME; `bohb-master run` prints both")
    if insecure and credentials is not None:
        raise StudyError("give either --credentials or --insecure")
    from bohb_service.api.find_master import by_run_directory
    from bohb_service.rpc.access import Access
    from bohb_service.rpc.locate import ByNameServer, Connect
    from bohb_service.security.credentials import load_credentials
    from bohb_service.worker.command import run_worker

    configure_logging(as_json=log_json)
    if insecure:
        log.warning("insecure: any master that answers gives jobs to this worker; use --credentials instead")
    connect: Connect
    if run_dir is not None:
        connect = by_run_directory(run_dir, credentials)
    else:
        held = None if credentials is None else load_credentials(credentials, "worker")
        connect = ByNameServer(nameserver or "", study or "", Access("worker", held, insecure=insecure))
    logs = run_dir / "logs" if run_dir is not None and (run_dir / "logs").is_dir() else None
    sys.exit(run_worker(connect, spec=spec, name=name, scratch=scratch, orphan_timeout_s=orphan_timeout, logs=logs))


@main.command("list")
@guarded
def list_command() -> None:
    """List the installed workers."""
    from bohb_service.worker.loader import list_workers

    for worker in list_workers():
        click.echo(worker)


if __name__ == "__main__":
    main()
