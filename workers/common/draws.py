"""Seeds of what is drawn at random, one for each purpose, from the seed of an evaluation."""

import numpy as np


def derived_seed(seed: int, number: int) -> int:
    """A seed of its own for a purpose or a part, in ``[0, 2**31)``; the same each time.

    Args:
        seed: Of the whole, not negative.
        number: Of the purpose or part, not negative.
    """
    return int(np.random.SeedSequence(seed, spawn_key=(number,)).generate_state(1)[0] >> 1)
