"""Whether this machine's clock can be trusted, and how far apart the clocks of two machines are."""

import ctypes
import os
import tempfile
from pathlib import Path

from bohb_service.clock import Clock
from bohb_service.doctor.finding import Finding
from bohb_service.doctor.wording import span

MOST_SKEW_S = 2.0
"""Clocks that differ by more are told."""

_ADJTIMEX_BYTES = 512
_NOT_SYNCHRONISED = 5


def is_synchronised() -> bool | None:
    """Whether the kernel believes that its clock follows a reference; None where it does not tell."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    # All zeros ask and change nothing; the buffer is larger than the kernel's structure on any platform.
    state = int(adjtimex(ctypes.create_string_buffer(_ADJTIMEX_BYTES)))
    return None if state < 0 else state != _NOT_SYNCHRONISED


def judge_synchronised(*, synchronised: bool | None) -> Finding:
    """What that means.

    Args:
        synchronised: What `is_synchronised` returned.
    """
    if synchronised is False:
        return Finding.warn(
            "clock",
            "the kernel does not know whether its clock is right",
            "run chrony, ntpd or systemd-timesyncd here; in a virtual machine or container the host may keep the time",
        )
    return Finding.ok("clock", "kept by the system" if synchronised else "the system does not tell whether it is kept")


def judge_skew(check: str, skew_s: float, other: str, uncertainty_s: float = 0.0) -> Finding:
    """Whether two clocks are together.

    Args:
        check: Name of the check.
        skew_s: How far the other is ahead of this machine's, in seconds.
        other: Whose it is.
        uncertainty_s: How far off the measurement may be.
    """
    if abs(skew_s) - uncertainty_s <= MOST_SKEW_S:
        return Finding.ok(check, f"{other} and this machine agree within {span(abs(skew_s) + uncertainty_s)}")
    way = "ahead of" if skew_s > 0 else "behind"
    return Finding.warn(
        check,
        f"{other} is {span(abs(skew_s))} {way} this machine",
        "keep both with chrony, ntpd or systemd-timesyncd (compare `date -u`): dates of certificates and of log lines "
        "go by it; leases do not",
    )


def file_system_skew(folder: Path, clock: Clock) -> float:
    """How far the clock of a file system is ahead of this machine's, in seconds; a server's may differ.

    Args:
        folder: Must be writable.
        clock: This machine's.

    Raises:
        OSError: It is not.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        before = clock.now()
        file.write(b"x")
        file.flush()
        at = os.fstat(file.fileno()).st_mtime
        after = clock.now()
    # The time stamps of a file system are coarser than the clock, and never ahead of it.
    return at - before if at < before else max(0.0, at - after)
