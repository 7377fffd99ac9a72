"""Final models as folders without pickles: ``model.json`` and one folder for each member.

The folder holds all that prediction needs: types of columns, classes, weights; and digests of all files.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bohb_service.errors import StudyError
from bohb_service.workers.common.sealed import SealedKind

from .columns import FeatureEncoder, FloatArray
from .task import Task

if TYPE_CHECKING:
    import pandas as pd

MODEL = SealedKind("model", "model.json", 2)
"""The folder of a model; before version 2 there were no digests."""

_MEMBER = re.compile(r"member-[0-9]+")


class Predictor(Protocol):
    """What a member can do once it is trained."""

    def predict(self, features: FloatArray) -> FloatArray:
        """Probabilities of the classes, shape ``(n, classes)``, or values, shape ``(n,)``.

        Args:
            features: As `FeatureEncoder.transform` makes them, shape ``(n, d)``.
        """


class Savable(Predictor, Protocol):
    """A member that can be written."""

    def save(self, folder: Path) -> None:
        """Write all that `predict` needs into the folder, which exists and is empty."""


Read = Callable[[Path, Task, FeatureEncoder], Predictor]
"""Gives a member from the folder that its `save` filled, for a task and features."""


@dataclass(frozen=True, slots=True)
class Member:
    """One model of an ensemble.

    Attributes:
        weight: Of its prediction; all weights sum to 1.
        encoder: Of its features.
        model: The model.
    """

    weight: float
    encoder: FeatureEncoder
    model: Predictor


@dataclass(frozen=True, slots=True)
class SavedModel:
    """A model that predicts from tables.

    Attributes:
        task: What it predicts.
        members: Whose predictions are averaged; a single model is an ensemble of one.
        facts: Where it comes from: target, configuration, metric, versions.
    """

    task: Task
    members: tuple[Member, ...]
    facts: Mapping[str, Any]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns that it needs."""
        return self.members[0].encoder.names

    def predict(self, X: "pd.DataFrame | NDArray[Any]") -> NDArray[Any]:
        """Labels as in the training data, or values; shape ``(n,)``.

        Args:
            X: A data frame with the columns of the training data, or an array with as many, in the same order.

        Raises:
            StudyError: A column is missing or has a value that does not fit.
        """
        return self.task.decode(self.average(X))

    def predict_proba(self, X: "pd.DataFrame | NDArray[Any]") -> FloatArray:
        """Probabilities of the classes, in the order of ``task.classes``; shape ``(n, classes)``.

        Args:
            X: As for `predict`.

        Raises:
            StudyError: As `predict`; or the model predicts numbers.
        """
        if not self.task.is_classification:
            raise StudyError("a regression has no probabilities of classes; call predict")
        return self.average(X)

    def average(self, data: "pd.DataFrame | NDArray[Any]") -> FloatArray:
        """The weighted mean of the members' predictions: probabilities, or values.

        Args:
            data: As for `predict`.

        Raises:
            StudyError: As `predict`.
        """
        frame = as_frame(data, self.feature_names)
        total: FloatArray | None = None
        encoded: dict[FeatureEncoder, FloatArray] = {}
        for member in self.members:
            # Members that learned from the same rows have equal encoders.
            if member.encoder not in encoded:
                encoded[member.encoder] = member.encoder.transform(frame)
            prediction = member.weight * member.model.predict(encoded[member.encoder])
            total = prediction if total is None else total + prediction
        assert total is not None
        return total


def as_frame(data: "pd.DataFrame | NDArray[Any]", names: Sequence[str]) -> "pd.DataFrame":
    """The data with names of columns.

    Args:
        data: A data frame as it is, or an array with these columns.
        names: Of the columns.

    Raises:
        StudyError: The array has another number of columns.
    """
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        return data
    array = np.asarray(data)
    if array.ndim != 2 or array.shape[1] != len(names):
        raise StudyError(f"X has shape {array.shape}, but the model learned from {len(names)} columns")
    return pd.DataFrame(array, columns=list(names))


def save_model(path: Path, task: Task, members: Sequence[Member], facts: Mapping[str, Any]) -> None:
    """Write a model; one that is there already is replaced, or left as it was if this fails.

    Args:
        path: The folder.
        task: What it predicts.
        members: With models that can be saved.
        facts: Plain data to keep beside it; ``target`` says which target can read it.

    Raises:
        StudyError: Something else than a model is there.
        OSError: The folder cannot be written.
    """

    def fill(made: Path) -> Mapping[str, Any]:
        entries = []
        for number, member in enumerate(members):
            folder = made / f"member-{number}"
            folder.mkdir()
            member.model.save(folder)  # type: ignore[attr-defined]
            entries.append({"folder": folder.name, "weight": member.weight, "columns": member.encoder.to_json()})
        return {"task": task.to_json(), "members": entries, "facts": dict(facts)}

    MODEL.save(path, fill)


def load_model(path: Path | str, target: str, read: Read) -> SavedModel:
    """The model in a folder that `save_model` wrote.

    Args:
        path: The folder.
        target: Name of the target that asks; it must be the one that wrote.
        read: Gives a member from the folder that its `save` filled; it raises if that does not fit task and columns.

    Raises:
        StudyError: There is no such model, or it is damaged, or another target's.
        ImportError: A library that the model needs is not installed.
    """
    folder = Path(path)

    def make(data: Mapping[str, Any]) -> SavedModel:
        found = data["facts"]["target"]
        if found != target:
            raise StudyError(f"{folder}: a model of {found!r}, not of {target!r}")
        task = Task.from_json(data["task"])
        members = tuple(_read_member(folder, entry, task, read) for entry in data["members"])
        if not math.isclose(sum(member.weight for member in members), 1.0, abs_tol=1e-6):
            raise ValueError("the weights of the members do not sum to 1")
        return SavedModel(task, members, data["facts"])

    return MODEL.load(folder, make)


def _read_member(folder: Path, entry: Mapping[str, Any], task: Task, read: Read) -> Member:
    encoder = FeatureEncoder.from_json(entry["columns"])
    if not _MEMBER.fullmatch(entry["folder"]):
        raise ValueError(f"no folder of a member: {entry['folder']!r}")
    return Member(entry["weight"], encoder, read(folder / entry["folder"], task, encoder))
