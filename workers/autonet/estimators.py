"""Auto-Net as scikit-learn estimators."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from bohb_service.workers.tabular.estimators.base import TabularEstimator
from bohb_service.workers.tabular.estimators.kinds import TabularClassifier, TabularRegressor
from bohb_service.workers.tabular.estimators.search import COMMON_BUDGETS, Budgets
from bohb_service.workers.tabular.saved import SavedModel

from .machine import find_device
from .saving import load


@dataclass(kw_only=True, eq=False, repr=False)
class _AutoNetEstimator(TabularEstimator):
    """What both kinds have in common; see `NetworkOptions` for the parameters that are not `TabularEstimator`'s."""

    WORKER = "bohb_service.workers.autonet:AutoNet"
    TYPE_KEY = "network"
    BUDGETS: ClassVar[Mapping[str, Budgets]] = {
        "epochs": Budgets(5, 50, integer=True),
        "seconds": Budgets(2, 20),
        **COMMON_BUDGETS,
    }
    ARGUMENTS: ClassVar[Mapping[str, str]] = {"horizon": "max_budget"}
    OPTIONS = ("space", "early_stopping", "device", "threads")

    space: str | None = None
    early_stopping: int | None = None
    device: str | None = None
    threads: int | None = None

    @staticmethod
    def load_saved(path: Path) -> SavedModel:
        """The network that the worker saved.

        Args:
            path: Of the folder.
        """
        return load(path)

    def target_options(self, budgets: Budgets) -> dict[str, Any]:
        """The options of the target; schedules of the learning rate span the largest budget.

        Args:
            budgets: Of the search.

        Raises:
            StudyError: There is no such device on this machine.
        """
        if self.device == "cuda":
            find_device(self.device)
        options = super().target_options(budgets)
        return {**options, "horizon": round(budgets.max)} if self._fidelity == "epochs" else options


@dataclass(kw_only=True, eq=False, repr=False)
class AutoNetClassifier(TabularClassifier, _AutoNetEstimator):
    """Classes from an ensemble of tuned networks.

    Args:
        space: Search space, ``small``, ``medium`` or ``full``.
        early_stopping: Epochs without improvement that end a training; 0 for no early stopping.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: Processor threads of one training.
    """


@dataclass(kw_only=True, eq=False, repr=False)
class AutoNetRegressor(TabularRegressor, _AutoNetEstimator):
    """Numbers from an ensemble of tuned networks.

    Args:
        space: Search space, ``small``, ``medium`` or ``full``.
        early_stopping: Epochs without improvement that end a training; 0 for no early stopping.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: Processor threads of one training.
    """
