"""What an agent has lived through, step by step, in the order of its episodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .actor import Actions, Floats


@dataclass(frozen=True, slots=True)
class Episode:
    """An episode that has ended.

    Attributes:
        number: Which one of the trial, from 0, in the order in which they began.
        total: Sum of its rewards.
        length: Its steps.
    """

    number: int
    total: float
    length: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Steps that follow each other in one episode: all of it, or what of it is in a rollout.

    Attributes:
        episode: Number of the episode.
        lane: Where it ran.
        first: Its first row in the buffers.
        end: The row after its last.
        is_terminated: Whether the episode has come to an end of its own there, so that nothing follows.
        last: The observation after its last step, shape ``(d,)``.
    """

    episode: int
    lane: int
    first: int
    end: int
    is_terminated: bool
    last: Floats


@dataclass(frozen=True, slots=True)
class Rollout:
    """What an update learns from.

    Attributes:
        episodes: Those that have ended, in the order that counts: by number if whole episodes were asked for, else as
            they ended, lane by lane where they ended at once.
        stretches: In the order of the steps below.
        observations: Before they were normalised, shape ``(n, d)``.
        actions: Shape ``(n,)`` or ``(n, actions)``.
        rewards: Shape ``(n,)``.
    """

    episodes: Sequence[Episode]
    stretches: Sequence[Stretch]
    observations: Floats
    actions: Actions
    rewards: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rewards)


class Recorder:
    """Rows of what happened in each lane, which become a `Rollout`.

    Attributes:
        rows: How many each lane has, shape ``(lanes,)``.

    Args:
        lanes: Number of lanes.
        width: Numbers of an observation.
        n_numbers: Numbers of an action; 0 if it is the number of one.
    """

    def __init__(self, lanes: int, width: int, n_numbers: int) -> None:
        self.rows: NDArray[np.int64] = np.zeros(lanes, np.int64)
        self._most = 0
        self._observations: Floats = np.zeros((_FIRST_ROWS, lanes, width), np.float32)
        self._rewards = np.zeros((_FIRST_ROWS, lanes))
        self._actions: Actions = (
            np.zeros((_FIRST_ROWS, lanes, n_numbers), np.float32)
            if n_numbers
            else np.zeros((_FIRST_ROWS, lanes), np.int64)
        )

    def write(
        self, lanes: NDArray[np.int64], observations: Floats, actions: Actions, rewards: NDArray[np.float64]
    ) -> None:
        """Add a row in some lanes.

        Args:
            lanes: Their numbers, shape ``(n,)``.
            observations: What was seen, shape ``(n, d)``.
            actions: What was done then.
            rewards: What that was rewarded with, shape ``(n,)``.
        """
        if self._most == len(self._rewards):
            self._observations = _doubled(self._observations)
            self._rewards = _doubled(self._rewards)
            self._actions = _doubled(self._actions)
        self._most += 1
        rows = self.rows[lanes]
        self._observations[rows, lanes] = observations
        self._actions[rows, lanes] = actions
        self._rewards[rows, lanes] = rewards
        self.rows[lanes] = rows + 1

    def actions(self, lane: int, first: int) -> Actions:
        """What was done in a lane, from a row on, shape ``(n,)`` or ``(n, actions)``; a copy.

        Args:
            lane: Its number.
            first: The row.
        """
        taken: Actions = self._actions[first : self.rows[lane], lane].copy()
        return taken

    def rollout(self, episodes: Sequence[Episode], stretches: Sequence[Stretch]) -> Rollout:
        """All rows, in the order of the stretches.

        Args:
            episodes: Those that have ended.
            stretches: At least one; together all rows.
        """
        return Rollout(
            episodes,
            stretches,
            *(_joined(rows, stretches) for rows in (self._observations, self._actions, self._rewards)),
        )


_FIRST_ROWS = 256


def _doubled(rows: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([rows, np.zeros_like(rows)])


def _joined(rows: NDArray[Any], stretches: Sequence[Stretch]) -> NDArray[Any]:
    return np.concatenate([rows[each.first : each.end, each.lane] for each in stretches])
