"""Randomness by counter: every random decision of a study has its own stream, so none depends on another's order."""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream of random numbers is for; the numbers are part of the meaning of a seed and never change."""

    SUGGEST = 0
    """Drawing the configuration of one suggestion; the index is the suggestion's number."""

    EVALUATION = 1
    """Noise of a synthetic objective; the index is the number of the evaluation."""


def generator(seed: int, purpose: Purpose, index: int) -> np.random.Generator:
    """The random generator of one decision: a function of its three arguments alone.

    Args:
        seed: The study's seed; not negative.
        purpose: What the numbers are for.
        index: Which decision of that kind, from 0.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(int(purpose), index))))
