"""A trial between two updates: all of its state, which can be taken out and put back."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from .collector import Collector
from .course import Course
from .hyperparameters import Hyperparameters
from .lanes import Lanes
from .learner import Learner
from .options import PPOOptions
from .rollout import Rollout
from .task import Task

_LANES_OF_STEPS = 8

_LEARNER, _COLLECTOR, _COURSE = "learner.", "collector.", "course."


class Going:
    """A trial that goes on.

    Attributes:
        learner: The agent.
        course: The episodes so far.

    Args:
        parameters: Of the agent.
        task: What it has to do.
        seed: Of all that is random.
        lanes: The environments, as many as `lane_count` says.
    """

    def __init__(self, parameters: Hyperparameters, task: Task, seed: int, lanes: Lanes) -> None:
        self._parameters = parameters
        count = lane_count(parameters, task.options)
        self.learner = Learner(parameters, task.interface, seed)
        self._collector = Collector(lanes, count, self.learner.actor, task.interface.observations, seed)
        self.course = Course(task)

    def go_on(self) -> bool:
        """Collect a rollout and learn from it; whether the trial is still not over.

        Raises:
            FloatingPointError: The training diverged, where the loss is not the number of episodes.
        """
        rollout = self._rollout()
        self.course.take(rollout)
        # The agent that has solved the task is the one to keep; what takes a number of steps learns from all.
        if self.course.is_over and self.course.options.loss == "episodes":
            return False
        self.learner.update(rollout)
        if not self.learner.is_finite:
            self.course.diverge()
        return not self.course.is_over

    def state(self) -> dict[str, NDArray[Any]]:
        """All that the rest of a trial that is not over depends on, after an update: arrays by name."""
        return {
            f"{prefix}{name}": array
            for prefix, part in (
                (_LEARNER, self.learner.state()),
                (_COLLECTOR, self._collector.state()),
                (_COURSE, self.course.state()),
            )
            for name, array in part.items()
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> bool:
        """Put a new trial where another one was; whether that was possible, for otherwise this one is of no use.

        Args:
            state: What `state` of a trial with the same arguments has returned.
        """

        def part(prefix: str) -> dict[str, NDArray[Any]]:
            return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}

        self.learner.restore(part(_LEARNER))
        self.course.restore(part(_COURSE))
        return self._collector.restore(part(_COLLECTOR))

    def _rollout(self) -> Rollout:
        """What the next update learns from."""
        course = self.course
        if course.options.update_unit == "episodes":
            n = min(self._parameters.batch_size, course.episodes_left)
            return self._collector.collect_episodes(n, self.learner.eyes, course.steps_left)
        return self._collector.collect_steps(min(self._parameters.rollout_steps, course.steps_left), self.learner.eyes)


def lane_count(parameters: Hyperparameters, options: PPOOptions) -> int:
    """How many lanes a trial has.

    Args:
        parameters: Of the agent.
        options: Of the target.
    """
    if options.update_unit == "steps":
        return min(options.n_envs or _LANES_OF_STEPS, parameters.rollout_steps)
    return min(options.n_envs or parameters.batch_size, parameters.batch_size)
