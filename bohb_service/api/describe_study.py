"""What a study's worker says of itself and of the study, asked before anything is begun."""

from collections.abc import Sequence

from bohb_service.master.plan import schedule_for
from bohb_service.study import Study
from bohb_service.worker.describe import Description, Plan, describe


def describe_study(study: Study, budgets: Sequence[float] | None = None) -> Description:
    """The description of a study's worker, which has refused nothing of the study.

    Args:
        study: The study.
        budgets: What will be evaluated at, smallest first; by default what the study's brackets have.

    Raises:
        StudyError: The fidelity allows no bracket, or the space cannot be read.
        WorkerSpecError: The class cannot be loaded or does not take the options, its space cannot be built, or it
            refuses a budget or a configuration.
    """
    from bohb_service.space import read_space

    if budgets is None:
        schedule = schedule_for(study)
        rungs = [rung for index in range(schedule.cycle) for rung in schedule.bracket(index)]
        budgets = sorted({rung.budget for rung in rungs})
    space = None if study.space is None else read_space(study.space).to_json()
    plan = Plan(tuple(budgets), space)
    return describe(study.worker, study.worker_options, portfolio=study.portfolio, plan=plan)
