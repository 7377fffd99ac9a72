"""Which machine this is, for processes that want to know whether they see each other."""

import contextlib
import os
import socket
from pathlib import Path


def machine_id() -> str:
    """What is the same for two processes only if a process id means the same process to both.

    A host name is not: containers may share one, and have tables of processes of their own. It is the answer only
    where the system tells neither its boot nor the table of processes.
    """
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}-{os.stat('/proc/self/ns/pid').st_ino}"  # noqa: PTH116  (of what the link leads to)
    return socket.gethostname()
