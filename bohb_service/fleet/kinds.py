"""Which kinds of workers a fleet is known to have."""

from collections.abc import Iterable

from bohb_service.scheduler.needs import Labels, Needs

_REMEMBER_SECONDS = 600.0
"""A kind is kept in mind for so long after its last worker has left: fleets shrink between two rungs."""


class Kinds:
    """Keeps one example of each kind, where two workers are of one kind if they can take the same trials."""

    def __init__(self) -> None:
        self._seen: dict[tuple[bool, ...], tuple[Labels, float]] = {}

    @property
    def labels(self) -> list[Labels]:
        """What a worker of each kind has."""
        return [labels for labels, _ in self._seen.values()]

    def note(self, workers: Iterable[Labels], needs: Needs, now: float) -> None:
        """Take what the workers that are there have, and forget what none has had for long.

        Args:
            workers: The labels of each.
            needs: What trials need of a worker.
            now: Monotonic time, seconds.
        """
        self._seen.update({needs.ability(labels): (labels, now) for labels in workers})
        self._seen = {kind: seen for kind, seen in self._seen.items() if now - seen[1] < _REMEMBER_SECONDS}
