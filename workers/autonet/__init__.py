"""Built-in target Auto-Net: PyTorch networks for tables, with epochs as the budget.

Importing this package is cheap; PyTorch is imported by the process that trains or predicts.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .estimators import AutoNetClassifier, AutoNetRegressor
    from .saving import load
    from .worker import AutoNet

__all__ = ["AutoNet", "AutoNetClassifier", "AutoNetRegressor", "load"]

_HOMES = {"AutoNet": "worker", "AutoNetClassifier": "estimators", "AutoNetRegressor": "estimators", "load": "saving"}


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
