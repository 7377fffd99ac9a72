"""Which worker should continue which trial, for how long, and which checkpoints can go.

On a folder that all workers share nothing of this matters: any worker continues from any checkpoint. Elsewhere a trial
whose configuration was evaluated before waits a short time for a worker at the same *place*, i.e. one that keeps the
directories of configurations in the same folder of the same machine. Then it goes to any other, and begins anew.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from bohb_service.master.sessions import Session, Sessions
from bohb_service.scheduler.events import Event, RungClosed, TrialLeased, TrialRequeued
from bohb_service.scheduler.state import StudyState
from bohb_service.scheduler.trial import TrialId

_MAX_OVER = 500
"""Most configurations of which one answer tells that they are over."""

_NOBODY: frozenset[TrialId] = frozenset()


@dataclass(frozen=True, slots=True)
class _Hold:
    place: str
    until: float


class Placement:
    """Hears of all events and exchanges, on the event loop's thread.

    Args:
        state: State of the study; the holders of trials are in it.
        sessions: The workers that are there.
        hold_s: How long a trial waits for a worker at its place, in seconds.
    """

    def __init__(self, state: StudyState, sessions: Sessions, hold_s: float) -> None:
        self._state = state
        self._sessions = sessions
        self._hold_s = hold_s
        self._places: dict[str, str] = {}
        self._holds: dict[TrialId, _Hold] = {}
        self._over: dict[str, list[int]] = {}
        self._over_for_anyone: list[int] = []

    @property
    def has_holds(self) -> bool:
        """Whether a trial waits for a certain worker."""
        return bool(self._holds)

    def heard(self, session: Session, place: str) -> None:
        """Note where a worker keeps the directories of configurations; empty: where the master does."""
        if place or session.name in self._places:
            self._places[session.name] = place

    def place_of(self, session: Session) -> str:
        """What `heard` was told of a worker."""
        return self._places.get(session.name, "")

    def take(self, events: Iterable[Event], now: float) -> None:
        """Hear what has happened.

        Args:
            events: The events, applied to the state.
            now: Monotonic time, seconds.
        """
        for event in events:
            match event:
                case TrialLeased(trial):
                    self._holds.pop(trial, None)
                case TrialRequeued(trial, lease, reason) if reason == "preempted":
                    self._hold(trial, self._state.holders[lease], now)
                case RungClosed(bracket, rung, promoted):
                    for number in promoted:
                        holder = self._state.trials[TrialId(number, rung)].worker
                        self._hold(TrialId(number, rung + 1), holder, now)
                    self._give_up(set(self._state.brackets[bracket].members[rung]).difference(promoted), rung)
                case _:
                    pass

    def wishes(self, session: Session, now: float) -> tuple[frozenset[TrialId], frozenset[TrialId]]:
        """Trials that a worker should get first, and those that it should leave to others for now."""
        if not self._holds:
            return _NOBODY, _NOBODY
        there = {self._places.get(other.name, "") for other in self._sessions if other.lost_since is None}
        ended = [trial for trial, hold in self._holds.items() if hold.until <= now or hold.place not in there]
        for trial in ended:
            del self._holds[trial]
        place = self.place_of(session)
        first = frozenset(trial for trial, hold in self._holds.items() if hold.place == place)
        return first, frozenset(self._holds).difference(first)

    def take_over(self, session: Session) -> tuple[int, ...]:
        """Configurations whose checkpoints a worker can remove; each is told once."""
        if not self._over and not self._over_for_anyone:
            return ()
        told = self._over.pop(session.name, [])
        room = max(0, _MAX_OVER - len(told))
        told += self._over_for_anyone[:room]
        del self._over_for_anyone[:room]
        return tuple(told)

    def _hold(self, trial: TrialId, holder: str, now: float) -> None:
        place = self._places.get(holder, "")
        if place and self._hold_s > 0.0:
            self._holds[trial] = _Hold(place, now + self._hold_s)

    def _give_up(self, numbers: Iterable[int], rung: int) -> None:
        """Have those remove the checkpoints of configurations who may hold them."""
        best = self._state.incumbent
        for number in numbers:
            if best is not None and number == best.trial.configuration:
                continue  # its final training may want it
            holders = {self._state.trials[TrialId(number, each)].worker for each in range(rung + 1)}
            present = [name for name in holders if self._sessions.named(name) is not None]
            for name in present:
                self._over.setdefault(name, []).append(number)
            if not present:
                self._over_for_anyone.append(number)
