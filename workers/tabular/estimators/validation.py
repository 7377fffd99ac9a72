"""What users pass to `fit` and `predict`, checked as scikit-learn checks it."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import assert_all_finite, check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from bohb_service.errors import StudyError
from bohb_service.workers.tabular.columns import FloatArray

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
        raise ValueError(f"there is only one class in y, {classes.tolist()[0]!r}; a classifier needs two at least")
    return classes, numbers.astype(np.int64)


def values_of(y: Any) -> FloatArray:
    """The values of a regression.

    Args:
        y: One number a row.

    Raises:
        ValueError: There is none, or a value is no finite number.
    """
    values = column_or_1d(_given(y), warn=True)
    checked: FloatArray = check_array(values, ensure_2d=False, dtype=np.float64, input_name="y")
    return checked


def as_value_error(error: StudyError) -> ValueError:
    """The error as users of scikit-learn expect it."""
    return ValueError(str(error))


def _given(y: Any) -> Any:
    if y is None:
        raise ValueError("the estimator requires y to be passed, but the target y is None")
    return y
