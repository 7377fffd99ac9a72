"""The command `bohb-worker`."""

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bohb_service._version import VERSION
from bohb_service.cli.doctor import worker_doctor
from bohb_service.cli.edge import guarded, print_json
from bohb_service.cli.lines import configure_logging
from bohb_service.cli.options import Address, Budgets, Seconds, Setting, log_options, option, wants_json
from bohb_service.errors import StudyError
from bohb_service.exit_codes import ExitCode

if TYPE_CHECKING:
    from bohb_service.api.bench import Step

log = logging.getLogger("bohb_service.cli")

_EPILOG = """\b
Exit codes: 0 the study ended; 1 failure; 2 wrong options, credentials or worker class; 4 no master for too long;
75 preempted by SIGTERM or SIGUSR1, the lease was given back; 130 interrupted."""


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
@option(
    "--preempt-grace",
    type=Seconds(min=0),
    default=20.0,
    show_default=True,
    help="Seconds that the running evaluation has after SIGTERM or SIGUSR1 to save what it has.",
)
@option(
    "--label",
    "labels",
    type=Setting("kind=a100"),
    multiple=True,
    help="What this worker has of that which trials need, NAME=VALUE; may be repeated. "
    "Found by itself: gpu, cpus, memory_mb.",
)
@option(
    "--slots",
    type=click.IntRange(min=0),
    default=0,
    help="Run so many workers, one to each GPU where there are any; CUDA_VISIBLE_DEVICES limits which. "
    "Default: one worker with all that is visible.",
)
@option(
    "--slots-per-gpu",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many slots may share a GPU.",
)
@log_options
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
    preempt_grace: float,
    labels: tuple[tuple[str, Any], ...],
    slots: int,
    slots_per_gpu: int,
    log_json: bool,
    log_text: bool,
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
    if run_dir is not None and run_dir.exists() and not run_dir.is_dir():
        raise StudyError(f"--run-dir {run_dir} is a file; give the run directory of the study")
    if insecure and credentials is not None:
        raise StudyError("give either --credentials or --insecure")
    from bohb_service.api.find_master import by_run_directory
    from bohb_service.parent import follow_parent
    from bohb_service.rpc.access import Access
    from bohb_service.rpc.locate import ByNameServer, Connect
    from bohb_service.security.credentials import load_credentials
    from bohb_service.worker.command import default_name, run_worker
    from bohb_service.worker.slots import PARENT, plan_slots, run_slots

    has = _checked_labels(labels)
    configure_logging(as_json=wants_json(log_json=log_json, log_text=log_text))
    if slots:
        planned = plan_slots(slots, slots_per_gpu, name or default_name(), has)
        sys.exit(run_slots(planned, [sys.executable, "-m", "bohb_service.cli.worker", *sys.argv[1:]]))
    if parent := os.environ.pop(PARENT, ""):
        follow_parent(int(parent))
    if insecure:
        log.warning("insecure: any master that answers gives jobs to this worker; use --credentials instead")
    connect: Connect
    if run_dir is not None:
        connect = by_run_directory(run_dir, credentials)
    else:
        held = None if credentials is None else load_credentials(credentials, "worker")
        connect = ByNameServer(nameserver or "", study or "", Access("worker", held, insecure=insecure))
    logs = run_dir / "logs" if run_dir is not None and (run_dir / "logs").is_dir() else None
    sys.exit(
        run_worker(
            connect,
            spec=spec,
            name=name,
            scratch=scratch,
            orphan_timeout_s=orphan_timeout,
            grace_s=preempt_grace,
            logs=logs,
            labels=has,
        )
    )


def _checked_labels(labels: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """The labels by name, as a study file may ask for them."""
    if not labels:
        return {}
    from bohb_service.study.sections import check_needs

    try:
        (checked,) = check_needs(dict(labels))
    except ValueError as error:
        raise StudyError(f"--label {error}") from error
    return dict(checked)


@main.command("list")
@guarded
def list_command() -> None:
    """List the installed workers."""
    from bohb_service.worker.loader import list_workers

    for worker in list_workers():
        click.echo(worker)


@main.command()
@click.argument("target")
@option(
    "--configurations",
    type=click.IntRange(1, 100_000),
    default=12,
    show_default=True,
    help="How many random configurations to evaluate.",
)
@option("--budgets", type=Budgets(), help="Budgets to evaluate at, e.g. 1,3,9,27. Default: those of the study file.")
@option("--seed", type=click.IntRange(0, 2**63 - 1), help="Default: that of the study file, or 0.")
@option(
    "--option",
    "options",
    type=Setting(),
    multiple=True,
    help="Option of the worker, KEY=VALUE, on top of those of the study file; may be repeated.",
)
@option("--seconds", type=Seconds(min=0, min_open=True), help="End after that time, with what was found by then.")
@option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
@guarded
def bench(
    *,
    target: str,
    configurations: int,
    budgets: tuple[float, ...] | None,
    seed: int | None,
    options: tuple[tuple[str, Any], ...],
    seconds: float | None,
    as_json: bool,
) -> None:
    """Find out whether the fidelity of TARGET is worth using.

    TARGET is a study file, or a worker: entry point, package.module:Class or path/to/file.py:Class. Random
    configurations are evaluated at each budget, in a process and under the limits of a worker. Shown are cost,
    losses and failures at each budget, how well small budgets foretell large ones, and whether evaluations can
    be continued. Ctrl-C ends it with what was found by then.
    """
    from bohb_service.api.bench import run_bench
    from bohb_service.api.bench_plan import plan_bench

    plan = plan_bench(target, configurations=configurations, budgets=budgets, seed=seed, options=dict(options))
    result = run_bench(plan, seconds=seconds, on_step=_tell_step)
    if as_json:
        print_json(result.to_dict())
    else:
        from bohb_service.cli.bench_view import bench_view
        from bohb_service.cli.blocks import show

        show(bench_view(result))
    ends = {"interrupted": ExitCode.INTERRUPTED, "terminated": ExitCode.TERMINATED}
    sys.exit(ends.get(result.end, ExitCode.OK if result.has_loss else ExitCode.NO_RESULT))


def _tell_step(step: "Step") -> None:
    """One line on stderr for each evaluation."""
    from bohb_service.cli.log_format import one_line
    from bohb_service.cli.wording import budget, duration, figure

    done = step.evaluation
    what = {"warm-up": "warm-up", "fresh": "", "continued": "continued"}[step.kind]
    how = f"loss {figure(done.loss)}" if done.failure is None else f"failed: {one_line(done.failure)}"
    place = f"[{step.number}/{step.total}] configuration {done.configuration} at budget {budget(done.budget)}"
    click.echo(f"{place}{f' ({what})' if what else ''}: {how} in {duration(done.seconds)}", err=True)


main.add_command(worker_doctor)

if __name__ == "__main__":
    main()
