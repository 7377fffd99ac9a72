"""Naive Bayes and discriminant analysis."""

from typing import Any

from bohb_service.workers.sklearn.cash.components import CLASSIFIER, Config, Facts, Learner
from bohb_service.workers.sklearn.cash.parameters import Choice, Real


def _gaussian(config: Config, _: Facts, __: int) -> Any:
    from sklearn.naive_bayes import GaussianNB

    return GaussianNB(**config)


def _bernoulli(config: Config, _: Facts, __: int) -> Any:
    from sklearn.naive_bayes import BernoulliNB

    return BernoulliNB(**config)


def _multinomial(config: Config, _: Facts, __: int) -> Any:
    from sklearn.naive_bayes import MultinomialNB

    return MultinomialNB(**config)


def _linear(config: Config, _: Facts, __: int) -> Any:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    if config["shrinkage"] == "none":
        return LinearDiscriminantAnalysis(solver="svd")
    shrinkage = "auto" if config["shrinkage"] == "auto" else config["shrinkage_factor"]
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage)


def _quadratic(config: Config, _: Facts, __: int) -> Any:
    from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

    # Solved by singular values it would fail on a class with fewer rows than there are features.
    return QuadraticDiscriminantAnalysis(solver="eigen", shrinkage=config["shrinkage"])


_SMOOTHING = (Real("alpha", 1e-2, 100.0, 1.0, log=True), Choice("fit_prior", (True, False)))

BAYES = (
    Learner("gaussian_nb", _gaussian, (Real("var_smoothing", 1e-10, 1e-1, 1e-9, log=True),), CLASSIFIER, 0.25),
    Learner("bernoulli_nb", _bernoulli, _SMOOTHING, CLASSIFIER, 0.25),
    Learner("multinomial_nb", _multinomial, _SMOOTHING, CLASSIFIER, 0.25, needs_positive=True),
    Learner(
        "lda",
        _linear,
        (
            Choice("shrinkage", ("none", "auto", "manual")),
            Real("shrinkage_factor", 0.0, 1.0, 0.5, when=("shrinkage", ("manual",))),
        ),
        CLASSIFIER,
        0.5,
        takes_weights=False,
    ),
    Learner(
        "qda",
        _quadratic,
        (Real("shrinkage", 1e-3, 1.0, 1e-1, log=True),),
        CLASSIFIER,
        0.5,
        takes_weights=False,
        least_class=2,
    ),
)
