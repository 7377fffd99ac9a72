"""From features with missing values and categories to what a network takes; fitted on training rows alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bohb_service.workers.common.surroundings import no_warnings
from bohb_service.workers.tabular.columns import FloatArray
from bohb_service.workers.tabular.rows import Rows

from .categories import CategoryColumn, plan_categories
from .hyperparameters import Hyperparameters
from .preprocessors import Facts, kernel_rows, make_imputer, make_preprocessor, make_scaler

_LARGEST = 1e6
"""Prepared values beyond it are cut: a network could only be ruined by them."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Prepared rows.

    Attributes:
        dense: Numbers, float32, shape ``(n, n_dense)``.
        codes: Categories that are embedded, shape ``(n, n_embedded)``.
    """

    dense: NDArray[np.float32]
    codes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Preparation:
    """A fitted preparation.

    Attributes:
        numeric: Numbers of the features that are imputed and scaled.
        categories: What becomes of the categorical features.
        steps: The fitted transformers of scikit-learn: ``imputer``, ``scaler``, ``preprocessor``; each may be absent.
        is_one_hot: Whether categories that are not embedded become one column each; else they count as numbers.
        n_dense: Number of dense columns that come out.
    """

    numeric: tuple[int, ...]
    categories: tuple[CategoryColumn, ...]
    steps: Mapping[str, Any]
    is_one_hot: bool
    n_dense: int

    @property
    def embedded(self) -> tuple[CategoryColumn, ...]:
        """The columns of `Inputs.codes`."""
        return tuple(column for column in self.categories if column.width)

    def transform(self, features: FloatArray) -> Inputs:
        """Prepare rows.

        Args:
            features: As those of the rows that were fitted on.
        """
        codes = [column.numbers(features) for column in self.embedded]
        stacked = np.stack(codes, axis=1) if codes else np.zeros((len(features), 0), dtype=np.int64)
        dense = _encoded(self.numeric, self.categories, self.steps, features, is_one_hot=self.is_one_hot)
        if "preprocessor" in self.steps and len(features):
            with no_warnings():
                dense = self.steps["preprocessor"].transform(dense)
        if not len(features):
            dense = np.zeros((0, self.n_dense))
        return Inputs(_finite(dense), stacked)


def fit_preparation(
    parameters: Hyperparameters, train: Rows, n_levels: Sequence[int | None], seed: int, *, is_classification: bool
) -> Preparation:
    """The preparation that these rows call for.

    Args:
        parameters: Imputer, scaler, coalescer, encoder, preprocessor, embedding.
        train: The only rows that it may look at.
        n_levels: Number of categories of each feature, None for a numeric one.
        seed: Of the random numbers, in ``[0, 2**31)``.
        is_classification: Whether the target is a class.
    """
    features = train.features
    is_one_hot = parameters.encoder == "one_hot"
    categories = plan_categories(parameters, features, n_levels)
    numeric = tuple(index for index, count in enumerate(n_levels) if count is None)
    steps: dict[str, Any] = {}
    with no_warnings():
        numbers = _numbers(numeric, categories, features, is_one_hot=is_one_hot)
        if numbers.shape[1]:
            steps["imputer"] = make_imputer(parameters)
            numbers = steps["imputer"].fit_transform(numbers)
            scaler = make_scaler(parameters, len(train), seed)
            if scaler is not None:
                steps["scaler"] = scaler.fit(numbers)
        dense = _encoded(numeric, categories, steps, features, is_one_hot=is_one_hot)
        facts = Facts(len(train), dense.shape[1], seed, is_classification=is_classification)
        preprocessor = make_preprocessor(parameters, facts)
        if preprocessor is not None:
            rows = _some_rows(len(train), kernel_rows(parameters, len(train)), seed)
            fitted = _fitted(preprocessor, dense[rows], train.target[rows])
            if fitted is not None:
                steps["preprocessor"] = fitted
                dense = fitted.transform(dense[:1])
    return Preparation(numeric, categories, steps, is_one_hot, dense.shape[1])


def _fitted(preprocessor: Any, dense: FloatArray, target: NDArray[Any]) -> Any:
    """The preprocessor, fitted; None if it cannot be: a selection of nothing, a decomposition of constants."""
    try:
        preprocessor.fit(dense, target)
        made = preprocessor.transform(dense[:1])
    except (ValueError, np.linalg.LinAlgError):
        return None
    return preprocessor if made.shape[1] and np.isfinite(made).all() else None


def _some_rows(rows: int, most: int, seed: int) -> NDArray[np.int64]:
    if most == rows:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).permutation(rows)[:most])


def _numbers(
    numeric: Sequence[int], categories: Sequence[CategoryColumn], features: FloatArray, *, is_one_hot: bool
) -> FloatArray:
    """The columns that are imputed and scaled."""
    numbers = features[:, list(numeric)]
    if is_one_hot or not categories:
        return numbers
    return np.concatenate([numbers, np.stack([column.recode(features) for column in categories], axis=1)], axis=1)


def _encoded(
    numeric: Sequence[int],
    categories: Sequence[CategoryColumn],
    steps: Mapping[str, Any],
    features: FloatArray,
    *,
    is_one_hot: bool,
) -> FloatArray:
    """The dense columns before the preprocessor."""
    numbers = _numbers(numeric, categories, features, is_one_hot=is_one_hot)
    if len(features):
        with no_warnings():
            for name in ("imputer", "scaler"):
                if name in steps:
                    numbers = steps[name].transform(numbers)
    one_hot = [column.one_hot(features) for column in categories if is_one_hot and not column.width]
    return np.asarray(_finite(np.concatenate([numbers, *one_hot], axis=1)), dtype=np.float64)


def _finite(values: FloatArray) -> NDArray[np.float32]:
    cut = np.nan_to_num(values, nan=0.0, posinf=_LARGEST, neginf=-_LARGEST)
    return np.ascontiguousarray(np.clip(cut, -_LARGEST, _LARGEST), dtype=np.float32)
