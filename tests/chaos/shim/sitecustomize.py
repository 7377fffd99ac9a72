"""Loaded at the start of every Python process of a run: a wall clock and a host name that the campaign chooses.

``CHAOS_CLOCK`` names a file with the offset of the wall clock, a double in seconds; the monotonic clock is left alone.
As after a real step of the clock, the time of the machine's boot moves with it. ``CHAOS_HOST`` is what the process
takes for the name of its machine.
"""

import os
import socket
import struct
import time

if host := os.environ.get("CHAOS_HOST"):
    socket.gethostname = lambda: host

if path := os.environ.get("CHAOS_CLOCK"):
    from psutil import _pslinux

    clock = os.open(path, os.O_RDONLY)
    true_time, true_boot_time = time.time, _pslinux.boot_time

    def offset():
        """Seconds by which the wall clock is wrong now."""
        return struct.unpack("d", os.pread(clock, 8, 0))[0]

    time.time = lambda: true_time() + offset()
    _pslinux.boot_time = lambda: true_boot_time() + offset()
