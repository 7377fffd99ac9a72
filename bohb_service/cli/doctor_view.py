"""How findings of a doctor are shown."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bohb_service.cli.blocks import plain, stack
from bohb_service.doctor.finding import Finding, Status, verdict

_STYLES: dict[Status, str] = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor_view(findings: Sequence[Finding]) -> RenderableType:
    """All findings, each with what to do about it, and a verdict.

    Args:
        findings: What was found, in order.
    """
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for finding in findings:
        mark = Text(finding.status, style=_STYLES[finding.status])
        table.add_row(mark, plain(finding.check), plain(finding.found))
        if finding.remedy:
            table.add_row("", "", Text.assemble(("do: ", "bold"), plain(finding.remedy)))
    return stack((table, Text(), _summary(findings)))


def _summary(findings: Sequence[Finding]) -> Text:
    counts = {status: sum(finding.status == status for finding in findings) for status in _STYLES}
    told = {
        "ok": "Nothing stands in the way.",
        "warn": f"It will work; {_things(counts['warn'])} should be mended.",
        "fail": f"It will not work: {_things(counts['fail'])} must be mended.",
    }
    worst = verdict(findings)
    return Text(told[worst], style=_STYLES[worst])


def _things(count: int) -> str:
    return "one thing" if count == 1 else f"{count} things"
