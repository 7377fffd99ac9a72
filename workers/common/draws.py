"""What is random: seeds, one for each purpose, from the seed of an evaluation; and generators."""

from typing import Any

import numpy as np

from .shown import shown

LARGEST_SEED = 2**31 - 1
"""Of an evaluation, and of what is drawn from it."""


def check_generator(name: str, value: Any) -> None:
    """Raise unless the value is a generator of random numbers.

    Args:
        name: Of the argument.
        value: Its value.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(value, np.random.Generator):
        raise TypeError(
            f"{name}: must be a numpy.random.Generator, such as numpy.random.default_rng(0), not {shown(value)}"
        )


def derived_seed(seed: int, number: int) -> int:
    """A seed of its own for a purpose or a part, in ``[0, 2**31)``; the same each time.

    Args:
        seed: Of the whole, not negative.
        number: Of the purpose or part, not negative.
    """
    return int(np.random.SeedSequence(seed, spawn_key=(number,)).generate_state(1)[0] >> 1)
