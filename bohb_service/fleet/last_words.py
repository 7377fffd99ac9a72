"""Why a worker could not work, from what it printed."""

import json
import os
from typing import BinaryIO

_TAIL_BYTES = 2000
_READ_BYTES = 64_000


def last_words(output: BinaryIO, where: str = "") -> str:
    """The last error that a worker has logged, without its traceback; else the end of what it printed.

    Args:
        output: What it printed.
        where: Where people find the rest of it, if they can.
    """
    output.seek(max(0, output.seek(0, os.SEEK_END) - _READ_BYTES))
    printed = output.read()
    lines = printed.decode(errors="replace").splitlines()
    errors = [error for line in lines if (error := _error_of(line))]
    if errors:
        return errors[-1].splitlines()[0] + (f" (more in {where})" if where else "")
    return printed[-_TAIL_BYTES:].decode(errors="replace").strip()


def _error_of(line: str) -> str:
    """The message of a line that a worker has logged as an error, or nothing."""
    if not line.startswith("{"):
        return ""
    try:
        logged = json.loads(line)
    except ValueError:  # the objective printed it, or its begin was cut off
        return ""
    return str(logged.get("message", "")) if logged.get("level") == "error" else ""
