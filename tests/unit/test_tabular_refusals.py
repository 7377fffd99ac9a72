"""Tables that cannot be learned from: what messages say, for study files and for estimators."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes

from bohb_service.errors import StudyError
from bohb_service.workers.sghmc import SGHMC, BNNClassifier, BNNRegressor
from bohb_service.workers.tabular.columns import FeatureEncoder
from bohb_service.workers.tabular.dataset import Dataset
from bohb_service.workers.tabular.options import TableOptions
from bohb_service.workers.tabular.splits import holdout, least_rows
from bohb_service.workers.tabular.task import Task
from tests.tabular_estimators import TreeClassifier, TreeRegressor


def read(path, **given):
    return Dataset(TableOptions.parse({"data": str(path), **given}, (), ("depth", "folds")))


@pytest.fixture
def save(tmp_path):
    def write(**columns):
        path = tmp_path / "own.csv"
        pd.DataFrame(columns).to_csv(path, index=False)
        return path

    return write


# Too few rows


@pytest.mark.parametrize(
    ("labels", "options", "words"),
    [
        (
            range(12),
            {"test": 0},
            r"own\.csv, column 'price': 12 rows of 12 classes .* 13 are needed; if the .* set `task: regression`$",
        ),
        (
            [f"l{number}" for number in range(12)],
            {"test": 0},
            r"column 'price': 12 rows of 12 classes beside the test part are too few to split; 13 are needed$",
        ),
        ([True, False] * 2, {"test": 0, "resampling": "cv"}, r"4 rows of 2 classes .* 5 are needed$"),
        (
            np.arange(4) + 0.5,
            {"test": 0, "resampling": "cv", "folds": 7},
            r"column 'price': 4 rows beside the test part are too few to split; 7 are needed$",
        ),
    ],
)
def test_too_few_rows_are_told_with_column_classes_and_remedy(save, labels, options, words):
    with pytest.raises(StudyError, match=words):
        read(save(x=np.arange(len(labels)), price=labels), target="price", **options)


def test_with_the_remedy_the_same_table_can_be_read(save):
    path = save(x=np.arange(12), price=range(12))

    assert read(path, target="price", test=0, task="regression").n_development == 12


@pytest.mark.parametrize(
    ("labels", "resampling", "words"),
    [
        (
            np.arange(12),
            "holdout",
            r"y has 12 rows of 12 classes, which .*; 13 are needed; if the labels are numbers .*, take a regressor$",
        ),
        (np.arange(12).astype(str), "holdout", "12 rows of 12 classes, which are too few to split; 13 are needed$"),
        (np.arange(4) % 2, "cv", "y has 4 rows of 2 classes, which are too few to split; 5 are needed"),
    ],
)
def test_an_estimator_speaks_of_y(labels, resampling, words):
    with pytest.raises(ValueError, match=words):
        TreeClassifier(workers=0, resampling=resampling).fit(np.arange(len(labels))[:, None], labels)


def test_an_estimator_of_numbers_speaks_of_rows_alone():
    with pytest.raises(ValueError, match=r"y has 3 rows, which are too few to split; 5 are needed$"):
        TreeRegressor(workers=0, resampling="cv").fit([[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0])


def test_as_many_rows_as_are_needed_can_be_split():
    target = np.arange(5)
    assert least_rows(2, 5) == 6
    assert least_rows(7, 5) == least_rows(7, None) == 7
    assert len(holdout(np.array([*target, 0]), 0.2, 0, 0)[1]) == 1
    assert len(holdout(target, 0.2, 0, 0)[1]) == 0


# Numbers that are too large


@pytest.mark.parametrize("value", [1e300, -1e150, 2e100])
def test_a_huge_value_is_found_when_the_table_is_read(save, value):
    x, y = np.arange(40.0), np.arange(40.0) / 3
    x[8] = value
    with pytest.raises(
        StudyError, match=r"own\.csv: column 'x', row 9: .* is too large to compute with, beyond 1e\+100"
    ):
        SGHMC(data=str(save(x=x, target=y))).setup()
    with pytest.raises(StudyError, match=r"own\.csv, column 'target', row 9: .* is too large to compute with"):
        SGHMC(data=str(save(x=y, target=x))).setup()


@pytest.mark.parametrize("estimator", [BNNRegressor(), TreeRegressor(workers=0)])
def test_estimators_tell_huge_values_too(estimator):
    features, values = load_diabetes(return_X_y=True)
    for column in (features[:, 2], values):
        before, column[3] = column[3], 1e300
        words = "y" if column is values else "column 'x2'"
        with pytest.raises(
            ValueError, match=rf"^{words}, row 4: 1e\+300 is too large to compute with, beyond 1e\+100; mend"
        ):
            estimator.fit(features, values)
        column[3] = before


def test_huge_values_in_rows_to_predict_are_told():
    features = np.arange(60.0).reshape(30, 2)
    model = BNNClassifier(n_steps=30, chains=1, keep_every=10).fit(features, np.arange(30) % 2)
    with pytest.raises(ValueError, match=r"column 'x1', row 1: -1e\+200 is too large"):
        model.predict([[1.0, -1e200]])


def test_large_values_that_can_be_computed_with_are_learned_from():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(100, 2)) * [1e99, 1.0]
    values = features[:, 0] + 1e98 * rng.normal(size=100)

    mean, variance = BNNRegressor(n_steps=1000, chains=1, random_state=0).fit(features, values).predict_dist(features)

    assert np.corrcoef(mean, values)[0, 1] > 0.9
    assert np.isfinite(variance).all()


# Words


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1.0, np.inf], r"row 2: inf is no finite number"),
        (pd.array([1.0, np.inf], dtype="Float64"), r"row 2: inf is no finite number"),
        ([np.float64(1), [np.float64(2), np.int64(3)]], r"row 2: \[2\.0, 3\] is not one value but a list"),
    ],
)
def test_numbers_of_numpy_in_columns_are_shown_as_numbers(values, words):
    with pytest.raises(StudyError, match=words):
        FeatureEncoder.fit(pd.DataFrame({"a": values}))


def test_numbers_of_numpy_in_targets_are_shown_as_numbers():
    with pytest.raises(StudyError, match=r"row 2: inf is no finite number"):
        Task.infer(pd.Series([1.5, np.inf]), "regression", "y")
    with pytest.raises(StudyError, match=r"row 1: label 3 does not occur among those that are learned from: 1, 2$"):
        Task("classification", (1, 2)).encode(pd.Series([3, 1]))
    with pytest.raises(ValueError, match=r"only one class in y, 3; a classifier"):
        BNNClassifier().fit([[1.0], [2.0]], np.array([3, 3]))
    with pytest.raises(ValueError, match=r"only one class in y, 'a'; a classifier"):
        BNNClassifier().fit([[1.0], [2.0]], np.array(["a", "a"], dtype=object))
