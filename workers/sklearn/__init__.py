"""Built-in targets of scikit-learn: a whole pipeline, a perceptron, and any estimator of one's own.

Importing this package is cheap; scikit-learn is imported by the process that trains, when it trains.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cash.estimator_worker import EstimatorWorker
    from .cash.worker import SklearnPipeline
    from .estimators import AutoMLClassifier, AutoMLRegressor
    from .mlp import SklearnMLP
    from .saved import load

__all__ = ["AutoMLClassifier", "AutoMLRegressor", "EstimatorWorker", "SklearnMLP", "SklearnPipeline", "load"]

_HOMES = {
    "AutoMLClassifier": "estimators",
    "AutoMLRegressor": "estimators",
    "EstimatorWorker": "cash.estimator_worker",
    "SklearnMLP": "mlp",
    "SklearnPipeline": "cash.worker",
    "load": "saved",
}


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for.

    Args:
        name: Attribute that the module does not have yet.

    Raises:
        AttributeError: It is not a public name.
    """
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
