"""A small target for tables: a decision tree whose depth grows with the budget."""

from typing import Any

import numpy as np

from bohb_service.workers.tabular.worker import TabularWorker


class Tree:
    """One tree.

    Args:
        tree: Fitted.
        n_classes: Of the task; 0 for regression.
    """

    def __init__(self, tree, n_classes) -> None:
        self._tree, self._n_classes = tree, n_classes
        self.info: dict[str, Any] = {"depth": tree.get_depth()}

    def predict(self, features):
        """Probabilities or values."""
        if len(features) == 0:
            return np.empty((0, self._n_classes) if self._n_classes else 0)
        if not self._n_classes:
            return self._tree.predict(features)
        full = np.zeros((len(features), self._n_classes))
        full[:, self._tree.classes_] = self._tree.predict_proba(features)
        return full

    def save(self, folder) -> None:
        """The tree by skops."""
        from skops import io

        io.dump((self._tree, self._n_classes), folder / "tree.skops")


def read(folder, task, encoder):
    """The tree that was saved."""
    del task, encoder
    from skops import io

    return Tree(*io.load(folder / "tree.skops", trusted=["sklearn.tree._tree.Tree"]))


class TreeTarget(TabularWorker):
    """A decision tree; the budget is its depth."""

    NAME = "tree"
    FIDELITIES = ("depth",)

    @staticmethod
    def configuration_space(**_):
        from ConfigSpace import ConfigurationSpace, Integer

        return ConfigurationSpace(space=[Integer("min_rows", (1, 20), default=2)])

    def train(self, config, effort, fold, *, seed, folder, report, progress):
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        kind = DecisionTreeClassifier if fold.task.is_classification else DecisionTreeRegressor
        depth = 20 if effort.fidelity == "full" else int(effort.budget)
        tree = kind(max_depth=depth, min_samples_leaf=config["min_rows"], random_state=seed)
        model = Tree(
            tree.fit(fold.train.features, fold.train.target), fold.task.n_outputs * fold.task.is_classification
        )
        report(effort.budget, model.predict(fold.judge.features))
        return model
