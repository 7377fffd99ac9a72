"""The live view of a run in a terminal."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from bohb_service.cli.blocks import Portable
from bohb_service.cli.status_view import status_view


class LiveView:
    """Shows the status of a run in place, and leaves no trace at its end; use it as a context manager.

    The caller decides how often: it calls `update`, e.g. four times a second. Nothing runs in the background, so
    the status is asked for on the caller's thread. What is written to stdout or stderr in between, log lines say,
    appears above the view. The size of the terminal may change at any time.

    Args:
        console: A terminal.
        get_status: Returns what `master.status.status_of` says.
    """

    def __init__(self, console: Console, get_status: Callable[[], dict[str, Any]]) -> None:
        self._console = console
        self._get_status = get_status
        self._live = Live(Text(), console=console, auto_refresh=False, transient=True, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def update(self) -> None:
        """Ask for the status and show it."""
        width, height = self._console.size
        view = status_view(self._get_status(), width=width, height=height - 1)
        self._live.update(Portable(view), refresh=True)
