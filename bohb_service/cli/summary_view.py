"""The summary of a run as it is printed when the run is over."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bohb_service.cli.blocks import command, facts, heading, listing, plain, stack
from bohb_service.cli.wording import amount, budget, duration, figure, percent, plural, setting
from bohb_service.results.rows import RungResult
from bohb_service.results.run import Run
from bohb_service.results.summary import Comparison, Summary
from bohb_service.scheduler.trial import TrialState

_MOST_BRACKETS = 6
_TRACEBACK_LINES = 15

ORIGINS = {"prior": "drawn at random", "model": "proposed by the model", "initial": "given to be tried first"}
"""Where a configuration came from, in words."""

STOP_REASONS = {
    "brackets": "all brackets are done",
    "evaluations": "the evaluations are used up",
    "full_budgets": "the budget is used up",
    "seconds": "the time is up",
    "loss": "the loss is good enough",
}
"""Why a search ended, in words."""


def summary_table(summary: Summary) -> RenderableType:
    """The whole summary.

    Args:
        summary: What `summary_of` returned.
    """
    run = summary.run
    return stack(
        (
            _title(run),
            _resume(summary),
            _all_failed(summary) if summary.is_all_failed else _incumbent(summary),
            heading("Evaluations") if run.rungs else None,
            _rungs(run) if run.rungs else None,
            _failures(run) if run.failures() and not summary.is_all_failed else None,
            heading("Run"),
            facts(_run_facts(run)),
            heading("Next"),
            *map(command, summary.commands),
        )
    )


def _title(run: Run) -> Text:
    reason = "" if run.stop_reason is None else f", {STOP_REASONS.get(run.stop_reason, run.stop_reason)}"
    style = "green" if run.state == "finished" else "yellow"
    return Text.assemble((run.name, "bold"), ": ", plain(f"{run.state}{reason}", style))


def _resume(summary: Summary) -> RenderableType | None:
    if summary.resume is None:
        return None
    return stack((Text("It can go on where it stopped:", style="yellow"), command(summary.resume)))


def _all_failed(summary: Summary) -> RenderableType:
    """What went wrong, prominently: the most frequent failure with its traceback."""
    worst, *others = summary.run.failures()
    total = worst.count + sum(group.count for group in others)
    lines = worst.detail.rstrip().splitlines()
    detail = [plain(f"    {line}", "dim") for line in lines[-_TRACEBACK_LINES:]]
    rows = [(f"{group.count}x {group.reason}", plain(f"trial {group.trial}: {group.message}")) for group in others]
    what = "The only evaluation" if total == 1 else f"All {total} evaluations"
    so_far = "" if summary.run.stop_reason is not None else " so far"
    return stack(
        (
            Text(f"\n{what}{so_far} failed: there is no result.", style="bold red"),
            facts([(f"{worst.count}x {worst.reason}", plain(f"trial {worst.trial}: {worst.message}", "red"))]),
            *detail,
            facts(rows) if rows else None,
        )
    )


def _incumbent(summary: Summary) -> RenderableType:
    run, best = summary.run, summary.run.incumbent
    if best is None:
        return Text("\nNo evaluation has been completed yet.", style="yellow")
    unit = run.study.fidelity.name
    rows: list[tuple[str, RenderableType]] = [
        (str(name), Text(setting(value), style="bold")) for name, value in best.config.items()
    ]
    figures: list[tuple[str, RenderableType]] = []
    loss = Text.assemble((figure(best.loss), "bold"), f" at {amount(best.budget, unit)}")
    if best.budget < run.study.fidelity.max:
        loss.append(f", not yet the full {amount(run.study.fidelity.max, unit)}", style="yellow")
    figures.append(("validation loss", _with_verdict(loss, summary.validation)))
    if summary.test_error is not None:
        is_share = summary.test.is_share if summary.test else 0 <= summary.test_error <= 1
        error = Text(_error(summary.test_error, is_share=is_share), style="bold")
        figures.append(("test error", _with_verdict(error, summary.test)))
    if run.refit_failure is not None:
        figures.append(("final training", plain(f"failed: {run.refit_failure}", "red")))
    if summary.notes:
        notes = ", ".join(f"{name} {setting(value)}" for name, value in summary.notes.items())
        figures.append(("final training", plain(notes, "dim")))
    return stack(
        (heading(f"Incumbent: trial {best.trial}, {ORIGINS[best.origin]}"), facts(rows), Text(), facts(figures))
    )


def _with_verdict(value: Text, comparison: Comparison | None) -> Text:
    """The value, and on a line below it the baseline's with the difference."""
    if comparison is None:
        return value
    text = Text.assemble(value, "\n")
    rival = plain(f"{comparison.baseline} ({_error(comparison.baseline_value, is_share=comparison.is_share)})")
    gain, relative = comparison.gain, comparison.relative_gain
    if gain == 0:
        return text.append("no better than ", style="bold yellow").append_text(rival)
    by = f"{100 * abs(gain):.2f} points" if comparison.is_share else figure(abs(gain))
    text.append("beats " if gain > 0 else "WORSE than ", style="bold green" if gain > 0 else "bold red")
    text.append_text(rival).append(" by ").append(by, style="bold")
    if relative is not None:
        better, worse = ("fewer errors", "more errors") if comparison.is_share else ("lower", "higher")
        text.append(f" ({percent(abs(relative))} {better if gain > 0 else worse})")
    return text


def _error(value: float, *, is_share: bool) -> str:
    return f"{100 * value:.2f} %" if is_share else figure(value)


def _rungs(run: Run) -> Table:
    has_lost = any(rung.abandoned for rung in run.rungs)
    is_open = any(rung.entered > rung.completed + rung.failed + rung.abandoned for rung in run.rungs)
    unit = run.study.fidelity.name
    columns = ["bracket", "rung", unit, "places", "done", "failed"]
    columns += ["lost"] * has_lost + ["open"] * is_open + ["best loss"]
    table = listing(*columns, right=columns[1:])
    for label, rungs in _by_bracket(run.rungs):
        for number, rung in enumerate(rungs):
            ended = rung.completed + rung.failed + rung.abandoned
            cells: list[RenderableType] = [
                label if number == 0 else "",
                str(rung.rung),
                budget(rung.budget),
                str(rung.size),
                str(rung.completed),
                Text(str(rung.failed), style="red" if rung.failed else "dim"),
            ]
            if has_lost:
                cells.append(Text(str(rung.abandoned), style="yellow" if rung.abandoned else "dim"))
            if is_open:
                cells.append(str(rung.entered - ended))
            table.add_row(*cells, figure(rung.best), style=None if rung.entered else "dim")
    return table


def _by_bracket(rungs: Sequence[RungResult]) -> list[tuple[str, list[RungResult]]]:
    """The rungs of each bracket with its label; where there are many, those of brackets of the same plan added up."""
    brackets = [list(group) for _, group in groupby(rungs, key=lambda rung: rung.bracket)]
    if len(brackets) <= _MOST_BRACKETS:
        return [(str(bracket[0].bracket), bracket) for bracket in brackets]
    alike: dict[tuple[tuple[int, float], ...], list[list[RungResult]]] = {}
    for bracket in brackets:
        alike.setdefault(tuple((rung.size, rung.budget) for rung in bracket), []).append(bracket)
    return [
        (plural(len(group), "bracket"), [_sum(rungs) for rungs in zip(*group, strict=True)]) for group in alike.values()
    ]


def _sum(rungs: Iterable[RungResult]) -> RungResult:
    rungs = list(rungs)
    return RungResult(
        bracket=rungs[0].bracket,
        rung=rungs[0].rung,
        budget=rungs[0].budget,
        size=sum(rung.size for rung in rungs),
        entered=sum(rung.entered for rung in rungs),
        completed=sum(rung.completed for rung in rungs),
        failed=sum(rung.failed for rung in rungs),
        abandoned=sum(rung.abandoned for rung in rungs),
        running=sum(rung.running for rung in rungs),
        is_closed=all(rung.is_closed for rung in rungs),
        best=min((rung.best for rung in rungs if rung.best is not None), default=None),
    )


def _failures(run: Run) -> RenderableType:
    rows = [
        (f"{group.count}x {group.reason}", plain(f"e.g. trial {group.trial}: {group.message}"))
        for group in run.failures()
    ]
    return stack((heading("Failures"), facts(rows)))


def _run_facts(run: Run) -> list[tuple[str, RenderableType]]:
    counts = {state: run.count(state) for state in TrialState}
    unfinished = counts[TrialState.QUEUED] + counts[TrialState.LEASED]
    evaluations = [f"{counts[TrialState.COMPLETED]} completed"]
    evaluations += [f"{counts[TrialState.FAILED]} failed"] if counts[TrialState.FAILED] else []
    evaluations += [f"{counts[TrialState.ABANDONED]} given up"] if counts[TrialState.ABANDONED] else []
    evaluations += [f"{unfinished} unfinished"] if unfinished else []
    rows: list[tuple[str, RenderableType]] = [
        ("evaluations", f"{len(run.trials)} started: {', '.join(evaluations)}" if run.trials else "none started")
    ]
    words = {
        "lost": "lost with their worker",
        "preempted": "preempted",
        "unstarted": "given back unstarted",
        "stopped": "ended because the search was over",
    }
    given_back = [f"{count} {words.get(reason, reason)}" for reason, count in sorted(run.requeues.items())]
    if given_back:
        rows.append(("without result", plain(", ".join(given_back))))
    if run.lost_workers:
        last = run.lost_workers[-1]
        which = "" if run.n_lost_workers == 1 else f"{run.n_lost_workers}, the last one: "
        rows.append(("lost workers", plain(f"{which}{last.name}, {last.reason}")))
    rows.append(("working time", duration(run.wall_s)))
    if run.utilisation is not None:
        rows.append(("utilisation", f"{percent(run.utilisation)} of the workers' time went into finished evaluations"))
    if run.share_from_model is not None:
        n_configurations = len({trial.configuration for trial in run.trials})
        share = percent(run.share_from_model)
        rows.append(("configurations", f"{n_configurations} evaluated, {share} proposed by the model"))
    rows.append(("spent", f"{figure(run.spent)} times the largest budget"))
    gained = run.continuation
    if gained.share is not None:
        # None is a figure too: it shows that checkpoints were lost, or that the objective keeps none.
        text = f"{gained.continued} of {plural(gained.promoted, 'promoted trial')} ({percent(gained.share)}) went on"
        saved = f"; saved {figure(gained.saved)} times the largest budget" if gained.continued else ""
        rows.append(("continued", f"{text} from a checkpoint{saved}"))
    rows.append(("stored in", plain(str(run.directory))))
    return rows
