"""Single trees, and ensembles of them."""

from dataclasses import replace
from typing import Any

from bohb_service.workers.sklearn.cash.components import CLASSIFIER, REGRESSOR, Config, Facts, Iterations, Learner
from bohb_service.workers.sklearn.cash.parameters import Choice, Parameter, Real, Whole

_MOST = 512

_CRITERIA = Choice("criterion", ("gini", "entropy"))
_ERRORS = Choice("criterion", ("squared_error", "friedman_mse"))


def columns_tried(exponent: float, facts: Facts) -> int:
    """Number of columns that a split looks at: a power of how many there are, so that it fits narrow and wide tables.

    Args:
        exponent: 0 for one column, 0.5 for the usual square root, 1 for all.
        facts: Of the data.
    """
    return max(1, min(facts.n_features, round(float(facts.n_features**exponent))))


def _forest_parameters(criterion: Choice, max_features: float, bootstrap: tuple[bool, bool]) -> tuple[Parameter, ...]:
    return (
        criterion,
        Real("max_features", 0.2, 1.0, max_features),
        Whole("min_samples_leaf", 1, 20, 1, log=True),
        Whole("min_samples_split", 2, 20, 2, log=True),
        Choice("bootstrap", bootstrap),
    )


def _forest(name: str) -> Any:
    """A function that builds scikit-learn's forest of this name, ``RandomForest`` or ``ExtraTrees``."""

    def build(config: Config, facts: Facts, seed: int) -> Any:
        from sklearn import ensemble

        kind = "Classifier" if facts.is_classification else "Regressor"
        arguments = {**config, "max_features": columns_tried(config["max_features"], facts)}
        return getattr(ensemble, name + kind)(n_estimators=_MOST, random_state=seed, n_jobs=1, **arguments)

    return build


def _tree(config: Config, facts: Facts, seed: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    make = DecisionTreeClassifier if facts.is_classification else DecisionTreeRegressor
    # A depth relative to what a balanced tree of single rows has.
    depth = max(1, round(config["max_depth_factor"] * facts.n_rows.bit_length()))
    return make(
        criterion=config["criterion"],
        max_depth=depth,
        min_samples_leaf=config["min_samples_leaf"],
        min_samples_split=config["min_samples_split"],
        random_state=seed,
    )


def _tree_parameters(criterion: Choice) -> tuple[Parameter, ...]:
    return (
        criterion,
        Real("max_depth_factor", 0.2, 2.0, 1.0),
        Whole("min_samples_leaf", 1, 20, 1, log=True),
        Whole("min_samples_split", 2, 20, 2, log=True),
    )


def _adaboost(config: Config, facts: Facts, seed: int) -> Any:
    from sklearn.ensemble import AdaBoostClassifier, AdaBoostRegressor
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    arguments = {"n_estimators": config["n_estimators"], "learning_rate": config["learning_rate"], "random_state": seed}
    if facts.is_classification:
        return AdaBoostClassifier(DecisionTreeClassifier(max_depth=config["max_depth"]), **arguments)
    return AdaBoostRegressor(DecisionTreeRegressor(max_depth=config["max_depth"]), loss=config["loss"], **arguments)


_ADABOOST: tuple[Parameter, ...] = (
    Whole("n_estimators", 50, 300, 50, log=True),
    Real("learning_rate", 0.01, 2.0, 0.3, log=True),
    Whole("max_depth", 1, 10, 3),
)


def _gradient_boosting(config: Config, facts: Facts, seed: int) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    make = GradientBoostingClassifier if facts.is_classification else GradientBoostingRegressor
    arguments = {**config, "max_features": columns_tried(config["max_features"], facts)}
    return make(n_estimators=_MOST, random_state=seed, **arguments)


_GRADIENT_BOOSTING: tuple[Parameter, ...] = (
    Real("learning_rate", 0.01, 0.5, 0.1, log=True),
    Whole("max_depth", 2, 8, 3),
    Real("subsample", 0.4, 1.0, 1.0),
    Real("max_features", 0.3, 1.0, 0.7),
    Whole("min_samples_leaf", 1, 20, 1, log=True),
)


def _hist_gradient_boosting(config: Config, facts: Facts, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    arguments = dict(config)
    stops = arguments.pop("early_stopping")
    share = arguments.pop("validation_fraction", 0.1)
    # The part that decides when to stop needs a row of each class on both sides.
    can_stop = facts.least_class >= 2 if facts.is_classification else facts.n_rows >= 10
    can_stop = can_stop and min(share, 1 - share) * facts.n_rows > facts.n_classes
    make = HistGradientBoostingClassifier if facts.is_classification else HistGradientBoostingRegressor
    return make(
        max_iter=_MOST,
        random_state=seed,
        early_stopping=stops and can_stop,
        validation_fraction=share,
        n_iter_no_change=arguments.pop("n_iter_no_change", 10),
        **arguments,
    )


_HIST_GRADIENT_BOOSTING: tuple[Parameter, ...] = (
    Real("learning_rate", 0.02, 0.5, 0.1, log=True),
    Whole("max_leaf_nodes", 4, 128, 31, log=True),
    Whole("min_samples_leaf", 2, 100, 20, log=True),
    Real("l2_regularization", 1e-8, 10.0, 1e-6, log=True),
    Real("max_features", 0.3, 1.0, 1.0),
    Choice("early_stopping", (True, False)),
    Whole("n_iter_no_change", 5, 20, 10, when=("early_stopping", (True,))),
    Real("validation_fraction", 0.05, 0.3, 0.1, when=("early_stopping", (True,))),
)

_FOREST = Iterations(_MOST, "n_estimators")
_RANDOM, _EXTRA = _forest("RandomForest"), _forest("ExtraTrees")
_LOSS = Choice("loss", ("linear", "square", "exponential"))

_ENTRIES = (
    Learner("random_forest", _RANDOM, _forest_parameters(_CRITERIA, 0.5, (True, False)), CLASSIFIER, 3.0, _FOREST),
    Learner("random_forest", _RANDOM, _forest_parameters(_ERRORS, 1.0, (True, False)), REGRESSOR, 3.0, _FOREST),
    Learner("extra_trees", _EXTRA, _forest_parameters(_CRITERIA, 0.5, (False, True)), CLASSIFIER, 3.0, _FOREST),
    Learner("extra_trees", _EXTRA, _forest_parameters(_ERRORS, 1.0, (False, True)), REGRESSOR, 3.0, _FOREST),
    Learner(
        "hist_gradient_boosting",
        _hist_gradient_boosting,
        _HIST_GRADIENT_BOOSTING,
        weight=4.0,
        iterations=Iterations(_MOST, "max_iter"),
    ),
    Learner(
        "gradient_boosting",
        _gradient_boosting,
        _GRADIENT_BOOSTING,
        weight=0.5,
        iterations=Iterations(_MOST, "n_estimators"),
    ),
    Learner("adaboost", _adaboost, _ADABOOST, CLASSIFIER),
    Learner("adaboost", _adaboost, (*_ADABOOST, _LOSS), REGRESSOR),
    Learner("decision_tree", _tree, _tree_parameters(_CRITERIA), CLASSIFIER, 0.5),
    Learner("decision_tree", _tree, _tree_parameters(_ERRORS), REGRESSOR, 0.5),
)

TREES = tuple(replace(learner, is_trees=True) for learner in _ENTRIES)
