"""What the facts of a fidelity mean, in one or two sentences."""

import math
from collections.abc import Sequence

from bohb_service.results.fidelity import BudgetFacts, Continuation, FidelityFacts

CLEAR = 0.6
"""A rank correlation with the largest budget from which on a smaller one is a guide."""

_FAINT = 0.3
_LEAST_SAVING = 2.0
_LINEAR = (0.8, 1.2)


def verdict(facts: FidelityFacts, unit: str) -> tuple[str, ...]:
    """Whether small budgets are worth using, and whether evaluations can be continued; one sentence or two each.

    Args:
        facts: What was found.
        unit: Word for one unit of budget.
    """
    lines = [_of_ranks(facts, unit)]
    if facts.continuations:
        lines.append(_of_continuations(facts.continuations))
    return tuple(lines)


def chance_level(n: int) -> float:
    """The rank correlation that n unrelated configurations pass in one case of twenty, about; above 1 for very few."""
    return 1.645 / math.sqrt(n - 1) if n > 1 else math.inf


def growth(exponent: float) -> str:
    """How the cost grows with the budget, in words."""
    low, high = _LINEAR
    if low <= exponent <= high:
        return "about linear"
    return "less than linear: a part of the cost is the same at every budget" if exponent < low else "more than linear"


def _of_ranks(facts: FidelityFacts, unit: str) -> str:
    smallest, largest = facts.budgets[0], facts.budgets[-1]
    n = next(pair.configurations for pair in facts.correlations if pair.larger == largest.budget)
    if largest.losses is None:
        return f"Cannot be told: nothing was completed at the largest budget, {_number(largest.budget)}."
    if smallest.correlation is None:
        return (
            f"Cannot be told: {n} of the configurations ended at both the smallest and the largest budget; it takes "
            "more of them, and losses that differ."
        )
    amounts = f"{_number(smallest.budget)} and {_number(largest.budget)}{'' if unit == 'budget' else f' {unit}'}"
    found = f"the ranks at the smallest and the largest budget ({amounts}) correlate by {smallest.correlation:.2f}"
    found += f"; of {n} unrelated configurations one set in twenty passes {min(1.0, chance_level(n)):.2f}"
    saving = largest.relative_cost
    if saving is not None and saving < _LEAST_SAVING:
        return f"Not worth using: the largest budget costs only {saving:.2g} times the smallest; {found}."
    if smallest.correlation >= CLEAR and smallest.correlation > chance_level(n):
        price = "" if saving is None else f" The largest budget costs {saving:.3g} times the smallest."
        return f"Worth using: {found}.{price}"
    if smallest.correlation >= CLEAR:
        return f"Too few configurations to tell: {found}."
    better = _first_clear(facts)
    advice = f"; begin with {_number(better.budget)}, where it is {better.correlation:.2f}" if better else ""
    word = "Of little use" if smallest.correlation >= _FAINT else "Of no use"
    return f"{word} at the smallest budget{advice}: {found}."


def _first_clear(facts: FidelityFacts) -> BudgetFacts | None:
    """The smallest budget whose ranks are a guide."""
    largest = facts.budgets[-1].budget
    sizes = {pair.smaller: pair.configurations for pair in facts.correlations if pair.larger == largest}
    for fact in facts.budgets[1:-1]:
        if fact.correlation is not None and fact.correlation >= max(CLEAR, chance_level(sizes[fact.budget])):
            return fact
    return None


def _of_continuations(continuations: Sequence[Continuation]) -> str:
    for each in continuations:
        if each.is_first and not each.is_equal:
            return (
                f"Not reproducible: configuration {each.fresh.configuration} at {_number(each.fresh.budget)} gave "
                f"{_pair(each)} in two fresh runs with the same seed."
            )
    later = [each for each in continuations if not each.is_first]
    if not later:
        return "Two fresh runs with the same seed give the same loss, bit for bit."
    unequal = [each for each in later if not each.is_equal]
    if unequal:
        each = unequal[0]
        return (
            f"Continuing is not the same as a fresh run in {len(unequal)} of {len(later)} cases: configuration "
            f"{each.fresh.configuration} at {_number(each.fresh.budget)} gave {_pair(each, 'fresh, ', ' continued')}."
        )
    fresh, continued = (math.fsum(getattr(each, kind).seconds for each in later) for kind in ("fresh", "continued"))
    share = (fresh - continued) / fresh if fresh > 0 else 0.0
    saved = f"saves {100 * share:.0f} % of the time" if share >= 0.1 else "saves next to nothing"
    return f"Continuing gives the loss of a fresh run bit for bit, in {len(later)} of {len(later)} cases, and {saved}."


def _pair(each: Continuation, between: str = "and ", behind: str = "") -> str:
    losses = ("a failure" if run.loss is None else repr(run.loss) for run in (each.fresh, each.continued))
    first, second = losses
    return f"{first} {between}{second}{behind}"


def _number(budget: float) -> str:
    return f"{budget:.6g}"
