"""From a study file to what scheduler and sampler need."""

from collections.abc import Mapping, Sequence
from typing import Any

from bohb_service.optimizer.brackets import Schedule
from bohb_service.optimizer.methods import sampler_of, schedule_of
from bohb_service.optimizer.sampler import Sampler
from bohb_service.scheduler.needs import NeedRule, Needs
from bohb_service.scheduler.settings import Settings
from bohb_service.scheduler.stopping import StopRules
from bohb_service.study import Study
from bohb_service.study.sections import MIN_BUDGET


def schedule_for(study: Study) -> Schedule:
    """The brackets of a study.

    Raises:
        StudyError: The fidelity allows none.
    """
    fidelity, method = study.fidelity, study.method
    return schedule_of(method.name, fidelity.min, fidelity.max, method.eta, method.sizes, fidelity.integer)


def settings_for(study: Study, *, offers_refit: bool) -> Settings:
    """What the scheduler needs to know of a study.

    Args:
        study: The study.
        offers_refit: Whether its worker can train the incumbent again.

    Raises:
        StudyError: The fidelity allows no bracket.
    """
    schedule, stop = schedule_for(study), study.stop
    rules = StopRules(
        brackets=schedule.cycle if stop.is_default else stop.brackets,
        evaluations=stop.evaluations,
        full_budgets=stop.full_budgets,
        loss=stop.loss,
    )
    return Settings(
        schedule=schedule,
        stop=rules,
        max_attempts=study.limits.attempts,
        max_budget=schedule.bracket(0)[-1].budget,
        seed=study.seed,
        refit=study.refit and offers_refit,
        needs=needs_for(study),
    )


def needs_for(study: Study) -> Needs:
    """What the trials of a study need of a worker."""
    return Needs(
        tuple(
            NeedRule(rule.get(MIN_BUDGET, 0.0), {name: need for name, need in rule.items() if name != MIN_BUDGET})
            for rule in study.needs
        )
    )


def sampler_for(study: Study, space_json: str, initial: Sequence[Mapping[str, Any]]) -> Sampler:
    """The sampler of a study; imports the numerical packages.

    Args:
        study: The study.
        space_json: Its search space, as `SearchSpace.to_json` wrote it.
        initial: Configurations to try first.

    Raises:
        StudyError: An option of the method is wrong, or a package that it needs is missing.
    """
    from bohb_service.space import SearchSpace

    options = study.method.model_dump(exclude={"name", "eta", "sizes"}, exclude_unset=True)
    return sampler_of(study.method.name, SearchSpace.from_json(space_json), study.seed, options, initial)
