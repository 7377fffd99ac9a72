"""From features with gaps and categories to standardised columns; fitted on training rows alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bohb_service.workers.tabular.columns import FloatArray


@dataclass(frozen=True, slots=True)
class Preparation:
    """A fitted preparation.

    Numbers are standardised, gaps filled with the mean. A category becomes one column for each of its levels, which is
    standardised too; a category that is missing or new is none of them. Columns that are constant are 0.

    Attributes:
        n_levels: Number of categories of each feature, None for a number.
        mean: Of each prepared column in the training rows, shape ``(inputs,)``.
        deviation: Of each prepared column in the training rows, above 0; 1 for constant ones.
    """

    n_levels: tuple[int | None, ...]
    mean: FloatArray
    deviation: FloatArray

    @classmethod
    def fit(cls, features: FloatArray, n_levels: Sequence[int | None]) -> "Preparation":
        """The preparation that these rows call for.

        Args:
            features: As `FeatureEncoder.transform` makes them, shape ``(n, d)``, with one row at least.
            n_levels: Number of categories of each feature, None for a number.
        """
        columns = _columns(features, n_levels)
        known = np.isfinite(columns)
        counts = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, columns, 0.0).sum(axis=0) / counts
        deviation = np.sqrt((np.where(known, columns - mean, 0.0) ** 2).sum(axis=0) / counts)
        # What rounding leaves of a constant is no deviation.
        is_constant = deviation <= 1e-12 * np.abs(mean)
        return cls(tuple(n_levels), mean, np.where(is_constant, 1.0, deviation))

    def transform(self, features: FloatArray) -> FloatArray:
        """The prepared rows, shape ``(n, inputs)``.

        Args:
            features: As those of the rows that were fitted on.
        """
        columns = (_columns(features, self.n_levels) - self.mean) / self.deviation
        return np.ascontiguousarray(np.where(np.isfinite(columns), columns, 0.0))

    def to_json(self) -> dict[str, Any]:
        """The preparation as plain data."""
        return {"n_levels": list(self.n_levels), "mean": self.mean.tolist(), "deviation": self.deviation.tolist()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Preparation":
        """The preparation that `to_json` wrote."""
        return cls(
            tuple(data["n_levels"]), np.array(data["mean"], dtype=float), np.array(data["deviation"], dtype=float)
        )


def _columns(features: FloatArray, n_levels: Sequence[int | None]) -> FloatArray:
    columns = [np.empty((len(features), 0))]
    for index, count in enumerate(n_levels):
        column = features[:, index : index + 1]
        columns.append(column if count is None else np.asarray(column == np.arange(count), dtype=np.float64))
    return np.concatenate(columns, axis=1)
