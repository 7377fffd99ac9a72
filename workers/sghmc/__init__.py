"""Built-in target SGHMC: Bayesian neural networks by stochastic-gradient Hamiltonian Monte Carlo; budget: steps.

Importing this package is cheap; PyTorch is imported by the process that samples or predicts.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .estimators import BNNClassifier, BNNRegressor
    from .saved import BayesianModel, load
    from .worker import SGHMC

__all__ = ["SGHMC", "BNNClassifier", "BNNRegressor", "BayesianModel", "load"]

_HOMES = {
    "SGHMC": "worker",
    "BNNClassifier": "estimators",
    "BNNRegressor": "estimators",
    "BayesianModel": "saved",
    "load": "saved",
}


def __getattr__(name: str) -> Any:
    """The public class or function, imported when it is first asked for.

    Args:
        name: Attribute that the module does not have yet.

    Raises:
        AttributeError: It is none of them.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
