"""Estimators of the small target for tables, and targets that misbehave in the middle of a search."""

import time
from dataclasses import dataclass

from bohb_service.workers.tabular.estimators.base import TabularEstimator
from bohb_service.workers.tabular.estimators.kinds import TabularClassifier, TabularRegressor
from bohb_service.workers.tabular.estimators.search import Budgets
from bohb_service.workers.tabular.saved import load_model

from tests.tabular_target import TreeTarget, read


class FaultyTree(TreeTarget):
    """A tree; of the evaluations of configurations from the second on some sleep, raise, or need 8 GB."""

    EXTRA = ("fault", "first")

    def train(self, config, effort, fold, *, seed, folder, report):
        number = int(folder.parent.name) if folder.parent.name.isdecimal() else -1
        if number >= self.options.get("first", 1):
            match self.options.get("fault"):
                case "sleep":
                    time.sleep(3600)
                case "raise":
                    raise RuntimeError("the tree fell")
                case "memory":
                    held = [bytearray(b"x" * 2**26) for _ in range(128)]
                    time.sleep(len(held))
        return super().train(config, effort, fold, seed=seed, folder=folder, report=report)


@dataclass(kw_only=True, eq=False, repr=False)
class TreeEstimator(TabularEstimator):
    """What both kinds have in common.

    Args:
        fault: What goes wrong.
        first: Number of the first configuration with which it does.
    """

    WORKER = "tests.tabular_estimators:FaultyTree"
    BUDGETS = {"depth": Budgets(2, 18, integer=True), "subsample": Budgets(100 / 9, 100)}
    OPTIONS = ("fault", "first")

    fault: str | None = None
    first: int | None = None

    @staticmethod
    def load_saved(path):
        """The tree that the worker saved."""
        return load_model(path, "tree", read)

    @staticmethod
    def type_of(config):
        """All are trees."""
        return "tree"


@dataclass(kw_only=True, eq=False, repr=False)
class TreeClassifier(TabularClassifier, TreeEstimator):
    """Classes from a tree."""


@dataclass(kw_only=True, eq=False, repr=False)
class TreeRegressor(TabularRegressor, TreeEstimator):
    """Numbers from a tree."""
