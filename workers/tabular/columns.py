"""Columns of a table and their types: from a data frame to an array of numbers."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bohb_service.errors import StudyError
from bohb_service.suggestions import did_you_mean
from bohb_service.workers.common.restored import restored
from bohb_service.workers.common.shown import shown

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.float64]

_SLIP_SHARE = 0.9
"""A text column of which more than this share of the values are numbers is a column of numbers with slips."""

_DAY_S = 86_400.0

_LARGEST = 1e100
"""Size of numbers beyond which sums of squares would overflow."""


@dataclass(frozen=True, slots=True)
class Column:
    """A feature.

    Attributes:
        name: Its heading.
        levels: Its categories as text, in the order of their codes; None for a column of numbers.
    """

    name: str
    levels: tuple[str, ...] | None = None

    @property
    def is_categorical(self) -> bool:
        """Whether its values are codes of categories."""
        return self.levels is not None


@dataclass(frozen=True, slots=True)
class FeatureEncoder:
    """Turns data frames into arrays, the same way for all rows.

    Attributes:
        columns: The features in order.
    """

    columns: tuple[Column, ...]

    @classmethod
    def fit(cls, frame: "pd.DataFrame", categorical: Collection[str] = ()) -> "FeatureEncoder":
        """The encoder of these rows: types of the columns, and the categories that occur.

        Numbers, truth values and dates are numeric; text and pandas categories are categorical.

        Args:
            frame: Features; names of columns are unique.
            categorical: Names of columns that hold numbers but are categories.

        Raises:
            StudyError: A column holds numbers with slips, or values of no known type.
        """
        return cls(tuple(_column(frame[name], str(name), str(name) in categorical) for name in frame.columns))

    def transform(self, frame: "pd.DataFrame") -> FloatArray:
        """The rows as an array, shape ``(n, d)``.

        Numbers as they are, dates as days since 1970, categories as their codes 0, 1, ...; NaN where the value is
        missing or a category did not occur in fitting.

        Args:
            frame: Has each of the columns; others are ignored.

        Raises:
            StudyError: A column is missing, a value of a numeric column is no finite number or too large, or one is a
                container.
        """
        names = {str(name): name for name in frame.columns}
        features = np.empty((len(frame), len(self.columns)))
        for index, column in enumerate(self.columns):
            if column.name not in names:
                hint = did_you_mean(column.name, list(names)) or f"there are: {', '.join(names)}"
                raise StudyError(f"column {column.name!r} is missing in the data; {hint}")
            series = frame[names[column.name]]
            _refuse_containers(series, column.name)
            if column.levels is None:
                features[:, index] = _numbers(series, column.name)
            else:
                features[:, index] = _codes(series, column.levels)
        return features

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns in order."""
        return tuple(column.name for column in self.columns)

    def to_json(self) -> list[dict[str, Any]]:
        """The encoder as plain data."""
        return [
            {"name": column.name, "levels": None if column.levels is None else list(column.levels)}
            for column in self.columns
        ]

    @classmethod
    def from_json(cls, data: list[Mapping[str, Any]]) -> "FeatureEncoder":
        """The encoder that `to_json` wrote.

        Raises:
            ValueError: It did not.
        """
        return restored(cls, {"columns": data})


def _column(series: "pd.Series[Any]", name: str, is_declared: bool) -> Column:  # noqa: FBT001 (a private helper)
    from pandas.api import types

    _refuse_containers(series, name)
    if is_declared or isinstance(series.dtype, _categorical_dtype()):
        return Column(name, _levels(series))
    if types.is_numeric_dtype(series) or types.is_bool_dtype(series) or types.is_datetime64_any_dtype(series):
        if types.is_complex_dtype(series):
            raise StudyError(f"column {name!r} holds complex numbers; give their parts as two columns")
        _numbers(series, name)
        return Column(name)
    values = series.dropna()
    if values.map(lambda value: isinstance(value, int | float | np.number | np.bool_)).all():
        _numbers(series, name)
        return Column(name)
    _refuse_slips(series, name)
    return Column(name, _levels(series))


def _categorical_dtype() -> Any:
    import pandas as pd

    return pd.CategoricalDtype


def _text(value: Any) -> str:
    """A category as text: 1 and 1.0 are the same one, so that a file and an array agree."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _levels(series: "pd.Series[Any]") -> tuple[str, ...]:
    return tuple(sorted({_text(value) for value in series.dropna().unique()}))


def _codes(series: "pd.Series[Any]", levels: tuple[str, ...]) -> FloatArray:
    codes = {level: float(code) for code, level in enumerate(levels)}
    known = {value: codes.get(_text(value), np.nan) for value in series.dropna().unique()}
    return np.array([known.get(value, np.nan) for value in series], dtype=np.float64)


def _numbers(series: "pd.Series[Any]", name: str) -> FloatArray:
    import pandas as pd
    from pandas.api import types

    if types.is_datetime64_any_dtype(series):
        moments = pd.to_datetime(series, utc=True)
        return np.asarray((moments - pd.Timestamp(0, tz="UTC")).dt.total_seconds() / _DAY_S, dtype=np.float64)
    numbers = pd.to_numeric(series, errors="coerce")
    is_wrong = np.asarray(numbers.isna() & series.notna())
    values: FloatArray = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    is_wrong = is_wrong | np.isinf(values)
    if is_wrong.any():
        row = int(np.flatnonzero(is_wrong)[0])
        raise StudyError(
            f"column {name!r}, row {row + 1}: {shown(series.iloc[row])} is no finite number; mend it, leave the cell "
            "empty, or list the column under `categorical`"
        )
    refuse_huge(values, f"column {name!r}")
    return values


def refuse_huge(values: FloatArray, where: str) -> None:
    """Raise if a number is so large that what learns from it could not compute its square.

    Args:
        values: Shape ``(n,)``.
        where: How messages call them.

    Raises:
        StudyError: One is.
    """
    huge = np.flatnonzero(np.abs(values) > _LARGEST)
    if len(huge):
        raise StudyError(
            f"{where}, row {huge[0] + 1}: {values[huge[0]]:g} is too large to compute with, beyond {_LARGEST:g}; "
            "mend it, or give all of them in a larger unit"
        )


def _refuse_containers(series: "pd.Series[Any]", name: str) -> None:
    """Raise for lists, dictionaries and the like, which are no single value."""
    if series.dtype != object:
        return
    for row, value in enumerate(series):
        if isinstance(value, list | tuple | dict | set | np.ndarray):
            raise StudyError(
                f"column {name!r}, row {row + 1}: {shown(value)} is not one value but a {type(value).__name__}; spread "
                "it over columns, or leave the column out"
            )


def _refuse_slips(series: "pd.Series[Any]", name: str) -> None:
    """Raise for text among numbers: as categories each number would be one of its own."""
    import pandas as pd

    values = series.dropna()
    is_number = pd.to_numeric(values, errors="coerce").notna()
    if len(values) and is_number.mean() > _SLIP_SHARE and not is_number.all():
        row = int(np.flatnonzero(np.asarray(series.notna() & pd.to_numeric(series, errors="coerce").isna()))[0])
        raise StudyError(
            f"column {name!r}, row {row + 1}: {shown(series.iloc[row])} stands among numbers; mend it, leave the cell "
            "empty, or list the column under `categorical`"
        )
