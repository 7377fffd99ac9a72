"""What `fit` was given, as numbers in a file that worker processes read."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bohb_service.errors import StudyError
from bohb_service.suggestions import did_you_mean
from bohb_service.workers.common.checks import OptionError, names
from bohb_service.workers.tabular.columns import Column, FeatureEncoder, FloatArray

if TYPE_CHECKING:
    import pandas as pd

DATA_FILE = "data.npz"
"""The training rows, in the run directory."""


@dataclass(frozen=True, slots=True)
class TrainingTable:
    """Training rows as numbers.

    Text is written as a number and read as a category again, so that any table fits into an array. Which categories a
    model knows is still decided fold by fold, by the worker.

    Attributes:
        encoder: From the columns as they were given to numbers.
        features: Shape ``(n, d)``.
        target: Class numbers, int64, or values, float64; shape ``(n,)``.
    """

    encoder: FeatureEncoder
    features: FloatArray
    target: NDArray[Any]

    @classmethod
    def of(cls, frame: "pd.DataFrame", target: NDArray[Any], categorical: Any) -> "TrainingTable":
        """The rows of a data frame.

        Args:
            frame: Features.
            target: Class numbers or values.
            categorical: As for `categorical_of`.

        Raises:
            StudyError: A column holds numbers with slips or values of no known type, or two have the same name.
        """
        encoder = FeatureEncoder.fit(frame, categorical_of(frame, categorical))
        return cls(encoder, encoder.transform(frame), target)

    def save(self, path: Path) -> None:
        """Write the rows for workers; a file that holds the same rows is left as it is.

        Args:
            path: Of the file, ``.npz``.

        Raises:
            StudyError: There is a file with other rows.
        """
        if path.exists():
            with np.load(path, allow_pickle=False) as archive:
                same = all(
                    name in archive and np.array_equal(archive[name], array, equal_nan=True)
                    for name, array in (("X", self.features), ("y", self.target))
                )
            if not same:
                raise StudyError(f"run_dir: {path} holds other rows than those given; choose another run_dir")
            return
        draft = path.with_name(f".{path.name}")
        with draft.open("wb") as file:
            np.savez(file, X=self.features, y=self.target)
        draft.replace(path)

    def options(self, path: Path) -> dict[str, Any]:
        """The worker's options that say what to read.

        Args:
            path: Of the file that `save` wrote.
        """
        categorical = [f"x{i}" for i, column in enumerate(self.encoder.columns) if column.is_categorical]
        return {"data": str(path.absolute()), "target": "target", "categorical": categorical, "test": 0}

    def outward(self, inner: FeatureEncoder) -> FeatureEncoder:
        """The encoder for columns as they were given that does what a worker's does for the numbers in the file.

        Args:
            inner: An encoder that was fitted on rows of the file.
        """
        return FeatureEncoder(tuple(map(_renamed, self.encoder.columns, inner.columns)))


def categorical_of(frame: "pd.DataFrame", given: Any) -> tuple[str, ...]:
    """Names of the columns that hold numbers but are categories.

    Args:
        frame: Features.
        given: Their names in a list, as the user gave them; None for no such columns.

    Raises:
        StudyError: It is no such list, there is no column of a name, or there are two.
    """
    columns = [str(name) for name in frame.columns]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise StudyError(f"two columns are called {twice[0]!r}; rename one")
    listed = given.tolist() if hasattr(given, "tolist") else given
    wanted = () if listed is None else names("categorical", listed, "names of columns")
    for name in wanted:
        if name not in columns:
            hint = did_you_mean(name, columns) or f"there are: {', '.join(columns[:20])}"
            raise OptionError("categorical", f"there is no column {name!r}; {hint}")
    return wanted


def _renamed(given: Column, written: Column) -> Column:
    if given.levels is None or written.levels is None:
        return Column(given.name)
    return Column(given.name, tuple(given.levels[int(level)] for level in written.levels))
