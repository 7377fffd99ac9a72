"""Orders of rows of which each beginning has the class shares of the whole, and splits made of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rows import IntArray


def stratified_order(target: NDArray[Any], seed: int, purpose: int) -> IntArray:
    """Row numbers in a random order of which each beginning has the shares of the classes, shape ``(n,)``.

    The first rows are one of each class. For a regression (float64) the order is merely random.

    Args:
        target: Class numbers, int64, or values, float64; shape ``(n,)``.
        seed: Not negative; the same gives the same order.
        purpose: Number of what it is for, so that orders for different purposes are independent.
    """
    draw = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(purpose,)))
    order = draw.permutation(len(target))
    if target.dtype.kind == "f":
        return order
    shuffled = target[order]
    grouped = np.argsort(shuffled, kind="stable")
    counts = np.bincount(shuffled)
    starts = np.cumsum(counts) - counts
    rank = np.empty(len(target))
    rank[grouped] = np.arange(len(target)) - starts[shuffled[grouped]]
    # The r-th of n rows of a class belongs at the share r / n of the order; the very first ones come first.
    position = np.where(rank == 0, -1.0, (rank + draw.random()) / counts[shuffled])
    return order[np.argsort(position, kind="stable")]


def holdout(target: NDArray[Any], share: float, seed: int, purpose: int) -> tuple[IntArray, IntArray]:
    """Row numbers of a first and a second part; the second has this share, and no class is in it alone.

    Args:
        target: As in `stratified_order`.
        share: Of the second part, in ``(0, 1)``; it gets one row at least, and leaves one.
        seed: Not negative.
        purpose: As in `stratified_order`.
    """
    order = stratified_order(target, seed, purpose)
    n_second = min(max(1, round(share * len(target))), len(target) - _n_kept(target))
    return np.sort(order[: len(order) - n_second]), np.sort(order[len(order) - n_second :])


def folds(target: NDArray[Any], n_folds: int, seed: int, purpose: int) -> list[tuple[IntArray, IntArray]]:
    """Row numbers to learn from and to judge on, for each fold of a cross-validation.

    Each row is judged on once; but a class with a single row stays in all training parts.

    Args:
        target: As in `stratified_order`.
        n_folds: At least 2, at most the number of rows.
        seed: Not negative.
        purpose: As in `stratified_order`.
    """
    order = stratified_order(target, seed, purpose)
    number = np.empty(len(target), dtype=np.int64)
    if target.dtype.kind == "f":
        number[order] = np.arange(len(order)) % n_folds
        return [(np.flatnonzero(number != k), np.flatnonzero(number == k)) for k in range(n_folds)]
    grouped = order[np.argsort(target[order], kind="stable")]
    number[grouped] = np.arange(len(order)) % n_folds
    number[np.bincount(target)[target] == 1] = -1
    return [(np.flatnonzero(number != k), np.flatnonzero(number == k)) for k in range(n_folds)]


def least_rows(n_folds: int, n_classes: int | None) -> int:
    """How many rows there must be for a split that leaves something to learn from and something to judge on.

    Args:
        n_folds: Of a cross-validation; 2 for a holdout.
        n_classes: Number of classes; None for a regression.
    """
    return n_folds if n_classes is None else max(n_folds, n_classes + 1)


def _n_kept(target: NDArray[Any]) -> int:
    """How many rows must stay in the first part: one of each class."""
    return 1 if target.dtype.kind == "f" else len(np.unique(target))
