"""The statistics of a bench against SciPy, NumPy and figures worked out by hand."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from bohb_service.results.fidelity import Continuation, Evaluation, fidelity_facts
from bohb_service.results.fidelity_verdict import chance_level, growth, verdict

BUDGETS = (1, 3, 9)


def evaluations(losses, cost=lambda budget: 0.1 * budget):
    """One row for each configuration, one column for each budget; None is a failure, "-" was not evaluated."""
    return [
        Evaluation(number, budget, cost(budget), loss, "exception: no" if loss is None else None)
        for number, row in enumerate(losses)
        for budget, loss in zip(BUDGETS, row, strict=True)
        if loss != "-"
    ]


def facts_of(losses, cost=lambda budget: 0.1 * budget, continuations=()):
    return fidelity_facts(evaluations(losses, cost), BUDGETS, continuations)


def random_losses(n, seed=0):
    return np.random.default_rng(seed).random((n, len(BUDGETS))).tolist()


def test_correlations_of_all_pairs_are_those_of_scipy():
    losses = random_losses(12)
    found = facts_of(losses)
    columns = list(zip(*losses, strict=True))
    for pair, (low, high) in zip(found.correlations, itertools.combinations(range(3), 2), strict=True):
        assert (pair.smaller, pair.larger, pair.configurations) == (BUDGETS[low], BUDGETS[high], 12)
        assert pair.value == pytest.approx(spearmanr(columns[low], columns[high]).statistic)
    assert found.budgets[0].correlation == found.correlations[1].value
    assert found.budgets[2].correlation is None


def test_a_failure_ranks_behind_every_loss_and_failures_are_alike():
    found = facts_of([[1.0, 1.0, 5.0], [None, 2.0, 1e300], [None, 3.0, None], [2.0, 4.0, None]])
    expected = spearmanr([1, 3.5, 3.5, 2], [1, 2, 3.5, 3.5]).statistic
    assert found.correlations[1].value == pytest.approx(expected)
    assert [(fact.evaluated, fact.failed) for fact in found.budgets] == [(4, 2), (4, 0), (4, 2)]


@pytest.mark.parametrize("losses", [[[1.0, 1.0, 1.0]] * 5, [[None, 1.0, 2.0]] * 5, [[1.0, 2.0, 3.0]] * 2])
def test_rankings_that_say_nothing_have_no_correlation(losses):
    assert {pair.value for pair in facts_of(losses).correlations} == {None}


def test_only_what_was_evaluated_at_both_budgets_is_compared():
    losses = [[1.0, 1.0, 1.0], [2.0, 2.0, 3.0], [3.0, 3.0, 2.0], [9.0, 0.0, "-"], [9.0, "-", "-"]]
    found = facts_of(losses)
    assert [pair.configurations for pair in found.correlations] == [4, 3, 3]
    assert found.budgets[0].correlation == pytest.approx(0.5)


def test_quantiles_are_those_of_numpy_over_the_completed():
    losses = [*random_losses(7), [None, None, None]]
    expected = np.quantile([row[0] for row in losses[:7]], [0, 0.25, 0.5, 0.75, 1])
    assert facts_of(losses).budgets[0].losses == pytest.approx(expected)
    assert facts_of([[0.5, None, 0.5]]).budgets[0].losses == (0.5,) * 5
    assert facts_of([[0.5, None, 0.5]]).budgets[1].losses is None


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_law_is_found(power):
    found = facts_of(random_losses(4), cost=lambda budget: 0.2 * budget**power)
    assert found.exponent == pytest.approx(power)
    assert [fact.relative_cost for fact in found.budgets] == pytest.approx([1, 3**power, 9**power])
    assert [fact.seconds for fact in found.budgets] == pytest.approx([0.2, 0.2 * 3**power, 0.2 * 9**power])
    assert growth(found.exponent).startswith({0.5: "less", 1.0: "about linear", 2.0: "more"}[power])


def test_the_relative_cost_is_of_the_same_configurations():
    cheap_and_dear = [
        Evaluation(0, 1, 1.0, 0.0),
        Evaluation(1, 1, 10.0, 0.0),
        Evaluation(0, 9, 9.0, 0.0),
        Evaluation(1, 9, 0.1, None, "crash"),
    ]
    found = fidelity_facts(cheap_and_dear, (1, 9))
    assert found.budgets[1].relative_cost == pytest.approx(9.0)
    assert found.exponent == pytest.approx(1.0)
    assert found.budgets[0].seconds == pytest.approx(5.5)


def test_without_costs_there_is_no_exponent():
    assert facts_of([[None, None, None]] * 3).exponent is None
    assert facts_of(random_losses(3), cost=lambda _budget: 0.0).exponent is None


def test_regret_worked_out_by_hand():
    # Of six, two go on: the third and the fourth; 0.3 is the better one of them, 0.1 is the best.
    first = [5.0, 6.0, 1.0, 2.0, 7.0, 8.0]
    last = [0.1, 0.2, 0.9, 0.3, 0.5, 1.6]
    found = facts_of([[a, a, c] for a, c in zip(first, last, strict=True)])
    assert found.budgets[0].regret == pytest.approx(0.2)
    pairs = [min(pair) - 0.1 for pair in itertools.combinations(last, 2)]
    assert found.budgets[0].chance_regret == pytest.approx(sum(pairs) / len(pairs))
    assert found.budgets[2].regret is None


def test_a_failure_at_the_largest_budget_counts_as_the_worst_loss_there():
    found = facts_of([[1.0, 1.0, None], [2.0, 2.0, 0.25], [3.0, 3.0, 1.0]])
    assert found.budgets[0].regret == pytest.approx(0.75)
    assert facts_of([[1.0, 1.0, None]] * 4).budgets[0].regret is None


def fresh_and_continued(*pairs):
    return [
        Continuation(Evaluation(0, budget, 1.0, a), Evaluation(0, budget, cost, b), is_first=budget == 1)
        for budget, (a, b, cost) in zip(BUDGETS, pairs, strict=False)
    ]


def test_a_faithful_and_cheap_small_budget_is_worth_using():
    line, *others = verdict(facts_of([[float(n)] * 3 for n in range(12)]), "epochs")
    assert line.startswith("Worth using: ")
    assert "(1 and 9 epochs) correlate by 1.00" in line
    assert "of 12 unrelated configurations one set in twenty passes 0.50" in line
    assert "costs 9 times the smallest" in line
    assert others == []


@pytest.mark.parametrize(
    ("losses", "cost", "phrase"),
    [
        ([[float(n)] * 3 for n in range(12)], lambda budget: 1 + 0.01 * budget, "Not worth using: the largest"),
        ([[float(n)] * 3 for n in range(3)], float, "Too few configurations to tell"),
        ([[float(n)] * 3 for n in range(2)], float, "Cannot be told: 2 of the configurations"),
        ([[1.0, 1.0, None]] * 5, float, "Cannot be told: nothing was completed at the largest budget, 9"),
        ([[float(-n), float(n), float(n)] for n in range(12)], float, "Of no use at the smallest budget; begin with 3"),
        ([[float(-n), float(-n), float(n)] for n in range(12)], float, "Of no use at the smallest budget: the ranks"),
        ([[float(n * 5 % 12), 0.0, float(n)] for n in range(12)], float, "Of "),
    ],
)
def test_other_verdicts(losses, cost, phrase):
    (line,) = verdict(facts_of(losses, cost), "budget")
    assert line.startswith(phrase)


@pytest.mark.parametrize(
    ("pairs", "phrase"),
    [
        ([(1.0, 1.0, 1.0), (0.5, 0.5, 0.5)], "Continuing gives the loss of a fresh run bit for bit, in 1 of 1 cases"),
        ([(1.0, 1.0, 1.0), (0.5, 0.5, 0.5)], "and saves 50 % of the time"),
        ([(1.0, 1.0, 1.0), (0.5, 0.5, 1.0)], "and saves next to nothing"),
        (
            [(1.0, 1.0, 1.0), (0.3, 0.1 + 0.2, 0.5), (2.0, 2.0, 0.5)],
            "in 1 of 2 cases: configuration 0 at 3 gave 0.3 fr",
        ),
        ([(1.0, 1.5, 1.0), (0.5, 0.5, 0.5)], "Not reproducible: configuration 0 at 1 gave 1.0 and 1.5"),
        ([(1.0, 1.0, 1.0), (0.5, None, 0.5)], "gave 0.5 fresh, a failure continued"),
        ([(1.0, 1.0, 1.0)], "Two fresh runs with the same seed give the same loss"),
    ],
)
def test_what_is_said_of_continuing(pairs, phrase):
    _, line = verdict(facts_of(random_losses(12), continuations=fresh_and_continued(*pairs)), "epochs")
    assert phrase in line


def test_the_level_of_chance_is_passed_in_one_case_of_twenty():
    rng = np.random.default_rng(1)
    for n in (6, 12, 30):
        draws = [spearmanr(rng.random(n), rng.random(n)).statistic for _ in range(2000)]
        assert np.mean(np.array(draws) > chance_level(n)) == pytest.approx(0.05, abs=0.02)
    assert chance_level(1) == math.inf
