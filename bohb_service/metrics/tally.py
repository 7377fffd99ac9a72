"""Counts evaluations as they end."""

from collections import Counter
from collections.abc import Callable, Sequence

from bohb_service.scheduler.events import Event, TrialCompleted, TrialFailed, TrialRequeued
from bohb_service.scheduler.state import StudyState
from bohb_service.scheduler.trial import REFIT_RUNG, TrialState


class Tally:
    """How many evaluations of the search have a result, and which; called on the master's thread, read on another.

    Those that were given up are not counted: a late result may still come.

    Attributes:
        ended: Evaluations with a result by how they ended and by budget, those of earlier masters included.
        requeued: Leases that came back to this master without a result, by reason.

    Args:
        state: The study before the first of the events; followed, not copied.
        on_evaluation: Hears of budget and seconds of each evaluation that has a result.
    """

    def __init__(self, state: StudyState, on_evaluation: Callable[[str, float], None]) -> None:
        self._state = state
        self._on_evaluation = on_evaluation
        ended = [trial for trial in state.trials.values() if trial.state.is_final and trial.id.rung != REFIT_RUNG]
        self.ended = Counter((trial.state.value, budget_label(trial.budget)) for trial in ended)
        self.requeued: Counter[str] = Counter()

    def __call__(self, entries: Sequence[tuple[float, Event]]) -> None:
        """Take events that are durable, as pairs of time and event."""
        for _, event in entries:
            match event:
                case TrialCompleted(seconds=seconds):
                    self._end(event, TrialState.COMPLETED, seconds)
                case TrialFailed(seconds=seconds):
                    self._end(event, TrialState.FAILED, seconds)
                case TrialRequeued(reason=reason):
                    self.requeued[reason] += 1

    def _end(self, event: TrialCompleted | TrialFailed, how: TrialState, seconds: float) -> None:
        if event.trial.rung == REFIT_RUNG:
            return
        label = budget_label(self._state.trials[event.trial].budget)
        self.ended[how.value, label] += 1
        self._on_evaluation(label, seconds)


def budget_label(budget: float) -> str:
    """A budget as a label: a study has as many as it has rungs."""
    return f"{budget:.12g}"
