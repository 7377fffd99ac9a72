"""Trained configurations as bytes, in the format of skops: no pickle, and no types but those listed here."""

import re
from collections.abc import Collection

from bohb_service.errors import StudyError

from .packing import pack, unpack
from .training import Fitted

_OWN = "bohb_service.workers.sklearn.cash.transformers"
_TRUSTED = frozenset(
    {
        f"{_OWN}.KernelPCAOfSomeRows",
        f"{_OWN}.RatesOrBest",
        f"{_OWN}.ToFrame",
        f"{_OWN}.VaryingColumns",
        "collections.OrderedDict",
        "functools.partial",  # what it calls is looked at as well
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
        "numpy.dtype",
        "numpy.max",
        "numpy.mean",
        "numpy.median",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils.validation.check_array",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRegressor",
    }
)
"""Types beside those that skops trusts by itself: what learners and transformers of the space consist of."""

_NEIGHBOURS = re.compile(
    r"sklearn\.metrics\._dist_metrics\.\w+Distance\w*|sklearn\.neighbors\.(_ball_tree\.Ball|_kd_tree\.KD)Tree\w*"
)
"""Types that are trusted too: which of them a search for neighbours takes depends on the data."""


def dump(fitted: Fitted) -> bytes:
    """The trained configuration as bytes.

    Args:
        fitted: What to keep.
    """
    from skops.io import dumps

    state = {name: getattr(fitted, name) for name in Fitted.__slots__}
    state["estimator"], trees = pack(fitted.estimator)
    return bytes(dumps({"state": state, "trees": trees}))


def restore(content: bytes, trusted: Collection[str] = ()) -> Fitted:
    """The trained configuration that `dump` wrote.

    Args:
        content: The bytes.
        trusted: Full names of types that may be made beside those of the space's own components.

    Raises:
        StudyError: It consists of something else.
    """
    from skops.io import get_untrusted_types, loads

    beside = set(get_untrusted_types(data=content)) - _TRUSTED - set(trusted)
    ours = {name for name in beside if _NEIGHBOURS.fullmatch(name)}
    if strange := beside - ours:
        raise StudyError(
            f"the model holds objects of types that are not trusted: {', '.join(sorted(strange))}; "
            "name them as `trusted` if you know where it comes from"
        )
    data = loads(content, trusted=sorted({*_TRUSTED, *trusted, *ours}))
    fitted = Fitted(**data["state"])
    unpack(fitted.estimator, data["trees"])
    return fitted
