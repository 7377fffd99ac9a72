"""What a study could do next, seen before anybody asks for it; nothing here changes anything."""

import math
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bohb_service.scheduler.trial import REFIT_RUNG, TrialId, TrialState

if TYPE_CHECKING:
    from bohb_service.scheduler.scheduler import Scheduler
    from bohb_service.scheduler.state import StudyState

_CYCLES_AHEAD = 2
"""However many workers can do small budgets alone, they run ahead of the others by so much only."""


class Outlook:
    """Counts of what could be done.

    Args:
        scheduler: Of the study.
    """

    def __init__(self, scheduler: "Scheduler") -> None:
        self._scheduler = scheduler
        self._settings = settings = scheduler.settings
        self._sizes = [settings.schedule.bracket(index)[0].size for index in range(settings.schedule.cycle)]

    @property
    def _state(self) -> "StudyState":
        return self._scheduler.state

    @property
    def refit_is_due(self) -> bool:
        """Whether the final training has not ended yet, if there is one."""
        if not self._settings.refit or self._state.incumbent is None:
            return False
        trial = self._state.trials.get(TrialId(self._state.incumbent.trial.configuration, REFIT_RUNG))
        return trial is None or trial.state in {TrialState.QUEUED, TrialState.LEASED}

    @property
    def is_far_ahead(self) -> bool:
        """Whether so many brackets wait for somebody who can do what is next in them that no more are opened."""
        return len(self._state.with_work) > _CYCLES_AHEAD * self._settings.schedule.cycle

    def missing_suggestions(self, at_most: int) -> int:
        """How many more configurations could be used now, beyond those that wait already.

        Args:
            at_most: Upper bound of the answer; work ahead is limited by it.
        """
        state, rules = self._state, self._settings.stop
        if state.stop_reason is not None:
            return 0
        needed = at_most - len(state.unassigned)
        if rules.evaluations is not None:
            needed = min(needed, rules.evaluations - state.started - len(state.unassigned))
        if needed <= 0:
            return 0
        places = sum(state.brackets[index].free_places for index in state.with_work) - len(state.unassigned)
        return max(0, min(needed, places + self._future_places(needed - places)))

    def _future_places(self, needed: int) -> int:
        """Places for new configurations in brackets that are not open yet.

        Args:
            needed: Upper bound of the answer.
        """
        rules, cycle, index = self._settings.stop, self._settings.schedule.cycle, len(self._state.brackets)
        if rules.brackets is None:
            return needed
        # Whole cycles at once: with many workers and small brackets there are thousands.
        n_cycles = min(max(0, (rules.brackets - index) // cycle), max(0, needed) // sum(self._sizes))
        places = n_cycles * sum(self._sizes)
        index += n_cycles * cycle
        while places < needed and not rules.forbids_bracket(index):
            places, index = places + self._sizes[index % cycle], index + 1
        return places

    def supply(self, at_most: int) -> int:
        """How many trials could be leased now if enough were suggested.

        Args:
            at_most: Upper bound of the answer.
        """
        state = self._state
        if state.stop_reason is not None:
            return 0
        queued = sum(len(state.brackets[index].queued) for index in state.with_work)
        return min(at_most, queued + len(state.unassigned) + self.missing_suggestions(at_most))

    def work(self, n_cycles: int = 0) -> dict[float, int]:
        """How many trials could be leased now to workers that can take them, by budget.

        The final training is one of them, too. No budget has more of them than the stopping rules allow, but the sum
        may be more than `startable`.

        Args:
            n_cycles: Count the first rungs of the brackets of so many cycles as well, which are not open yet.
        """
        state = self._state
        if state.stop_reason is not None:
            return {self._settings.max_budget: 1} if self.refit_is_due and not state.current else {}
        begun: Counter[float] = Counter()
        fresh: Counter[float] = Counter()
        for index in state.with_work:
            bracket = state.brackets[index]
            again = sum(state.trials[trial].was_started for trial in bracket.queued)
            begun[bracket.budget(bracket.rung)] += again
            fresh[bracket.budget(bracket.rung)] += len(bracket.queued) - again + bracket.free_places
        for budget, count in self._first_rungs(n_cycles):
            fresh[budget] += count
        begun.update({budget: int(min(count, self._room(budget))) for budget, count in fresh.items()})
        return {budget: count for budget, count in begun.items() if count}

    @property
    def startable(self) -> float:
        """How many trials of whatever budgets can be leased at all before the search ends; infinite without a rule."""
        state, most = self._state, self._settings.stop.evaluations
        if most is None or state.stop_reason is not None:
            return math.inf
        queued = (trial for index in state.with_work for trial in state.brackets[index].queued)
        return most - state.started + sum(state.trials[trial].was_started for trial in queued)

    def _first_rungs(self, n_cycles: int) -> Iterator[tuple[float, int]]:
        """Budget and number of the first trials of brackets that may be opened, for each bracket of a cycle."""
        schedule, rules, first = self._settings.schedule, self._settings.stop, len(self._state.brackets)
        if self.is_far_ahead:
            return
        for index in range(first, first + schedule.cycle):
            rung = schedule.bracket(index)[0]
            if not self._room(rung.budget):
                return
            count = n_cycles
            if rules.brackets is not None:
                count = min(count, max(0, -((index - rules.brackets) // schedule.cycle)))
            yield rung.budget, count * rung.size

    def _room(self, budget: float) -> float:
        """How many more trials of a budget the stopping rules allow."""
        return self._settings.stop.room(self._state.started, self._state.spent, budget / self._settings.max_budget)
