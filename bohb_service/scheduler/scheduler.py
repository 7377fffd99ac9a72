"""The truth about a study: a pure state machine.

Theory of operation:

1. ``handle(command)`` decides and returns the events that follow, with a reply. State changes only in
   `StudyState.apply`, so folding a journal of events gives exactly the live state (and draws nothing).
2. A trial moves by the table in `trial`; an illegal move raises.
3. Asked for work, the scheduler serves the oldest open bracket that can supply a trial: first requeued and
   promoted trials, then a new configuration in rung 0; when no open bracket can, it opens the next one.
   Where a stopping rule forbids that trial, one that was begun before is still done again, in any bracket.
   There is always exactly one next trial, so one worker always sees the same order. Only a worker that cannot
   take it, or should leave it to another one, gets what comes after it.
4. The first valid result of a trial wins, from whichever lease it comes; everything later is a duplicate.
5. When nothing may be started and nothing is running, the search stops. If the worker offers it, one last
   job retrains the incumbent; then every `Ask` is answered by `Stop`.

It knows no time, no I/O and no randomness.
"""

from dataclasses import dataclass
from typing import assert_never

from bohb_service.scheduler.bracket import Bracket
from bohb_service.scheduler.commands import Ask, Command, Halt, Reopen, Suggest, Tell, WarmStart
from bohb_service.scheduler.events import (
    BracketOpened,
    ConfigurationSuggested,
    Event,
    RungClosed,
    StudyReopened,
    StudyStopped,
    TrialAbandoned,
    TrialCompleted,
    TrialFailed,
    TrialLeased,
    TrialRequeued,
    WarmStarted,
)
from bohb_service.scheduler.outcomes import Completed, Failed, Released
from bohb_service.scheduler.outlook import Outlook
from bohb_service.scheduler.replies import Accepted, Job, Reply, Stop, Wait
from bohb_service.scheduler.settings import Settings
from bohb_service.scheduler.state import StudyState
from bohb_service.scheduler.trial import REFIT_RUNG, Trial, TrialId, TrialState


@dataclass(frozen=True, slots=True)
class Transition:
    """The answer to a command, and the events that it caused, already applied."""

    events: tuple[Event, ...]
    reply: Reply


class Scheduler:
    """Decides what a study does next.

    Args:
        settings: What does not change while the study runs.

    Attributes:
        state: What is known; changed only by its `apply`.
        outlook: What could be done next.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.state = StudyState(settings.seed, settings.max_budget)
        self.outlook = Outlook(self)

    # -- queries -------------------------------------------------------------------------------------------

    @property
    def is_finished(self) -> bool:
        """Whether the search has stopped and nothing remains to be done after it."""
        return self.state.stop_reason is not None and not self.outlook.refit_is_due

    # -- commands ------------------------------------------------------------------------------------------

    def handle(self, command: Command) -> Transition:
        """Decide what follows from a command.

        Returns:
            The events, already applied to this object, and the reply. A command that says nothing new causes none.
        """
        events: list[Event] = []
        match command:
            case Ask():
                reply: Reply = self._ask(command, events)
            case Suggest(number, values, origin):
                reply = Accepted(duplicate=number != len(self.state.configurations))
                if not reply.duplicate:
                    self._emit(events, ConfigurationSuggested(number, values, origin))
            case Tell():
                reply = self._tell(command, events)
            case WarmStart(observations):
                reply = Accepted(
                    duplicate=bool(self.state.observations or self.state.configurations) or not observations
                )
                if not reply.duplicate:
                    self._emit(events, WarmStarted(observations))
            case Halt(reason):
                reply = Accepted(duplicate=self.state.stop_reason is not None)
                if not reply.duplicate:
                    self._stop(reason, events)
            case Reopen(even_after):
                reply = self._reopen(even_after, events)
            case _:
                assert_never(command)
        return Transition(tuple(events), reply)

    def _ask(self, ask: Ask, events: list[Event]) -> Reply:
        if (reply := self._ask_search(ask, events)) is not None:
            return reply
        self._stop_if_done(events)
        if self.state.stop_reason is None:
            return Wait(needs_suggestion=False)
        if self.outlook.refit_is_due:
            return self._ask_refit(ask, events)
        return Stop(self.state.stop_reason)

    def _ask_search(self, ask: Ask, events: list[Event]) -> Job | Wait | None:
        """The next job of the search or what it waits for, or None when there is none now."""
        while self.state.stop_reason is None:
            for index in self.state.with_work:
                bracket = self.state.brackets[index]
                trial = self._next_queued(bracket, ask)
                if trial is not None and not trial.was_started and self._forbidden_start(trial.budget):
                    return self._ask_again(ask, events)
                if not self.settings.needs.fits(bracket.budget(bracket.rung), ask.labels):
                    continue
                if trial is not None:
                    return self._lease(trial.id, trial.bracket, trial.budget, ask.worker, events)
                if bracket.free_places:
                    if self._forbidden_start(bracket.budget(0)):
                        return self._ask_again(ask, events)
                    if not self.state.unassigned:
                        return Wait(needs_suggestion=True)
                    trial_id = TrialId(self.state.unassigned[0], 0)
                    return self._lease(trial_id, bracket.index, bracket.budget(0), ask.worker, events)
            if not self._may_start() or not self._is_of_use_to(ask):
                break
            index = len(self.state.brackets)
            self._emit(events, BracketOpened(index, self.settings.schedule.bracket(index)))
        return self._ask_again(ask, events)

    def _ask_again(self, ask: Ask, events: list[Event]) -> Job | None:
        """A job for a trial that was begun before: its budget is spent already, so no rule forbids it."""
        trial = self._to_do_again(ask) if self.state.stop_reason is None else None
        return None if trial is None else self._lease(trial.id, trial.bracket, trial.budget, ask.worker, events)

    def _next_queued(self, bracket: Bracket, ask: Ask) -> Trial | None:
        """The queued trial of a bracket that is the worker's turn, or None."""
        if not bracket.queued:
            return None
        found: TrialId | None = bracket.queued[0]
        if ask.first or ask.later:
            mine = (trial for trial in bracket.queued if trial in ask.first)
            others = (trial for trial in bracket.queued if trial not in ask.later)
            found = next(mine, None) or next(others, None)
        return None if found is None else self.state.trials[found]

    def _is_of_use_to(self, ask: Ask) -> bool:
        """Whether the next brackets have something for a worker that found nothing in the open ones."""
        schedule, needs = self.settings.schedule, self.settings.needs
        if self.outlook.is_far_ahead:
            return False
        first = len(self.state.brackets)
        ahead = range(first, first + schedule.cycle)
        return not needs.rules or any(needs.fits(schedule.bracket(index)[0].budget, ask.labels) for index in ahead)

    def _ask_refit(self, ask: Ask, events: list[Event]) -> Reply:
        if self.state.incumbent is None:
            raise AssertionError("a refit is due without an incumbent")
        trial_id = TrialId(self.state.incumbent.trial.configuration, REFIT_RUNG)
        trial = self.state.trials.get(trial_id)
        is_leased = trial is not None and trial.state is TrialState.LEASED
        if is_leased or not self.settings.needs.fits(self.settings.max_budget, ask.labels):
            return Wait(needs_suggestion=False)
        return self._lease(trial_id, -1, self.settings.max_budget, ask.worker, events)

    def _lease(self, trial: TrialId, bracket: int, budget: float, worker: str, events: list[Event]) -> Job:
        attempt = self.state.trials[trial].attempts + 1 if trial in self.state.trials else 1
        lease = len(self.state.leases)
        self._emit(events, TrialLeased(trial, bracket, budget, lease, attempt, worker))
        return self.state.job(lease)

    def _tell(self, command: Tell, events: list[Event]) -> Accepted:
        lease, outcome = command.lease, command.outcome
        trial = self.state.trial_of(lease)
        if trial is None or trial.state.is_final or not self._takes_results(trial):
            return Accepted(duplicate=True)
        match outcome:
            case Completed(loss, info, seconds, curve, continued_from):
                self._emit(events, TrialCompleted(trial.id, lease, loss, info, seconds, curve, continued_from))
            case Failed(reason, message, detail, seconds, curve):
                self._emit(events, TrialFailed(trial.id, lease, reason, message, detail, seconds, curve))
            case Released(release, message):
                if trial.lease != lease:
                    return Accepted(duplicate=True)
                if release == "lost" and trial.attempts >= self.settings.max_attempts:
                    self._emit(events, TrialAbandoned(trial.id, lease, release, message))
                else:
                    self._emit(events, TrialRequeued(trial.id, lease, release, message, release == "lost"))
            case _:
                assert_never(outcome)
        self._close_rungs(trial, events)
        self._stop_if_done(events)
        return Accepted()

    def _close_rungs(self, trial: Trial, events: list[Event]) -> None:
        if trial.id.rung == REFIT_RUNG:
            return
        bracket = self.state.brackets[trial.bracket]
        if not bracket.can_close:
            return
        rung = bracket.rung
        losses = {
            configuration: state.loss
            for configuration in bracket.members[rung]
            if (state := self.state.trials[TrialId(configuration, rung)]).state is TrialState.COMPLETED
            and state.loss is not None
        }
        self._emit(events, RungClosed(bracket.index, rung, bracket.select(losses)))

    def _reopen(self, even_after: frozenset[str], events: list[Event]) -> Accepted:
        reason = self.state.stop_reason
        if self._may_reopen(even_after):
            self._emit(events, StudyReopened())
            self._stop_if_done(events)
        elif reason is not None and self._refit_has_failed():
            # The search is over, but its final training is tried again.
            self._emit(events, StudyReopened())
            self._emit(events, StudyStopped(reason))
        return Accepted(duplicate=not events)

    def _stop_if_done(self, events: list[Event]) -> None:
        if self.state.stop_reason is not None:
            return
        best = self.state.incumbent
        if best and best.budget >= self.settings.max_budget and self.settings.stop.is_reached_by(best.loss):
            self._stop("loss", events)
        elif self.state.running == 0 and (reason := self._why_nothing_starts()):
            self._stop(reason, events)

    def _stop(self, reason: str, events: list[Event]) -> None:
        message = f"the search ended ({reason})"
        for lease, trial in list(self.state.current.items()):
            self._emit(events, TrialRequeued(trial.id, lease, "stopped", message, used_attempt=False))
        self._emit(events, StudyStopped(reason))

    # -- decisions -----------------------------------------------------------------------------------------

    def _bracket_with_work(self) -> Bracket | None:
        return self.state.brackets[self.state.with_work[0]] if self.state.with_work else None

    def _to_do_again(self, ask: Ask | None = None) -> Trial | None:
        """A trial that was begun and waits for another lease; with an `Ask`, one for its worker."""
        for index in self.state.with_work:
            bracket = self.state.brackets[index]
            if ask is None:
                # Those that were begun are in front of those that were not.
                trial = self.state.trials[bracket.queued[0]] if bracket.queued else None
            elif self.settings.needs.fits(bracket.budget(bracket.rung), ask.labels):
                trial = self._next_queued(bracket, ask)
            else:
                continue
            if trial is not None and trial.was_started:
                return trial
        return None

    def _may_start(self) -> bool:
        index = len(self.state.brackets)
        if self.settings.stop.forbids_bracket(index):
            return False
        return not self._forbidden_start(self.settings.schedule.bracket(index)[0].budget)

    def _forbidden_start(self, budget: float) -> str | None:
        return self.settings.stop.forbids_start(self.state.started, self.state.spent, budget / self.settings.max_budget)

    def _why_nothing_starts(self) -> str | None:
        """The rule that keeps the next trial from being started, or None when one can be or one must be awaited."""
        if self._to_do_again() is not None:
            return None
        bracket = self._bracket_with_work()
        if bracket is None:
            index = len(self.state.brackets)
            if self.settings.stop.forbids_bracket(index):
                return "brackets"
            return self._forbidden_start(self.settings.schedule.bracket(index)[0].budget)
        if not bracket.queued:
            return self._forbidden_start(bracket.budget(0))
        return self._forbidden_start(self.state.trials[bracket.queued[0]].budget)

    def _may_reopen(self, even_after: frozenset[str]) -> bool:
        if self.state.stop_reason is None:
            return False
        if self.state.stop_reason == "loss":
            return self.state.incumbent is None or not self.settings.stop.is_reached_by(self.state.incumbent.loss)
        if self.state.stop_reason in {"brackets", "evaluations", "full_budgets"}:
            return self._why_nothing_starts() is None
        return self.state.stop_reason in even_after

    def _refit_has_failed(self) -> bool:
        if not self.settings.refit or self.state.incumbent is None or self.state.refit is not None:
            return False
        trial = self.state.trials.get(TrialId(self.state.incumbent.trial.configuration, REFIT_RUNG))
        return trial is not None and trial.state in {TrialState.FAILED, TrialState.ABANDONED}

    def _takes_results(self, trial: Trial) -> bool:
        """Whether a result still matters: for the final training, or while search and rung are open."""
        if trial.id.rung == REFIT_RUNG:
            return True
        bracket = self.state.brackets[trial.bracket]
        return self.state.stop_reason is None and bracket.rung == trial.id.rung and not bracket.is_over

    def _emit(self, events: list[Event], event: Event) -> None:
        self.state.apply(event)
        events.append(event)
