"""Rows of numbers with their targets, and what one model is trained and judged on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .columns import FeatureEncoder, FloatArray
from .task import Task

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Labelled rows.

    Attributes:
        features: Shape ``(n, d)``; categories as codes, NaN where missing.
        target: Number of the class, int64, or value, float64; shape ``(n,)``.
    """

    features: FloatArray
    target: NDArray[Any]

    def __len__(self) -> int:
        return len(self.target)

    def select(self, index: IntArray) -> "Rows":
        """The rows with these numbers, in this order."""
        return Rows(self.features[index], self.target[index])


@dataclass(frozen=True, slots=True)
class Fold:
    """What one model learns from and is judged on.

    Attributes:
        task: What is predicted; its classes are those of all rows, so that some may be missing in `train`.
        encoder: Fitted on the rows of `train` alone.
        train: What the model learns from.
        judge: What it is judged on; may be empty.
        mark: Text that is equal for two folds exactly if all of the above are.
    """

    task: Task
    encoder: FeatureEncoder
    train: Rows
    judge: Rows
    mark: str
