"""One successive-halving race: who is in which rung, and who goes on.

References:
    Jamieson, Talwalkar (2016), "Non-stochastic best arm identification and hyperparameter optimization";
    Li et al. (2017), "Hyperband", Algorithm 1, inner loop. Promotion is synchronous: a rung closes when all
    its trials are final. Deviation from the predecessor: when failures leave fewer survivors than the next
    rung has places, the places stay empty, instead of being filled with configurations that skipped a rung.
"""

from collections import deque
from dataclasses import dataclass, field

from bohb_service.optimizer.brackets import Rung
from bohb_service.scheduler.trial import TrialId


@dataclass(slots=True)
class Bracket:
    """State of one bracket; changed by `Scheduler.apply` alone.

    Attributes:
        index: Position in the schedule, from 0.
        plan: Planned size and budget of each rung.
        members: Configurations of each rung that was begun, in order of entry (rung 0) or merit.
        queued: Trials that wait for a lease, promoted ones best first, requeued ones in front.
        unsettled: Number of trials of the current rung that are not final.
        is_over: Whether the last rung closed or nobody survived.
    """

    index: int
    plan: tuple[Rung, ...]
    members: list[list[int]] = field(default_factory=lambda: [[]])
    queued: deque[TrialId] = field(default_factory=deque)
    unsettled: int = 0
    is_over: bool = False

    @property
    def rung(self) -> int:
        """Number of the rung that is being filled or evaluated."""
        return len(self.members) - 1

    @property
    def free_places(self) -> int:
        """Number of new configurations that rung 0 still takes."""
        return self.plan[0].size - len(self.members[0]) if len(self.members) == 1 else 0

    @property
    def has_work(self) -> bool:
        """Whether it could supply a trial now, given a configuration where one is needed."""
        return bool(self.queued) or self.free_places > 0

    @property
    def can_close(self) -> bool:
        """Whether the current rung is full and all of it is final."""
        return not self.is_over and self.unsettled == 0 and self.free_places == 0

    def budget(self, rung: int) -> float:
        """Budget of a rung."""
        return self.plan[rung].budget

    def enter(self, configuration: int) -> None:
        """Take a new configuration into rung 0."""
        self.members[0].append(configuration)
        self.unsettled += 1

    def advance(self, promoted: tuple[int, ...]) -> list[TrialId]:
        """Close the current rung and queue the promoted configurations in the next; return the new trials."""
        if not promoted:
            self.is_over = True
            return []
        self.members.append(list(promoted))
        trials = [TrialId(configuration, self.rung) for configuration in promoted]
        self.queued.extend(trials)
        self.unsettled = len(trials)
        return trials

    def select(self, losses: dict[int, float]) -> tuple[int, ...]:
        """The configurations that go on, best first: the lowest finite losses, ties by number.

        Args:
            losses: Loss of each completed configuration of the current rung.
        """
        if self.rung + 1 == len(self.plan):
            return ()
        ranked = sorted(losses, key=lambda configuration: (losses[configuration], configuration))
        return tuple(ranked[: self.plan[self.rung + 1].size])
