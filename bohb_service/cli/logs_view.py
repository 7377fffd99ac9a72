"""How the logs of trials are shown."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from bohb_service.cli.blocks import command, facts, heading, listing, plain, stack
from bohb_service.cli.wording import budget, duration, figure, plural, settings
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.results.rows import TrialResult
from bohb_service.results.run import Run
from bohb_service.results.trial_log import Attempt, TrialLog
from bohb_service.scheduler.trial import TrialState

_STYLES = {"completed": "green", "failed": "red", "abandoned": "red", "requeued": "yellow"}


def failed_trials(run: Run) -> list[TrialResult]:
    """The trials that failed, or were given up."""
    return [trial for trial in run.trials if trial.state in {TrialState.FAILED, TrialState.ABANDONED}]


def failures_view(run: Run) -> RenderableType:
    """The trials that failed, a line each.

    Args:
        run: The run.
    """
    failed = failed_trials(run)
    final = f"The final training failed: {run.refit_failure}" if run.refit_failure is not None else None
    note = plain(final, "red") if final is not None else None
    if not failed:
        return stack((Text("No trial has failed.", style="green"), note))
    table = listing("trial", "budget", "reason", "worker", "what happened", right=("budget",))
    for trial in failed:
        reason = trial.reason if trial.state is TrialState.FAILED else f"given up: {trial.reason}"
        table.add_row(trial.trial, budget(trial.budget), reason, plain(trial.worker), plain(trial.message))
    return stack(
        (
            heading(f"{plural(len(failed), 'failed trial')} of {len(run.trials)}"),
            table,
            note,
            Text("\nThe traceback and the last output of one of them:", style="dim"),
            command(f"bohb-master logs {run.directory} {failed[-1].trial}"),
        )
    )


def trial_view(log: TrialLog, directory: RunDirectory) -> RenderableType:
    """All attempts of a trial, with what they left behind.

    Args:
        log: The log of the trial.
        directory: The run directory, for the files that hold all of the workers' output.
    """
    rows: list[tuple[str, RenderableType]] = [
        ("budget", budget(log.budget)),
        ("configuration", plain("  ".join(settings(log.config)))),
    ]
    parts: list[RenderableType] = [Text(f"Trial {log.trial}", style="bold"), facts(rows)]
    for attempt in log.attempts:
        parts += _attempt(attempt, directory)
    return stack(parts)


def _attempt(attempt: Attempt, directory: RunDirectory) -> Sequence[RenderableType]:
    rows: list[tuple[str, RenderableType]] = [("worker", plain(attempt.worker)), ("began", _time(attempt.started_at))]
    if attempt.ended_at is not None:
        rows.append(("ended", _time(attempt.ended_at)))
    if attempt.seconds is not None:
        rows.append(("took", duration(attempt.seconds)))
    if attempt.loss is not None:
        rows.append(("loss", figure(attempt.loss)))
    if attempt.message:
        rows.append((attempt.reason or "why", plain(attempt.message)))
    if (output := _output_of(attempt.worker, directory)) is not None:
        rows.append(("output", plain(str(output))))
    title = Text.assemble(("\nAttempt ", "bold"), (str(attempt.number), "bold"), ": ")
    title.append(attempt.end, style=_STYLES.get(attempt.end, ""))
    detail = [plain(f"    {line}") for line in attempt.detail.rstrip().splitlines()]
    return [title, facts(rows), *([Text(), *detail] if detail else [])]


def _output_of(worker: str, directory: RunDirectory) -> Path | None:
    """The file with all that the objectives of a worker printed, if it is in the run directory."""
    path = directory.log_of(worker)
    return path if path.is_file() else None


def _time(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
