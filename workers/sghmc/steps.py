"""How long chains run, and how long they adapt."""

from bohb_service.errors import StudyError
from bohb_service.workers.common.shown import shown
from bohb_service.workers.common.whole import whole_number
from bohb_service.workers.tabular.worker import Effort

from .hyperparameters import Hyperparameters
from .options import SamplingOptions


def steps_of(effort: Effort, options: SamplingOptions) -> int:
    """The number of steps that an effort allows.

    Args:
        effort: Of the evaluation.
        options: Steps of a chain where the budget is something else.

    Raises:
        StudyError: The budget is not a whole number of at least 1.
    """
    if effort.fidelity != "steps":
        return options.steps
    steps = whole_number(effort.budget)
    if steps is None or steps < 1:
        raise StudyError(
            f"budget {shown(effort.budget)} is not a whole number of steps; declare the fidelity of the study as "
            "integer, from 1"
        )
    return steps


def adapting_steps(parameters: Hyperparameters, steps: int, options: SamplingOptions) -> int:
    """How many steps adapt the scales; fewer than `steps`.

    Args:
        parameters: Their share.
        steps: Of the chain.
        options: What it is a share of.

    Raises:
        StudyError: The chain is shorter than what it is a share of.
    """
    base = options.adaptation if isinstance(options.adaptation, int) else steps
    if base > steps:
        raise StudyError(
            f"budget {steps} is below the {base} steps of worker_options.adaptation; set that to the smallest budget "
            "of the study"
        )
    return min(int(parameters.burn_in * base), steps - 1)
