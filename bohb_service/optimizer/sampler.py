"""The seam between the scheduler and whatever proposes configurations."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from bohb_service.optimizer.observation import Observation, Suggestion


class Sampler(Protocol):
    """Proposes configurations.

    A sampler is a pure function of its constructor's arguments and of the arguments of :meth:`suggest`. It may keep
    what it derived from the histories, because these only ever grow at their end, but what it keeps must never change
    an answer.
    """

    def suggest(
        self, number: int, observations: Sequence[Observation], taken: Sequence[Mapping[str, Any]]
    ) -> Suggestion:
        """The configuration to try next.

        Args:
            number: Which suggestion of the study this is, from 0; names the random numbers that it uses.
            observations: Finished evaluations in the order in which they became known; append-only between calls.
            taken: Values of the suggestions 0 to ``number - 1``; append-only between calls.
        """
        ...
