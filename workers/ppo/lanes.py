"""Several copies of an environment that are acted on in one batch; each one runs one episode after the other."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .actor import Actions, Floats

Indices = NDArray[np.int64]


class Steps(NamedTuple):
    """What a step in several lanes has led to.

    Attributes:
        observations: Shape ``(n, d)``.
        rewards: Shape ``(n,)``.
        terminated: Whether the episode has come to an end of its own, shape ``(n,)``.
        truncated: Whether it was cut off, shape ``(n,)``.
    """

    observations: Floats
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]


class Lanes(Protocol):
    """Copies of an environment. An episode depends on its seed and the actions alone, not on lane or neighbours."""

    def reset(self, lane: int, seed: int) -> Floats:
        """First observation of a new episode, shape ``(d,)``.

        Args:
            lane: Its number.
            seed: Of all that is random in the episode.
        """

    def step(self, lanes: Indices, actions: Actions) -> Steps:
        """Act in some lanes.

        Args:
            lanes: Their numbers, shape ``(n,)``, each once, ascending.
            actions: As the agent says, one for each.
        """

    def close(self) -> None:
        """Let go of the environments."""
