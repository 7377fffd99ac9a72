"""What all scikit-learn estimators for tables have in common, with a search or without."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from bohb_service.workers.tabular.columns import FloatArray
from bohb_service.workers.tabular.saved import save_model

from .validation import frame_of, value_errors


class TableEstimator(BaseEstimator, ABC):  # type: ignore[misc]  # scikit-learn has no types
    """An estimator whose model is a `SavedModel`, ``model_``, once it is fitted."""

    def save(self, path: Path | str) -> None:
        """Write the model, without pickles, as a folder that the target's ``load`` reads.

        Args:
            path: Of the folder; an earlier model there is replaced.

        Raises:
            NotFittedError: `fit` was not called.
            StudyError: Nothing was learned, or something else than a model is there.
            OSError: The folder cannot be written.
        """
        check_is_fitted(self, "model_")
        save_model(Path(path), self.model_.task, self.model_.members, self.model_.facts)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    def _asked(self, method: str, X: Any) -> Any:
        """What a method of the model says of rows.

        Args:
            method: Its name; it takes a data frame.
            X: As for `fit`, with the same columns.

        Raises:
            ValueError: The data is wrong.
            NotFittedError: `fit` was not called.
        """
        check_is_fitted(self, "model_")
        frame = frame_of(self, X, is_training=False)
        with value_errors():
            return getattr(self.model_, method)(frame)


class LabelMixin(ClassifierMixin):  # type: ignore[misc]  # scikit-learn has no types
    """Labels from probabilities.

    Attributes:
        classes_: The labels, sorted; the columns of `predict_proba`.
    """

    def predict(self, X: Any) -> NDArray[Any]:
        """The likeliest labels, shape ``(n,)``.

        Args:
            X: As for `fit`, with the same columns.

        Raises:
            ValueError: The data is wrong.
            NotFittedError: `fit` was not called.
        """
        numbers = self.predict_proba(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[numbers]
        return labels

    @abstractmethod
    def predict_proba(self, X: Any) -> FloatArray:
        """Probabilities of ``classes_``, shape ``(n, classes)``.

        Args:
            X: As for `fit`, with the same columns.

        Raises:
            ValueError: The data is wrong.
            NotFittedError: `fit` was not called.
        """
