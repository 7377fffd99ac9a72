"""What a bench evaluates: from a study file, or a worker and its budgets, to configurations and budgets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bohb_service.api.describe_study import describe_study
from bohb_service.errors import StudyError
from bohb_service.master.opening import ground_of
from bohb_service.optimizer.brackets import HyperbandSchedule, SizeRule
from bohb_service.study import Study, load_study, parse_study
from bohb_service.study.document import STUDY_SUFFIXES
from bohb_service.study.worker_name import split_worker


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """What is to be evaluated: each configuration at each budget.

    Attributes:
        study: Worker, its options, limits, seed and the word for a unit of budget.
        budgets: At least two, smallest first; ``int`` where all are whole by declaration.
        configurations: Random ones of the space, by number.
    """

    study: Study
    budgets: tuple[float, ...]
    configurations: tuple[Mapping[str, Any], ...]


def plan_bench(
    target: str,
    *,
    configurations: int = 12,
    budgets: Sequence[float] | None = None,
    seed: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> BenchPlan:
    """The plan for a target; everything in it is checked on the way, the worker class included.

    Args:
        target: The path of a study file, or a worker as a study file names it.
        configurations: How many to draw; a finite space may have fewer.
        budgets: What to evaluate at, in any order; by default those of the study.
        seed: Of configurations and evaluations; by default that of the study, or 0.
        options: Options of the worker, on top of those of the study.

    Raises:
        StudyError: Anything is wrong with the target, or the budgets are missing or fewer than two.
    """
    study = _study_of(target, budgets, options or {})
    if seed is not None:
        study = study.model_copy(update={"seed": seed})
    chosen = _checked_budgets(study, target, budgets)
    ground = ground_of(study, lambda: describe_study(study, chosen))
    return BenchPlan(study, chosen, _draw(ground.space_json, study.seed, configurations))


def _study_of(target: str, budgets: Sequence[float] | None, options: Mapping[str, Any]) -> Study:
    if target.endswith(STUDY_SUFFIXES):
        study = load_study(Path(target))
        return study.model_copy(update={"worker_options": {**study.worker_options, **options}})
    try:
        split_worker(target)
    except ValueError as error:
        files = ", ".join(STUDY_SUFFIXES)
        raise StudyError(f"TARGET: {target!r} {error}; or give a study file ({files})") from error
    if budgets is None:
        raise StudyError(
            f"--budgets: must be given, since TARGET {target!r} is no study file that has a fidelity; "
            "e.g. --budgets 1,3,9,27"
        )
    data = {
        "name": "bench",
        "worker": target,
        "worker_options": dict(options),
        "fidelity": {"min": min(budgets), "max": max(budgets)},
        # Of all methods this one asks for no brackets that would have to fit.
        "method": "random",
        "stop": {"evaluations": 1},
    }
    return parse_study(data, base=Path.cwd(), source="TARGET")


def _checked_budgets(study: Study, target: str, budgets: Sequence[float] | None) -> tuple[float, ...]:
    fidelity = study.fidelity
    if budgets is None:
        rule = SizeRule(study.method.sizes)
        schedule = HyperbandSchedule(fidelity.min, fidelity.max, study.method.eta, rule, fidelity.integer)
        chosen = [rung.budget for rung in schedule.bracket(0)]
    else:
        chosen = sorted(set(budgets))
        fractions = [budget for budget in chosen if not float(budget).is_integer()]
        if fidelity.integer and fractions:
            raise StudyError(
                f"--budgets: {fractions[0]:.15g} is no whole number, but {target} has whole {fidelity.name} only "
                "(fidelity.integer); round it"
            )
        if not fractions and (fidelity.integer or not target.endswith(STUDY_SUFFIXES)):
            chosen = [int(budget) for budget in chosen]
    if len(chosen) < 2:
        raise StudyError(
            f"--budgets: there is only one budget, {chosen[0]:.15g}, and nothing to compare it with; "
            "give at least two, e.g. --budgets 1,3,9,27"
        )
    return tuple(chosen)


def _draw(space_json: str, seed: int, n: int) -> tuple[Mapping[str, Any], ...]:
    """What random search with this seed would try first, without repetitions."""
    from bohb_service.optimizer.random_sampler import RandomSampler
    from bohb_service.space import SearchSpace

    space = SearchSpace.from_json(space_json)
    sampler = RandomSampler(space, seed)
    drawn: list[Mapping[str, Any]] = []
    for number in range(n):
        values = sampler.suggest(number, (), drawn).values
        if values in drawn:  # the space is finite, and has no more
            break
        drawn.append(values)
    return tuple(drawn)
