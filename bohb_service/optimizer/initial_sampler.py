"""The user's own configurations first."""

from collections.abc import Mapping, Sequence
from typing import Any

from bohb_service.errors import SpaceError
from bohb_service.optimizer.observation import Observation, Suggestion
from bohb_service.optimizer.sampler import Sampler
from bohb_service.space import SearchSpace


class InitialSampler:
    """Proposes given configurations in their order, then what another sampler proposes.

    Args:
        initial: The first configurations.
        space: What they belong to.
        sampler: Takes over after them.

    Raises:
        SpaceError: A configuration does not belong to the space, or is there twice, which is a slip: it would be
            evaluated twice with the same seed. The message has its place in the list.
    """

    def __init__(self, initial: Sequence[Mapping[str, Any]], space: SearchSpace, sampler: Sampler) -> None:
        self._initial: list[dict[str, Any]] = []
        for index, configuration in enumerate(initial):
            try:
                # As any other suggestion has them: plain values, and constants even if they were left out.
                values = space.decode(space.encode([configuration]))[0]
                space.check({**values, **configuration})
            except SpaceError as error:
                raise SpaceError(f"initial[{index}]: {error}") from error
            if values in self._initial:
                first = self._initial.index(values)
                raise SpaceError(f"initial[{index}] is the same configuration as initial[{first}]; remove one of them")
            self._initial.append(values)
        self._sampler = sampler

    def suggest(
        self, number: int, observations: Sequence[Observation], taken: Sequence[Mapping[str, Any]]
    ) -> Suggestion:
        """The configuration to try next; see ``Sampler.suggest``."""
        if number < len(self._initial):
            return Suggestion(self._initial[number], "initial")
        return self._sampler.suggest(number, observations, taken)
