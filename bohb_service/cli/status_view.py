"""What is going on in a study, on one screen: made of the plain values of `master.status.status_of`."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bohb_service.cli.blocks import MORE, bar, plain, stack
from bohb_service.cli.bracket_grid import bracket_grid, width_with_losses
from bohb_service.cli.summary_view import ORIGINS, STOP_REASONS
from bohb_service.cli.wording import budget, duration, figure, percent, plural, setting, settings

_STATE_STYLES = {"running": "green", "refitting": "cyan", "draining": "yellow", "interrupted": "yellow"}
_WORKER_STYLES = {"busy": "green", "idle": "dim", "lost": "red"}
_WORKER_ORDER = {"lost": 0, "busy": 1, "idle": 2}
_TALL = 30
_INCUMBENT_LINES = 3
_BETWEEN = 4
_LONGEST_NAME = 28
_OTHER_COLUMNS = 50
_SHOWN_BRACKETS = 20
_FEW_DAYS = 30

Status = Mapping[str, Any]


def status_view(status: Status, *, width: int, height: int | None = None) -> RenderableType:
    """Header, incumbent, brackets, workers and the last problems.

    Args:
        status: What `status_of` or `Run.status` returned.
        width: Columns of the screen.
        height: Rows that may be used; None shows everything.
    """
    head = [_title(status, width), _progress(status, width), _counts(status, width)]
    problems = _problems(status, width, None if height is None else 2 if height < _TALL else 3)
    incumbent = _incumbent(status, width)
    layout = _layout(status, width)
    rows = None
    if height is not None:
        room = height - len(head) - len(problems) - 2 - bool(problems)
        n_lines = min(len(incumbent), max(_INCUMBENT_LINES, room - layout.wanted_rows))
        if n_lines < len(incumbent):
            incumbent = incumbent[:n_lines]
            incumbent[-1].append(f"  {MORE}")
            incumbent[-1].truncate(width, overflow="ellipsis")
        rows = max(4, room - n_lines)
    middle = layout.tables(rows)
    return stack((*head, Text(), *incumbent, Text(), middle, Text() if problems else None, *problems))


@dataclass(frozen=True, slots=True)
class _Layout:
    """The tables of brackets and workers, beside each other if there is room.

    Attributes:
        brackets: As in the status.
        workers: As in the status.
        cells: Cells of the table of workers.
        width: Columns of the screen.
        grid_width: Columns for the table of brackets.
    """

    brackets: Sequence[Mapping[str, Any]]
    workers: Sequence[Mapping[str, Any]]
    cells: list[list[Text]]
    width: int
    grid_width: int

    @property
    def is_beside(self) -> bool:
        """Whether they stand beside each other."""
        return self.grid_width < self.width

    @property
    def wanted_rows(self) -> int:
        """How many lines they would like to have."""
        n_brackets = len(self.brackets) + bool(self.brackets and self.brackets[0]["bracket"])
        n_workers = len(self.workers)
        return 1 + max(n_brackets, n_workers) if self.is_beside else 3 + n_brackets + n_workers

    def tables(self, rows: int | None) -> RenderableType:
        """Both, in so many lines; None shows all workers and a decent number of brackets."""
        n_brackets, n_workers = _SHOWN_BRACKETS, None
        if rows is not None and self.is_beside:
            n_brackets = n_workers = rows - 1
        elif rows is not None:
            n_brackets, n_workers = _share_rows(rows - 3, len(self.brackets) + 1, len(self.workers))
        grid = bracket_grid(self.brackets, width=self.grid_width, rows=n_brackets)
        workers = _workers(self.workers, self.cells, n_workers)
        return _side_by_side(grid, workers) if self.is_beside else stack((grid, Text(), workers))


def _layout(status: Status, width: int) -> _Layout:
    brackets, workers = status["brackets"], status["workers"]
    cells, worker_width = _worker_rows(workers, min(_LONGEST_NAME, max(8, width - _OTHER_COLUMNS)))
    room = width - worker_width - _BETWEEN
    grid_width = room if workers and width_with_losses(brackets) <= room else width
    return _Layout(brackets, workers, cells, width, grid_width)


def _side_by_side(left: RenderableType, right: RenderableType) -> Table:
    table = Table.grid(padding=(0, _BETWEEN, 0, 0))
    table.add_row(left, right)
    return table


def _share_rows(available: int, wanted: int, also_wanted: int) -> tuple[int, int]:
    """Rows for two tables that together want more, or not, than there are."""
    first = min(wanted, max(available // 2, available - also_wanted))
    return max(1, first), max(1, min(also_wanted, available - first))


def _title(status: Status, width: int) -> Text:
    state = status["state"]
    left = Text.assemble((status["study"], "bold"), "  ", (state, _STATE_STYLES.get(state, "bold")))
    if status["min_workers"]:
        left.append(f": waiting for {len(status['workers'])} of {status['min_workers']} workers", style="yellow")
    if status["stop_reason"] is not None:
        left.append_text(plain(f": {STOP_REASONS.get(status['stop_reason'], status['stop_reason'])}"))
    right = f"{duration(status['elapsed_s'])} elapsed"
    if status["eta_s"] is not None:
        right += f", about {duration(status['eta_s'])} left"
    return _justified(left, Text(right), width)


def _progress(status: Status, width: int) -> Text:
    share = status["share_done"]
    spent = Text(f"{figure(status['spent'])} full budgets spent")
    if share is None:
        return spent
    label = f" {percent(share):>5}   "
    line = Text.assemble(bar(share, max(10, width - len(label) - len(spent))), label, spent)
    line.truncate(width, overflow="ellipsis")
    return line


def _counts(status: Status, width: int) -> Text:
    counts = status["evaluations"]
    text = Text(f"{plural(counts['started'], 'evaluation')}: {counts['completed']} completed")
    text.append(f", {counts['failed']} failed", style="red" if counts["failed"] else "dim")
    if counts["abandoned"]:
        text.append(f", {counts['abandoned']} given up", style="yellow")
    # Without a master nothing runs; what was leased at its end is done again.
    is_served = status["state"] not in {"interrupted", "finished"}
    if counts["running"]:
        text.append(f", {counts['running']} {'running' if is_served else 'unfinished'}")
    if counts["requeued"]:
        text.append(f", {counts['requeued']} repeated", style="yellow")
    model = Text(f"{status['from_model']} of {plural(status['configurations'], 'configuration')} by the model")
    return _justified(text, model, width)


def _incumbent(status: Status, width: int) -> list[Text]:
    """A line on the best trial, then its configuration in as many lines as it takes."""
    best = status["incumbent"]
    if best is None:
        return [Text("Incumbent  none yet", style="dim")]
    head = Text.assemble(
        ("Incumbent", "bold"),
        "  loss ",
        (figure(best["loss"]), "bold cyan"),
        f" at budget {budget(best['budget'])}, trial {best['trial']}, {ORIGINS.get(best['origin'], best['origin'])}",
    )
    lines = [head]
    for word in settings(best["config"]):
        text = Text(word)
        if len(lines) > 1 and lines[-1].cell_len + 2 + text.cell_len <= width:
            lines[-1].append("  ").append_text(text)
        else:
            lines.append(Text("  ").append_text(text))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _worker_rows(workers: Sequence[Mapping[str, Any]], longest_name: int) -> tuple[list[list[Text]], int]:
    """The cells of the table of workers, those that need a look first, and its width; the first row is the heading."""
    heads = (plural(len(workers), "worker"), "", "trial", "budget", "finished", "busy/seen")
    rows = [[Text(head, style="bold") for head in heads]]
    for worker in _ordered(workers):
        name = plain(worker["name"])
        name.truncate(longest_name, overflow="ellipsis")
        trials = worker["trials"]
        more = f" +{len(trials) - 1}" if len(trials) > 1 else ""
        rows.append(
            [
                name,
                Text(worker["state"], style=_WORKER_STYLES.get(worker["state"], "")),
                Text(f"{trials[0]['trial']}{more}" if trials else ""),
                Text(budget(trials[0]["budget"]) if trials else ""),
                Text(str(worker["finished"])),
                _age(worker),
            ]
        )
    widths = [max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)]
    return rows, sum(widths) + 2 * (len(widths) - 1)


def _age(worker: Mapping[str, Any]) -> Text:
    """How long a worker has been at its trial, or when it was last heard of if that is what matters."""
    if worker["state"] == "busy" and worker["trials"]:
        return Text(duration(round(worker["trials"][0]["leased_s"], 1)))
    return Text(f"{duration(max(0.0, worker['seen_s']))} ago", style="dim")


def _ordered(workers: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(workers, key=lambda worker: _WORKER_ORDER.get(worker["state"], 3))


def _workers(workers: Sequence[Mapping[str, Any]], cells: list[list[Text]], most: int | None) -> RenderableType:
    """One row a worker, at most so many lines below the heading; what does not fit is counted."""
    if not workers:
        return Text("No workers", style="dim")
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    for _ in range(3):
        table.add_column(no_wrap=True)
    for _ in range(3):
        table.add_column(justify="right", no_wrap=True)
    n_shown = len(workers) if most is None or len(workers) <= most else max(0, most - 1)
    for row in cells[: n_shown + 1]:
        table.add_row(*row)
    rest = Counter(worker["state"] for worker in _ordered(workers)[n_shown:])
    if not rest:
        return table
    states = ", ".join(f"{count} {state}" for state, count in rest.items())
    return stack((table, Text(f"{MORE} and {rest.total()} more: {states}", style="dim")))


def _problems(status: Status, width: int, most: int | None) -> list[Text]:
    """The last failures and lost workers, a line each."""
    failures = [
        plain(f"failed: trial {failure['trial']}, {failure['reason']}: {failure['message']}", "red")
        for failure in status.get("failures", ())
    ]
    lost = [plain(f"lost: worker {worker['name']}, {worker['reason']}", "yellow") for worker in status["lost_workers"]]
    if most is not None:
        lost = lost[-1:] if failures else lost[-most:]
        failures = failures[-(most - len(lost)) :]
    security, lines = _security(status) + _unfit(status), failures + lost
    for line in lines if most is None else security + lines:
        line.truncate(width, overflow="ellipsis")
    return security + lines


def _unfit(status: Status) -> list[Text]:
    """What none of the connected workers can take."""
    return [
        plain(
            f"no connected worker can take {plural(work['trials'], 'trial')} at budget {budget(work['budget'])}: needs "
            + ", ".join(f"{name} {setting(need)}" for name, need in work["need"].items()),
            "yellow",
        )
        for work in status.get("unfit", ())
    ]


def _security(status: Status) -> list[Text]:
    """What a running master says of its guard, where that concerns people."""
    lines = []
    if status.get("security") == "insecure":
        lines.append(Text("insecure: other machines may connect without credentials", style="yellow"))
    days = status.get("certificate_days")
    if days is not None and days < _FEW_DAYS:
        how_long = f"expires in {plural(math.floor(days), 'day')}" if days >= 0 else "has expired"
        lines.append(Text(f"certificate {how_long}: bohb-master credentials DIR --renew", style="yellow"))
    refused: Mapping[str, int] = status.get("refused") or {}
    if refused:
        why = ", ".join(f"{count} {reason}" for reason, count in Counter(refused).most_common())
        lines.append(plain(f"refused peers: {why}", "yellow"))
    return lines


def _justified(left: Text, right: Text, width: int) -> Text:
    """Both on one line, the second at its right end; alone if there is no room for both."""
    gap = width - left.cell_len - right.cell_len
    if gap < 2:
        left.truncate(width, overflow="ellipsis")
        return left
    return Text.assemble(left, " " * gap, right)
