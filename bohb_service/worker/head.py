"""How long the objective process has been at its job."""

from bohb_service.clock import Clock

SLOW_S = 1.0
"""A job that takes so long keeps nothing waiting behind it."""


class Head:
    """The first of the jobs that are held, and since when it is that.

    Args:
        clock: Time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lease: int | None = None
        self._since = 0.0

    @property
    def is_slow(self) -> bool:
        """Whether it takes so long that nothing should wait behind it."""
        return self._clock.monotonic() - self._since >= SLOW_S

    def restart(self) -> None:
        """Count from now: the process was idle."""
        self._since = self._clock.monotonic()

    def see(self, lease: int | None, *, is_start: bool) -> None:
        """Note which job is the first one, and whether it has just been begun."""
        if lease != self._lease or is_start:
            self._lease = lease
            self.restart()
