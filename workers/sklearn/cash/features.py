"""Feature preprocessors: steps that make or choose features."""

from math import comb, inf
from typing import Any

from .components import Config, Facts, Preprocessor
from .parameters import Choice, Real, Whole

_WIDEST = 300
"""Features that a polynomial makes at most."""

_MOST_ROWS = 1000
"""Rows that the components of a kernel PCA are computed from at most; its cost grows with their square and cube."""

_GAMMA = Real("gamma_factor", 1e-2, 1e2, 1.0, log=True)
_KERNEL = (
    Choice("kernel", ("rbf", "poly", "sigmoid", "cosine"), weights=(0.5, 0.2, 0.1, 0.2)),
    Real("gamma_factor", 1e-2, 1e2, 1.0, log=True, when=("kernel", ("rbf", "poly", "sigmoid"))),
    Whole("degree", 2, 4, 3, when=("kernel", ("poly",))),
    Real("coef0", -1.0, 1.0, 0.0, when=("kernel", ("poly", "sigmoid"))),
)
# A principal component needs a kernel that is positive: no sigmoid, and no polynomial with a negative constant.
_POSITIVE_KERNEL = (
    Choice("kernel", ("rbf", "poly", "cosine"), weights=(0.5, 0.25, 0.25)),
    Real("gamma_factor", 1e-2, 1e2, 1.0, log=True, when=("kernel", ("rbf", "poly"))),
    Whole("degree", 2, 4, 3, when=("kernel", ("poly",))),
    Real("coef0", 0.0, 1.0, 0.0, when=("kernel", ("poly",))),
)


def _gamma(config: Config, facts: Facts) -> float:
    return float(config.get("gamma_factor", 1.0)) / facts.n_features


def _kernel(config: Config, facts: Facts) -> dict[str, Any]:
    if config["kernel"] == "cosine":
        return {"kernel": "cosine"}
    arguments = {"kernel": config["kernel"], "gamma": _gamma(config, facts)}
    return arguments | {key: config[key] for key in ("degree", "coef0") if key in config}


def _pca(config: Config, facts: Facts, seed: int) -> Any:
    from sklearn.decomposition import PCA

    if min(facts.n_rows, facts.n_features) < 2:
        return None
    return PCA(n_components=config["keep_variance"], whiten=config["whiten"], svd_solver="full", random_state=seed)


def _fast_ica(config: Config, facts: Facts, seed: int) -> Any:
    from sklearn.decomposition import FastICA

    n_components = min(config["n_components"], facts.n_features, facts.n_rows)
    if n_components < 2:
        return None
    return FastICA(
        n_components=n_components,
        algorithm=config["algorithm"],
        fun=config["fun"],
        whiten="unit-variance",
        whiten_solver="svd",
        max_iter=200,
        random_state=seed,
    )


def _kernel_pca(config: Config, facts: Facts, seed: int) -> Any:
    from .transformers import KernelPCAOfSomeRows

    n_components = min(config["n_components"], facts.n_rows - 1, _MOST_ROWS - 1)
    if n_components < 1:
        return None
    return KernelPCAOfSomeRows(
        most_rows=_MOST_ROWS,
        n_components=n_components,
        eigen_solver="randomized",
        random_state=seed,
        **_kernel(config, facts),
    )


def _nystroem(config: Config, facts: Facts, seed: int) -> Any:
    from sklearn.kernel_approximation import Nystroem

    return Nystroem(n_components=min(config["n_components"], facts.n_rows), random_state=seed, **_kernel(config, facts))


def _kitchen_sinks(config: Config, facts: Facts, seed: int) -> Any:
    from sklearn.kernel_approximation import RBFSampler

    return RBFSampler(gamma=_gamma(config, facts), n_components=config["n_components"], random_state=seed)


def _polynomial(config: Config, facts: Facts, _: int) -> Any:
    from sklearn.feature_selection import SelectKBest
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import PolynomialFeatures

    products = PolynomialFeatures(
        degree=config["degree"], interaction_only=config["interaction_only"], include_bias=config["include_bias"]
    )
    n_kept = facts.n_features
    while n_kept > 1 and comb(n_kept + config["degree"], config["degree"]) > _WIDEST:
        n_kept -= 1
    if n_kept == facts.n_features:
        return products
    return Pipeline([("best", SelectKBest(_score(facts), k=n_kept)), ("products", products)])


def _agglomeration(config: Config, facts: Facts, _: int) -> Any:
    from sklearn.cluster import FeatureAgglomeration

    if min(facts.n_features, facts.n_rows) < 2:
        return None
    import numpy as np

    pooling = {"mean": np.mean, "median": np.median, "max": np.max}[config["pooling"]]
    linkage, metric = config["linkage"].split("-")
    n_clusters = max(1, round(config["keep_share"] * facts.n_features))
    return FeatureAgglomeration(n_clusters=n_clusters, linkage=linkage, metric=metric, pooling_func=pooling)


def _extra_trees(config: Config, facts: Facts, seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    make = ExtraTreesClassifier if facts.is_classification else ExtraTreesRegressor
    trees = make(n_estimators=50, min_samples_leaf=config["min_samples_leaf"], random_state=seed, n_jobs=1)
    return _most_important(trees, config, facts)


def _liblinear(config: Config, facts: Facts, seed: int) -> Any:
    from sklearn.linear_model import Lasso
    from sklearn.svm import LinearSVC

    if facts.is_classification:
        model = LinearSVC(C=config["C"], penalty="l1", dual=False, max_iter=300, random_state=seed)
    else:
        model = Lasso(alpha=0.01 / config["C"], max_iter=300, random_state=seed)
    return _most_important(model, config, facts)


def _most_important(model: Any, config: Config, facts: Facts) -> Any:
    """Selects a share of the features, and one at least: a threshold on the importance may leave none."""
    from sklearn.feature_selection import SelectFromModel

    return SelectFromModel(model, threshold=-inf, max_features=_kept(config["keep_share"], facts))


def _kept(share: float, facts: Facts) -> int:
    return max(1, round(share * facts.n_features))


def _score(facts: Facts) -> Any:
    from sklearn.feature_selection import f_classif, f_regression

    return f_classif if facts.is_classification else f_regression


def _percentile(config: Config, facts: Facts, _: int) -> Any:
    from sklearn.feature_selection import SelectKBest

    return SelectKBest(_score(facts), k=_kept(config["percentile"] / 100, facts))


def _rates(config: Config, facts: Facts, _: int) -> Any:
    from .transformers import RatesOrBest

    return RatesOrBest(_score(facts), mode=config["mode"], param=config["alpha"])


def _truncated_svd(config: Config, facts: Facts, seed: int) -> Any:
    from sklearn.decomposition import TruncatedSVD

    n_components = min(config["n_components"], facts.n_features, facts.n_rows)
    if facts.n_features < 2:
        return None
    return TruncatedSVD(n_components=n_components, random_state=seed)


def _random_trees(config: Config, _: Facts, seed: int) -> Any:
    from sklearn.ensemble import RandomTreesEmbedding

    return RandomTreesEmbedding(sparse_output=False, n_jobs=1, random_state=seed, **config)


_KEEP = Real("keep_share", 0.1, 0.9, 0.5)

PREPROCESSORS = (
    Preprocessor("none", lambda *_: None),
    Preprocessor("pca", _pca, (Real("keep_variance", 0.5, 0.9999, 0.99), Choice("whiten", (False, True)))),
    Preprocessor(
        "fast_ica",
        _fast_ica,
        (
            Whole("n_components", 5, 200, 50, log=True),
            Choice("algorithm", ("parallel", "deflation")),
            Choice("fun", ("logcosh", "exp", "cube")),
        ),
    ),
    Preprocessor(
        "kernel_pca", _kernel_pca, (Whole("n_components", 10, 300, 100, log=True), *_POSITIVE_KERNEL), makes_kernel=True
    ),
    Preprocessor("nystroem", _nystroem, (Whole("n_components", 20, 500, 100, log=True), *_KERNEL), makes_kernel=True),
    Preprocessor(
        "kitchen_sinks", _kitchen_sinks, (Whole("n_components", 50, 500, 100, log=True), _GAMMA), makes_kernel=True
    ),
    Preprocessor(
        "polynomial",
        _polynomial,
        (
            Whole("degree", 2, 3, 2),
            Choice("interaction_only", (False, True)),
            Choice("include_bias", (False, True)),
        ),
    ),
    Preprocessor(
        "feature_agglomeration",
        _agglomeration,
        (
            _KEEP,
            Choice("linkage", ("ward-euclidean", "complete-euclidean", "complete-cosine", "average-manhattan")),
            Choice("pooling", ("mean", "median", "max")),
        ),
    ),
    Preprocessor("extra_trees_selection", _extra_trees, (_KEEP, Whole("min_samples_leaf", 1, 20, 1, log=True))),
    Preprocessor("liblinear_selection", _liblinear, (_KEEP, Real("C", 1e-2, 10.0, 1.0, log=True))),
    Preprocessor("select_percentile", _percentile, (Real("percentile", 5.0, 99.0, 50.0),)),
    Preprocessor(
        "select_rates",
        _rates,
        (Choice("mode", ("fpr", "fdr", "fwe")), Real("alpha", 1e-3, 0.5, 0.1, log=True)),
    ),
    Preprocessor("truncated_svd", _truncated_svd, (Whole("n_components", 5, 200, 64, log=True),)),
    Preprocessor(
        "random_trees_embedding",
        _random_trees,
        (
            Whole("n_estimators", 5, 50, 10, log=True),
            Whole("max_depth", 2, 6, 5),
            Whole("min_samples_leaf", 1, 20, 1, log=True),
        ),
        makes_kernel=True,
    ),
)
"""Every feature preprocessor; the first, ``none``, is the default."""
