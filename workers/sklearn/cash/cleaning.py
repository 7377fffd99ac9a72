"""From a table with categories and gaps to an array of numbers: imputation, encoding, rescaling."""

from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from bohb_service.workers.tabular.columns import Column

from .transformers import VaryingColumns

_MOST_LEVELS = 64
"""Columns that one categorical column becomes at most; its rarest categories share the last one."""


def build_cleaning(config: Mapping[str, Any], columns: Sequence[Column], n_rows: int, seed: int) -> Pipeline:
    """The unfitted steps that clean a table.

    Args:
        config: Values of ``imputation``, ``encoding``, ``coalescing`` and ``rescaling`` with what belongs to them.
        columns: Types of the columns.
        n_rows: To learn from.
        seed: Of what is drawn at random.

    Returns:
        A pipeline from features with categories as codes and NaN where missing to an array without gaps.
    """
    numeric = [number for number, column in enumerate(columns) if not column.is_categorical]
    categorical = [number for number, column in enumerate(columns) if column.is_categorical]
    scaler = build_scaler(config, n_rows, seed)
    rarest = config.get("coalescing:fraction") if config["coalescing"] == "minority" else None
    # A column in which nothing is known counts as 0 throughout, and is then dropped as constant.
    impute = SimpleImputer(strategy=config["imputation"], keep_empty_features=True)
    if config["encoding"] == "one_hot":
        parts = [
            ("numeric", Pipeline([("imputation", impute), ("rescaling", scaler)]), numeric),
            ("categorical", _one_hot(rarest), categorical),
        ]
        steps = [("columns", ColumnTransformer(_occupied(parts)))]
    else:
        parts = [("numeric", impute, numeric), ("categorical", _ordinal(rarest), categorical)]
        steps = [("columns", ColumnTransformer(_occupied(parts))), ("rescaling", scaler)]
    return Pipeline([*steps, ("varying", VaryingColumns())])


def build_scaler(config: Mapping[str, Any], n_rows: int, seed: int) -> Any:
    """The unfitted scaler, or ``passthrough``.

    Args:
        config: Values of ``rescaling`` and what belongs to it.
        n_rows: To learn from.
        seed: Of what is drawn at random.
    """
    match config["rescaling"]:
        case "standardize":
            return StandardScaler()
        case "minmax":
            return MinMaxScaler()
        case "normalize":
            return Normalizer()
        case "quantile":
            return QuantileTransformer(
                n_quantiles=min(config["quantile:n_quantiles"], n_rows),
                output_distribution=config["quantile:output"],
                random_state=seed,
            )
        case "power":
            return PowerTransformer()
        case "robust":
            return RobustScaler(quantile_range=(100 * config["robust:q_min"], 100 * config["robust:q_max"]))
        case _:
            return "passthrough"


def _one_hot(rarest: float | None) -> OneHotEncoder:
    return OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=rarest,
        max_categories=_MOST_LEVELS,
        sparse_output=False,
    )


def _ordinal(rarest: float | None) -> OrdinalEncoder:
    return OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1, min_frequency=rarest
    )


def _occupied(parts: list[tuple[str, Any, list[int]]]) -> list[tuple[str, Any, list[int]]]:
    return [part for part in parts if part[2]]
