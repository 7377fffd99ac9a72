"""What is predicted: classes or numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bohb_service.errors import StudyError
from bohb_service.workers.common.restored import restored
from bohb_service.workers.common.shown import shown

from .columns import refuse_huge

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["classification", "regression"]

Label = bool | int | float | str

KINDS: tuple[Kind, ...] = ("classification", "regression")

_MOST_CLASSES = 20
"""Whole numbers with more different values than this are taken for a regression's target."""


@dataclass(frozen=True, slots=True)
class Task:
    """The kind of a prediction, and its classes.

    Attributes:
        kind: ``classification`` or ``regression``.
        classes: The labels in the order of their numbers, as in the data; empty for regression.
    """

    kind: Kind
    classes: tuple[Label, ...] = ()

    @classmethod
    def infer(cls, target: "pd.Series[Any]", kind: Kind | None, where: str) -> "Task":
        """The task of a target column.

        Text, truth values, categories and whole numbers with at most 20 values are classes, all else is regression.

        Args:
            target: One value a row.
            kind: What it is; None to find out.
            where: How messages call the column.

        Raises:
            StudyError: A value is missing or does not fit the kind, or there is only one class.
        """
        missing = np.flatnonzero(np.asarray(target.isna()))
        if len(missing):
            raise StudyError(f"{where}, row {missing[0] + 1}: no value ({len(missing)} in all); leave such rows out")
        if (kind or _kind(target)) == "regression":
            task = cls("regression")
            task.encode(target, where)
            return task
        labels = sorted({_plain(value) for value in target.unique()}, key=_order)
        if len(labels) < 2:
            raise StudyError(f"{where}: only one class, {shown(labels[0] if labels else None)}; nothing can be learned")
        return cls("classification", tuple(labels))

    @property
    def is_classification(self) -> bool:
        """Whether classes are predicted."""
        return self.kind == "classification"

    @property
    def has_numbers(self) -> bool:
        """Whether the labels of a classification are numbers."""
        return any(isinstance(label, int | float) and not isinstance(label, bool) for label in self.classes)

    @property
    def n_outputs(self) -> int:
        """Columns of a prediction: the number of classes; 1 for regression."""
        return len(self.classes) if self.is_classification else 1

    def encode(self, target: "pd.Series[Any]", where: str = "target") -> NDArray[Any]:
        """The numbers of the classes, int64, or the values, float64; shape ``(n,)``.

        Raises:
            StudyError: A label is none of the classes, or a value is no finite number, or too large.
        """
        if not self.is_classification:
            import pandas as pd

            numbers = pd.to_numeric(target, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
            values = np.asarray(numbers, dtype=np.float64)
            wrong = np.flatnonzero(~np.isfinite(values))
            if len(wrong):
                raise StudyError(f"{where}, row {wrong[0] + 1}: {shown(target.iloc[wrong[0]])} is no finite number")
            refuse_huge(values, where)
            return values
        codes_of = {label: number for number, label in enumerate(self.classes)}
        codes = np.array([codes_of.get(_plain(value), -1) for value in target], dtype=np.int64)
        wrong = np.flatnonzero(codes < 0)
        if len(wrong):
            first = ", ".join(str(label) for label in self.classes[:10])
            raise StudyError(
                f"{where}, row {wrong[0] + 1}: label {shown(target.iloc[wrong[0]])} does not occur among those that "
                f"are learned from: {first}{', ...' if len(self.classes) > 10 else ''}"
            )
        return codes

    def decode(self, prediction: NDArray[np.float64]) -> NDArray[Any]:
        """Labels of the likeliest classes, or the values themselves; shape ``(n,)``.

        Args:
            prediction: Probabilities, shape ``(n, classes)``; values, shape ``(n,)``, for regression.
        """
        if not self.is_classification:
            return prediction
        labels: NDArray[Any] = np.asarray(self.classes)[prediction.argmax(axis=1)]
        return labels

    def to_json(self) -> dict[str, Any]:
        """The task as plain data."""
        return {"kind": self.kind, "classes": list(self.classes)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Task":
        """The task that `to_json` wrote.

        Raises:
            ValueError: It did not.
        """
        return restored(cls, data)


def _kind(target: "pd.Series[Any]") -> Kind:
    from pandas.api import types

    if types.is_float_dtype(target) and not (target % 1 == 0).all():
        return "regression"
    if types.is_numeric_dtype(target) and not types.is_bool_dtype(target):
        return "classification" if target.nunique() <= _MOST_CLASSES else "regression"
    return "classification"


def _plain(value: Any) -> Any:
    """A label as a Python bool, int, float or str; whole floats as integers."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, bool | int | float | str) else str(value)


def _order(label: Any) -> tuple[bool, Any]:
    return (True, label) if isinstance(label, str) else (False, label)
