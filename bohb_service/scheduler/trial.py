"""A trial, one configuration at one budget, and the table of its legal transitions."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Self

REFIT_RUNG = -1
"""The rung number of the one job that retrains the incumbent after the search."""


def evaluation_seed(study_seed: int, configuration: int) -> int:
    """The seed that a configuration has at every budget, in ``[0, 2**31)``.

    Args:
        study_seed: Seed of the study.
        configuration: Number of the configuration, from 0.
    """
    digest = hashlib.sha256(f"{study_seed}:{configuration}".encode()).digest()
    return int.from_bytes(digest[:4]) >> 1


class TrialId(NamedTuple):
    """Name of a trial; a tuple, because it is hashed and compared millions of times.

    Attributes:
        configuration: Number of the configuration in the study, from 0 in order of suggestion.
        rung: Rung of its bracket, from 0; `REFIT_RUNG` for the final training of the incumbent.
    """

    configuration: int
    rung: int

    def __str__(self) -> str:
        return f"{self.configuration}.{'refit' if self.rung == REFIT_RUNG else self.rung}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The trial named by ``str(trial)``.

        Raises:
            ValueError: ``text`` does not name a trial.
        """
        configuration, _, rung = text.partition(".")
        return cls(int(configuration), REFIT_RUNG if rung == "refit" else int(rung))


class TrialState(StrEnum):
    """Where a trial stands."""

    QUEUED = "queued"
    LEASED = "leased"
    COMPLETED = "completed"
    FAILED = "failed"
    ABANDONED = "abandoned"

    @property
    def is_final(self) -> bool:
        """Whether there is a result, which nothing overrules."""
        return self in {TrialState.COMPLETED, TrialState.FAILED}


LEGAL: dict[TrialState, frozenset[TrialState]] = {
    TrialState.QUEUED: frozenset({TrialState.LEASED, TrialState.COMPLETED, TrialState.FAILED}),
    TrialState.LEASED: frozenset({TrialState.QUEUED, TrialState.COMPLETED, TrialState.FAILED, TrialState.ABANDONED}),
    TrialState.COMPLETED: frozenset(),
    TrialState.FAILED: frozenset(),
    TrialState.ABANDONED: frozenset({TrialState.COMPLETED, TrialState.FAILED}),
}
"""All legal transitions. A queued or abandoned trial completes when a late result of an old lease arrives."""


@dataclass(slots=True)
class Trial:
    """State of one trial; changed by `Scheduler.apply` alone.

    Attributes:
        id: Name.
        bracket: Number of the bracket it belongs to.
        budget: What it may spend.
        state: Where it stands.
        attempts: Leases that used up an attempt, the current one included.
        lease: Number of the current lease, or None.
        worker: Holder of the current or last lease; empty before the first.
        loss: Finite once completed, infinite once failed, None before.
    """

    id: TrialId
    bracket: int
    budget: float
    state: TrialState = TrialState.QUEUED
    attempts: int = 0
    lease: int | None = None
    worker: str = ""
    loss: float | None = None

    @property
    def was_started(self) -> bool:
        """Whether it was ever leased; what it spends is counted once, at the first lease."""
        return bool(self.worker)

    def move(self, state: TrialState) -> None:
        """Change the state.

        Raises:
            ValueError: The transition is not in the table, i.e. the journal or the scheduler is wrong.
        """
        if state not in LEGAL[self.state]:
            raise ValueError(f"trial {self.id} cannot go from {self.state} to {state}")
        self.state = state
