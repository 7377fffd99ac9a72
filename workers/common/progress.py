"""What a training asks and tells on its way: whether it has to end early, and what it need not do again."""

import math
import time
from collections.abc import Callable

ASK_EVERY_S = 0.1
"""Seconds between two questions that reach the service; what is asked in between costs a look at the clock."""


class Preempted(Exception):  # noqa: N818 (no error: the evaluation goes on elsewhere)
    """A training has ended unfinished, for its machine is to be taken away.

    Raised once what is needed to go on is kept, so that nobody takes half a training for a result.
    """


def never() -> bool:
    """Whether a training outside of a study has to end early."""
    return False


class Progress:
    """The door between a training and its evaluation.

    A training asks `must_leave` wherever it could go on later; only while something is left to do, since after a yes
    its result does not count. After a yes it keeps what is done, and raises `Preempted`.

    Attributes:
        leaves: Whether `must_leave` has said yes.

    Args:
        is_preempted: Whether the machine is to be taken away; once true, it stays so.
    """

    def __init__(self, is_preempted: Callable[[], bool] = never) -> None:
        self._is_preempted = is_preempted
        self._next_look = -math.inf
        self._done, self._total = 0.0, 1.0
        self.leaves = False

    def must_leave(self) -> bool:
        """Whether the training has to end now; cheap enough to be asked thousands of times a second."""
        if not self.leaves and (now := time.monotonic()) >= self._next_look:
            self.leaves = self._is_preempted()
            self._next_look = now + ASK_EVERY_S
        return self.leaves

    def took_over(self, done: float, total: float) -> None:
        """Tell what was taken over from an earlier training, instead of what was told before.

        Args:
            done: What need not be done again, in any unit, from 0 to `total`.
            total: What all of the training is, in the same unit, above 0.
        """
        self._done, self._total = done, total

    def spared(self, budget: float) -> float:
        """What of a budget is not spent again.

        Args:
            budget: What all of the training costs.
        """
        # In this order whole numbers stay whole.
        return budget * self._done / self._total
