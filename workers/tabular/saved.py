"""Final models as folders without pickles: ``model.json`` and one folder for each member.

The folder holds all that prediction needs: types of columns, classes, weights.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bohb_service.errors import StudyError
from bohb_service.workers.common.folders import whole_folder

from .columns import FeatureEncoder, FloatArray
from .task import Task

if TYPE_CHECKING:
    import pandas as pd

_FORMAT = 1
_FACTS = "model.json"
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
    with whole_folder(path, _FACTS) as made:
        entries = []
        for number, member in enumerate(members):
            folder = made / f"member-{number}"
            folder.mkdir()
            member.model.save(folder)  # type: ignore[attr-defined]
            entries.append({"folder": folder.name, "weight": member.weight, "columns": member.encoder.to_json()})
        data = {"format": _FORMAT, "task": task.to_json(), "members": entries, "facts": dict(facts)}
        (made / _FACTS).write_text(json.dumps(data, indent=1), encoding="utf-8")


def load_model(path: Path | str, target: str, read: Callable[[Path], Predictor]) -> SavedModel:
    """The model in a folder that `save_model` wrote.

    Args:
        path: The folder.
        target: Name of the target that asks; it must be the one that wrote.
        read: Gives a member from the folder that its `save` filled.

    Raises:
        StudyError: There is no such model, or it is damaged, or another target's.
        ImportError: A library that the model needs is not installed.
    """
    folder = Path(path)
    try:
        data = _read_facts(folder, target)
        members = tuple(_read_member(folder, entry, read) for entry in data["members"])
        return SavedModel(Task.from_json(data["task"]), members, data["facts"])
    except (StudyError, ImportError, MemoryError):
        raise
    except Exception as error:
        raise StudyError(
            f"{folder}: the model cannot be read ({type(error).__name__}: {error}); restore it, or train it again"
        ) from error


def _read_facts(folder: Path, target: str) -> Mapping[str, Any]:
    try:
        data: Any = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StudyError(
            f"{folder}: there is no model; a study with `refit: true` leaves one, see its results"
        ) from error
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        raise StudyError(f"{folder}: not a model of this version; train it again")
    if data["facts"]["target"] != target:
        raise StudyError(f"{folder}: a model of {data['facts']['target']!r}, not of {target!r}")
    if not data["members"]:
        raise ValueError("no members")
    return data


def _read_member(folder: Path, entry: Mapping[str, Any], read: Callable[[Path], Predictor]) -> Member:
    encoder = FeatureEncoder.from_json(entry["columns"])
    if not _MEMBER.fullmatch(entry["folder"]):
        raise ValueError(f"no folder of a member: {entry['folder']!r}")
    return Member(float(entry["weight"]), encoder, read(folder / entry["folder"]))
