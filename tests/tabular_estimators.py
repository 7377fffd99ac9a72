"""Estimators of the small target for tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from bohb_service.workers.tabular.estimators.base import TabularEstimator
from bohb_service.workers.tabular.estimators.kinds import TabularClassifier, TabularRegressor
from bohb_service.workers.tabular.estimators.search import COMMON_BUDGETS, Budgets
from bohb_service.workers.tabular.saved import load_model
from tests.tabular_target import read


@dataclass(kw_only=True, eq=False, repr=False)
class TreeEstimator(TabularEstimator):
    """What both kinds have in common.

    Args:
        fault: What goes wrong.
        first: Number of the first configuration with which it does.
        pids: A file to which each training adds the ids of its process and of that one's parent.
    """

    WORKER = "tests.tabular_faults:FaultyTree"
    TYPE_KEY = "tree"
    BUDGETS: ClassVar[Mapping[str, Budgets]] = {"depth": Budgets(2, 18, integer=True), **COMMON_BUDGETS}
    OPTIONS = ("fault", "first", "pids")

    fault: str | None = None
    first: int | None = None
    pids: str | None = None

    @staticmethod
    def load_saved(path):
        """The tree that the worker saved."""
        return load_model(path, "tree", read)


@dataclass(kw_only=True, eq=False, repr=False)
class TreeClassifier(TabularClassifier, TreeEstimator):
    """Classes from a tree."""


@dataclass(kw_only=True, eq=False, repr=False)
class TreeRegressor(TabularRegressor, TreeEstimator):
    """Numbers from a tree."""
