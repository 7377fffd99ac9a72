"""Random numbers by counter: of a trial, of its episodes, of its updates."""

import numpy as np

from bohb_service.workers.common.draws import derived_seed

from .actor import Actor, Floats
from .lanes import Indices

_ENVIRONMENT, _ACTIONS, _WEIGHTS, _MINIBATCHES = range(4)
_BLOCK = 256


def episode_seed(seed: int, number: int) -> int:
    """Seed of the environment in an episode, in ``[0, 2**31)``.

    Args:
        seed: Of the trial.
        number: Of the episode.
    """
    return derived_seed(derived_seed(seed, _ENVIRONMENT), number)


def weight_seed(seed: int) -> int:
    """Seed of the initial weights, in ``[0, 2**31)``.

    Args:
        seed: Of the trial.
    """
    return derived_seed(seed, _WEIGHTS)


def minibatch_generator(seed: int, update: int) -> np.random.Generator:
    """What shuffles steps into minibatches.

    Args:
        seed: Of the trial.
        update: Number of the update.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_MINIBATCHES, update)))


class Noise:
    """What makes actions random: for each episode a stream of its own.

    Args:
        count: Number of lanes.
        actor: Says which kind of noise it needs.
        seed: Of the trial.
    """

    def __init__(self, count: int, actor: Actor, seed: int) -> None:
        self._seed = seed
        self._actor = actor
        numbers = (len(actor.log_std),) if actor.kind == "continuous" else ()
        self._blocks: Floats = np.zeros((count, _BLOCK, *numbers), np.float32)
        self._next: Indices = np.zeros(count, np.int64)
        self._generators: list[np.random.Generator | None] = [None] * count

    def begin(self, lane: int, episode: int) -> None:
        """Begin the stream of an episode.

        Args:
            lane: Where it runs.
            episode: Its number.
        """
        sequence = np.random.SeedSequence(self._seed, spawn_key=(_ACTIONS, episode))
        self._generators[lane] = np.random.default_rng(sequence)
        self._fill(lane)

    def take(self, lanes: Indices) -> Floats:
        """The noise of the next action in each lane, shape ``(n,)`` or ``(n, actions)``.

        Args:
            lanes: Their numbers, each once.
        """
        places = self._next[lanes]
        used_up = places == _BLOCK
        if used_up.any():
            for lane in lanes[used_up]:
                self._fill(int(lane))
            places = self._next[lanes]
        self._next[lanes] = places + 1
        return self._blocks[lanes, places]

    def _fill(self, lane: int) -> None:
        generator = self._generators[lane]
        assert generator is not None
        self._blocks[lane] = self._actor.noise(generator, _BLOCK)
        self._next[lane] = 0
