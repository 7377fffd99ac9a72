"""The learning curve of the running evaluation, kept in the objective process."""

import os
import threading
from collections.abc import Callable

from bohb_service.clock import Clock
from bohb_service.scheduler.outcomes import Curve

MAX_POINTS = 10_000
"""Longest curve of one evaluation."""

LIVE_POINTS_PER_SECOND = 20.0
"""Points that are sent on while the evaluation runs; the rest travels with its outcome."""


class CurveRecorder:
    """Keeps every point for the outcome and sends some at once.

    A curve of `MAX_POINTS` is thinned to every second point and continues at that spacing, so that it
    always spans the whole evaluation. Points come from any thread; points of a forked process, or of an
    evaluation that is over, are dropped.

    Args:
        send: Sends one point on: ``send(lease, step, loss)``.
        clock: Paces the points that are sent on.
    """

    def __init__(self, send: Callable[[int, float, float], None], clock: Clock) -> None:
        self._send = send
        self._clock = clock
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._lease = -1
        self._points: list[tuple[float, float]] = []
        self._stride = 1
        self._n_reported = 0
        self._last: tuple[float, float] | None = None
        self._allowance = LIVE_POINTS_PER_SECOND
        self._refilled = clock.monotonic()

    def begin(self, lease: int) -> Callable[[float, float], None]:
        """Start an empty curve; returns the ``report`` of its evaluation.

        Args:
            lease: The lease of the evaluation.
        """
        with self._lock:
            self._lease = lease
            self._points = []
            self._stride = 1
            self._n_reported = 0
            self._last = None

        def report(step: float, loss: float) -> None:
            self._add(lease, float(step), float(loss))

        return report

    def points(self) -> Curve:
        """The curve so far, its last point included."""
        with self._lock:
            if self._last is not None and self._points[-1] is not self._last:
                return (*self._points, self._last)
            return tuple(self._points)

    def _add(self, lease: int, step: float, loss: float) -> None:
        if os.getpid() != self._process:
            return
        with self._lock:
            if lease != self._lease:
                return
            self._last = (step, loss)
            if self._n_reported % self._stride == 0:
                if len(self._points) >= MAX_POINTS - 1:
                    del self._points[1::2]
                    self._stride *= 2
                if self._n_reported % self._stride == 0:
                    self._points.append(self._last)
            self._n_reported += 1
            is_live = self._spend()
        if is_live:
            self._send(lease, step, loss)

    def _spend(self) -> bool:
        """Whether one more point may be sent now: a bucket of one second's points, refilled evenly."""
        now = self._clock.monotonic()
        refill = (now - self._refilled) * LIVE_POINTS_PER_SECOND
        self._allowance = min(LIVE_POINTS_PER_SECOND, self._allowance + refill)
        self._refilled = now
        if self._allowance < 1.0:
            return False
        self._allowance -= 1.0
        return True
