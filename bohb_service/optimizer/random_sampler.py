"""Draws of the space's prior: what Hyperband, successive halving and random search evaluate."""

from collections.abc import Mapping, Sequence
from typing import Any

from bohb_service.optimizer.observation import Observation, Suggestion
from bohb_service.optimizer.seeding import Purpose, generator
from bohb_service.optimizer.taken import TakenConfigurations
from bohb_service.space import SearchSpace


class RandomSampler:
    """Proposes independent draws of the prior, avoiding what was suggested before.

    Args:
        space: What to search.
        seed: Names the random numbers; not negative.
    """

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._seed = seed
        self._taken = TakenConfigurations(space)

    def suggest(
        self,
        number: int,
        observations: Sequence[Observation],  # noqa: ARG002 - the interface of all samplers
        taken: Sequence[Mapping[str, Any]],
    ) -> Suggestion:
        """The configuration to try next; see ``Sampler.suggest``."""
        self._taken.update(taken)
        return Suggestion(self._taken.draw_new(generator(self._seed, Purpose.SUGGEST, number)), "prior")
