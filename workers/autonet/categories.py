"""Categorical columns: rare categories, one-hot columns, and which columns get an embedding."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bohb_service.workers.tabular.columns import FloatArray

from .hyperparameters import Hyperparameters


@dataclass(frozen=True, slots=True)
class CategoryColumn:
    """What becomes of a categorical column.

    Attributes:
        index: Number of the column among the features.
        codes: New code of each old one: rare categories share the last one.
        n_codes: Number of new codes.
        width: Length of the learned vector; 0 if the column is not embedded.
    """

    index: int
    codes: tuple[int, ...]
    n_codes: int
    width: int

    def recode(self, features: FloatArray) -> FloatArray:
        """The new codes of rows, NaN where the category is missing or new, shape ``(n,)``."""
        old = features[:, self.index]
        table = np.array([*self.codes, np.nan])
        known = np.isfinite(old)
        return table[np.where(known, old, -1).astype(np.int64)]

    def one_hot(self, features: FloatArray) -> FloatArray:
        """A column for each new code, shape ``(n, n_codes)``; all 0 where the category is missing or new."""
        codes = self.recode(features)
        return np.asarray(codes[:, None] == np.arange(self.n_codes), dtype=np.float64)

    def numbers(self, features: FloatArray) -> NDArray[np.int64]:
        """The new codes as whole numbers, shape ``(n,)``; ``n_codes`` where the category is missing or new."""
        codes = self.recode(features)
        return np.where(np.isfinite(codes), codes, self.n_codes).astype(np.int64)


def embedding_width(reduction: float, categories: int) -> int:
    """Length of the learned vector of a column.

    Args:
        reduction: Share of the number of categories, in [0, 1].
        categories: At least 2.
    """
    return min(max(int(reduction * categories), 1), categories - 1)


def plan_categories(
    parameters: Hyperparameters, features: FloatArray, n_levels: Sequence[int | None]
) -> tuple[CategoryColumn, ...]:
    """What becomes of the categorical columns of these training rows.

    Args:
        parameters: Coalescer and embedding.
        features: The training rows.
        n_levels: Number of categories of each column, None for a numeric one.
    """
    columns = []
    for index, count in enumerate(n_levels):
        if count is None:
            continue
        codes = _coalesced(parameters, features[:, index], count)
        n_codes = max(codes, default=-1) + 1
        is_embedded = (
            parameters.embedding == "learned"
            and parameters.encoder == "one_hot"
            and n_codes >= max(parameters.embedding_min_values, 2)
        )
        width = embedding_width(parameters.embedding_reduction, n_codes) if is_embedded else 0
        columns.append(CategoryColumn(index, codes, n_codes, width))
    return tuple(columns)


def _coalesced(parameters: Hyperparameters, column: FloatArray, count: int) -> tuple[int, ...]:
    """The new code of each category of a column."""
    if parameters.coalescer == "none" or not count:
        return tuple(range(count))
    rows = np.bincount(column[np.isfinite(column)].astype(np.int64), minlength=count)
    is_rare = rows < parameters.coalescer_fraction * len(column)
    # One rare category alone has nothing to be joined with.
    if is_rare.sum() < 2:
        return tuple(range(count))
    codes = np.cumsum(~is_rare) - 1
    return tuple(int(code) for code in np.where(is_rare, (~is_rare).sum(), codes))
