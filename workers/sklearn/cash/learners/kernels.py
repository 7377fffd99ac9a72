"""Support vector machines, and other methods whose cost grows with the square of the number of rows."""

from typing import Any

from bohb_service.workers.sklearn.cash.components import CLASSIFIER, REGRESSOR, Config, Facts, Learner
from bohb_service.workers.sklearn.cash.parameters import Choice, Real, Whole

_KERNELS = Choice("kernel", ("rbf", "poly", "sigmoid"), weights=(0.7, 0.2, 0.1))
_SHAPE = (
    _KERNELS,
    # Relative to scikit-learn's ``scale``, one over the number of features where these are standardised.
    Real("gamma_factor", 1e-2, 1e2, 1.0, log=True),
    Whole("degree", 2, 4, 3, when=("kernel", ("poly",))),
    Real("coef0", -1.0, 1.0, 0.0, when=("kernel", ("poly", "sigmoid"))),
)
_CACHE_MB = 200
_MOST_STEPS = 200_000


def _kernel(config: Config, facts: Facts) -> dict[str, Any]:
    return {
        "kernel": config["kernel"],
        "gamma": config["gamma_factor"] / facts.n_features,
        "degree": config.get("degree", 3),
        "coef0": config.get("coef0", 0.0),
    }


def _svc(config: Config, facts: Facts, seed: int) -> Any:
    from sklearn.svm import SVC

    return SVC(
        C=config["C"],
        **_kernel(config, facts),
        shrinking=config["shrinking"],
        cache_size=_CACHE_MB,
        max_iter=_MOST_STEPS,
        random_state=seed,
    )


def _svr(config: Config, facts: Facts, _: int) -> Any:
    from sklearn.svm import SVR

    return SVR(
        C=config["C"],
        epsilon=config["epsilon"],
        **_kernel(config, facts),
        shrinking=config["shrinking"],
        cache_size=_CACHE_MB,
        max_iter=_MOST_STEPS,
    )


def _linear_svc(config: Config, _: Facts, seed: int) -> Any:
    from sklearn.svm import LinearSVC

    penalty, loss = config["form"].split("-")
    return LinearSVC(C=config["C"], penalty=penalty, loss=loss, dual=penalty == "l2", max_iter=1000, random_state=seed)


def _linear_svr(config: Config, _: Facts, seed: int) -> Any:
    from sklearn.svm import LinearSVR

    return LinearSVR(**config, dual=True, max_iter=1000, random_state=seed)


def _kernel_ridge(config: Config, facts: Facts, _: int) -> Any:
    from sklearn.kernel_ridge import KernelRidge

    return KernelRidge(alpha=config["alpha"], **_kernel(config, facts))


def _gaussian_process(config: Config, facts: Facts, seed: int) -> Any:
    from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF

    scale = config["length_scale"] * facts.n_features**0.5
    if facts.is_classification:
        return GaussianProcessClassifier(RBF(scale), optimizer=None, max_iter_predict=50, random_state=seed)
    return GaussianProcessRegressor(RBF(scale), alpha=config["alpha"], optimizer=None, random_state=seed)


def _neighbours(config: Config, facts: Facts, _: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    make = KNeighborsClassifier if facts.is_classification else KNeighborsRegressor
    return make(
        n_neighbors=min(config["n_neighbors"], facts.n_rows), weights=config["weights"], p=config["p"], n_jobs=1
    )


_C = Real("C", 0.03, 1e3, 1.0, log=True)
_SHRINKING = Choice("shrinking", (True, False))
_EPSILON = Real("epsilon", 1e-3, 1.0, 0.1, log=True)
_LENGTH = Real("length_scale", 0.05, 20.0, 1.0, log=True)

KERNELS = (
    Learner("libsvm_svc", _svc, (_C, *_SHAPE, _SHRINKING), CLASSIFIER, 2.0),
    Learner("libsvm_svr", _svr, (_C, _EPSILON, *_SHAPE, _SHRINKING), REGRESSOR, 2.0),
    Learner(
        "liblinear_svc",
        _linear_svc,
        (Real("C", 1e-4, 1e2, 1.0, log=True), Choice("form", ("l2-squared_hinge", "l2-hinge", "l1-squared_hinge"))),
        CLASSIFIER,
        0.5,
    ),
    Learner(
        "liblinear_svr",
        _linear_svr,
        (
            Real("C", 1e-3, 1e2, 1.0, log=True),
            _EPSILON,
            Choice("loss", ("epsilon_insensitive", "squared_epsilon_insensitive")),
        ),
        REGRESSOR,
        0.5,
    ),
    Learner(
        "kernel_ridge",
        _kernel_ridge,
        (Real("alpha", 1e-5, 10.0, 1e-1, log=True), *_SHAPE),
        REGRESSOR,
        most_rows=3000,
    ),
    Learner("gaussian_process", _gaussian_process, (_LENGTH,), CLASSIFIER, 0.25, takes_weights=False, most_rows=300),
    Learner(
        "gaussian_process",
        _gaussian_process,
        (_LENGTH, Real("alpha", 1e-6, 1.0, 1e-2, log=True)),
        REGRESSOR,
        takes_weights=False,
        most_rows=1500,
    ),
    Learner(
        "k_nearest_neighbours",
        _neighbours,
        (Whole("n_neighbors", 1, 50, 5, log=True), Choice("weights", ("uniform", "distance")), Choice("p", (2, 1))),
        takes_weights=False,
    ),
)
