"""What users pass to `fit` and `predict`, checked as scikit-learn checks it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import assert_all_finite, check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from bohb_service.errors import StudyError
from bohb_service.workers.common.checks import named_as_arguments
from bohb_service.workers.common.shown import shown
from bohb_service.workers.tabular.columns import FloatArray, refuse_huge
from bohb_service.workers.tabular.splits import least_rows

if TYPE_CHECKING:
    import pandas as pd


def frame_of(estimator: BaseEstimator, data: Any, *, is_training: bool) -> "pd.DataFrame":
    """The features as a data frame; columns of an array are called ``x0``, ``x1``, ...

    Missing values, text and mixed types are allowed; what is no table, sparse or complex is not.

    Args:
        estimator: Learns number and names of the columns, or knows them.
        data: A data frame, or anything that becomes an array.
        is_training: Whether the estimator learns.

    Raises:
        ValueError: The data is no table, or its columns are not those that were learned from.
    """
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        validate_data(estimator, data, skip_check_array=True, reset=is_training)
        check_array(np.zeros(data.shape, dtype=bool), ensure_min_samples=1 + is_training)
        return data
    array = validate_data(
        estimator,
        data,
        dtype=None,
        ensure_all_finite="allow-nan",
        ensure_min_samples=1 + is_training,
        reset=is_training,
    )
    frame = pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])])
    return frame.infer_objects() if array.dtype.kind == "O" else frame


def classes_of(y: Any) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The labels that occur, sorted, and for each row the number of its label.

    Args:
        y: One label a row.

    Raises:
        ValueError: There is none, a value is no label, or all are the same.
    """
    labels = column_or_1d(_given(y), warn=True)
    assert_all_finite(labels, input_name="y")
    check_classification_targets(labels)
    classes, numbers = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"there is only one class in y, {shown(classes[0])}; a classifier needs two at least")
    return classes, numbers.astype(np.int64)


def values_of(y: Any) -> FloatArray:
    """The values of a regression.

    Args:
        y: One number a row.

    Raises:
        ValueError: There is none, or a value is no finite number, or too large.
    """
    values = column_or_1d(_given(y), warn=True)
    checked: FloatArray = check_array(values, ensure_2d=False, dtype=np.float64, input_name="y")
    with value_errors():
        refuse_huge(checked, "y")
    return checked


def check_enough(target: NDArray[Any], classes: NDArray[Any] | None, n_folds: int) -> None:
    """Raise if there are too few rows to learn from some and to judge on others.

    Args:
        target: One value a row.
        classes: The labels of a classification, None for a regression.
        n_folds: Of a cross-validation; 2 for a holdout.

    Raises:
        ValueError: There are too few.
    """
    n_classes = None if classes is None else len(classes)
    least = least_rows(n_folds, n_classes)
    if len(target) >= least:
        return
    what = f"{len(target)} rows" if classes is None else f"{len(target)} rows of {n_classes} classes"
    remedy = "; if the labels are numbers to predict, take a regressor" if _are_numbers(classes) else ""
    raise ValueError(f"y has {what}, which are too few to split; {least} are needed{remedy}")


def _are_numbers(classes: NDArray[Any] | None) -> bool:
    return classes is not None and classes.dtype.kind in "iuf"


@contextmanager
def value_errors(names: Mapping[str, str] | None = None) -> Iterator[None]:
    """Errors in the user's input inside the block become what users of scikit-learn expect, `ValueError`.

    Args:
        names: Of parameters, by options of the worker that are called otherwise.
    """
    try:
        with named_as_arguments(ValueError, names):
            yield
    except StudyError as error:
        raise ValueError(str(error)) from error


def _given(y: Any) -> Any:
    if y is None:
        raise ValueError("the estimator requires y to be passed, but the target y is None")
    return y
