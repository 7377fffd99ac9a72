"""Why a worker could not work, from what it printed."""

import os
from typing import BinaryIO

_TAIL_BYTES = 2000
_READ_BYTES = 64_000
_ERROR, _ESCAPED_NEWLINE = " ERROR ", "\\n"
"""Of a line that a worker logs as text."""


def last_words(output: BinaryIO, where: str = "") -> str:
    """The last error that a worker has logged, without its traceback; else the end of what it printed.

    Args:
        output: What it printed.
        where: Where people find the rest of it, if they can.
    """
    output.seek(max(0, output.seek(0, os.SEEK_END) - _READ_BYTES))
    printed = output.read()
    lines = printed.decode(errors="replace").splitlines()
    errors = [line.partition(_ERROR)[2] for line in lines if _ERROR in line]
    if errors:
        return errors[-1].partition(_ESCAPED_NEWLINE)[0] + (f" (more in {where})" if where else "")
    return printed[-_TAIL_BYTES:].decode(errors="replace").strip()
