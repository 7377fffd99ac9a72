"""Built-in targets of scikit-learn: a whole pipeline, a perceptron, and any estimator of one's own.

Importing this package is cheap; scikit-learn is imported by the process that trains, when it trains.
"""

from typing import TYPE_CHECKING

from bohb_service.workers.common.lazy import lazy_names

if TYPE_CHECKING:
    from .cash.estimator_worker import EstimatorWorker
    from .cash.worker import SklearnPipeline
    from .estimators import AutoMLClassifier, AutoMLRegressor
    from .mlp import SklearnMLP
    from .saved import load

__all__ = ["AutoMLClassifier", "AutoMLRegressor", "EstimatorWorker", "SklearnMLP", "SklearnPipeline", "load"]

__getattr__ = lazy_names(
    __name__,
    {
        "AutoMLClassifier": "estimators",
        "AutoMLRegressor": "estimators",
        "EstimatorWorker": "cash.estimator_worker",
        "SklearnMLP": "mlp",
        "SklearnPipeline": "cash.worker",
        "load": "saved",
    },
)
