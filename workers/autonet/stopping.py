"""Early stopping: the weights of the epoch that was best on rows set aside from the training rows."""

import math
from collections.abc import Mapping

from torch import Tensor

from bohb_service.workers.tabular.rows import Rows
from bohb_service.workers.tabular.splits import holdout

_WATCHED_SHARE = 0.1
_LEAST_ROWS = 10
_WATCHED = 3
"""Purpose of the order of the rows; those below are the data set's own."""


class EarlyStopping:
    """Keeps the best weights, and ends the training when nothing better has come for some epochs.

    Args:
        patience: How many epochs.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self.best_loss = math.inf
        self.waited = 0
        self.best: dict[str, Tensor] = {}

    @property
    def is_over(self) -> bool:
        """Whether the training has ended."""
        return self.waited >= self._patience

    def take(self, loss: float, weights: Mapping[str, Tensor]) -> None:
        """Hear the loss on the watched rows after an epoch.

        Args:
            loss: NaN counts as no improvement.
            weights: Of the network; copied if they are the best so far.
        """
        if loss < self.best_loss or not self.best:
            self.best_loss = math.inf if math.isnan(loss) else loss
            self.waited = 0
            self.best = {name: tensor.detach().clone() for name, tensor in weights.items()}
        else:
            self.waited += 1


def set_aside(rows: Rows, seed: int) -> tuple[Rows, Rows] | None:
    """Training rows in two: those to learn from and a tenth to watch, of each class alike.

    Args:
        rows: The training rows; the judging rows are never among them.
        seed: Of the choice.

    Returns:
        The two parts, or None if there are fewer than 10 rows: then there is no early stopping.
    """
    if len(rows) < _LEAST_ROWS:
        return None
    kept, watched = holdout(rows.target, _WATCHED_SHARE, seed, _WATCHED)
    return rows.select(kept), rows.select(watched)
