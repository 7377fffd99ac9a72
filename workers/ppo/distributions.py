"""The policy's distributions of actions, as the update needs them: probabilities, entropies and their derivatives."""

import math
from typing import Protocol

import torch
from torch import Tensor


class Distribution(Protocol):
    """The distributions of a batch of actions.

    Attributes:
        log_probabilities: Of the actions that were taken, shape ``(n,)``; of densities if continuous.
        entropies: Of each distribution, shape ``(n,)``.
    """

    log_probabilities: Tensor
    entropies: Tensor

    def slopes(self, of_log_probabilities: Tensor, of_entropies: float) -> tuple[Tensor, Tensor]:
        """Derivatives of a weighted sum of the two with respect to the network's outputs and extra parameters.

        Args:
            of_log_probabilities: Weight of each, shape ``(n,)``.
            of_entropies: Weight of all.

        Returns:
            Shapes ``(n, outputs)`` and ``(n_extra,)``.
        """


class Categorical(Distribution):
    """Discrete actions.

    Args:
        logits: Shape ``(n, actions)``.
        actions: Numbers of the actions taken, shape ``(n,)``.
    """

    def __init__(self, logits: Tensor, actions: Tensor) -> None:
        self._chosen = actions[:, None]
        self._log = torch.log_softmax(logits, 1)
        self._probabilities = self._log.exp()
        self.log_probabilities = self._log.gather(1, self._chosen)[:, 0]
        self.entropies = -(self._probabilities * self._log).sum(1)

    def slopes(self, of_log_probabilities: Tensor, of_entropies: float) -> tuple[Tensor, Tensor]:
        """As `Distribution.slopes`."""
        weight = of_log_probabilities[:, None]
        # d log p(a) / d logit_j = [a = j] - p_j;  d entropy / d logit_j = -p_j (log p_j + entropy)
        slope = (self._log + self.entropies[:, None]).mul_(-of_entropies).sub_(weight).mul_(self._probabilities)
        return slope.scatter_add_(1, self._chosen, weight), slope.new_zeros(0)


class Gaussian(Distribution):
    """Continuous actions, each independent of the others.

    Args:
        means: Shape ``(n, actions)``.
        log_std: Logarithms of the standard deviations, shape ``(actions,)``.
        actions: Taken, shape ``(n, actions)``.
    """

    def __init__(self, means: Tensor, log_std: Tensor, actions: Tensor) -> None:
        self._inverse_std = torch.exp(-log_std)
        self._z = (actions - means) * self._inverse_std
        constant = float(0.5 * math.log(2 * math.pi) * means.shape[1])
        self.log_probabilities = -0.5 * (self._z * self._z).sum(1) - (log_std.sum() + constant)
        self.entropies = (log_std.sum() + constant + 0.5 * means.shape[1]).expand(len(means))

    def slopes(self, of_log_probabilities: Tensor, of_entropies: float) -> tuple[Tensor, Tensor]:
        """As `Distribution.slopes`."""
        weight = of_log_probabilities[:, None]
        of_log_std = (weight * (self._z * self._z - 1)).sum(0) + of_entropies * len(self._z)
        return weight * self._z * self._inverse_std, of_log_std
