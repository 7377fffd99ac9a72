"""A data set in development and test part, and the folds that evaluations are judged on."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bohb_service.errors import StudyError
from bohb_service.suggestions import did_you_mean
from bohb_service.workers.common.checks import OptionError
from bohb_service.workers.common.shown import shown

from .columns import FeatureEncoder
from .options import TableOptions
from .rows import Fold, IntArray, Rows
from .sources import Table, read_table
from .splits import folds, holdout, least_rows, stratified_order
from .task import Task

if TYPE_CHECKING:
    import pandas as pd

_TEST, _VALIDATION, _SUBSAMPLE = range(3)

_DEFAULT_TEST = 0.2


class Dataset:
    """Rows to learn from and rows to judge on, split before anything is fitted.

    Test rows are checked at once, so that a slip in them does not show at the end of a study; they are used by `final`
    only. Which columns hold numbers is found out from all development rows; which categories there are, anew for each
    fold, from its training rows.

    Args:
        options: What to read, and how to split it.

    Raises:
        StudyError: The data cannot be read or split; with file, column and row.
    """

    def __init__(self, options: TableOptions) -> None:
        table = read_table(options.data)
        self._options = options
        self.name = table.name
        name = _target_name(table, options)
        where = f"{table.name}, column {name!r}"
        _check_whole(table, name, where, options)
        development, test = _split_test(table, options, name)
        self.task = Task.infer(development[name], options.task, where)
        self._target = self.task.encode(development[name], where)
        leave_out = {name, *options.drop}
        if isinstance(options.test, Mapping):
            leave_out.add(str(options.test.get("column")))
        self._frame = _features(development, leave_out, options, table.name)
        try:
            encoder = FeatureEncoder.fit(self._frame, options.categorical)
        except StudyError as error:
            raise StudyError(f"{self.name}: {error}") from error
        self._categorical = frozenset(column.name for column in encoder.columns if column.is_categorical)
        self._test_frame, self._test_target = self._checked_test(test, encoder, name, f"{where} of the test part")
        self._splits = self._split(where)
        self._folds: dict[int, Fold] = {}

    @property
    def n_folds(self) -> int:
        """Number of folds; 1 for a holdout."""
        return len(self._splits)

    @property
    def n_development(self) -> int:
        """Number of rows that are not kept for the test."""
        return len(self._target)

    @property
    def n_test(self) -> int:
        """Number of rows kept for the test."""
        return len(self._test_target)

    def fold(self, number: int) -> Fold:
        """What a model learns from and is judged on in the search.

        Args:
            number: Of the fold, ``0 .. n_folds - 1``.
        """
        if number not in self._folds:
            train, judge = self._splits[number]
            self._folds[number] = self._make(train, self._frame.iloc[judge], self._target[judge])
        return self._folds[number]

    def final(self) -> Fold:
        """All development rows to learn from, the test rows to judge on."""
        return self._make(np.arange(len(self._target)), self._test_frame, self._test_target)

    def _checked_test(
        self, test: "pd.DataFrame | None", encoder: FeatureEncoder, target: str, where: str
    ) -> "tuple[pd.DataFrame, NDArray[Any]]":
        """Rows and target of the test part, of which each column and each label is one that can be predicted from."""
        if test is None:
            return self._frame.iloc[:0], self._target[:0]
        if target not in test.columns:
            raise StudyError(f"{where} is missing; {_or_which(target, test.columns)}")
        try:
            encoder.transform(test)
        except StudyError as error:
            raise StudyError(f"{self.name}, test part: {error}") from error
        return test, self.task.encode(test[target], where)

    def _make(self, train: IntArray, judged: "pd.DataFrame", target: NDArray[Any]) -> Fold:
        frame = self._frame.iloc[train]
        try:
            encoder = FeatureEncoder.fit(frame, self._categorical)
            rows = Rows(encoder.transform(frame), self._target[train])
            judge = Rows(encoder.transform(judged), target)
        except StudyError as error:
            raise StudyError(f"{self.name}: {error}") from error
        return Fold(self.task, encoder, rows, judge, _mark(rows, judge, encoder, self.task))

    def _split(self, where: str) -> list[tuple[IntArray, IntArray]]:
        options, n = self._options, len(self._target)
        n_classes = len(np.unique(self._target)) if self.task.is_classification else None
        least = least_rows(options.folds if options.resampling == "cv" else 2, n_classes)
        if n < least:
            what = f"{n} rows" if n_classes is None else f"{n} rows of {n_classes} classes"
            remedy = "; if the labels are numbers to predict, set `task: regression`" if self.task.has_numbers else ""
            raise StudyError(f"{where}: {what} beside the test part are too few to split; {least} are needed{remedy}")
        if options.resampling == "cv":
            return folds(self._target, options.folds, options.split_seed, _VALIDATION)
        return [holdout(self._target, options.validation, options.split_seed, _VALIDATION)]


def subsample(fold: Fold, percent: float, seed: int) -> Fold:
    """The fold with part of its training rows: one of each class at least; a larger part contains a smaller one.

    Args:
        fold: The whole.
        percent: Of the training rows, in ``(0, 100]``.
        seed: Of the choice, the same for all evaluations.
    """
    n = max(min(2, len(fold.train)), round(len(fold.train) * percent / 100))
    if fold.task.is_classification:
        n = max(n, len(np.unique(fold.train.target)))
    if n >= len(fold.train):
        return fold
    order = stratified_order(fold.train.target, seed, _SUBSAMPLE)
    return Fold(
        fold.task, fold.encoder, fold.train.select(np.sort(order[:n])), fold.judge, f"{fold.mark}/{n} of seed {seed}"
    )


def _target_name(table: Table, options: TableOptions) -> str:
    names = [str(name) for name in table.frame.columns]
    wanted = options.target or table.target or ("target" if "target" in names else names[-1])
    if wanted not in names:
        raise StudyError(f"{table.name}: there is no column {wanted!r} to predict; {_or_which(wanted, names)}")
    return wanted


def _or_which(name: str, names: Iterable[str]) -> str:
    """What may be meant by the name of a column that there is not, or the first of those that there are."""
    known = list(names)
    return did_you_mean(name, known) or f"there are: {', '.join(known[:20])}"


def _split_test(table: Table, options: TableOptions, target: str) -> "tuple[pd.DataFrame, pd.DataFrame | None]":
    """Development and test rows; no test rows: None."""
    frame, test = table.frame, options.test
    frame.columns = [str(name) for name in frame.columns]
    if test is None:
        test = {"last": table.n_test} if table.n_test else _DEFAULT_TEST
    if isinstance(test, str):
        return frame, read_table(test).frame.rename(columns=str)
    if isinstance(test, Mapping):
        is_test = _chosen(table, test)
        return frame[~is_test], frame[is_test]
    if test == 0:
        return frame, None
    # The labels of the test rows do nothing but keep the shares of the classes alike.
    codes = frame[target].astype("category").cat.codes.to_numpy(dtype=np.int64)
    is_class = Task.infer(frame[target], options.task, f"{table.name}, column {target!r}").is_classification
    first, second = holdout(codes if is_class else codes.astype(np.float64), float(test), options.split_seed, _TEST)
    return frame.iloc[first], frame.iloc[second]


def _check_whole(table: Table, target: str, where: str, options: TableOptions) -> None:
    """Find slips before the rows are split, so that messages count rows as the source does."""
    missing = np.flatnonzero(np.asarray(table.frame[target].isna()))
    if len(missing):
        raise StudyError(f"{where}, row {missing[0] + 1}: no value ({len(missing)} in all); leave such rows out")
    leave_out = [name for name in table.frame.columns if str(name) in {target, *options.drop}]
    try:
        FeatureEncoder.fit(table.frame.drop(columns=leave_out), options.categorical)
    except StudyError as error:
        raise StudyError(f"{table.name}: {error}") from error


def _chosen(table: Table, test: Mapping[str, Any]) -> NDArray[np.bool_]:
    frame, n = table.frame, len(table.frame)
    if "column" in test:
        if test["column"] not in frame.columns:
            hint = _or_which(test["column"], frame.columns)
            raise OptionError("test", f"{table.name} has no column {test['column']!r}; {hint}")
        is_test = np.asarray(frame[test["column"]].astype(str) == str(test["value"]))
        if not is_test.any() or is_test.all():
            found = ", ".join(str(value) for value in frame[test["column"]].unique()[:5])
            raise OptionError(
                "test",
                f"{shown(test['value'])} must be in some rows of column {test['column']!r} and not in others; values "
                f"there: {found}",
            )
        return is_test
    (key, count) = next(iter(test.items()))
    if count >= n:
        raise OptionError(f"test.{key}", f"{count} rows, but {table.name} has {n}")
    rows = np.arange(n)
    chosen: NDArray[np.bool_] = rows < count if key == "first" else rows >= n - count
    return chosen


def _features(frame: "pd.DataFrame", leave_out: set[str], options: TableOptions, source: str) -> "pd.DataFrame":
    for key in ("drop", "categorical"):
        for name in getattr(options, key):
            if name not in frame.columns:
                hint = _or_which(name, frame.columns)
                raise OptionError(key, f"{source} has no column {name!r}; {hint}")
    features = frame.drop(columns=[name for name in frame.columns if name in leave_out])
    if features.shape[1] == 0:
        raise StudyError(f"{source}: no column is left to learn from")
    return features


def _mark(train: Rows, judge: Rows, encoder: FeatureEncoder, task: Task) -> str:
    digest = hashlib.sha256(repr((encoder, task)).encode())
    for array in (train.features, train.target, judge.features, judge.target):
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
