"""Views as text."""

import io

from rich.console import Console

from bohb_service.cli.blocks import Portable


def text_of(content, width=80, *, encoding="utf-8"):
    """The view as text; no line is longer than the width, commands to be copied apart."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    Console(file=stream, width=width, highlight=False).print(Portable(content), crop=False)
    stream.flush()
    text = raw.getvalue().decode(encoding)
    for line in text.splitlines():
        assert len(line.rstrip()) <= width or line.startswith("  bohb-master"), line
    return text


def words(text):
    """The text with single spaces and no line ends."""
    return " ".join(text.split())
