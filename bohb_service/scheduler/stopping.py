"""When the search ends, as far as it depends on what was done and found, not on time."""

import math
from dataclasses import dataclass

_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class StopRules:
    """Stopping rules; the one that is met first ends the search, None means no limit.

    Attributes:
        brackets: Number of brackets to run to their end.
        evaluations: Number of trials to start.
        full_budgets: Sum of the budgets of all started trials, in units of the largest budget.
        loss: End at once when a trial at the largest budget reaches this loss or less.
    """

    brackets: int | None = None
    evaluations: int | None = None
    full_budgets: float | None = None
    loss: float | None = None

    def forbids_bracket(self, index: int) -> bool:
        """Whether the bracket of this index may not be opened."""
        return self.brackets is not None and index >= self.brackets

    def forbids_start(self, started: int, spent: float, share: float) -> str | None:
        """The rule that forbids to start one more trial, or None.

        Args:
            started: Trials started so far.
            spent: Their budgets, in units of the largest.
            share: Budget of the next trial in the same unit.
        """
        if self.evaluations is not None and started >= self.evaluations:
            return "evaluations"
        if self.full_budgets is not None and spent + share > self.full_budgets * (1 + _TOLERANCE):
            return "full_budgets"
        return None

    def room(self, started: int, spent: float, share: float) -> float:
        """How many more trials may be started; infinite without a rule.

        Arguments are those of `forbids_start`.
        """
        most = math.inf if self.evaluations is None else self.evaluations - started
        if self.full_budgets is not None:
            most = min(most, (self.full_budgets * (1 + _TOLERANCE) - spent) // share)
        return max(0, most)

    def is_reached_by(self, loss: float) -> bool:
        """Whether a loss at the largest budget ends the search."""
        return self.loss is not None and loss <= self.loss
