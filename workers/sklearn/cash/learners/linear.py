"""Linear models."""

from typing import Any

from bohb_service.workers.sklearn.cash.components import CLASSIFIER, REGRESSOR, Config, Facts, Iterations, Learner
from bohb_service.workers.sklearn.cash.parameters import Choice, Real

_MOST = 1024


def _logistic_regression(config: Config, _: Facts, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=config["C"], solver="lbfgs", max_iter=300, random_state=seed)


def _sgd_classifier(config: Config, _: Facts, seed: int) -> Any:
    from sklearn.linear_model import SGDClassifier

    return SGDClassifier(random_state=seed, **config)


def _sgd_regressor(config: Config, _: Facts, seed: int) -> Any:
    from sklearn.linear_model import SGDRegressor

    return SGDRegressor(random_state=seed, **config)


_SGD = (
    Choice("penalty", ("l2", "l1", "elasticnet")),
    Real("alpha", 1e-7, 1e-1, 1e-4, log=True),
    Real("l1_ratio", 0.01, 0.99, 0.15, when=("penalty", ("elasticnet",))),
    Choice("average", (False, True)),
)
_ETA0 = Real("eta0", 1e-5, 1e-1, 1e-2, log=True, when=("learning_rate", ("invscaling", "constant")))
_POWER_T = Real("power_t", 0.05, 0.9, 0.25, when=("learning_rate", ("invscaling",)))

_SGD_CLASSIFIER = (
    Choice("loss", ("log_loss", "hinge", "modified_huber", "squared_hinge", "perceptron")),
    *_SGD,
    Choice("learning_rate", ("optimal", "invscaling", "constant")),
    _ETA0,
    _POWER_T,
)
_SGD_REGRESSOR = (
    Choice("loss", ("squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive")),
    Real(
        "epsilon",
        1e-3,
        1.0,
        0.1,
        log=True,
        when=("loss", ("huber", "epsilon_insensitive", "squared_epsilon_insensitive")),
    ),
    *_SGD,
    Choice("learning_rate", ("invscaling", "constant")),
    _ETA0,
    _POWER_T,
)


def _passive_aggressive(config: Config, facts: Facts, seed: int) -> Any:
    from sklearn.linear_model import SGDClassifier, SGDRegressor

    make = SGDClassifier if facts.is_classification else SGDRegressor
    loss = "hinge" if facts.is_classification else "epsilon_insensitive"
    return make(
        loss=loss,
        penalty=None,
        learning_rate=config["step"],
        eta0=config["C"],
        average=config["average"],
        random_state=seed,
    )


_PASSIVE_AGGRESSIVE = (
    Real("C", 1e-5, 10.0, 0.1, log=True),
    Choice("step", ("pa1", "pa2")),
    Choice("average", (False, True)),
)


def _ridge(config: Config, _: Facts, __: int) -> Any:
    from sklearn.linear_model import Ridge

    return Ridge(alpha=config["alpha"])


def _elastic_net(config: Config, _: Facts, seed: int) -> Any:
    from sklearn.linear_model import ElasticNet

    return ElasticNet(max_iter=2000, random_state=seed, **config)


def _lasso_lars(config: Config, facts: Facts, seed: int) -> Any:
    from sklearn.linear_model import LassoLars

    return LassoLars(alpha=config["alpha"], max_iter=min(500, 4 * facts.n_features), random_state=seed)


def _ard(config: Config, _: Facts, __: int) -> Any:
    from sklearn.linear_model import ARDRegression

    return ARDRegression(**config)


def _bayesian_ridge(config: Config, _: Facts, __: int) -> Any:
    from sklearn.linear_model import BayesianRidge

    return BayesianRidge(**config)


_GAMMAS = tuple(Real(name, 1e-10, 1e-3, 1e-6, log=True) for name in ("alpha_1", "alpha_2", "lambda_1", "lambda_2"))


def _huber(config: Config, _: Facts, __: int) -> Any:
    from sklearn.linear_model import HuberRegressor

    return HuberRegressor(max_iter=200, **config)


LINEAR = (
    Learner("logistic_regression", _logistic_regression, (Real("C", 1e-4, 1e3, 1.0, log=True),), CLASSIFIER),
    Learner("sgd", _sgd_classifier, _SGD_CLASSIFIER, CLASSIFIER, 0.5, Iterations(_MOST, None)),
    Learner("sgd", _sgd_regressor, _SGD_REGRESSOR, REGRESSOR, 0.5, Iterations(_MOST, None)),
    Learner(
        "passive_aggressive", _passive_aggressive, _PASSIVE_AGGRESSIVE, weight=0.5, iterations=Iterations(_MOST, None)
    ),
    Learner("ridge", _ridge, (Real("alpha", 1e-5, 1e4, 1.0, log=True),), REGRESSOR),
    Learner(
        "elastic_net",
        _elastic_net,
        (Real("alpha", 1e-5, 1.0, 1e-2, log=True), Real("l1_ratio", 0.01, 1.0, 0.5)),
        REGRESSOR,
        0.5,
    ),
    Learner(
        "lasso_lars",
        _lasso_lars,
        (Real("alpha", 1e-6, 0.1, 1e-3, log=True),),
        REGRESSOR,
        0.5,
        takes_weights=False,
    ),
    Learner(
        "ard_regression",
        _ard,
        (*_GAMMAS, Real("threshold_lambda", 1e3, 1e5, 1e4, log=True)),
        REGRESSOR,
        0.5,
        takes_weights=False,
    ),
    Learner("bayesian_ridge", _bayesian_ridge, _GAMMAS, REGRESSOR, 0.5),
    Learner(
        "huber",
        _huber,
        (Real("epsilon", 1.01, 3.0, 1.35), Real("alpha", 1e-6, 1.0, 1e-4, log=True)),
        REGRESSOR,
        0.5,
    ),
)
