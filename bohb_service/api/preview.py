"""What a study would do, and what that costs, before it is run."""

from collections import Counter
from typing import Any

from bohb_service.api.describe_study import describe_study
from bohb_service.master.opening import ground_of
from bohb_service.master.plan import settings_for
from bohb_service.study import Study

_MOST_BRACKETS = 100_000


def preview(study: Study) -> dict[str, Any]:
    """The plan of a study; everything in it is checked on the way, the worker class included.

    Returns:
        Plain values: ``study``, ``worker``, ``method``, ``eta``, ``fidelity``, ``seed``, ``space`` (hyperparameters
        by name), ``offers_refit``, ``stop``, ``cycle``: the ``brackets`` of one cycle, each with its ``rungs``
        (``size``, ``budget``) and ``full_budgets``; and ``plan``: ``brackets``, ``evaluations``, ``configurations``,
        ``budget`` (in units of the fidelity) and ``full_budgets`` that the stopping rules allow at most, each None
        when they leave it open, and ``seconds_at_most`` for one worker (None without a limit per evaluation).

    Raises:
        StudyError: Anything is wrong with it.
    """
    from bohb_service.space import SearchSpace

    ground = ground_of(study, lambda: describe_study(study))
    settings = settings_for(study, offers_refit=ground.offers_refit)
    schedule = settings.schedule
    brackets = [
        {
            "rungs": [{"size": rung.size, "budget": rung.budget} for rung in rungs],
            "full_budgets": sum(rung.size * rung.budget for rung in rungs) / settings.max_budget,
        }
        for rungs in map(schedule.bracket, range(schedule.cycle))
    ]
    space = SearchSpace.from_json(ground.space_json).configuration_space
    return {
        "study": study.name,
        "worker": study.worker,
        "method": study.method.name,
        "eta": study.method.eta,
        "fidelity": study.fidelity.model_dump(),
        "seed": study.seed,
        "space": {name: str(hyperparameter) for name, hyperparameter in space.items()},
        "offers_refit": settings.refit,
        "stop": {key: value for key, value in study.stop.model_dump().items() if value is not None},
        "cycle": brackets,
        "plan": _plan(study, brackets, settings.stop.brackets),
    }


def _plan(study: Study, cycle: list[dict[str, Any]], n_brackets: int | None) -> dict[str, Any]:
    """What the stopping rules allow at most."""
    stop = study.stop
    totals: Counter[str] = Counter()
    is_bounded = n_brackets is not None or stop.evaluations is not None or stop.full_budgets is not None
    index = 0
    largest = max(rung["budget"] for bracket in cycle for rung in bracket["rungs"])
    while is_bounded and index < min(n_brackets or _MOST_BRACKETS, _MOST_BRACKETS):
        before = totals["evaluations"]
        for number, rung in enumerate(cycle[index % len(cycle)]["rungs"]):
            size = rung["size"]
            if stop.evaluations is not None:
                size = min(size, stop.evaluations - totals["evaluations"])
            if stop.full_budgets is not None:
                room = stop.full_budgets - totals["budget"] / largest
                size = min(size, int(room * largest / rung["budget"] + 1e-9))
            totals["evaluations"] += size
            totals["configurations"] += size if number == 0 else 0
            totals["budget"] += size * rung["budget"]
            if size < rung["size"]:
                is_bounded = False
                break
        index += 1
        totals["brackets"] += totals["evaluations"] > before
    if not totals:
        return dict.fromkeys(("brackets", "evaluations", "configurations", "budget", "full_budgets", "seconds_at_most"))
    limit = study.limits.seconds
    return {
        **{key: totals[key] for key in ("brackets", "evaluations", "configurations", "budget")},
        "full_budgets": totals["budget"] / largest,
        "seconds_at_most": limit * totals["evaluations"] if limit is not None else None,
    }
