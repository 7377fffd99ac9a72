"""What an objective process has printed lately, for the record of an evaluation that failed."""

import contextlib
import os
import stat
import sys
from dataclasses import replace
from pathlib import Path

from bohb_service.scheduler.outcomes import Failed
from bohb_service.worker.logs import LogFile
from bohb_service.worker.verdicts import shorten


class OwnOutput:
    """The file that takes what this process prints, if it is one; user code may print elsewhere later.

    Args:
        descriptor: Where the process prints.
    """

    def __init__(self, descriptor: int = 1) -> None:
        self._file: LogFile | None = None
        self._since = 0
        with contextlib.suppress(OSError):
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                self._file = LogFile(Path(f"/proc/self/fd/{descriptor}").readlink())

    def mark(self) -> None:
        """An evaluation begins: what was printed before is not its own."""
        if self._file is not None:
            _flush()
            self._since = self._file.size()

    def add_to(self, failed: Failed) -> Failed:
        """The failure with the last lines that were printed since the mark before its traceback.

        Args:
            failed: How the evaluation ended.
        """
        if self._file is None:
            return failed
        _flush()
        output = ""
        with contextlib.suppress(OSError):
            output = shorten(self._file.tail(self._since))
        if not output:
            return failed
        detail = f"Last output:\n{output}\n\n{failed.detail}" if failed.detail else output
        return replace(failed, detail=detail)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        # User code may have closed them, or put something else in their place.
        with contextlib.suppress(Exception):
            stream.flush()
