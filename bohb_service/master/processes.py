"""Whether a process that a worker said it is still exists, as far as that can be seen from this machine."""

import psutil

from bohb_service.clock import seconds_after_boot
from bohb_service.machine import machine_id

_START_TOLERANCE_S = 2.0


def is_process_gone(machine: str, pid: int, started: float) -> bool:
    """Whether a process of this machine has ended.

    Args:
        machine: What `machine_id` said to it; of another machine nothing is known, and the answer is False.
        pid: Its id.
        started: Its start time, seconds after its machine was booted; tells it from a later process of the same id.
    """
    if machine != machine_id():
        return False
    try:
        process = psutil.Process(pid)
        same = abs(seconds_after_boot(process) - started) < _START_TOLERANCE_S
        return not same or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except (psutil.AccessDenied, OSError):
        return False
