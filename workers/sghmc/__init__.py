"""Built-in target SGHMC: Bayesian neural networks by stochastic-gradient Hamiltonian Monte Carlo; budget: steps.

Importing this package is cheap; PyTorch is imported by the process that samples or predicts.
"""

from typing import TYPE_CHECKING

from bohb_service.workers.common.lazy import lazy_names

if TYPE_CHECKING:
    from .estimators import BNNClassifier, BNNRegressor
    from .saved import BayesianModel, load
    from .worker import SGHMC

__all__ = ["SGHMC", "BNNClassifier", "BNNRegressor", "BayesianModel", "load"]

__getattr__ = lazy_names(
    __name__,
    {
        "SGHMC": "worker",
        "BNNClassifier": "estimators",
        "BNNRegressor": "estimators",
        "BayesianModel": "saved",
        "load": "saved",
    },
)
