"""The tables that the commands print, and the printing itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from bohb_service.cli.blocks import facts, heading, listing, plain, show, stack
from bohb_service.cli.status_view import status_view
from bohb_service.cli.summary_view import summary_table
from bohb_service.cli.wording import amount, budget, duration, figure, plural, setting, settings
from bohb_service.results.rows import TrialResult
from bohb_service.results.run import Run
from bohb_service.scheduler.trial import TrialState

__all__ = ["preview_table", "results_table", "show", "status_table", "summary_table"]


@dataclass(frozen=True, slots=True)
class _StatusTable:
    status: Mapping[str, Any]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The whole status, as wide as the console."""
        yield status_view(self.status, width=options.max_width)


def status_table(status: Mapping[str, Any]) -> RenderableType:
    """What goes on in a run, with all its workers.

    Args:
        status: What `master.status.status_of` or `Run.status` returned; where it says who the ``master`` is, or that
            none answers although one should, that is shown too.
    """
    master = status.get("master")
    where = f"master: {master['host']}:{master['port']}, pid {master['pid']} on {master['hostname']}" if master else ""
    if "master" in status and not master and status["state"] in {"running", "refitting"}:
        where = "Its master does not answer from here; this is what the journal says."
    return stack((_StatusTable(status), Text() if where else None, plain(where, "dim") if where else None))


def results_table(run: Run, top: int = 10) -> RenderableType:
    """The best trials at the largest budget at which anything was completed, best first.

    Args:
        run: The run.
        top: How many at most.
    """
    completed = [trial for trial in run.trials if trial.state is TrialState.COMPLETED]
    if not completed:
        return Text("\nNo evaluation has been completed yet.", style="yellow")
    largest = max(trial.budget for trial in completed)
    ranked = sorted((trial for trial in completed if trial.budget == largest), key=_loss)
    shown = ranked[:top]
    of_all = f" of {len(ranked)}" if len(shown) < len(ranked) else ""
    title = f"Best {plural(len(shown), 'trial')}{of_all} at {amount(largest, run.study.fidelity.name)}"
    table = listing("trial", "loss", "from", "time", "configuration", right=("loss", "time"))
    for trial in shown:
        table.add_row(
            trial.trial,
            Text(figure(trial.loss), style="bold"),
            trial.origin,
            duration(trial.seconds or 0.0),
            Text("  ".join(settings(trial.config))),
        )
    return stack((heading(title), table))


def preview_table(preview: Mapping[str, Any]) -> RenderableType:
    """What a study would do.

    Args:
        preview: What `bohb_service.api.preview.preview` returned.
    """
    unit = preview["fidelity"]["name"]
    plan = preview["plan"]
    stop = ", ".join(f"{key} {setting(value)}" for key, value in preview["stop"].items())
    rows: list[tuple[str, RenderableType]] = [
        ("worker", plain(preview["worker"])),
        ("method", f"{preview['method']}, eta {preview['eta']:g}, seed {preview['seed']}"),
        ("stops after", stop or "one cycle of brackets"),
        ("final training", "yes" if preview["offers_refit"] else "no"),
    ]
    return stack(
        (
            Text(preview["study"], style="bold"),
            facts(rows),
            heading(f"{plural(len(preview['space']), 'hyperparameter')}"),
            facts([(name, plain(text.removeprefix(f"{name}, "))) for name, text in preview["space"].items()]),
            heading("One cycle of brackets"),
            _cycle(preview["cycle"], unit),
            heading("In all, at most"),
            facts(_plan(plan, unit)),
        )
    )


def _cycle(brackets: Sequence[Mapping[str, Any]], unit: str) -> Table:
    """Brackets by budgets: how many configurations."""
    budgets = sorted({rung["budget"] for bracket in brackets for rung in bracket["rungs"]})
    heads = [amount(value, unit) for value in budgets]
    table = listing("bracket", *heads, "full budgets", right=(*heads, "full budgets"))
    for number, bracket in enumerate(brackets):
        sizes = {rung["budget"]: str(rung["size"]) for rung in bracket["rungs"]}
        table.add_row(str(number), *(sizes.get(value, "") for value in budgets), figure(bracket["full_budgets"]))
    return table


def _plan(plan: Mapping[str, Any], unit: str) -> list[tuple[str, RenderableType]]:
    if plan["evaluations"] is None:
        return [("evaluations", "no limit; another stopping rule ends the search")]
    rows: list[tuple[str, RenderableType]] = [
        ("brackets", str(plan["brackets"])),
        ("configurations", str(plan["configurations"])),
        ("evaluations", str(plan["evaluations"])),
        (unit, f"{budget(plan['budget'])}, {figure(plan['full_budgets'])} times the largest budget"),
    ]
    if plan["seconds_at_most"] is not None:
        rows.append(("time", f"{duration(plan['seconds_at_most'])} on one worker, if all reach their time limit"))
    return rows


def _loss(trial: TrialResult) -> float:
    assert trial.loss is not None, "a completed trial has a loss"
    return trial.loss
