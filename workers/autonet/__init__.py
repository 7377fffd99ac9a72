"""Built-in target Auto-Net: PyTorch networks for tables, with epochs as the budget.

Importing this package is cheap; PyTorch is imported by the process that trains or predicts.
"""

from typing import TYPE_CHECKING

from bohb_service.workers.common.lazy import lazy_names

if TYPE_CHECKING:
    from .estimators import AutoNetClassifier, AutoNetRegressor
    from .saving import load
    from .worker import AutoNet

__all__ = ["AutoNet", "AutoNetClassifier", "AutoNetRegressor", "load"]

__getattr__ = lazy_names(
    __name__,
    {"AutoNet": "worker", "AutoNetClassifier": "estimators", "AutoNetRegressor": "estimators", "load": "saving"},
)
