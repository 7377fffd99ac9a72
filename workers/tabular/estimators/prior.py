"""What is predicted when nothing was learned."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bohb_service.errors import StudyError
from bohb_service.workers.tabular.columns import FloatArray
from bohb_service.workers.tabular.task import Task


@dataclass(frozen=True, slots=True)
class Prior:
    """Predicts the same for all rows.

    Attributes:
        values: Shares of the classes, shape ``(classes,)``; or the mean, shape ``()``.
    """

    values: FloatArray

    @classmethod
    def of(cls, target: NDArray[Any], task: Task) -> "Prior":
        """Shares of the classes, or the mean.

        Args:
            target: Class numbers or values; at least one.
            task: What is predicted.
        """
        if task.is_classification:
            return cls(np.bincount(target, minlength=task.n_outputs) / len(target))
        return cls(np.asarray(target.mean(), dtype=np.float64))

    def predict(self, features: FloatArray) -> FloatArray:
        """The same for each row.

        Args:
            features: Shape ``(n, d)``.
        """
        repeated: FloatArray = np.broadcast_to(self.values, (len(features), *self.values.shape)).copy()
        return repeated

    def save(self, folder: Path) -> None:
        """Refuse: a prior is no model of a target.

        Raises:
            StudyError: Always.
        """
        raise StudyError(f"{folder}: nothing was learned, so there is no model to save; fit with a longer time_limit")
