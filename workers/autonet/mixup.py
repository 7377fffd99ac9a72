"""Mixup: training on mixtures of pairs of rows.

References:
    Zhang, Cisse, Dauphin, Lopez-Paz (2018), "mixup: Beyond Empirical Risk Minimization".
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .hyperparameters import Hyperparameters

Criterion = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Mixture:
    """How the rows of a batch are mixed.

    Attributes:
        share: Of the rows themselves, in [0, 1].
        partners: The row that each is mixed with, shape ``(n,)``.
    """

    share: float
    partners: Tensor

    def inputs(self, rows: Tensor) -> Tensor:
        """The mixed rows."""
        return self.share * rows + (1.0 - self.share) * rows.index_select(0, self.partners)

    def loss(self, criterion: Criterion, output: Tensor, target: Tensor) -> Tensor:
        """The loss of the outputs of mixed rows: the share of that for the own targets, and the rest for the partners'.

        Args:
            criterion: Of outputs and targets.
            output: Of the mixed rows.
            target: Of the rows before.
        """
        own, other = criterion(output, target), criterion(output, target.index_select(0, self.partners))
        return self.share * own + (1.0 - self.share) * other


def draw_mixture(
    parameters: Hyperparameters, rows: int, generator: np.random.Generator, device: torch.device
) -> Mixture | None:
    """The mixture of a batch, its share from Beta(alpha, alpha); None for training without mixup, or alpha 0.

    Args:
        parameters: Trainer and alpha.
        rows: Size of the batch.
        generator: Of its random numbers; not used if there is no mixture.
        device: Where the rows are.
    """
    if parameters.trainer != "mixup" or parameters.mixup_alpha <= 0:
        return None
    share = float(generator.beta(parameters.mixup_alpha, parameters.mixup_alpha))
    return Mixture(share, torch.from_numpy(generator.permutation(rows)).to(device))
