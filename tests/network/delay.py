"""Forwards TCP connections and delays every byte: ``python delay.py PORT TARGET_HOST TARGET_PORT SECONDS``.

Stands in for a long line where the kernel cannot delay packets by itself. The delay is added in each direction.
"""

import contextlib
import selectors
import socket
import sys
import time
from collections import deque


class Half:
    """One direction of a connection: what was read from one socket and is written to the other one later."""

    def __init__(self, source, sink):
        self.source, self.sink = source, sink
        self.queue = deque()


class DelayLine:
    """Forwards to one target, in one thread; a connection's two ends are closed together, after the delay."""

    def __init__(self, listener, target, delay_s):
        self.listener, self.target, self.delay_s = listener, target, delay_s
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ)
        self.halves = []

    def run(self):
        while True:
            for key, _ in self.selector.select(self.seconds_to_next()):
                if key.data is None:
                    self.accept()
                else:
                    self.read(key.data)
            for half in list(self.halves):
                self.write(half)

    def seconds_to_next(self):
        due = [half.queue[0][0] for half in self.halves if half.queue]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def accept(self):
        near, _ = self.listener.accept()
        try:
            far = socket.create_connection(self.target, timeout=5)
        except OSError:
            near.close()
            return
        for source, sink in ((near, far), (far, near)):
            source.settimeout(None)
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            half = Half(source, sink)
            self.halves.append(half)
            self.selector.register(source, selectors.EVENT_READ, half)

    def read(self, half):
        try:
            data = half.source.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self.selector.unregister(half.source)
        half.queue.append((time.monotonic() + self.delay_s, data))

    def write(self, half):
        while half.queue and half.queue[0][0] <= time.monotonic():
            _, data = half.queue.popleft()
            try:
                half.sink.sendall(data)
                is_over = not data
            except OSError:
                is_over = True
            if is_over:
                self.close(half)
                return

    def close(self, half):
        for other in [other for other in self.halves if other.source in (half.source, half.sink)]:
            self.halves.remove(other)
            with contextlib.suppress(KeyError):
                self.selector.unregister(other.source)
            other.source.close()


if __name__ == "__main__":
    port, target_host, target_port, seconds = sys.argv[1:]
    DelayLine(socket.create_server(("", int(port))), (target_host, int(target_port)), float(seconds)).run()
