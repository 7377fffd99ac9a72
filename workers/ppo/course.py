"""The episodes of a trial so far, when it is over, and what has come out of it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bohb_service.workers.common.checks import OptionError

from .agent import Agent
from .convergence import ConvergenceDetector, area, final_return
from .rollout import Episode, Rollout
from .task import Task


@dataclass(frozen=True, slots=True)
class Trial:
    """What came out of a trial.

    Attributes:
        loss: Number of episodes, or minus the final return, or minus the area under the learning curve.
        is_solved: Whether the mean return of the last episodes has reached the threshold; False if there is none.
        returns: Sum of rewards of each episode, in the order that counts, shape ``(n,)``.
        lengths: Steps of each episode, shape ``(n,)``.
        n_steps: Environment steps that were taken; more than the lengths sum to, if some episodes did not count.
        agent: What was learned.
    """

    loss: float
    is_solved: bool
    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    n_steps: int
    agent: Agent


class Course:
    """The episodes of a trial so far.

    Attributes:
        options: Of the target.
        n_steps: Environment steps so far.

    Args:
        task: What the agent has to do.
    """

    def __init__(self, task: Task) -> None:
        self.options = task.options
        threshold = np.inf if task.threshold is None else task.threshold
        self._detector = ConvergenceDetector(threshold, task.options.window)
        self._counted: list[Episode] = []
        self._has_diverged = False
        self.n_steps = 0

    @property
    def steps_left(self) -> int:
        """How many may still be taken."""
        return sys.maxsize if self.options.loss == "episodes" else self.options.steps - self.n_steps

    @property
    def episodes_left(self) -> int:
        """How many may still be played."""
        return self.options.max_episodes - len(self._counted) if self.options.loss == "episodes" else sys.maxsize

    @property
    def is_over(self) -> bool:
        """Whether the trial has come to its end."""
        if self.options.loss != "episodes":
            return not self.steps_left
        return self._detector.is_solved or not self.episodes_left or self._has_diverged

    def take(self, rollout: Rollout) -> None:
        """Count the episodes of a rollout.

        Args:
            rollout: The next one.
        """
        self.n_steps += len(rollout)
        for episode in rollout.episodes:
            if self.options.loss == "episodes" and self.is_over:
                break
            self._count(episode)

    def _count(self, episode: Episode) -> None:
        self._counted.append(episode)
        if not self._detector.is_solved:
            self._detector.take(episode.total)

    def state(self) -> dict[str, NDArray[Any]]:
        """What has been so far of a trial that is not over: arrays by name."""
        return {
            "steps": np.asarray(self.n_steps),
            "numbers": np.array([episode.number for episode in self._counted], np.int64),
            "returns": np.array([episode.total for episode in self._counted], np.float64),
            "lengths": np.array([episode.length for episode in self._counted], np.int64),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on, in a new course of the same task, from where another one was.

        Args:
            state: What `state` returned.
        """
        self.n_steps = int(state["steps"])
        for values in zip(*(state[name].tolist() for name in ("numbers", "returns", "lengths")), strict=True):
            self._count(Episode(*values))

    def diverge(self) -> None:
        """Take note that the agent's weights are no numbers any more, so that it will never solve the task.

        Raises:
            FloatingPointError: The loss is not the number of episodes, so that the trial has none.
        """
        if self.options.loss != "episodes":
            raise FloatingPointError("the agent's weights are not finite: its training diverged")
        self._has_diverged = True

    def trial(self, agent: Agent) -> Trial:
        """What came out.

        Args:
            agent: What was learned.

        Raises:
            StudyError: No episode has ended, where the loss is not their number.
        """
        options = self.options
        returns = np.array([episode.total for episode in self._counted])
        lengths = np.array([episode.length for episode in self._counted], np.int64)
        if options.loss == "episodes":
            loss = float(len(returns) if self._detector.is_solved else options.max_episodes)
        elif not len(returns):
            raise OptionError(
                "steps",
                f"no episode of {options.env!r} ended within {options.steps} steps; write more steps, or a smaller "
                "max_episode_steps",
            )
        elif options.loss == "final_return":
            loss = -final_return(returns, options.window)
        else:
            loss = -area(returns, lengths, options.window)
        return Trial(loss, self._detector.is_solved, returns, lengths, self.n_steps, agent)
