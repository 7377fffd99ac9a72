"""What a training may spend: epochs within the horizon, or seconds."""

import math
from dataclasses import dataclass, field

from bohb_service.errors import StudyError
from bohb_service.workers.common.whole import whole_epochs
from bohb_service.workers.tabular.worker import Effort


@dataclass(slots=True)
class Allowance:
    """What a training may still spend.

    Attributes:
        epochs: Most epochs in total.
        seconds: Most seconds in total, infinite if only epochs count.
        spent: Seconds spent so far, by earlier budgets too.
    """

    epochs: int
    seconds: float = math.inf
    spent: float = field(default=0.0)

    @classmethod
    def of(cls, effort: Effort, horizon: int) -> "Allowance":
        """What an effort allows.

        Args:
            effort: Of the evaluation.
            horizon: Most epochs of a training.

        Raises:
            StudyError: The budget is not one of this fidelity.
        """
        if effort.fidelity == "epochs":
            return cls(epochs_within(effort.budget, horizon))
        if effort.fidelity == "seconds":
            return cls(horizon, effort.budget)
        return cls(horizon)

    def share(self, epochs: int) -> tuple[float, float]:
        """What a number of epochs, in the seconds that are spent, is of all: a number of something, and all of it.

        Args:
            epochs: Done so far.
        """
        return (epochs, self.epochs) if math.isinf(self.seconds) else (self.spent, self.seconds)

    def has_room(self, epochs: int) -> bool:
        """Whether one more epoch fits, as long as those before were on average; the first one always does.

        Args:
            epochs: How many there were.
        """
        if epochs >= self.epochs:
            return False
        return epochs == 0 or self.spent * (epochs + 1) / epochs <= self.seconds


def epochs_within(budget: float, horizon: int) -> int:
    """The budget as a number of epochs that the horizon has room for.

    Args:
        budget: As the study has it.
        horizon: Most epochs of a training.

    Raises:
        StudyError: It is not a whole number from 1 to the horizon.
    """
    epochs = whole_epochs(budget)
    if epochs > horizon:
        raise StudyError(
            f"budget {epochs} is beyond the horizon of {horizon} epochs that learning rates are scheduled for; "
            "set worker_options.horizon to the largest budget of the study"
        )
    return epochs
