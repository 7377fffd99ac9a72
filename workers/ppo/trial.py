"""One trial: a fresh agent learns until the task is solved, or for a fixed number of steps."""

from bohb_service.workers.common.surroundings import torch_threads

from .collector import Collector
from .copies import open_lanes
from .course import Course, Trial
from .hyperparameters import Hyperparameters
from .learner import Learner
from .options import PPOOptions
from .rollout import Rollout
from .task import Task

_LANES_OF_STEPS = 8


def run_trial(parameters: Hyperparameters, task: Task, seed: int) -> Trial:
    """A fresh agent's trial.

    With the loss ``episodes`` it ends with the first episode, in the order that counts, at which the mean return of
    the last ``window`` ones reaches the threshold. All episodes between two updates are played by the same policy,
    each with its own seeds: those after that one are played, if they run beside it, but do not count, as if one had
    been played after the other.

    Args:
        parameters: Of the agent.
        task: What it has to do.
        seed: Of all that is random.

    Raises:
        StudyError: The environment cannot be used; or no episode ends within the steps of a trial.
        FloatingPointError: The training diverged, where the loss is not the number of episodes.
    """
    count = _lane_count(parameters, task.options)
    lanes = open_lanes(task.options, task.interface, count)
    try:
        with torch_threads(task.options.threads):
            learner = Learner(parameters, task.interface, seed)
            collector = Collector(lanes, count, learner.actor, task.interface.observations, seed)
            course = Course(task)
            while True:
                rollout = _rollout(collector, learner, parameters, course)
                course.take(rollout)
                # The agent that has solved the task is the one to keep; what takes a number of steps learns from all.
                if course.is_over and task.options.loss == "episodes":
                    break
                learner.update(rollout)
                if not learner.is_finite:
                    course.diverge()
                if course.is_over:
                    break
            return course.trial(learner.agent())
    finally:
        lanes.close()


def _lane_count(parameters: Hyperparameters, options: PPOOptions) -> int:
    if options.update_unit == "steps":
        return min(options.n_envs or _LANES_OF_STEPS, parameters.rollout_steps)
    return min(options.n_envs or parameters.batch_size, parameters.batch_size)


def _rollout(collector: Collector, learner: Learner, parameters: Hyperparameters, course: Course) -> Rollout:
    """What the next update learns from."""
    if course.options.update_unit == "episodes":
        n = min(parameters.batch_size, course.episodes_left)
        return collector.collect_episodes(n, learner.eyes, course.steps_left)
    return collector.collect_steps(min(parameters.rollout_steps, course.steps_left), learner.eyes)
