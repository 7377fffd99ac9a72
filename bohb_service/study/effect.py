"""What a study file says without effect: legal in a stored study, but surely not what its author meant."""

import math
from collections.abc import Iterator

from bohb_service.study.model import Study
from bohb_service.study.problems import Problem, show
from bohb_service.study.sections import MIN_BUDGET


def without_effect(study: Study) -> Iterator[Problem]:
    """Rules that never apply or need nothing, and amounts that nobody can give.

    Args:
        study: A study that is right as far as its types can tell.
    """
    for number, rule in enumerate(study.needs):
        if rule.get(MIN_BUDGET, 0.0) > study.fidelity.max:
            told = f"never applies, since {study.fidelity.max:.15g} is the largest budget; lower {MIN_BUDGET}"
            yield Problem(("needs", number), f"{show(rule)} {told}")
        if rule.keys() == {MIN_BUDGET}:
            yield Problem(("needs", number), f"{show(rule)} needs nothing; add what is needed, e.g. gpu: 1")
    for name, amount in study.fleet.dask.resources.items():
        if not 0.0 < amount < math.inf:
            yield Problem(("fleet", "dask", "resources", name), f"{amount:.15g} is no amount; write a number above 0")
