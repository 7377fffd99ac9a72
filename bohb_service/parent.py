"""The end of the process that started this one, told by a signal."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def follow_parent(parent: int, number: signal.Signals = signal.SIGTERM) -> None:
    """Have the kernel send this process a signal when its parent is gone, however that ends; at once if it is already.

    The parent is the thread that started this process. It holds for programs that this process becomes, too. Systems
    other than Linux cannot do that, and tell only what has been already.

    Args:
        parent: Process id of the parent.
        number: The signal.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)
