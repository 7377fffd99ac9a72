"""Watches a run until it ends: a live view in a terminal, a line per event elsewhere, and a summary at the end."""

import contextlib
import logging
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console

from bohb_service import log_context
from bohb_service.api.study_run import StudyRun
from bohb_service.cli.collector import pause_collector, spare_survivors
from bohb_service.cli.edge import print_run
from bohb_service.cli.lines import EventLines, configure_logging
from bohb_service.cli.live import LiveView
from bohb_service.cli.tables import show, summary_table
from bohb_service.clock import SystemClock
from bohb_service.doctor.mounts import mount_of
from bohb_service.exit_codes import ExitCode
from bohb_service.results.run import Run
from bohb_service.results.summary import summary_of
from bohb_service.rpc.endpoint import Endpoint
from bohb_service.security.credentials import days_left

log = logging.getLogger("bohb_service.cli")

_REFRESH_S = 0.25
_WARN_DAYS = 14.0


class _Signals:
    """What the user or the system asked for: the first interrupt drains, everything further ends at once.

    Attributes:
        last: The last signal, or None.
    """

    def __init__(self, run: StudyRun) -> None:
        self._run = run
        self._n_interrupts = 0
        self.last: signal.Signals | None = None

    def handle(self, number: int, _frame: object) -> None:
        """Act on a signal."""
        self.last = signal.Signals(number)
        if not self._run.is_started:
            raise SystemExit(128 + number)
        self._n_interrupts += 1
        if self.last is signal.SIGINT and self._n_interrupts == 1:
            self._run.drain()
            # As a log line it stays above the live view.
            log.warning("finishing what runs; Ctrl-C again ends at once")
        else:
            self._run.abort()

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        """Handle SIGINT, SIGTERM and SIGHUP here until the end of the block."""
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        # What is ignored from the start, e.g. under nohup, stays ignored.
        heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self.handle) for number in heeded}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def watch(run: StudyRun, file: Path, *, n_workers: int, as_json: bool, log_json: bool | None) -> ExitCode:
    """Run a study to its end and show it.

    Args:
        run: The study, not entered yet.
        file: Its file, for the hint how to go on.
        n_workers: Number of local workers; 0 prints how to start others.
        as_json: Print the results as JSON on stdout, and nothing else there.
        log_json: Log as JSON lines; None: where stderr is no terminal.

    Returns:
        The command's exit code.
    """
    configure_logging(as_json=log_json)
    log_context.bind(study=run.study.name)
    _warn_of_security(run.endpoint)
    warn_of_disk(run.directory.path)
    signals = _Signals(run)
    is_live = sys.stdout.isatty() and not as_json
    if not is_live:
        run.listen = EventLines
    pause_collector()
    with signals.handled(), run:
        spare_survivors()
        if run.was_finished:
            click.echo("this study was finished before; to go on with it, raise its `stop` rules", err=True)
        elif n_workers == 0 and not run.has_fleet:
            _tell_how_to_join(run)
        if is_live:
            _watch_live(run)
        else:
            while not run.wait(_REFRESH_S):
                pass
    results = run.results()
    if as_json:
        print_run(results)
    else:
        show(summary_table(summary_of(results, interrupted=run.end == "interrupted", file=file, n_workers=n_workers)))
    return _exit_code(run, results, signals.last)


def _watch_live(run: StudyRun) -> None:
    with LiveView(Console(), run.status) as view:
        while not run.wait(_REFRESH_S):
            view.update()


def _warn_of_security(endpoint: Endpoint) -> None:
    """Say what is not as safe as it should be, or will not be for long."""
    if endpoint.insecure and endpoint.security == "insecure":
        log.warning(
            "insecure: whoever can connect to %s may take jobs, report results and stop the run; "
            "`bohb-master credentials` mends that",
            endpoint.address,
        )
    if endpoint.credentials is not None:
        left = days_left(endpoint.credentials, SystemClock().now())
        if left < _WARN_DAYS:
            log.warning(
                "the master's certificate expires in %.1f days; `bohb-master credentials %s --renew` makes a new one",
                left,
                endpoint.credentials.source,
            )


def warn_of_disk(path: Path, mounts: str | None = None) -> None:
    """Say if a run directory is on a file system that several machines share.

    Args:
        path: The directory.
        mounts: As `mount_of` takes them.
    """
    mount = mount_of(path, mounts)
    if mount is not None and mount.is_network:
        log.warning(
            "%s is on %s, a file system that machines share, where SQLite's write-ahead log is not safe: keep the run "
            "directory on a disk of this machine (--run-dir); `bohb-master doctor` says more",
            path,
            mount.kind,
        )


def _tell_how_to_join(run: StudyRun) -> None:
    security = run.endpoint.security
    more = {"tls": " --credentials DIR", "insecure": " --insecure", "loopback": ""}[security]
    note = "\nDIR is a copy of the folder `worker` of the credentials" if security == "tls" else ""
    click.echo(
        f"waiting for workers; start them with\n"
        f"  bohb-worker --nameserver {run.address} --study {run.study.name}{more}\n"
        f"or on a machine that sees this directory\n"
        f"  bohb-worker --run-dir {shlex.quote(str(run.directory.path))}{note}",
        err=True,
    )


def _exit_code(run: StudyRun, results: Run, last: signal.Signals | None) -> ExitCode:
    if run.end == "interrupted":
        if last is signal.SIGINT:
            return ExitCode.INTERRUPTED
        return ExitCode.TRY_AGAIN if last is None else ExitCode.TERMINATED
    if results.incumbent is None:
        return ExitCode.NO_RESULT
    return ExitCode.OK if results.refit_failure is None else ExitCode.NO_MODEL
