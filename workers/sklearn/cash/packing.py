"""Ensembles of trees as a few arrays instead of an object for each tree: written and read in a fraction of the time.

What prediction does not look at is left out: impurities, numbers of rows, values of inner nodes, seeds of trees.
"""

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

_FIELDS = ("left_child", "right_child", "feature", "threshold", "missing_go_to_left")
"""Of a node of scikit-learn's trees: what prediction looks at."""


def pack(estimator: Any) -> tuple[Any, Arrays]:
    """The estimator without its trees, and the trees; the estimator as it is and nothing, if it is no such ensemble.

    Args:
        estimator: Fitted; it is not changed.
    """
    stripped = copy.copy(estimator)
    if hasattr(estimator, "_predictors"):
        rounds = estimator._predictors  # noqa: SLF001 (scikit-learn has no public name for them)
        every = [predictor for one in rounds for predictor in one]
        stripped._predictors = []  # noqa: SLF001
        counts = np.array([len(predictor.nodes) for predictor in every])
        return stripped, {
            "counts": counts.reshape(len(rounds), -1),
            "nodes": np.concatenate([predictor.nodes for predictor in every]),
        }
    trees = getattr(estimator, "estimators_", None)
    if trees is None or not hasattr(estimator, "warm_start"):
        return estimator, {}
    every = list(trees.ravel()) if isinstance(trees, np.ndarray) else trees
    stripped.estimators_ = [every[0]]
    return stripped, _packed(every) | {"shape": np.array(np.shape(trees))}


def unpack(estimator: Any, arrays: Arrays) -> None:
    """Give the estimator its trees back.

    Args:
        estimator: That `pack` has stripped; it is changed.
        arrays: Its trees.
    """
    if not arrays:
        return
    if "shape" in arrays:
        trees = _unpacked(estimator.estimators_[0], arrays)
        shape = tuple(int(size) for size in arrays["shape"])
        if len(shape) == 1:
            estimator.estimators_ = trees
        else:
            estimator.estimators_ = np.empty(len(trees), dtype=object)
            estimator.estimators_[:] = trees
            estimator.estimators_ = estimator.estimators_.reshape(shape)
        return
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

    counts, none = arrays["counts"], np.empty((0, 8), dtype=np.uint32)
    parts = iter(np.split(arrays["nodes"], np.cumsum(counts.ravel())[:-1]))
    estimator._predictors = [[TreePredictor(next(parts).copy(), none, none) for _ in one] for one in counts]  # noqa: SLF001


def _packed(trees: list[Any]) -> Arrays:
    """The nodes of all trees one after the other, and the values of the leaves that are not 0."""
    states = [tree.tree_.__getstate__() for tree in trees]
    nodes = {field: np.concatenate([state["nodes"][field] for state in states]) for field in _FIELDS}
    leaves = np.flatnonzero(nodes["left_child"] < 0)
    values = np.concatenate([state["values"][state["nodes"]["left_child"] < 0] for state in states])
    table = values.reshape(len(leaves), -1)
    row, column = np.nonzero(table)
    return nodes | {
        "counts": np.array([state["node_count"] for state in states]),
        "depths": np.array([state["max_depth"] for state in states]),
        "places": leaves[row] * table.shape[1] + column,
        "values": table[row, column],
    }


def _unpacked(first: Any, arrays: Arrays) -> list[Any]:
    state = first.tree_.__getstate__()
    kind, arguments, _ = first.tree_.__reduce__()
    counts = arrays["counts"]
    nodes = np.zeros(counts.sum(), dtype=state["nodes"].dtype)
    for field in _FIELDS:
        nodes[field] = arrays[field]
    shape = state["values"].shape[1:]
    table = np.zeros(len(nodes) * int(np.prod(shape)))
    table[arrays["places"]] = arrays["values"]
    values = table.reshape(len(nodes), *shape)
    trees, start = [], 0
    for number, count in enumerate(counts):
        tree = copy.copy(first)
        tree.tree_ = kind(*arguments)
        end = start + int(count)
        tree.tree_.__setstate__(
            {
                "max_depth": int(arrays["depths"][number]),
                "node_count": int(count),
                "nodes": nodes[start:end],
                "values": values[start:end],
            }
        )
        trees.append(tree)
        start = end
    return trees
