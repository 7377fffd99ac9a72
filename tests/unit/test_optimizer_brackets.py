"""Bracket tables, worked out by hand from the formulas of the two papers and of HpBandSter."""

import math

import pytest

from bohb_service.errors import StudyError
from bohb_service.optimizer.brackets import (
    FullBudgetSchedule,
    HyperbandSchedule,
    Rung,
    SizeRule,
    SuccessiveHalvingSchedule,
)

THREE = [(9, 3, 1), (3, 1), (3,)]
FOUR = [(27, 9, 3, 1), (9, 3, 1), (6, 2), (4,)]
FIVE = [(81, 27, 9, 3, 1), (27, 9, 3, 1), (9, 3, 1), (6, 2), (5,)]
SIX = [(243, 81, 27, 9, 3, 1), (81, 27, 9, 3, 1), (27, 9, 3, 1), (18, 6, 2), (9, 3), (6,)]
TEN = [
    (512, 256, 128, 64, 32, 16, 8, 4, 2, 1),
    (256, 128, 64, 32, 16, 8, 4, 2, 1),
    (128, 64, 32, 16, 8, 4, 2, 1),
    (64, 32, 16, 8, 4, 2, 1),
    (32, 16, 8, 4, 2, 1),
    (32, 16, 8, 4, 2),
    (16, 8, 4, 2),
    (12, 6, 3),
    (10, 5),
    (10,),
]


def brackets(schedule):
    return [schedule.bracket(index) for index in range(schedule.cycle)]


def sizes(schedule):
    return [tuple(rung.size for rung in bracket) for bracket in brackets(schedule)]


@pytest.mark.parametrize(
    ("arguments", "expected", "full_budgets", "evaluations"),
    [
        ((1, 9, 3), THREE, 8, 20),
        ((9, 729, 3), FIVE, 21, 187),
        ((9, 243, 3), FOUR, 15, 65),
        ((3, 81, 3), FOUR, 15, 65),
        ((22.2, 600, 3), FOUR, 15, 65),
        ((400, 3600, 3), THREE, 8, 20),
        ((500, 10000, 3), THREE, 8, 20),
        ((1 / 512, 1, 3), SIX, 33, 569),
        ((1 / 512, 1, 2), TEN, 87, 2117),
    ],
)
def test_published_schedules(arguments, expected, full_budgets, evaluations):
    schedule = HyperbandSchedule(*arguments, SizeRule.HPBANDSTER)
    rungs = [rung for bracket in brackets(schedule) for rung in bracket]

    assert sizes(schedule) == expected
    assert sum(rung.size for rung in rungs) == evaluations
    assert sum(rung.size * rung.budget for rung in rungs) == pytest.approx(full_budgets * arguments[1], rel=1e-12)


@pytest.mark.parametrize(
    ("minimum", "maximum", "eta", "expected"),
    [
        (9, 729, 3, [9, 27, 81, 243, 729]),
        (500, 10000, 3, [10000 / 9, 10000 / 3, 10000]),
        (22.2, 600, 3, [600 / 27, 600 / 9, 200, 600]),
        (0.1, 0.9, 3, [0.1, 0.3, 0.9]),
        (5, 5, 3, [5]),
        (5, 14, 3, [14]),
    ],
)
def test_budgets_hang_from_the_largest(minimum, maximum, eta, expected):
    schedule = HyperbandSchedule(minimum, maximum, eta)

    assert [rung.budget for rung in schedule.bracket(0)] == expected
    for bracket in brackets(schedule):
        assert [rung.budget for rung in bracket] == expected[-len(bracket) :]


@pytest.mark.parametrize(
    ("minimum", "maximum", "eta", "rungs"),
    [
        (1, 243, 3, 6),
        (3, 729, 3, 6),
        (1, 1000, 10, 4),
        (0.01, 1, 10, 3),
        (0.001, 1, 10, 4),
        (1 / 3, 27, 3, 5),
        (1 / 9, 1, 3, 3),
        (5 / 9, 5, 3, 3),
        (1, 2.5**6, 2.5, 7),
        (1, 1.1**5, 1.1, 6),
        (1, 242.999, 3, 5),
    ],
)
def test_exact_powers_lose_no_rung(minimum, maximum, eta, rungs):
    assert HyperbandSchedule(minimum, maximum, eta).cycle == rungs


def test_every_exact_power_has_its_rung():
    for eta in range(2, 11):
        for exponent in range(1, 13):
            for minimum in (1, 2, 3, 7):
                assert HyperbandSchedule(minimum, minimum * eta**exponent, eta).cycle == exponent + 1


def test_sizes_of_the_paper():
    schedule = HyperbandSchedule(1, 81, 3, SizeRule.PAPER)

    assert sizes(schedule) == [(81, 27, 9, 3, 1), (34, 11, 3, 1), (15, 5, 1), (8, 2), (5,)]


def test_sizes_are_rounded_down_exactly():
    # With ten rungs, 3^9 * 3^-9 in floating point makes 26 of 27.
    schedule = HyperbandSchedule(1, 3**9, 3, SizeRule.HPBANDSTER)

    assert sizes(schedule)[0] == tuple(3**k for k in reversed(range(10)))


def test_brackets_repeat():
    schedule = HyperbandSchedule(1, 27, 3)

    assert schedule.cycle == 4
    assert [schedule.bracket(index) for index in range(4, 8)] == brackets(schedule)


def test_whole_budgets_are_integers():
    schedule = HyperbandSchedule(1, 100, 3, SizeRule.HPBANDSTER, integer=True)

    assert schedule.bracket(0) == (Rung(81, 1), Rung(27, 4), Rung(9, 11), Rung(3, 33), Rung(1, 100))
    assert all(type(rung.budget) is int for bracket in brackets(schedule) for rung in bracket)


def test_successive_halving_repeats_the_first_bracket():
    schedule = SuccessiveHalvingSchedule(1, 27, 3, SizeRule.PAPER)

    assert schedule.cycle == 1
    assert {schedule.bracket(index) for index in range(5)} == {HyperbandSchedule(1, 27, 3, SizeRule.PAPER).bracket(0)}


@pytest.mark.parametrize(("integer", "budget"), [(False, 27.5), (True, 28)])
def test_random_search_has_one_rung(integer, budget):
    schedule = FullBudgetSchedule(1, 27.5, 3, SizeRule.PAPER, integer)

    assert schedule.cycle == 1
    assert schedule.bracket(7) == (Rung(1, budget),)


@pytest.mark.parametrize("schedule", [HyperbandSchedule, SuccessiveHalvingSchedule, FullBudgetSchedule])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 9, 3), r"fidelity\.min: must be positive, got 0"),
        ((-1, 9, 3), r"fidelity\.min: must be positive, got -1"),
        ((math.nan, 9, 3), r"fidelity\.min: must be a finite number, got nan"),
        ((1, math.inf, 3), r"fidelity\.max: must be a finite number, got inf"),
        ((9, 1, 3), r"fidelity\.max: must be at least fidelity\.min = 9, got 1"),
        ((1, 9, 1), r"method\.eta: must be greater than 1 .* got 1"),
        ((1, 9, 1.0001), r"method\.eta: 1.0001 makes more than 64 budgets"),
        ((0.1, 0.9, 3, SizeRule.PAPER, True), r"fidelity\.min: 0.1 .* whole-number budgets \[0, 0, 1\]"),
        ((1, 2, 1.1, SizeRule.PAPER, True), r"fidelity\.min: 1 with method\.eta = 1.1 .* must be at least 1 and grow"),
    ],
)
def test_bad_arguments_are_named(schedule, arguments, message):
    with pytest.raises(StudyError, match=message):
        schedule(*arguments)
