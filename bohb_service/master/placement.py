"""Which worker should continue which trial, for how long, and which checkpoints can go.

On a folder that all workers share nothing of this matters: any worker continues from any checkpoint. Elsewhere a trial
whose configuration was evaluated before waits a short time for a worker at the same *place*, i.e. one that keeps the
directories of configurations in the same folder. Then it goes to any other, and begins anew.

Places of workers are in the journal, and all else follows from it: a master that was restarted waits as before, and has
those checkpoints removed that the one before it did not come to.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from bohb_service.master.sessions import Session, Sessions
from bohb_service.scheduler.events import (
    Event,
    RungClosed,
    TrialCompleted,
    TrialLeased,
    TrialRequeued,
    WorkerJoined,
    WorkerPlaced,
)
from bohb_service.scheduler.state import StudyState
from bohb_service.scheduler.trial import TrialId

_MAX_OVER = 500
"""Most configurations of which one answer tells that they are over."""

_BEGUN = frozenset({"preempted", "lost"})
_SHARED = ""
_NOBODY: frozenset[TrialId] = frozenset()


@dataclass(frozen=True, slots=True)
class _Hold:
    place: str
    until: float


class Placement:
    """Hears of all events and exchanges, on the event loop's thread.

    Args:
        state: State of the study, replayed; the holders of trials and their places are in it.
        sessions: The workers that are there.
        hold_s: How long a trial waits for a worker at its place, in seconds.
        now: Monotonic time, seconds.
    """

    def __init__(self, state: StudyState, sessions: Sessions, hold_s: float, now: float) -> None:
        self._state = state
        self._sessions = sessions
        self._hold_s = hold_s
        self._workers_at: dict[str, set[str]] = {}
        self._holds: dict[TrialId, _Hold] = {}
        self._places_of: dict[int, set[str]] = {}
        self._over: dict[str, list[int]] = {}
        self._spared: int | None = None
        self._resume(now)

    @property
    def has_holds(self) -> bool:
        """Whether a trial waits for a certain worker."""
        return bool(self._holds)

    def place_of(self, worker: str) -> str:
        """Where a worker keeps the directories of configurations; empty: where the master does."""
        return self._state.places.get(worker, _SHARED)

    def take(self, events: Iterable[Event], now: float) -> None:
        """Hear what has happened.

        Args:
            events: The events, applied to the state.
            now: Monotonic time, seconds.
        """
        for event in events:
            match event:
                case TrialLeased(trial, worker=worker):
                    self._holds.pop(trial, None)
                    self._note_place(trial, worker)
                case TrialCompleted():
                    self._give_up_superseded()
                case TrialRequeued(trial, lease, reason):
                    was_begun = reason in _BEGUN
                    self._hold(trial, self._state.holders[lease] if was_begun else self._holder_before(trial), now)
                case RungClosed(bracket, rung, promoted):
                    for number in promoted:
                        self._hold(TrialId(number, rung + 1), self._holder_before(TrialId(number, rung + 1)), now)
                    self._give_up(set(self._state.brackets[bracket].members[rung]).difference(promoted))
                case WorkerJoined(worker) | WorkerPlaced(worker):
                    self._man(worker)
                case _:
                    pass

    def wishes(self, session: Session, now: float) -> tuple[frozenset[TrialId], frozenset[TrialId]]:
        """Trials that a worker should get first, and those that it should leave to others for now."""
        if not self._holds:
            return _NOBODY, _NOBODY
        manned = {place for place in {hold.place for hold in self._holds.values()} if self._is_manned(place)}
        ended = [trial for trial, hold in self._holds.items() if hold.until <= now or hold.place not in manned]
        for trial in ended:
            del self._holds[trial]
        place = self.place_of(session.name)
        first = frozenset(trial for trial, hold in self._holds.items() if hold.place == place)
        return first, frozenset(self._holds).difference(first)

    def take_over(self, session: Session) -> tuple[int, ...]:
        """Configurations whose checkpoints a worker can remove; each is told once at each place."""
        place = self.place_of(session.name)
        waiting = self._over.get(place)
        if not waiting:
            return ()
        told, self._over[place] = waiting[:_MAX_OVER], waiting[_MAX_OVER:]
        return tuple(told)

    def _resume(self, now: float) -> None:
        """Find out from the state what an earlier master knew."""
        for worker in self._state.workers:
            self._man(worker)
        if self._state.places:
            for trial, worker in zip(self._state.leases, self._state.holders, strict=True):
                self._note_place(trial, worker)
        for bracket in self._state.brackets:
            for trial in bracket.queued:
                self._hold(trial, self._state.trials[trial].worker or self._holder_before(trial), now)
            for rung, members in enumerate(bracket.members):
                if rung < bracket.rung:
                    self._give_up(set(members).difference(bracket.members[rung + 1]))
                elif bracket.is_over:
                    self._give_up(members)

    def _holder_before(self, trial: TrialId) -> str:
        """Who evaluated the configuration at the rung below; empty at the lowest one."""
        return self._state.trials[TrialId(trial.configuration, trial.rung - 1)].worker if trial.rung > 0 else ""

    def _man(self, worker: str) -> None:
        if place := self.place_of(worker):
            self._workers_at.setdefault(place, set()).add(worker)

    def _is_manned(self, place: str) -> bool:
        """Whether a worker of this place is connected, or expected back after a restart of the master."""
        workers = self._workers_at.get(place, set())
        for worker in tuple(workers):
            session = self._sessions.named(worker)
            if self.place_of(worker) != place or (session is None and worker not in self._state.workers):
                workers.discard(worker)
            elif session is None or session.lost_since is None:
                return True
        return False

    def _note_place(self, trial: TrialId, worker: str) -> None:
        if place := self.place_of(worker):
            self._places_of.setdefault(trial.configuration, set()).add(place)

    def _hold(self, trial: TrialId, holder: str, now: float) -> None:
        place = self.place_of(holder)
        if place and self._hold_s > 0.0:
            self._holds[trial] = _Hold(place, now + self._hold_s)

    def _give_up(self, numbers: Iterable[int]) -> None:
        """Have the checkpoints of configurations removed wherever they may be."""
        best = self._state.incumbent
        for number in sorted(numbers):
            if best is not None and number == best.trial.configuration:
                self._spared = number  # its final training may want it
                continue
            for place in (_SHARED, *self._places_of.pop(number, ())):
                self._over.setdefault(place, []).append(number)

    def _give_up_superseded(self) -> None:
        """Have the checkpoint removed that only an incumbent needed which is none any more."""
        best, spared = self._state.incumbent, self._spared
        if spared is not None and best is not None and best.trial.configuration != spared:
            self._spared = None
            self._give_up((spared,))
