"""What all views are built of; output that any terminal, pipe and encoding can take."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from bohb_service.cli.log_format import one_line

FULL, EMPTY, FAILED, MORE, DOT = "█", "░", "✗", "…", "·"
_ASCII = str.maketrans({FULL: "#", EMPTY: "-", FAILED: "x", MORE: "~", DOT: "-", "━": "-", "─": "-"})


@dataclass(frozen=True, slots=True)
class Portable:
    """A renderable in characters that the console's encoding has.

    Attributes:
        content: What is shown.
    """

    content: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The segments of the content."""
        for segment in console.render(self.content, options):
            if options.ascii_only and not segment.control:
                text = segment.text.translate(_ASCII).encode(options.encoding, "replace").decode(options.encoding)
                yield Segment(text, segment.style)
            else:
                yield segment


def show(content: RenderableType) -> None:
    """Print on stdout; plain text where that is no terminal.

    Lines fit the width, except those made by `command`, which stay whole so that they can be copied.
    """
    console = Console(file=sys.stdout, highlight=False)
    if console.is_terminal:
        console.print(Portable(content), crop=False)
        return
    with console.capture() as printed:
        console.print(Portable(content), crop=False)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in printed.get().splitlines()))


def plain(text: str, style: str = "") -> Text:
    """Text of a user: no markup, no control characters."""
    return Text(one_line(text), style=style)


def command(text: str) -> Text:
    """A line that is to be copied: never wrapped or cut."""
    return Text(f"  {one_line(text)}", style="bold", no_wrap=True, overflow="ignore")


def heading(text: str) -> Text:
    """The title of a section, with an empty line above it."""
    return Text(f"\n{one_line(text)}", style="bold")


def listing(*columns: str, right: Iterable[str] = ()) -> Table:
    """An empty table with these columns.

    Args:
        *columns: Headings.
        right: Those of them whose column is aligned to the right.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold", collapse_padding=True)
    aligned = set(right)
    for column in columns:
        table.add_column(Text(one_line(column)), justify="right" if column in aligned else "left", overflow="fold")
    return table


def facts(rows: Iterable[tuple[str, RenderableType]]) -> Table:
    """Labels with what they stand for, indented and aligned."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in rows:
        table.add_row(Text(f"  {one_line(label)}"), Text(value) if isinstance(value, str) else value)
    return table


def bar(share: float, width: int, style: str = "green") -> Text:
    """A bar that is full to a share, in [0, 1], of its width in characters."""
    filled = round(min(1.0, max(0.0, share)) * width)
    return Text.assemble((FULL * filled, style), (EMPTY * (width - filled), "dim"))


def stack(parts: Iterable[RenderableType | None]) -> Group:
    """The parts that there are, one below the other."""
    return Group(*(part for part in parts if part is not None))
