"""Imputers, scalers and feature preprocessors, each of scikit-learn, and made to fit any number of rows and columns."""

from collections.abc import Callable, Mapping
from typing import Any

from .hyperparameters import Hyperparameters

_MOST_COLUMNS = 500
"""Most columns that a preprocessor makes of fewer: products and leaves grow beyond any network."""

_MOST_KERNEL_ROWS = 2000
"""Rows that kernel PCA looks at: its time grows with their cube."""


class Facts:
    """What a transformer has to fit to.

    Args:
        rows: Number of training rows.
        columns: Number of columns.
        seed: Of its random numbers.
        is_classification: Whether the target is a class.
    """

    def __init__(self, rows: int, columns: int, seed: int, *, is_classification: bool) -> None:
        self.rows = rows
        self.columns = columns
        self.seed = seed
        self.is_classification = is_classification


def make_imputer(parameters: Hyperparameters) -> Any:
    """The imputer of the numeric columns; a column without any value becomes 0."""
    from sklearn.impute import SimpleImputer

    if parameters.imputer == "constant_zero":
        return SimpleImputer(strategy="constant", fill_value=0.0, keep_empty_features=True)
    return SimpleImputer(strategy=parameters.imputer, keep_empty_features=True)


def make_scaler(parameters: Hyperparameters, rows: int, seed: int) -> Any:
    """The scaler of the numeric columns, or None.

    Args:
        parameters: Its name.
        rows: Number of training rows.
        seed: Of its random numbers.
    """
    from sklearn import preprocessing as sk

    match parameters.scaler:
        case "minmax":
            return sk.MinMaxScaler()
        case "standard":
            return sk.StandardScaler()
        case "robust":
            return sk.RobustScaler()
        case "quantile":
            quantiles = max(1, min(1000, rows))
            return sk.QuantileTransformer(n_quantiles=quantiles, output_distribution="normal", random_state=seed)
        case "power":
            return sk.PowerTransformer()
        case "normalizer":
            return sk.Normalizer()
    return None


def make_preprocessor(parameters: Hyperparameters, facts: Facts) -> Any:
    """The feature preprocessor, or None: it is fitted with rows and target.

    Args:
        parameters: Its name and settings.
        facts: What it has to fit to.
    """
    if parameters.preprocessor == "none" or facts.columns == 0 or facts.rows < 2:
        return None
    return _MAKERS[parameters.preprocessor](parameters, facts)


def kernel_rows(parameters: Hyperparameters, rows: int) -> int:
    """How many training rows the preprocessor is fitted on."""
    return min(rows, _MOST_KERNEL_ROWS) if parameters.preprocessor == "kernel_pca" else rows


def _components(p: Hyperparameters, most: int) -> int:
    return max(1, min(p.components, most))


def _pca(p: Hyperparameters, f: Facts) -> Any:
    from sklearn.decomposition import PCA

    return PCA(_components(p, min(f.rows, f.columns)), whiten=p.whiten, svd_solver="full")


def _truncated_svd(p: Hyperparameters, f: Facts) -> Any:
    from sklearn.decomposition import TruncatedSVD

    if f.columns == 1:
        return None
    return TruncatedSVD(_components(p, min(f.rows, f.columns - 1)), random_state=f.seed)


def _kernel_pca(p: Hyperparameters, f: Facts) -> Any:
    from sklearn.decomposition import KernelPCA

    components = _components(p, kernel_rows(p, f.rows))
    return KernelPCA(components, eigen_solver="auto", random_state=f.seed, **_kernel(p, f))


def _fast_ica(p: Hyperparameters, f: Facts) -> Any:
    from sklearn.decomposition import FastICA

    components = _components(p, min(f.rows, f.columns))
    whiten = "unit-variance" if p.whiten else "arbitrary-variance"
    return FastICA(components, fun=p.ica_function, whiten=whiten, whiten_solver="svd", random_state=f.seed)


def _nystroem(p: Hyperparameters, f: Facts) -> Any:
    from sklearn.kernel_approximation import Nystroem

    return Nystroem(n_components=_components(p, f.rows), random_state=f.seed, **_kernel(p, f))


def _kernel(p: Hyperparameters, f: Facts) -> dict[str, Any]:
    settings: dict[str, Any] = {"kernel": p.kernel}
    if p.kernel != "cosine":
        settings["gamma"] = p.gamma / f.columns
    if p.kernel in ("poly", "sigmoid"):
        settings["coef0"] = p.kernel_offset
    if p.kernel == "poly":
        settings["degree"] = p.kernel_degree
    return settings


def _kitchen_sinks(p: Hyperparameters, f: Facts) -> Any:
    from sklearn.kernel_approximation import RBFSampler

    return RBFSampler(gamma=p.gamma / f.columns, n_components=p.components, random_state=f.seed)


def _polynomial(p: Hyperparameters, f: Facts) -> Any:
    """Products of columns; where there would be too many, of a lower degree or of the first columns only."""
    from math import comb

    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import PolynomialFeatures

    degree, columns = p.polynomial_degree, f.columns
    if degree > 2 and comb(columns + degree, degree) > _MOST_COLUMNS:
        degree = 2
    while columns > 1 and comb(columns + degree, degree) > _MOST_COLUMNS:
        columns -= 1
    products = PolynomialFeatures(degree, interaction_only=p.interaction_only, include_bias=False)
    if columns == f.columns:
        return products
    return ColumnTransformer([("products", products, list(range(columns)))], remainder="passthrough")


def _agglomeration(p: Hyperparameters, f: Facts) -> Any:
    import numpy as np
    from sklearn.cluster import FeatureAgglomeration

    if f.columns < 2:
        return None
    pooling = {"mean": np.mean, "median": np.median, "max": np.max}[p.agglomeration_pooling]
    return FeatureAgglomeration(
        _components(p, f.columns), linkage=p.agglomeration_linkage, metric="euclidean", pooling_func=pooling
    )


def _extra_trees(p: Hyperparameters, f: Facts) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
    from sklearn.feature_selection import SelectFromModel

    kind = ExtraTreesClassifier if f.is_classification else ExtraTreesRegressor
    return SelectFromModel(kind(p.selection_trees, random_state=f.seed))


def _liblinear(p: Hyperparameters, f: Facts) -> Any:
    from sklearn.feature_selection import SelectFromModel
    from sklearn.svm import LinearSVC, LinearSVR

    if f.is_classification:
        return SelectFromModel(
            LinearSVC(penalty="l1", dual=False, C=p.selection_c, max_iter=200, random_state=f.seed), threshold=1e-5
        )
    svr = LinearSVR(C=p.selection_c, max_iter=200, random_state=f.seed)
    return SelectFromModel(svr, threshold="mean")


def _score(f: Facts) -> Any:
    from sklearn.feature_selection import f_classif, f_regression

    return f_classif if f.is_classification else f_regression


def _percentile(p: Hyperparameters, f: Facts) -> Any:
    from sklearn.feature_selection import SelectPercentile

    return SelectPercentile(_score(f), percentile=p.percentile)


def _rates(p: Hyperparameters, f: Facts) -> Any:
    from sklearn.feature_selection import GenericUnivariateSelect

    return GenericUnivariateSelect(_score(f), mode=p.rates_mode, param=p.rates_alpha)


def _random_trees(p: Hyperparameters, f: Facts) -> Any:
    from sklearn.ensemble import RandomTreesEmbedding

    leaves = max(2, min(p.components, _MOST_COLUMNS // p.selection_trees))
    return RandomTreesEmbedding(
        p.selection_trees,
        max_depth=p.selection_depth,
        max_leaf_nodes=leaves,
        sparse_output=False,
        random_state=f.seed,
    )


_MAKERS: Mapping[str, Callable[[Hyperparameters, Facts], Any]] = {
    "pca": _pca,
    "truncated_svd": _truncated_svd,
    "kernel_pca": _kernel_pca,
    "fast_ica": _fast_ica,
    "nystroem": _nystroem,
    "kitchen_sinks": _kitchen_sinks,
    "polynomial": _polynomial,
    "feature_agglomeration": _agglomeration,
    "extra_trees": _extra_trees,
    "liblinear": _liblinear,
    "percentile": _percentile,
    "rates": _rates,
    "random_trees": _random_trees,
}
