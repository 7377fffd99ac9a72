"""The two kinds of estimators, for targets to inherit from beside their own base."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from bohb_service.workers.common.shown import shown
from bohb_service.workers.tabular.columns import FloatArray
from bohb_service.workers.tabular.task import Task

from .base import TabularEstimator
from .tables import LabelMixin
from .validation import classes_of, values_of


class TabularClassifier(LabelMixin, TabularEstimator):
    """A `TabularEstimator` that predicts classes.

    Attributes:
        classes_: The labels, sorted; the columns of `predict_proba`.
    """

    KIND = "classification"

    def predict_proba(self, X: Any) -> FloatArray:
        """Probabilities of ``classes_``, shape ``(n, classes)``.

        Args:
            X: As for `fit`, with the same columns.

        Raises:
            ValueError: The data is wrong.
            NotFittedError: `fit` was not called.
        """
        return self._predicted(X)

    def _learn_target(self, y: Any) -> NDArray[Any]:
        self.classes_, numbers = classes_of(y)
        return numbers

    def _numbers_of(self, y: Any) -> NDArray[Any]:
        labels, numbers = classes_of(y)
        unknown = np.setdiff1d(labels, self.classes_).tolist()
        missing = np.setdiff1d(self.classes_, labels).tolist()
        if unknown or missing:
            which = f"{shown(unknown[0])} is new" if unknown else f"{shown(missing[0])} is missing"
            raise ValueError(f"y must have the classes that fit has seen, but {which}; call fit for other classes")
        return numbers

    @property
    def _labels(self) -> NDArray[Any]:
        labels: NDArray[Any] = self.classes_
        return labels

    @property
    def _task(self) -> Task:
        return Task("classification", tuple(self.classes_.tolist()))


class TabularRegressor(RegressorMixin, TabularEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A `TabularEstimator` that predicts numbers."""

    KIND = "regression"

    def predict(self, X: Any) -> FloatArray:
        """The values, shape ``(n,)``.

        Args:
            X: As for `fit`, with the same columns.

        Raises:
            ValueError: The data is wrong.
            NotFittedError: `fit` was not called.
        """
        return self._predicted(X)

    def _learn_target(self, y: Any) -> NDArray[Any]:
        return values_of(y)

    def _numbers_of(self, y: Any) -> NDArray[Any]:
        return values_of(y)

    @property
    def _labels(self) -> None:
        return None

    @property
    def _task(self) -> Task:
        return Task("regression")
