"""The state of a study, and the one way in which it changes: `StudyState.apply`.

Folding the events of a journal through `apply` gives exactly the live state; nothing is drawn or decided here.
"""

import math
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from bohb_service.optimizer.observation import Observation, Origin
from bohb_service.scheduler.bracket import Bracket
from bohb_service.scheduler.events import (
    BracketOpened,
    ConfigurationSuggested,
    Event,
    MasterStarted,
    RungClosed,
    StudyReopened,
    StudyStopped,
    TrialAbandoned,
    TrialCompleted,
    TrialFailed,
    TrialLeased,
    TrialRequeued,
    WarmStarted,
    WorkerJoined,
    WorkerLeft,
    WorkerPlaced,
)
from bohb_service.scheduler.replies import Job
from bohb_service.scheduler.trial import REFIT_RUNG, Trial, TrialId, TrialState, evaluation_seed

_KEPT_LOSSES = 20


@dataclass(frozen=True, slots=True)
class Configuration:
    """A suggested configuration.

    Attributes:
        values: Values of its active hyperparameters.
        origin: Where it came from.
    """

    values: Mapping[str, Any]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Incumbent:
    """The best trial at the largest budget seen."""

    trial: TrialId
    budget: float
    loss: float


class StudyState:
    """What is known of one study.

    Args:
        seed: Seed of the study; evaluations get theirs from it.
        max_budget: The study's largest budget.

    Attributes:
        configurations: All suggested configurations by number.
        unassigned: Numbers of those that no bracket has taken yet, oldest first.
        trials: All trials that were begun or queued, the final training of the incumbent included.
        brackets: All opened brackets by index.
        with_work: Indices of the brackets that could supply a trial, ascending.
        leases: Trial of each lease by its number.
        holders: Worker of each lease by its number.
        current: Trials that are leased now, by the number of the lease.
        observations: What the model may learn from, in order of arrival; append-only.
        incumbent: Best trial at the largest budget seen, or None.
        refit: What the final training returned, or None.
        stop_reason: Why the search ended, or None while it goes on.
        started: Number of trials started, each counted once.
        spent: Their budgets in units of the largest budget.
        n_masters: How many masters have served the study, one after the other.
        workers: Workers that have joined and not left, by name; after a restart they are expected back.
        places: Where workers keep the directories of configurations, by name, those that have left included; who is not
            in it keeps them where the master does.
        lost_workers: The last workers that were lost, oldest first.
        n_lost_workers: How often a worker was lost.
        n_completed: Number of trials of the search that completed.
        n_failed: Number of those that failed.
        n_abandoned: Number of those whose last attempt was lost.
        n_requeued: Number of leases that came back without a result.
        n_from_model: Number of configurations that the model proposed.
    """

    def __init__(self, seed: int, max_budget: float) -> None:
        self._seed = seed
        self._max_budget = max_budget
        self.configurations: list[Configuration] = []
        self.unassigned: deque[int] = deque()
        self.trials: dict[TrialId, Trial] = {}
        self.brackets: list[Bracket] = []
        self.with_work: list[int] = []
        self.leases: list[TrialId] = []
        self.holders: list[str] = []
        self.current: dict[int, Trial] = {}
        self.observations: list[Observation] = []
        self.incumbent: Incumbent | None = None
        self.refit: Mapping[str, Any] | None = None
        self.stop_reason: str | None = None
        self.started = 0
        self.spent = 0.0
        self.n_masters = 0
        self.workers: dict[str, WorkerJoined] = {}
        self.places: dict[str, str] = {}
        self.lost_workers: deque[WorkerLeft] = deque(maxlen=_KEPT_LOSSES)
        self.n_lost_workers = 0
        self._epochs: list[str] = [""]
        self._epoch_starts: list[int] = [0]
        self.n_completed = 0
        self.n_failed = 0
        self.n_abandoned = 0
        self.n_requeued = 0
        self.n_from_model = 0

    def trial_of(self, lease: int) -> Trial | None:
        """The trial that a lease was granted for, or None if there is no such lease."""
        return self.trials.get(self.leases[lease]) if 0 <= lease < len(self.leases) else None

    def was_granted(self, lease: int, worker: str) -> bool:
        """Whether this lease was once given to this worker."""
        return 0 <= lease < len(self.holders) and self.holders[lease] == worker

    def holds(self, lease: int, worker: str) -> bool:
        """Whether this lease is the current one of its trial, and this worker's."""
        trial = self.trial_of(lease)
        return trial is not None and trial.lease == lease and trial.worker == worker

    @property
    def epoch(self) -> str:
        """Epoch of the leases that are granted now."""
        return self._epochs[-1]

    def epoch_of(self, lease: int) -> str | None:
        """Epoch in which a lease was granted, or None if there is no such lease."""
        if not 0 <= lease < len(self.leases):
            return None
        return self._epochs[bisect_right(self._epoch_starts, lease) - 1]

    @property
    def running(self) -> int:
        """Number of leased trials."""
        return len(self.current)

    def job(self, lease: int) -> Job:
        """The job that a current lease carries."""
        trial = self.trials[self.leases[lease]]
        return Job(
            lease=lease,
            trial=trial.id,
            attempt=trial.attempts,
            config=self.configurations[trial.id.configuration].values,
            budget=trial.budget,
            previous_budget=self._previous_budget(trial),
            seed=evaluation_seed(self._seed, trial.id.configuration),
        )

    def _previous_budget(self, trial: Trial) -> float | None:
        if trial.id.rung == REFIT_RUNG:
            return self.incumbent.budget if self.incumbent else None
        return self.brackets[trial.bracket].budget(trial.id.rung - 1) if trial.id.rung else None

    def apply(self, event: Event) -> None:  # noqa: C901, PLR0912  (one case an event)
        """Change the state by one event, live or replayed.

        Raises:
            ValueError: The event is impossible in this state: the journal does not belong to this scheduler.
        """
        match event:  # the frequent ones first: a replay comes here hundreds of thousands of times
            case TrialLeased():
                self._apply_leased(event)
            case TrialCompleted():
                trial = self._settle(event.trial, TrialState.COMPLETED)
                trial.loss = event.loss
                if event.trial.rung == REFIT_RUNG:
                    self.refit = event.info
                else:
                    self.n_completed += 1
                    self._observe(trial, event.loss)
                    self._update_incumbent(trial, event.loss)
            case ConfigurationSuggested(number, values, origin):
                if number != len(self.configurations):
                    raise ValueError(f"configuration {number} was suggested, but {len(self.configurations)} is next")
                self.configurations.append(Configuration(values, origin))
                self.unassigned.append(number)
                self.n_from_model += origin == "model"
            case TrialFailed():
                trial = self._settle(event.trial, TrialState.FAILED)
                trial.loss = math.inf
                if event.trial.rung != REFIT_RUNG:
                    self.n_failed += 1
                    self._observe(trial, math.inf)
            case TrialRequeued(trial_id, _, _, _, used_attempt):
                self._apply_requeued(trial_id, used_attempt=used_attempt)
            case TrialAbandoned(trial_id, _, _, _):
                self._settle(trial_id, TrialState.ABANDONED)
                self.n_abandoned += 1
            case RungClosed(index, _, promoted):
                self._apply_closed(self.brackets[index], promoted)
            case BracketOpened(index, rungs):
                if index != len(self.brackets):
                    raise ValueError(f"bracket {index} was opened, but {len(self.brackets)} is next")
                self.brackets.append(Bracket(index, rungs))
                self.with_work.append(index)
            case MasterStarted() | WorkerJoined() | WorkerLeft() | WorkerPlaced():
                self._apply_presence(event)
            case WarmStarted(observations):
                self.observations.extend(observations)
            case StudyStopped(reason):
                self.stop_reason = reason
            case StudyReopened():
                self.stop_reason = None
                self.refit = None
                for trial_id in [t for t in self.trials if t.rung == REFIT_RUNG]:
                    self._end_lease(self.trials.pop(trial_id))
            case _:
                assert_never(event)

    def _apply_presence(self, event: MasterStarted | WorkerJoined | WorkerLeft | WorkerPlaced) -> None:
        match event:
            case MasterStarted():
                self.n_masters += 1
                self._epochs.append(event.epoch)
                self._epoch_starts.append(len(self.leases))
            case WorkerJoined():
                self.workers[event.worker] = event
            case WorkerLeft():
                self.workers.pop(event.worker, None)
                if event.is_lost:
                    self.lost_workers.append(event)
                    self.n_lost_workers += 1
            case WorkerPlaced(worker, place):
                self.places.pop(worker, None)
                if place:
                    self.places[worker] = place

    def _apply_leased(self, event: TrialLeased) -> None:
        if event.lease != len(self.leases):
            raise ValueError(f"lease {event.lease} was granted, but {len(self.leases)} is next")
        trial = self.trials.get(event.trial)
        if trial is None:
            trial = self.trials[event.trial] = Trial(event.trial, event.bracket, event.budget)
            if event.trial.rung == 0:
                if not self.unassigned or self.unassigned.popleft() != event.trial.configuration:
                    raise ValueError(f"trial {event.trial} was leased out of turn")
                self.brackets[event.bracket].enter(event.trial.configuration)
        elif event.trial.rung != REFIT_RUNG:
            self.brackets[event.bracket].queued.remove(event.trial)
        if event.trial.rung != REFIT_RUNG:
            if not trial.was_started:
                self.started += 1
                self.spent += event.budget / self._max_budget
            self._refresh_work(self.brackets[event.bracket])
        trial.move(TrialState.LEASED)
        trial.attempts, trial.lease, trial.worker = event.attempt, event.lease, event.worker
        self.leases.append(event.trial)
        self.holders.append(event.worker)
        self.current[event.lease] = trial

    def _apply_requeued(self, trial_id: TrialId, *, used_attempt: bool) -> None:
        trial = self.trials[trial_id]
        trial.move(TrialState.QUEUED)
        self._end_lease(trial)
        trial.attempts -= not used_attempt
        self.n_requeued += 1
        if trial_id.rung != REFIT_RUNG:
            bracket = self.brackets[trial.bracket]
            bracket.queued.appendleft(trial_id)
            self._refresh_work(bracket)

    def _settle(self, trial_id: TrialId, state: TrialState) -> Trial:
        trial = self.trials[trial_id]
        before = trial.state
        trial.move(state)
        self._end_lease(trial)
        if trial_id.rung != REFIT_RUNG:
            bracket = self.brackets[trial.bracket]
            if before is TrialState.QUEUED:
                bracket.queued.remove(trial_id)
                self._refresh_work(bracket)
            if before is TrialState.ABANDONED:
                self.n_abandoned -= 1
            else:
                bracket.unsettled -= 1
        return trial

    def _end_lease(self, trial: Trial) -> None:
        if trial.lease is not None:
            del self.current[trial.lease]
            trial.lease = None

    def _apply_closed(self, bracket: Bracket, promoted: tuple[int, ...]) -> None:
        for trial_id in bracket.advance(promoted):
            self.trials[trial_id] = Trial(trial_id, bracket.index, bracket.budget(trial_id.rung))
        self._refresh_work(bracket)

    def _refresh_work(self, bracket: Bracket) -> None:
        listed = bracket.index in self.with_work
        if bracket.has_work and not listed:
            insort(self.with_work, bracket.index)
        elif listed and not bracket.has_work:
            self.with_work.remove(bracket.index)

    def _observe(self, trial: Trial, loss: float) -> None:
        values = self.configurations[trial.id.configuration].values
        self.observations.append(Observation(trial.id.configuration, values, trial.budget, loss))

    def _update_incumbent(self, trial: Trial, loss: float) -> None:
        best = self.incumbent
        if best is None or trial.budget > best.budget or (trial.budget == best.budget and loss < best.loss):
            self.incumbent = Incumbent(trial.id, trial.budget, loss)
