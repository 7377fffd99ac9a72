"""Acts in the environments, for whole episodes or for a number of steps."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .actor import Actions, Actor, Floats
from .draws import Noise, episode_seed
from .lanes import Indices, Lanes, Steps
from .normalisation import Eyes
from .rollout import Episode, Recorder, Rollout, Stretch


class Collector:
    """Acts in lanes with random actions.

    Args:
        lanes: The environments.
        count: Number of lanes.
        actor: What acts; its weights may change between two calls.
        width: Numbers of an observation.
        seed: Of the trial. Episode i has seeds of its own for the environment and for the actions, so that it depends
            on them and on the actor alone, whatever runs beside it.
    """

    def __init__(self, lanes: Lanes, count: int, actor: Actor, width: int, seed: int) -> None:
        self._lanes = lanes
        self._count = count
        self._actor = actor
        self._width = width
        self._seed = seed
        self._noise = Noise(count, actor, seed)
        self._observations: Floats = np.zeros((count, width), np.float32)
        self._episodes: Indices = np.full(count, -1)
        self._lengths: Indices = np.zeros(count, np.int64)
        self._totals = np.zeros(count)
        # Of the episodes that run between two rollouts: what was done in them so far.
        self._taken: list[list[Actions]] = [[] for _ in range(count)]
        self._n_begun = 0

    def collect_episodes(self, count: int, eyes: Eyes | None, max_steps: int) -> Rollout:
        """The next episodes, from their beginning to their end.

        Args:
            count: How many.
            eyes: How observations are scaled; None: they are not.
            max_steps: After so many in all, those that still run are cut off, and no other begins.
        """
        last = self._n_begun + count
        for lane in range(min(self._count, count)):
            self._begin(lane)
        rollout = self._collect(eyes, max_steps, last)
        self._episodes[:] = -1
        return Rollout(
            sorted(rollout.episodes, key=lambda episode: episode.number),
            rollout.stretches,
            rollout.observations,
            rollout.actions,
            rollout.rewards,
        )

    def collect_steps(self, count: int, eyes: Eyes | None) -> Rollout:
        """The next steps; episodes that have not ended go on in the next rollout.

        Args:
            count: How many, in all lanes together.
            eyes: As for `collect_episodes`.
        """
        for lane in np.flatnonzero(self._episodes < 0):
            self._begin(int(lane))
        return self._collect(eyes, count, None)

    def state(self) -> dict[str, NDArray[Any]]:
        """Which episodes run now, between two rollouts, and how they came to where they are: arrays by name."""
        numbers = len(self._actor.log_std)
        none: Actions = np.zeros((0, numbers), np.float32) if numbers else np.zeros(0, np.int64)
        running = [lane for lane in range(self._count) if self._episodes[lane] >= 0]
        return {
            "begun": np.asarray(self._n_begun),
            "episodes": self._episodes.copy(),
            "lengths": np.where(self._episodes >= 0, self._lengths, 0),
            "taken": np.concatenate([none, *(part for lane in running for part in self._taken[lane])]),
            "seen": self._observations[running].copy(),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> bool:
        """Bring new lanes to where others were; whether that was possible.

        No environment can be asked for its state. But an episode depends on its seed and its actions alone, so that it
        is played again. One that does not come to the same observation is not repeatable.

        Args:
            state: What `state` of a collector with the same arguments has returned.
        """
        ends = np.cumsum(state["lengths"])
        running = np.flatnonzero(state["episodes"] >= 0)
        for lane, first, end in zip(running, (ends - state["lengths"])[running], ends[running], strict=True):
            if not self._replay(int(lane), int(state["episodes"][lane]), state["taken"][first:end]):
                return False
        self._n_begun = int(state["begun"])
        return np.array_equal(self._observations[running], state["seen"])

    def _replay(self, lane: int, number: int, actions: Actions) -> bool:
        """Play the beginning of an episode again; whether it has not ended meanwhile."""
        self._n_begun = number
        self._begin(lane)
        self._taken[lane].append(actions)
        only = np.array([lane])
        for index in range(len(actions)):
            self._noise.take(only)
            steps = self._lanes.step(only, actions[index : index + 1])
            self._note(only, steps)
            if steps.terminated[0] or steps.truncated[0]:
                return False
        return True

    def _note(self, lanes: Indices, steps: Steps) -> None:
        """Take note of what a step in some lanes has led to."""
        self._observations[lanes] = steps.observations
        self._lengths[lanes] += 1
        self._totals[lanes] += steps.rewards

    def _begin(self, lane: int) -> None:
        number, self._n_begun = self._n_begun, self._n_begun + 1
        self._observations[lane] = self._lanes.reset(lane, episode_seed(self._seed, number))
        self._noise.begin(lane, number)
        self._episodes[lane], self._lengths[lane], self._totals[lane] = number, 0, 0.0
        self._taken[lane] = []

    def _collect(self, eyes: Eyes | None, max_steps: int, last: int | None) -> Rollout:
        """Steps until there are enough of them, or until no episode runs; episodes from `last` on do not begin."""
        recorder = Recorder(self._count, self._width, len(self._actor.log_std))
        episodes: list[Episode] = []
        stretches: list[Stretch] = []
        first = np.zeros(self._count, np.int64)

        def stretch(lane: int, *, is_terminated: bool) -> None:
            begin, end = int(first[lane]), int(recorder.rows[lane])
            if end > begin:
                number, seen = int(self._episodes[lane]), self._observations[lane].copy()
                stretches.append(Stretch(number, lane, begin, end, is_terminated, seen))
            first[lane] = end

        active = np.flatnonzero(self._episodes >= 0)
        left = max_steps
        while len(active) and left:
            now = active[:left]
            observations = self._observations[now]
            seen = observations if eyes is None else eyes.see(observations)
            actions = self._actor.sample(seen, self._noise.take(now))
            steps = self._lanes.step(now, actions)
            recorder.write(now, observations, actions, steps.rewards)
            self._note(now, steps)
            left -= len(now)
            over = steps.terminated | steps.truncated
            if not over.any():
                continue
            for index in np.flatnonzero(over):
                lane = int(now[index])
                stretch(lane, is_terminated=bool(steps.terminated[index]))
                episodes.append(Episode(int(self._episodes[lane]), float(self._totals[lane]), int(self._lengths[lane])))
                self._episodes[lane] = -1
                if last is None or (self._n_begun < last and left):
                    self._begin(lane)
            active = np.flatnonzero(self._episodes >= 0)
        for index in active:
            lane = int(index)
            self._taken[lane].append(recorder.actions(lane, int(first[lane])))
            stretch(lane, is_terminated=False)
        stretches.sort(key=lambda each: each.episode)
        return recorder.rollout(episodes, stretches)
