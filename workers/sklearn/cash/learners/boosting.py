"""XGBoost and LightGBM, which are installed with the extra ``boosting``."""

from typing import Any

from bohb_service.workers.sklearn.cash.components import Config, Facts, Iterations, Learner
from bohb_service.workers.sklearn.cash.parameters import Real, Whole

_MOST = 512


def _xgboost(config: Config, facts: Facts, seed: int) -> Any:
    from xgboost import XGBClassifier, XGBRegressor

    make = XGBClassifier if facts.is_classification else XGBRegressor
    return make(n_estimators=_MOST, tree_method="hist", n_jobs=1, random_state=seed, verbosity=0, **config)


def _lightgbm(config: Config, facts: Facts, seed: int) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    make = LGBMClassifier if facts.is_classification else LGBMRegressor
    return make(
        n_estimators=_MOST,
        n_jobs=1,
        random_state=seed,
        subsample_freq=1,
        deterministic=True,
        force_row_wise=True,
        verbosity=-1,
        **config,
    )


# Where they learn from samples of rows or columns, both draw other ones when they continue: not the same bits.
_RESTARTS = Iterations(_MOST, "n_estimators", resumes=False)

BOOSTING = (
    Learner(
        "xgboost",
        _xgboost,
        (
            Real("learning_rate", 0.02, 0.5, 0.1, log=True),
            Whole("max_depth", 2, 12, 6),
            Real("min_child_weight", 0.01, 20.0, 1.0, log=True),
            Real("subsample", 0.5, 1.0, 1.0),
            Real("colsample_bytree", 0.4, 1.0, 1.0),
            Real("reg_alpha", 1e-8, 10.0, 1e-8, log=True),
            Real("reg_lambda", 1e-6, 10.0, 1.0, log=True),
        ),
        weight=2.0,
        iterations=_RESTARTS,
        is_trees=True,
        package="xgboost",
    ),
    Learner(
        "lightgbm",
        _lightgbm,
        (
            Real("learning_rate", 0.02, 0.5, 0.1, log=True),
            Whole("num_leaves", 4, 128, 31, log=True),
            Whole("min_child_samples", 2, 100, 20, log=True),
            Real("subsample", 0.5, 1.0, 1.0),
            Real("colsample_bytree", 0.4, 1.0, 1.0),
            Real("reg_alpha", 1e-8, 10.0, 1e-8, log=True),
            Real("reg_lambda", 1e-8, 10.0, 1e-8, log=True),
        ),
        weight=4.0,
        iterations=_RESTARTS,
        is_trees=True,
        package="lightgbm",
    ),
)
