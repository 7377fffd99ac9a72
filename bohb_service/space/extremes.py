"""Configurations that show what a space may ask of an objective."""

from typing import Any

import numpy as np

from bohb_service.space.search_space import SearchSpace

_N_RANDOM = 64
_N_OTHERS = 8
"""Configurations that are tried with an end of a range, until one is not forbidden."""


def extremes(space: SearchSpace, seed: int) -> list[dict[str, Any]]:
    """Configurations that between them have the ends of every range.

    The default comes first, then for each hyperparameter those with its smallest and its largest value, or with each of
    its categories, then random ones; forbidden ones are left out.

    Args:
        space: The space.
        seed: Of the random ones.
    """
    known = np.concatenate([space.encode([space.default()]), space.sample(_N_RANDOM, np.random.default_rng(seed))])
    known = known[space.is_legal(known)]
    is_active = space.active(known)
    found = [known[:1]]
    for column, dimension in enumerate(space.dimensions):
        others = known[is_active[:, column]][:_N_OTHERS]
        ends = range(dimension.levels) if dimension.kind == "categorical" else (0.0, 1.0)
        for end in ends if len(others) else ():
            moved = others.copy()
            moved[:, column] = end
            moved = space.snap(moved)
            found.append(moved[space.is_legal(moved)][:1])
    return space.decode(np.concatenate([*found, known[1:]]))
