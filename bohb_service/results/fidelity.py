"""Whether cheap evaluations tell what expensive ones would: statistics of configurations evaluated at several budgets.

A failed evaluation has no loss: it ranks last, behind every completed one, and is counted.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

LEAST_FOR_RANKS = 3
"""Two rankings of fewer configurations cannot be compared."""

Quantiles = tuple[float, float, float, float, float]
"""Minimum, lower quartile, median, upper quartile and maximum."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One configuration at one budget.

    Attributes:
        configuration: Its number, from 0.
        budget: What it could spend.
        seconds: Wall time of the evaluation.
        loss: Finite; None if it failed.
        failure: Why it failed, on one line; None if it did not.
    """

    configuration: int
    budget: float
    seconds: float
    loss: float | None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class BudgetFacts:
    """What was found at one budget.

    Attributes:
        budget: The budget.
        evaluated: Number of evaluations that ended.
        failed: How many of them failed.
        seconds: Mean wall time of those that completed; None if none did.
        relative_cost: Wall time in units of the smallest budget's, of the configurations that completed both; or None.
        losses: Of those that completed; None if none did.
        correlation: Spearman rank correlation with the largest budget, in [-1, 1]; None at that budget itself, for
            fewer than `LEAST_FOR_RANKS` configurations, and where one of the two rankings is all ties.
        regret: What is lost at the largest budget if only the best third at this one goes on: the least loss of
            that third minus the least of all. A failure counts as the worst loss there. None at the largest budget.
        chance_regret: The same for a third that is picked at random, on average.
    """

    budget: float
    evaluated: int
    failed: int
    seconds: float | None
    relative_cost: float | None
    losses: Quantiles | None
    correlation: float | None
    regret: float | None
    chance_regret: float | None


@dataclass(frozen=True, slots=True)
class Correlation:
    """How alike two budgets rank the configurations that were evaluated at both.

    Attributes:
        smaller: One budget.
        larger: The other.
        configurations: How many were compared.
        value: Spearman rank correlation, in [-1, 1], or None as in `BudgetFacts`.
    """

    smaller: float
    larger: float
    configurations: int
    value: float | None


@dataclass(frozen=True, slots=True)
class Continuation:
    """One evaluation that went on from the smaller budgets in the same directory, beside the fresh one.

    Attributes:
        fresh: In a directory of its own.
        continued: In the directory of the configuration; at the smallest budget just the same evaluation once more.
        is_first: It was at the smallest budget, where nothing could be continued.
    """

    fresh: Evaluation
    continued: Evaluation
    is_first: bool

    @property
    def is_equal(self) -> bool:
        """Whether both completed with the same loss, bit for bit."""
        return self.fresh.loss is not None and self.fresh.loss == self.continued.loss


@dataclass(frozen=True, slots=True)
class FidelityFacts:
    """All that the evaluations tell of a fidelity.

    Attributes:
        budgets: Each budget, smallest first.
        exponent: Of the growth of cost with the budget, by least squares on logarithms: 1 is linear. None if fewer
            than two budgets have a cost.
        correlations: Each pair of budgets, in order.
        continuations: Each evaluation that was continued.
    """

    budgets: tuple[BudgetFacts, ...]
    exponent: float | None
    correlations: tuple[Correlation, ...]
    continuations: tuple[Continuation, ...]


def fidelity_facts(
    evaluations: Iterable[Evaluation], budgets: Sequence[float], continuations: Iterable[Continuation] = ()
) -> FidelityFacts:
    """The facts of what was evaluated, which may be less than all of it.

    Args:
        evaluations: Fresh ones, at most one of each configuration at each budget.
        budgets: All budgets, smallest first.
        continuations: Those that were repeated by continuing.
    """
    columns: dict[float, dict[int, Evaluation]] = {budget: {} for budget in budgets}
    for evaluation in evaluations:
        columns[evaluation.budget][evaluation.configuration] = evaluation
    smallest, largest = columns[budgets[0]], columns[budgets[-1]]
    facts = tuple(
        _budget_facts(budget, columns[budget], smallest, None if budget == budgets[-1] else largest)
        for budget in budgets
    )
    pairs = [(low, high) for index, low in enumerate(budgets) for high in budgets[index + 1 :]]
    correlations = tuple(
        Correlation(
            low, high, len(columns[low].keys() & columns[high].keys()), _correlation(columns[low], columns[high])
        )
        for low, high in pairs
    )
    return FidelityFacts(facts, _exponent(facts), correlations, tuple(continuations))


def _budget_facts(
    budget: float,
    here: Mapping[int, Evaluation],
    smallest: Mapping[int, Evaluation],
    largest: Mapping[int, Evaluation] | None,
) -> BudgetFacts:
    completed = [evaluation for evaluation in here.values() if evaluation.loss is not None]
    regret, chance = (None, None) if largest is None else _regret(here, largest)
    return BudgetFacts(
        budget=budget,
        evaluated=len(here),
        failed=len(here) - len(completed),
        seconds=statistics.fmean(evaluation.seconds for evaluation in completed) if completed else None,
        relative_cost=_relative_cost(here, smallest),
        losses=_quantiles([evaluation.loss for evaluation in completed if evaluation.loss is not None]),
        correlation=None if largest is None else _correlation(here, largest),
        regret=regret,
        chance_regret=chance,
    )


def _relative_cost(here: Mapping[int, Evaluation], smallest: Mapping[int, Evaluation]) -> float | None:
    # Of the same configurations: the dear ones may be those that failed, or that were not reached.
    both = [key for key in here.keys() & smallest.keys() if None not in {here[key].loss, smallest[key].loss}]
    base = math.fsum(smallest[key].seconds for key in both)
    return math.fsum(here[key].seconds for key in both) / base if base > 0 else None


def _exponent(facts: Sequence[BudgetFacts]) -> float | None:
    points = [
        (math.log(fact.budget), math.log(fact.relative_cost))
        for fact in facts
        if fact.relative_cost is not None and fact.relative_cost > 0
    ]
    if len(points) < 2:
        return None
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def _quantiles(losses: Sequence[float]) -> Quantiles | None:
    if not losses:
        return None
    if len(losses) == 1:
        return (losses[0],) * 5
    lower, median, upper = statistics.quantiles(losses, n=4, method="inclusive")
    return min(losses), lower, median, upper, max(losses)


def _correlation(first: Mapping[int, Evaluation], second: Mapping[int, Evaluation]) -> float | None:
    from scipy.stats import spearmanr

    both = sorted(first.keys() & second.keys())
    ranked = [[_rank_key(column[key]) for key in both] for column in (first, second)]
    if len(both) < LEAST_FOR_RANKS or any(len(set(values)) == 1 for values in ranked):
        return None
    return float(spearmanr(*ranked).statistic)


def _rank_key(evaluation: Evaluation) -> float:
    """What an evaluation is sorted by: its loss, or infinity if it failed."""
    return math.inf if evaluation.loss is None else evaluation.loss


def _regret(here: Mapping[int, Evaluation], largest: Mapping[int, Evaluation]) -> tuple[float | None, float | None]:
    """The regret of keeping the best third of this budget, and that of keeping a random third on average."""
    both = sorted(here.keys() & largest.keys())
    completed = [loss for key in both if (loss := largest[key].loss) is not None]
    if len(both) < LEAST_FOR_RANKS or not completed:
        return None, None
    worst, best = max(completed), min(completed)
    losses = {key: worst if (loss := largest[key].loss) is None else loss for key in both}
    n, kept = len(both), len(both) // 3
    chosen = sorted(both, key=lambda key: _rank_key(here[key]))[:kept]
    # The i-th best of n is the best of a random third if the others of that third are among those behind it.
    by_chance = math.fsum(
        loss * math.comb(n - 1 - index, kept - 1) / math.comb(n, kept)
        for index, loss in enumerate(sorted(losses.values()))
    )
    return min(losses[key] for key in chosen) - best, max(0.0, by_chance - best)
