"""Transformers of scikit-learn, made safe for tables of all sizes."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import KernelPCA
from sklearn.feature_selection import GenericUnivariateSelect, VarianceThreshold

from bohb_service.workers.tabular.columns import FloatArray


class VaryingColumns(VarianceThreshold):  # type: ignore[misc]
    """Drops constant columns; where all are constant it keeps them, for an array needs a column."""

    def fit(self, X: FloatArray, y: Any = None) -> "VaryingColumns":  # noqa: ARG002 (scikit-learn's signature)
        """Find the columns that vary.

        Args:
            X: Shape ``(n, d)``, without gaps.
            y: Not used.
        """
        self.n_features_in_ = X.shape[1]
        varies = np.ptp(X, axis=0) > 0
        self.varies_ = varies if varies.any() else np.ones_like(varies)
        return self

    def _get_support_mask(self) -> Any:
        return self.varies_


class RatesOrBest(GenericUnivariateSelect):  # type: ignore[misc]
    """Selects features by rates of false positives; where none passes, the best one."""

    def _get_support_mask(self) -> Any:
        mask = super()._get_support_mask()
        if not mask.any():
            mask = np.zeros_like(mask)
            mask[np.argmax(np.nan_to_num(self.scores_))] = True
        return mask


class KernelPCAOfSomeRows(KernelPCA):  # type: ignore[misc]
    """A kernel PCA whose components come from a part of the rows.

    Args:
        most_rows: How many rows that part has at most; evenly spread.
        n_components: As for ``KernelPCA``, and so the others.
        kernel: The kernel.
        gamma: Of the kernel.
        degree: Of the kernel.
        coef0: Of the kernel.
        eigen_solver: How the components are computed.
        random_state: Seed of the solver.
    """

    def __init__(
        self,
        most_rows: int = 1000,
        n_components: int | None = None,
        *,
        kernel: str = "linear",
        gamma: float | None = None,
        degree: float = 3,
        coef0: float = 1,
        eigen_solver: str = "auto",
        random_state: int | None = None,
    ) -> None:
        super().__init__(
            n_components=n_components,
            kernel=kernel,
            gamma=gamma,
            degree=degree,
            coef0=coef0,
            eigen_solver=eigen_solver,
            random_state=random_state,
        )
        self.most_rows = most_rows

    def fit(self, X: FloatArray, y: Any = None) -> "KernelPCAOfSomeRows":  # noqa: ARG002 (scikit-learn's signature)
        """Compute the components.

        Args:
            X: Shape ``(n, d)``, without gaps.
            y: Not used.
        """
        if len(X) > self.most_rows:
            X = X[np.linspace(0, len(X) - 1, self.most_rows).astype(np.int64)]
        super().fit(X)
        return self


class ToFrame(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Makes a data frame of an encoded array, with the text of each category.

    Args:
        names: Of the columns.
        levels: Categories of each column in the order of their codes; None for a column of numbers.
    """

    def __init__(self, names: list[str], levels: list[list[str] | None]) -> None:
        self.names = names
        self.levels = levels

    def fit(self, X: FloatArray, y: Any = None) -> "ToFrame":  # noqa: ARG002 (scikit-learn's signature)
        """Nothing is learned.

        Args:
            X: Not used.
            y: Not used.
        """
        return self

    def transform(self, X: FloatArray) -> Any:
        """The rows as a data frame.

        Args:
            X: Shape ``(n, d)``; categories as codes, NaN where missing.
        """
        import pandas as pd

        columns: dict[str, Any] = {}
        for number, (name, levels) in enumerate(zip(self.names, self.levels, strict=True)):
            values = X[:, number]
            if levels is None:
                columns[name] = values
            else:
                codes = np.where(np.isnan(values), -1, values).astype(np.int64)
                columns[name] = pd.Categorical.from_codes(codes, categories=levels)
        return pd.DataFrame(columns)
