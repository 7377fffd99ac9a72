"""The evidence of a bench as it is printed."""

from collections import Counter

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bohb_service.api.bench import BenchResult
from bohb_service.cli.blocks import facts, heading, listing, plain, stack
from bohb_service.cli.wording import amount, budget, duration, figure, percent, plural
from bohb_service.results.fidelity import BudgetFacts, FidelityFacts
from bohb_service.results.fidelity_verdict import growth

_MOST_FAILURES = 5

_ENDS = {
    "seconds": "The time was over before everything was evaluated.",
    "interrupted": "Interrupted before everything was evaluated.",
    "terminated": "Terminated before everything was evaluated.",
}


def bench_view(result: BenchResult) -> RenderableType:
    """All that a bench has found, with its verdict at the end.

    Args:
        result: The result, complete or not.
    """
    found, unit = result.facts, result.plan.study.fidelity.name
    n, n_reached = len(result.plan.configurations), len({each.configuration for each in result.evaluations})
    reached = plural(n, "random configuration") if n_reached == n else f"{n_reached} of {n} random configurations"
    return stack(
        (
            Text.assemble(plain(result.plan.study.worker, "bold"), f": {reached}, seed {result.plan.study.seed}"),
            Text(_ENDS[result.end], style="yellow") if result.end in _ENDS else None,
            heading("Cost"),
            _costs(found, unit),
            facts([("growth", _growth(found))]),
            heading("Losses"),
            _losses(found, unit),
            heading("Rank correlation (Spearman)"),
            _correlations(found, unit),
            heading("If the best third of a budget goes on"),
            _selection(found, unit),
            heading("Continuing in the same directory") if found.continuations else None,
            _continuations(found, unit) if found.continuations else None,
            _failures(result),
            heading("Verdict"),
            *(Padding(plain(line), (0, 0, 0, 2)) for line in result.verdict()),
        )
    )


def _costs(found: FidelityFacts, unit: str) -> Table:
    columns = (unit, "completed", "failed", "time", "cost")
    table = listing(*columns, right=columns)
    for fact in found.budgets:
        table.add_row(
            budget(fact.budget),
            str(fact.evaluated - fact.failed),
            Text(_failed(fact), style="red" if fact.failed else "dim"),
            "-" if fact.seconds is None else duration(fact.seconds),
            "-" if fact.relative_cost is None else f"{fact.relative_cost:.3g}x",
        )
    return table


def _losses(found: FidelityFacts, unit: str) -> Table:
    columns = (unit, "min", "25 %", "median", "75 %", "max")
    table = listing(*columns, right=columns)
    for fact in found.budgets:
        quantiles = fact.losses or (None,) * 5
        table.add_row(budget(fact.budget), *(figure(value) for value in quantiles))
    return table


def _failed(fact: BudgetFacts) -> str:
    return percent(fact.failed / fact.evaluated) if fact.evaluated else "-"


def _growth(found: FidelityFacts) -> str:
    return "-" if found.exponent is None else f"budget to the power of {found.exponent:.2f}, {growth(found.exponent)}"


def _correlations(found: FidelityFacts, unit: str) -> Table:
    """The upper triangle of the matrix."""
    sizes = [fact.budget for fact in found.budgets]
    values = {(pair.smaller, pair.larger): pair.value for pair in found.correlations}
    heads = [amount(size, unit) for size in sizes[1:]]
    table = listing("", *heads, right=heads)
    for low in sizes[:-1]:
        cells = [_correlation(values[low, high]) if low < high else "" for high in sizes[1:]]
        table.add_row(amount(low, unit), *cells)
    return table


def _correlation(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _selection(found: FidelityFacts, unit: str) -> Table:
    largest = amount(found.budgets[-1].budget, unit)
    table = listing(
        "chosen at", f"regret at {largest}", "of a random third", right=(f"regret at {largest}", "of a random third")
    )
    for fact in found.budgets[:-1]:
        table.add_row(amount(fact.budget, unit), figure(fact.regret), figure(fact.chance_regret))
    return table


def _continuations(found: FidelityFacts, unit: str) -> Table:
    table = listing("number", "at", "fresh", "continued", "same loss", "saved", right=("fresh", "continued", "saved"))
    for each in found.continuations:
        saved = each.fresh.seconds - each.continued.seconds
        table.add_row(
            str(each.fresh.configuration),
            amount(each.fresh.budget, unit),
            duration(each.fresh.seconds),
            duration(each.continued.seconds),
            Text("yes", style="green") if each.is_equal else Text("NO", style="bold red"),
            "" if each.is_first else f"{'-' if saved < 0 else ''}{duration(abs(saved))}",
        )
    return table


def _failures(result: BenchResult) -> RenderableType | None:
    counts = Counter(each.failure for each in result.evaluations if each.failure is not None)
    if not counts:
        return None
    rows: list[tuple[str, RenderableType]] = [
        (f"{count}x", plain(failure)) for failure, count in counts.most_common(_MOST_FAILURES)
    ]
    if len(counts) > _MOST_FAILURES:
        rows.append(("", f"and {plural(len(counts) - _MOST_FAILURES, 'other kind')}"))
    return stack((heading("Failures"), facts(rows)))
