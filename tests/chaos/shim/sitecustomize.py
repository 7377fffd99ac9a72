"""Loaded at the start of every Python process of a run: what the campaign chooses instead of the machine.

``CHAOS_CLOCK`` names a file with the offset of the wall clock, a double in seconds; the monotonic clock is left alone.
As after a real step of the clock, the time of the machine's boot moves with it. ``CHAOS_HOST`` is what the process
takes for the name of its machine. ``CHAOS_ALL_LINES`` lets every line of a log through, however many there are: the
checker needs them all.
"""

import os
import socket
import struct
import time

if host := os.environ.get("CHAOS_HOST"):
    from bohb_service import machine

    socket.gethostname = machine.machine_id = lambda: host

if os.environ.get("CHAOS_ALL_LINES"):
    from bohb_service.line_rate import LineRate

    LineRate.allows = lambda *_: True

if path := os.environ.get("CHAOS_CLOCK"):
    from psutil import _pslinux

    clock = os.open(path, os.O_RDONLY)
    true_time, true_boot_time = time.time, _pslinux.boot_time

    def offset():
        """Seconds by which the wall clock is wrong now."""
        return struct.unpack("d", os.pread(clock, 8, 0))[0]

    time.time = lambda: true_time() + offset()
    _pslinux.boot_time = lambda: true_boot_time() + offset()
