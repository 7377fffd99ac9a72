"""What a network learns: targets as tensors, the loss, and predictions from outputs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from bohb_service.workers.tabular.columns import FloatArray

from .mixup import Criterion


@dataclass(frozen=True, slots=True)
class Objective:
    """The kind of the task and the scale of its target.

    Attributes:
        n_outputs: Outputs of the network.
        is_classification: Whether they stand for classes.
        mean: Of the training targets of a regression.
        deviation: Of the training targets of a regression, above 0.
    """

    n_outputs: int
    is_classification: bool
    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def of(cls, target: NDArray[Any], n_outputs: int, *, is_classification: bool) -> "Objective":
        """The objective for these training targets.

        Args:
            target: Class numbers or values.
            n_outputs: Number of classes, or 1.
            is_classification: Which of them.
        """
        if is_classification:
            return cls(n_outputs, is_classification=True)
        deviation = float(target.std())
        return cls(1, is_classification=False, mean=float(target.mean()), deviation=deviation if deviation > 0 else 1.0)

    def encode(self, target: NDArray[Any]) -> Tensor:
        """Class numbers, or values on the scale where those of the training have mean 0 and deviation 1."""
        if self.is_classification:
            return torch.from_numpy(np.ascontiguousarray(target, dtype=np.int64))
        return torch.from_numpy(((target - self.mean) / self.deviation).astype(np.float32))

    def criterion(self, weights: Tensor | None = None) -> Criterion:
        """Cross-entropy or squared error, the mean over a batch.

        Args:
            weights: Of the classes; None for equal ones.
        """
        if self.is_classification:
            return lambda output, target: functional.cross_entropy(output, target, weight=weights)
        return lambda output, target: functional.mse_loss(output.squeeze(1), target)

    def class_weights(self, target: NDArray[Any]) -> Tensor | None:
        """Weights by which each class that occurs counts the same, the mean over the rows being 1; None in regression.

        Args:
            target: Class numbers of the training rows.
        """
        if not self.is_classification:
            return None
        counts = np.bincount(target, minlength=self.n_outputs)
        n_present = int((counts > 0).sum())
        return torch.from_numpy((len(target) / (n_present * np.maximum(counts, 1))).astype(np.float32))

    def predictions(self, output: Tensor) -> FloatArray:
        """Probabilities of the classes, shape ``(n, classes)``, or values on the original scale, shape ``(n,)``."""
        if self.is_classification:
            return np.asarray(torch.softmax(output.double(), dim=1).cpu().numpy(), dtype=np.float64)
        return np.asarray(output.squeeze(1).double().cpu().numpy() * self.deviation + self.mean, dtype=np.float64)
