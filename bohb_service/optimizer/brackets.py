"""Which rungs a bracket has: how many configurations at which budget.

Exact integer and fraction arithmetic throughout; a quotient of floating-point logarithms loses a rung for inputs such
as (1, 243, 3), (3, 729, 3) or (1, 1000, 10).

References:
    Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar (2017), "Hyperband: A Novel Bandit-Based Approach to Hyperparameter
    Optimization", JMLR 18(185), Algorithm 1.
    Falkner, Klein, Hutter (2018), "BOHB: Robust and Efficient Hyperparameter Optimization at Scale", arXiv:1807.01774,
    Algorithm 1.
"""

import itertools
import math
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Protocol

from bohb_service.errors import StudyError

_TOLERANCE = Fraction(1, 10**9)
_MOST_RUNGS = 64


@dataclass(frozen=True, slots=True)
class Rung:
    """One budget level of a bracket.

    Attributes:
        size: How many configurations are evaluated there; at least 1.
        budget: What each evaluation may spend; an ``int`` when the schedule has integer budgets.
    """

    size: int
    budget: float


class SizeRule(StrEnum):
    """How many configurations a bracket with ``s`` rungs below the top starts with, out of ``S`` rungs in all."""

    PAPER = "paper"
    """``ceil(S / (s + 1) * eta^s)``: 81, 34, 15, 8, 5 for S = 5 and eta = 3."""

    HPBANDSTER = "hpbandster"
    """``floor(S / (s + 1)) * eta^s``: 81, 27, 9, 6, 5 for S = 5 and eta = 3."""


class Schedule(Protocol):
    """An endless sequence of brackets."""

    def bracket(self, index: int) -> tuple[Rung, ...]:
        """Rungs of the bracket number ``index`` (from 0), smallest budget first."""
        ...

    @property
    def cycle(self) -> int:
        """Number of brackets after which the sequence repeats; at least 1."""
        ...


class HyperbandSchedule:
    """Brackets from the most aggressive (all rungs) to plain evaluation at the largest budget, then again.

    Budgets are ``maximum / eta^k`` for the largest range of ``k`` that stays at or above ``minimum``, so the smallest
    budget may be larger than ``minimum``; rung sizes are ``floor(n0 / eta^k)`` but at least 1.

    Args:
        minimum: Smallest budget; positive.
        maximum: Largest budget; at least ``minimum``.
        eta: Only one in ``eta`` configurations advances, and its budget grows ``eta``-fold; above 1.
        rule: Size of the first rung.
        integer: Whether budgets are rounded to whole numbers.

    Raises:
        StudyError: An argument is out of range, or rounding makes two budgets equal or one zero.
    """

    def __init__(
        self,
        minimum: float,
        maximum: float,
        eta: float = 3,
        rule: SizeRule = SizeRule.PAPER,
        integer: bool = False,  # noqa: FBT001, FBT002 - schedules are built positionally from a registry
    ) -> None:
        budgets, ratio = _ladder(minimum, maximum, eta, integer)
        self._brackets = tuple(_bracket(budgets, ratio, s, rule) for s in reversed(range(len(budgets))))

    def bracket(self, index: int) -> tuple[Rung, ...]:
        """Rungs of the bracket number ``index`` (from 0), smallest budget first."""
        return self._brackets[index % len(self._brackets)]

    @property
    def cycle(self) -> int:
        """Number of brackets after which the sequence repeats: the number of rungs of the first one."""
        return len(self._brackets)


class SuccessiveHalvingSchedule:
    """The most aggressive bracket of Hyperband, over and over.

    Arguments and errors are those of :class:`HyperbandSchedule`.

    References:
        Jamieson, Talwalkar (2016), "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS.
    """

    def __init__(
        self,
        minimum: float,
        maximum: float,
        eta: float = 3,
        rule: SizeRule = SizeRule.PAPER,
        integer: bool = False,  # noqa: FBT001, FBT002 - as in HyperbandSchedule
    ) -> None:
        budgets, ratio = _ladder(minimum, maximum, eta, integer)
        self._bracket = _bracket(budgets, ratio, len(budgets) - 1, rule)

    def bracket(self, index: int) -> tuple[Rung, ...]:  # noqa: ARG002 - all brackets are alike
        """Rungs of the bracket number ``index`` (from 0), smallest budget first."""
        return self._bracket

    @property
    def cycle(self) -> int:
        """Number of brackets after which the sequence repeats: 1."""
        return 1


class FullBudgetSchedule:
    """Brackets of one configuration at the largest budget: what random search evaluates.

    Arguments and errors are those of :class:`HyperbandSchedule`; ``rule`` has no effect.
    """

    def __init__(
        self,
        minimum: float,
        maximum: float,
        eta: float = 3,
        rule: SizeRule = SizeRule.PAPER,  # noqa: ARG002 - schedules are built alike
        integer: bool = False,  # noqa: FBT001, FBT002 - as in HyperbandSchedule
    ) -> None:
        budgets, _ = _ladder(minimum, maximum, eta, integer)
        self._bracket = (Rung(1, budgets[-1]),)

    def bracket(self, index: int) -> tuple[Rung, ...]:  # noqa: ARG002 - all brackets are alike
        """The one rung of the bracket number ``index`` (from 0)."""
        return self._bracket

    @property
    def cycle(self) -> int:
        """Number of brackets after which the sequence repeats: 1."""
        return 1


def _bracket(budgets: tuple[float, ...], eta: Fraction, s: int, rule: SizeRule) -> tuple[Rung, ...]:
    rungs = len(budgets)
    if rule is SizeRule.PAPER:
        first = math.ceil(Fraction(rungs, s + 1) * eta**s)
    else:
        first = math.floor(rungs // (s + 1) * eta**s)
    return tuple(Rung(max(math.floor(first / eta**k), 1), budgets[rungs - 1 - s + k]) for k in range(s + 1))


def _ladder(minimum: float, maximum: float, eta: float, integer: bool) -> tuple[tuple[float, ...], Fraction]:  # noqa: FBT001
    """All budgets, smallest first, and eta exactly."""
    low = _exact(minimum, "fidelity.min")
    high = _exact(maximum, "fidelity.max")
    ratio = _exact(eta, "method.eta")
    if low <= 0:
        raise StudyError(f"fidelity.min: must be positive, got {minimum!r}")
    if high < low:
        raise StudyError(f"fidelity.max: must be at least fidelity.min = {minimum!r}, got {maximum!r}")
    if ratio <= 1:
        raise StudyError(f"method.eta: must be greater than 1 (3 is usual), got {eta!r}")
    # The tolerance lets decimal fractions such as 0.3333333333333333 count as the power they stand for.
    limit = high * (1 + _TOLERANCE)
    rungs = 1
    while low * ratio**rungs <= limit:
        rungs += 1
        if rungs > _MOST_RUNGS:
            raise StudyError(
                f"method.eta: {eta!r} makes more than {_MOST_RUNGS} budgets between fidelity.min = {minimum!r} and "
                f"fidelity.max = {maximum!r}; use a larger eta (3 is usual) or a larger fidelity.min"
            )
    exact = [high / ratio**k for k in reversed(range(rungs))]
    if not integer:
        return tuple(float(budget) for budget in exact), ratio
    whole = tuple(math.floor(budget + Fraction(1, 2)) for budget in exact)
    if whole[0] < 1 or any(a >= b for a, b in itertools.pairwise(whole)):
        raise StudyError(
            f"fidelity.min: {minimum!r} with method.eta = {eta!r} gives the whole-number budgets {list(whole)}, which "
            "must be at least 1 and grow; raise fidelity.min or method.eta, or allow fractional budgets"
        )
    return whole, ratio


def _exact(number: float, path: str) -> Fraction:
    """The decimal that the user wrote, as a fraction: 22.2 is 222/10, not the nearest binary number."""
    try:
        return Fraction(str(number))
    except ValueError:
        raise StudyError(f"{path}: must be a finite number, got {number!r}") from None
