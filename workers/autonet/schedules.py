"""Learning rates over the course of a training.

A schedule is a function of the time in epochs, fractions included, so that it depends on nothing but the horizon:
a training that continues from a checkpoint follows the same course as one that was never interrupted. The only one
with a memory is ``plateau``.
"""

import math
from dataclasses import dataclass

from .hyperparameters import Hyperparameters


@dataclass(slots=True)
class Plateau:
    """Reduces the learning rate when the training loss no longer falls.

    It looks at the training loss alone: the rows that judge must not steer a training.

    Attributes:
        factor: On the learning rate so far.
        best: Smallest loss of an epoch so far.
        waited: Epochs since then.
    """

    factor: float = 1.0
    best: float = math.inf
    waited: int = 0

    def take(self, loss: float, patience: int, reduction: float) -> None:
        """Hear the training loss of an epoch.

        Args:
            loss: Mean over its rows.
            patience: Epochs without a smaller loss that are borne.
            reduction: The factor after that.
        """
        if loss < self.best:
            self.best, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited > patience:
            self.factor *= reduction
            self.waited = 0


class Schedule:
    """The learning rate at each step.

    Args:
        parameters: Name and settings of the schedule.
        horizon: Epochs that cosine and decay span; beyond it both stay at their end.
    """

    def __init__(self, parameters: Hyperparameters, horizon: int) -> None:
        self._p = parameters
        self._horizon = horizon
        self.plateau = Plateau()

    def rate(self, epoch: int, step: int, steps: int) -> float:
        """The learning rate of a step.

        Args:
            epoch: Number of the epoch, from 0.
            step: Number of the step in it, from 0.
            steps: Steps of an epoch.
        """
        return self._p.learning_rate * self._factor(epoch, epoch + step / steps)

    def end_epoch(self, loss: float) -> None:
        """Hear the mean training loss of the epoch that has ended."""
        if self._p.scheduler == "plateau":
            self.plateau.take(loss, self._p.plateau_patience, self._p.plateau_factor)

    def _factor(self, epoch: int, time: float) -> float:
        p = self._p
        progress = min(time / self._horizon, 1.0)
        match p.scheduler:
            case "cosine":
                return _cosine(progress)
            case "decay":
                return math.pow(p.final_lr_fraction, progress)
            case "warm_restarts":
                return _cosine(_period_share(time, p.restart_period, p.restart_factor))
            case "exponential":
                return math.pow(p.gamma_per_epoch, epoch)
            case "step":
                return math.pow(p.step_gamma, epoch // p.step_size)
            case "plateau":
                return self.plateau.factor
            case "cyclic":
                phase = time / p.cyclic_period % 1.0
                return p.cyclic_base + (1.0 - p.cyclic_base) * (1.0 - abs(2.0 * phase - 1.0))
        return 1.0


def _cosine(share: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * share))


def _period_share(time: float, period: float, growth: float) -> float:
    """How much of the current period is over, in [0, 1), where each period is `growth` times the one before."""
    length = float(period)
    while time >= length:
        time -= length
        length *= growth
    return time / length
