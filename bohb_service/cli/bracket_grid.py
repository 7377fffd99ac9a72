"""Brackets by budgets: how far each rung is, what failed there, and the best loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bohb_service.cli.blocks import DOT, FAILED, MORE, bar, stack
from bohb_service.cli.wording import budget, figure

_BAR = 5
_GAP = 2


@dataclass(frozen=True, slots=True)
class _Cell:
    """One rung in words.

    Attributes:
        share: How much of it has ended, in [0, 1].
        count: Ended and expected trials.
        failed: Number of failures with their mark, or empty.
        best: Lowest loss, or empty.
        is_reached: Whether anything has come so far.
    """

    share: float
    count: str
    failed: str
    best: str
    is_reached: bool


@dataclass(frozen=True, slots=True)
class _Style:
    """What is shown of each rung beside its counts."""

    has_bar: bool
    has_best: bool
    has_word: bool

    def title(self, value: float) -> str:
        """The heading of the column of a budget."""
        return f"budget {budget(value)}" if self.has_word else budget(value)


_WITH_LOSSES = _Style(has_bar=False, has_best=True, has_word=True)
_STYLES = (
    _Style(has_bar=True, has_best=True, has_word=True),
    _WITH_LOSSES,
    _Style(has_bar=False, has_best=True, has_word=False),
    _Style(has_bar=False, has_best=False, has_word=False),
)
"""From the richest to the plainest."""


def bracket_grid(brackets: Sequence[Mapping[str, Any]], *, width: int, rows: int | None = None) -> RenderableType:
    """A table with a row for each bracket and a column for each budget.

    Args:
        brackets: As in `master.status.progress_of`.
        width: Columns of the screen that may be used; bars go first, then losses, then the smallest budgets.
        rows: Most lines below the heading: brackets under way first, then the latest; None shows all.
    """
    if not brackets:
        return Text("No bracket has been opened yet", style="dim")
    n_earlier = brackets[0]["bracket"]
    shown = list(brackets)
    if rows is not None and len(brackets) + bool(n_earlier) > rows:
        shown = _most_interesting(brackets, max(1, rows - 1))
    grid = _grid(shown)
    budgets = sorted({value for row in grid for value in row})
    labels = [str(bracket["bracket"]) for bracket in shown]
    room = width - max(len("bracket"), *map(len, labels)) - _GAP
    style, budgets = _fit(grid, budgets, room)
    table = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
    table.add_column(justify="right", no_wrap=True)
    for _ in budgets:
        table.add_column(no_wrap=True)
    table.add_row(Text("bracket", style="bold"), *(Text(style.title(value), style="bold") for value in budgets))
    widths = {value: _widths(grid, value) for value in budgets}
    for label, bracket, row in zip(labels, shown, grid, strict=True):
        cells = (_text(row.get(value), widths[value], style) for value in budgets)
        table.add_row(Text(label, style="dim" if bracket["is_over"] else "bold"), *cells)
    n_hidden = len(brackets) - len(shown)
    if not n_hidden and not n_earlier:
        return table
    return stack((table, Text(f"{MORE} and {n_hidden + n_earlier} more", style="dim")))


def width_with_losses(brackets: Sequence[Mapping[str, Any]]) -> int:
    """How many columns `bracket_grid` needs to show all budgets with their losses."""
    grid = _grid(brackets)
    budgets = {value for row in grid for value in row}
    cost = sum(_cost(value, _widths(grid, value), _WITH_LOSSES) for value in budgets)
    return max([len("bracket"), *(len(str(bracket["bracket"])) for bracket in brackets)]) + cost


def _grid(brackets: Sequence[Mapping[str, Any]]) -> list[dict[float, _Cell]]:
    return [
        {rung["budget"]: _cell(bracket, number) for number, rung in enumerate(bracket["rungs"])} for bracket in brackets
    ]


def _most_interesting(brackets: Sequence[Mapping[str, Any]], rows: int) -> list[Mapping[str, Any]]:
    """The oldest brackets under way, filled up with the latest finished ones, in order."""
    ranked = sorted(
        brackets, key=lambda bracket: (bracket["is_over"], -bracket["bracket"] if bracket["is_over"] else 0)
    )
    return sorted(ranked[:rows], key=lambda bracket: bracket["bracket"])


def _cell(bracket: Mapping[str, Any], number: int) -> _Cell:
    rungs = bracket["rungs"]
    entered = _entered(rungs[number])
    is_closed = bracket["is_over"] or any(_entered(rung) for rung in rungs[number + 1 :])
    rung = rungs[number]
    n_failed = rung["failed"] + rung["abandoned"]
    ended = rung["completed"] + n_failed
    # Failures below leave places empty, which nobody will fill.
    expected = entered if is_closed else rung["size"]
    return _Cell(
        share=ended / expected if expected else 0.0,
        count=f"{ended}/{expected}" if expected else DOT,
        failed=f"{FAILED}{n_failed}" if n_failed else "",
        best=figure(rung["best"]) if rung["best"] is not None else "",
        is_reached=entered > 0,
    )


def _entered(rung: Mapping[str, Any]) -> int:
    return sum(rung[state] for state in ("queued", "leased", "completed", "failed", "abandoned"))


def _widths(grid: Sequence[Mapping[float, _Cell]], value: float) -> tuple[int, int, int]:
    """Widths of count, failures and loss in the column of a budget."""
    cells = [row[value] for row in grid if value in row]
    return (
        max(len(cell.count) for cell in cells),
        max(len(cell.failed) for cell in cells),
        max(len(cell.best) for cell in cells),
    )


def _cost(value: float, widths: tuple[int, int, int], style: _Style) -> int:
    """Columns that a budget takes, with the gap before it."""
    count, failed, best = widths
    inner = count + (failed and failed + 1) + (style.has_best and best and best + 1) + (style.has_bar and _BAR + 1)
    return max(inner, len(style.title(value))) + _GAP


def _fit(grid: Sequence[Mapping[float, _Cell]], budgets: list[float], room: int) -> tuple[_Style, list[float]]:
    """The richest style in which all budgets fit, or the plainest with the largest budgets that do."""
    widths = {value: _widths(grid, value) for value in budgets}

    for style in _STYLES:
        if sum(_cost(value, widths[value], style) for value in budgets) - _GAP <= room:
            return style, budgets
    kept: list[float] = []
    for value in reversed(budgets):
        room -= _cost(value, widths[value], _STYLES[-1])
        if room < -_GAP and kept:
            break
        kept.insert(0, value)
    return _STYLES[-1], kept


def _text(cell: _Cell | None, widths: tuple[int, int, int], style: _Style) -> Text:
    if cell is None:
        return Text()
    count, failed, best = widths
    text = Text()
    if style.has_bar:
        text.append_text(bar(cell.share, _BAR) if cell.is_reached else Text(" " * _BAR)).append(" ")
    text.append(cell.count.rjust(count), style="" if cell.is_reached else "dim")
    if failed:
        text.append(" ").append(cell.failed.ljust(failed), style="red")
    if style.has_best and best:
        text.append(" ").append(cell.best.rjust(best), style="cyan")
    return text
