"""Folds the records of a journal into the state of the study, and keeps what that state forgets."""

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bohb_service.journal.journal import Record
from bohb_service.results.rows import IncumbentResult, RungResult, TrajectoryPoint, TrialResult
from bohb_service.results.working_time import WorkerUsage, WorkingTime
from bohb_service.scheduler.bracket import Bracket
from bohb_service.scheduler.events import (
    StudyReopened,
    TrialAbandoned,
    TrialCompleted,
    TrialFailed,
    TrialLeased,
    TrialRequeued,
)
from bohb_service.scheduler.outcomes import Curve
from bohb_service.scheduler.state import StudyState
from bohb_service.scheduler.trial import REFIT_RUNG, TrialId, TrialState


@dataclass(slots=True)
class _Row:
    """What the events tell of one trial beside its state."""

    name: str
    worker: str
    started_at: float
    finished_at: float | None = None
    seconds: float | None = None
    info: Mapping[str, Any] | None = None
    reason: str = ""
    message: str = ""
    detail: str = ""
    curve: Curve = ()
    continued_from: float = 0.0


class Fold:
    """A run as far as its records have been taken.

    Args:
        seed: Seed of the study.
        max_budget: Its largest budget.

    Attributes:
        state: State of the study.
        time: Working time so far.
        usage: How the workers were used so far.
        completions: All completed trials of the search in order of completion.
        requeues: How many leases of the search came back without a result, by reason.
        refit_failure: Reason and message of the final training if it failed, else None.
    """

    def __init__(self, seed: int, max_budget: float) -> None:
        self.state = StudyState(seed, max_budget)
        self.time = WorkingTime()
        self.usage = WorkerUsage()
        self.completions: list[TrajectoryPoint] = []
        self.requeues: Counter[str] = Counter()
        self.refit_failure: str | None = None
        self._leased_at = array("d")
        self._rows: dict[TrialId, _Row] = {}

    def take(self, record: Record) -> None:
        """Go on to the next record.

        Raises:
            ValueError: It contradicts those before it.
            LookupError: The same.
        """
        at, event = record.at, record.event
        self.state.apply(event)
        self.time.take(at, event)
        self.usage.take(at, event)
        if isinstance(event, TrialLeased):
            self._leased_at.append(at)
        if isinstance(event, TrialLeased | TrialCompleted | TrialFailed | TrialAbandoned | TrialRequeued):
            if event.trial.rung == REFIT_RUNG:
                self._take_refit(event)
            else:
                self._take_trial(event, at)
        elif isinstance(event, StudyReopened):
            self.refit_failure = None

    def _take_refit(self, event: TrialLeased | TrialCompleted | TrialFailed | TrialAbandoned | TrialRequeued) -> None:
        if isinstance(event, TrialLeased):
            self.refit_failure = None
        elif isinstance(event, TrialFailed | TrialAbandoned):
            self.refit_failure = f"{event.reason}: {event.message}"

    def _take_trial(
        self, event: TrialLeased | TrialCompleted | TrialFailed | TrialAbandoned | TrialRequeued, at: float
    ) -> None:
        if isinstance(event, TrialLeased):
            row = self._rows.get(event.trial)
            if row is None:
                self._rows[event.trial] = _Row(str(event.trial), event.worker, at)
            else:
                row.worker, row.started_at = event.worker, at
        elif isinstance(event, TrialRequeued):
            self.requeues[event.reason] += 1
        else:
            row = self._end(event, at)
            if isinstance(event, TrialCompleted):
                budget = self.state.trials[event.trial].budget
                self.completions.append(
                    TrajectoryPoint(self.time.seconds, self.state.spent, budget, event.loss, row.name)
                )

    def _end(self, event: TrialCompleted | TrialFailed | TrialAbandoned, at: float) -> _Row:
        row = self._rows[event.trial]
        row.worker, row.started_at = self.state.holders[event.lease], self._leased_at[event.lease]
        row.finished_at = at
        if isinstance(event, TrialCompleted):
            row.info, row.reason, row.message = event.info, "", ""
            row.continued_from = event.continued_from
        else:
            row.reason, row.message = event.reason, event.message
        if isinstance(event, TrialFailed):
            row.detail = event.detail
        if not isinstance(event, TrialAbandoned):
            row.seconds, row.curve = event.seconds, event.curve
        return row

    def trials(self) -> tuple[TrialResult, ...]:
        """All trials of the search that were begun, in order of their first lease."""
        return tuple(self._result(trial_id, row) for trial_id, row in self._rows.items())

    def incumbent(self) -> IncumbentResult | None:
        """The best trial at the largest budget seen, or None."""
        best = self.state.incumbent
        if best is None:
            return None
        number = best.trial.configuration
        configuration = self.state.configurations[number]
        return IncumbentResult(
            str(best.trial), number, configuration.values, configuration.origin, best.budget, best.loss
        )

    def rungs(self) -> tuple[RungResult, ...]:
        """All rungs of all opened brackets, those not yet reached included."""
        return tuple(self._rung(bracket, rung) for bracket in self.state.brackets for rung in range(len(bracket.plan)))

    def _result(self, trial_id: TrialId, row: _Row) -> TrialResult:
        trial = self.state.trials[trial_id]
        configuration = self.state.configurations[trial_id.configuration]
        return TrialResult(
            trial=row.name,
            configuration=trial_id.configuration,
            bracket=trial.bracket,
            rung=trial_id.rung,
            budget=trial.budget,
            state=trial.state,
            loss=trial.loss,
            origin=configuration.origin,
            config=configuration.values,
            attempts=trial.attempts,
            worker=row.worker,
            started_at=row.started_at,
            finished_at=row.finished_at,
            seconds=row.seconds,
            info=row.info or {},
            reason=row.reason,
            message=row.message,
            detail=row.detail,
            curve=row.curve,
            continued_from=row.continued_from,
        )

    def _rung(self, bracket: Bracket, rung: int) -> RungResult:
        members = bracket.members[rung] if rung < len(bracket.members) else []
        trials = [self.state.trials[TrialId(configuration, rung)] for configuration in members]
        states = Counter(trial.state for trial in trials)
        losses = [trial.loss for trial in trials if trial.state is TrialState.COMPLETED and trial.loss is not None]
        return RungResult(
            bracket=bracket.index,
            rung=rung,
            budget=bracket.budget(rung),
            size=bracket.plan[rung].size,
            entered=len(members),
            completed=states[TrialState.COMPLETED],
            failed=states[TrialState.FAILED],
            abandoned=states[TrialState.ABANDONED],
            running=states[TrialState.LEASED],
            is_closed=bracket.is_over or rung < bracket.rung,
            best=min(losses, default=None),
        )
