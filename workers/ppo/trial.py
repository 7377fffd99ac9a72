"""One trial: a fresh agent learns until the task is solved, or for a fixed number of steps."""

from bohb_service.workers.common.progress import Progress
from bohb_service.workers.common.surroundings import torch_threads
from bohb_service.workers.common.unfinished import Unfinished

from .copies import open_lanes
from .course import Trial
from .going import Going, lane_count
from .hyperparameters import Hyperparameters
from .task import Task


def run_trial(
    parameters: Hyperparameters,
    task: Task,
    seed: int,
    *,
    progress: Progress | None = None,
    unfinished: Unfinished | None = None,
) -> Trial:
    """A fresh agent's trial.

    With the loss ``episodes`` it ends with the first episode, in the order that counts, at which the mean return of
    the last ``window`` ones reaches the threshold. All episodes between two updates are played by the same policy,
    each with its own seeds: those after that one are played, if they run beside it, but do not count, as if one had
    been played after the other.

    Args:
        parameters: Of the agent.
        task: What it has to do.
        seed: Of all that is random.
        progress: Asked between updates, if there is a file for what is unfinished; told which part of the steps was
            taken over.
        unfinished: Where the trial goes on from, if it had to leave before.

    Raises:
        StudyError: The environment cannot be used; or no episode ends within the steps of a trial.
        FloatingPointError: The training diverged, where the loss is not the number of episodes.
        Preempted: It had to end early; the trial is kept as it is.
    """
    progress = progress or Progress()
    lanes = open_lanes(task.options, task.interface, lane_count(parameters, task.options))
    try:
        with torch_threads(task.options.threads):
            going = Going(parameters, task, seed, lanes)
            resumed = 0
            if unfinished is not None and (state := unfinished.load()) is not None:
                if going.restore(state):
                    resumed = going.course.n_steps
                else:
                    going = Going(parameters, task, seed, lanes)
            while going.go_on():
                if unfinished is not None and progress.must_leave():
                    unfinished.leave(going.state())
            trial = going.course.trial(going.learner.agent())
    finally:
        lanes.close()
    progress.took_over(resumed, trial.n_steps)
    if unfinished is not None:
        unfinished.drop()
    return trial
