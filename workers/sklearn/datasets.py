"""Data sets in three parts: training, validation (judges a trial), test (judges the final model only)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bohb_service.errors import StudyError
from bohb_service.workers.tabular.sources import letter

from .options import DATASETS, suggestion

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

_LETTER_TRAINING_ROWS = 16_000
"""The customary split of Frey and Slate (1991): the first 16000 rows train, the last 4000 test."""

_LETTER_VALIDATION_ROWS = 3_000

_SPLIT_SEED = 20_000
"""Fixed: all trials of all studies are judged on the same rows."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Labelled rows.

    Attributes:
        features: Shape ``(n, d)``.
        labels: Class of each row, ``0 .. n_classes - 1``, shape ``(n,)``.
    """

    features: FloatArray
    labels: IntArray

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, index: IntArray) -> "Rows":
        """The rows with these numbers, in this order."""
        return Rows(self.features[index], self.labels[index])

    def standardised_by(self, reference: "Rows") -> "Rows":
        """The same rows on the scale where each feature of `reference` has mean 0 and deviation 1.

        A feature that is constant in `reference` is only shifted.
        """
        mean = reference.features.mean(axis=0, dtype=np.float64)
        deviation = reference.features.std(axis=0, dtype=np.float64)
        scaled = (self.features - mean) / np.where(deviation > 0, deviation, 1.0)
        return Rows(scaled.astype(np.float32), self.labels)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A classification task, features as they are in the source.

    Attributes:
        name: One of `DATASETS`.
        n_classes: Number of classes; every part has rows of each.
        train: What a trial learns from.
        validation: What a trial is judged on; the same rows for all trials.
        test: Kept for the final model; a trial must not look at it.
    """

    name: str
    n_classes: int
    train: Rows
    validation: Rows
    test: Rows

    @property
    def development(self) -> Rows:
        """Training and validation part together, for the final model."""
        return Rows(
            np.concatenate([self.train.features, self.validation.features]),
            np.concatenate([self.train.labels, self.validation.labels]),
        )


def load_dataset(name: str) -> Dataset:
    """The data set of this name, split the same way on every call and machine.

    Args:
        name: One of `DATASETS`.

    Raises:
        StudyError: The name is unknown.
    """
    if name == "letter":
        rows = load_letter()
        order = np.arange(len(rows))
        development, test = order[:_LETTER_TRAINING_ROWS], order[_LETTER_TRAINING_ROWS:]
        n_validation = _LETTER_VALIDATION_ROWS
    elif name in DATASETS:
        rows = _load_builtin(name)
        development, test = _stratified(rows, np.arange(len(rows)), len(rows) // 5)
        n_validation = len(test)
    else:
        raise StudyError(f"no data set {name!r}; {suggestion(name, DATASETS)}")
    train, validation = _stratified(rows, development, n_validation)
    return Dataset(
        name=name,
        n_classes=int(rows.labels.max()) + 1,
        train=rows.select(train),
        validation=rows.select(validation),
        test=rows.select(test),
    )


def load_letter() -> Rows:
    """UCI Letter Recognition in its original order: 20000 rows, 16 features in 0..15, 26 classes."""
    return _rows(*letter())


def _load_builtin(name: str) -> Rows:
    """One of the small data sets that come with scikit-learn."""
    from sklearn import datasets

    features, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    return _rows(features, labels)


def _rows(features: NDArray[Any], labels: NDArray[Any]) -> Rows:
    """Rows in the types that the network trains with."""
    return Rows(np.ascontiguousarray(features, dtype=np.float32), np.asarray(labels, dtype=np.int64))


def _stratified(rows: Rows, index: IntArray, n_second: int) -> tuple[IntArray, IntArray]:
    """Split row numbers in two, the second part with `n_second`, both with the class shares of the whole."""
    from sklearn.model_selection import train_test_split

    first, second = train_test_split(index, test_size=n_second, stratify=rows.labels[index], random_state=_SPLIT_SEED)
    return first, second
