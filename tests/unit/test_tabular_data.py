import gzip

import numpy as np
import pandas as pd
import pytest

from bohb_service.errors import StudyError
from bohb_service.workers.tabular.columns import FeatureEncoder
from bohb_service.workers.tabular.dataset import Dataset, subsample
from bohb_service.workers.tabular.options import TableOptions
from bohb_service.workers.tabular.sources import BUILT_IN, read_table
from bohb_service.workers.tabular.splits import folds, holdout, stratified_order
from bohb_service.workers.tabular.task import Task


def options(**given):
    return TableOptions.parse(
        {key: value for key, value in given.items() if value is not None}, (), ("epochs", "folds")
    )


def mixed(n=60, seed=0):
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "size": draw.normal(size=n),
            "colour": draw.choice(["red", "green", "blue"], size=n),
            "is_new": draw.random(n) < 0.5,
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(draw.integers(0, 900, n), unit="D"),
            "constant": 1.0,
            "target": draw.choice(["yes", "no"], size=n),
        }
    )
    frame.loc[3, "size"] = np.nan
    frame.loc[4, "colour"] = None
    return frame


@pytest.fixture
def save(tmp_path):
    def write(frame, name="data.csv"):
        path = tmp_path / name
        if name.endswith(".parquet"):
            frame.to_parquet(path)
        else:
            frame.to_csv(path, index=False)
        return str(path)

    return write


# -- columns -------------------------------------------------------------------------------------------------


def test_columns_have_the_types_of_their_values():
    encoder = FeatureEncoder.fit(mixed().drop(columns="target"))
    assert [(column.name, column.levels) for column in encoder.columns] == [
        ("size", None),
        ("colour", ("blue", "green", "red")),
        ("is_new", None),
        ("day", None),
        ("constant", None),
    ]
    rows = encoder.transform(mixed())
    assert np.isnan(rows[3, 0])
    assert np.isnan(rows[4, 1])
    assert set(rows[:, 2]) == {0.0, 1.0}
    assert rows[0, 3] == (mixed().day[0] - pd.Timestamp(0)).days


def test_a_category_that_did_not_occur_is_missing():
    encoder = FeatureEncoder.fit(pd.DataFrame({"a": ["x", "y", "x"]}))
    assert encoder.transform(pd.DataFrame({"a": ["y", "z", None]}))[:, 0].tolist() == pytest.approx(
        [1.0, np.nan, np.nan], nan_ok=True
    )


def test_numbers_declared_as_categories_have_the_same_codes_as_integers_and_floats():
    encoder = FeatureEncoder.fit(pd.DataFrame({"a": [3, 1, 2]}), ["a"])
    assert encoder.columns[0].levels == ("1", "2", "3")
    assert encoder.transform(pd.DataFrame({"a": [2.0, 3.0]}))[:, 0].tolist() == [1.0, 2.0]


def test_an_encoder_survives_as_plain_data():
    encoder = FeatureEncoder.fit(mixed())
    assert FeatureEncoder.from_json(encoder.to_json()) == encoder


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1.0, np.inf, 2.0], "column 'a', row 2: .*inf.* is no finite number"),
        ([str(i) for i in range(30)] + ["1O"], "column 'a', row 31: '1O' stands among numbers"),
        ([1j, 2j], "column 'a' holds complex numbers"),
        ([1.0, [2.0], 3.0], r"column 'a', row 2: \[2.0\] is not one value but a list"),
        (["x", "y", {"z": 1}], "column 'a', row 3: {'z': 1} is not one value but a dict"),
    ],
)
def test_values_that_are_no_numbers_are_named(values, words):
    with pytest.raises(StudyError, match=words):
        FeatureEncoder.fit(pd.DataFrame({"a": values}))


def test_text_where_numbers_were_is_named():
    encoder = FeatureEncoder.fit(pd.DataFrame({"a": [1.0, 2.0]}))
    with pytest.raises(StudyError, match="column 'a', row 2: 'two'"):
        encoder.transform(pd.DataFrame({"a": ["1", "two"]}))
    with pytest.raises(StudyError, match=r"column 'a', row 1: \[3\] is not one value but a list"):
        encoder.transform(pd.DataFrame({"a": [[3], 4]}))
    with pytest.raises(StudyError, match=r"column 'a' is missing in the data; there are: b"):
        encoder.transform(pd.DataFrame({"b": [1.0]}))


# -- task ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "kind", "classes"),
    [
        (["b", "a", "b"], "classification", ("a", "b")),
        ([True, False, True], "classification", (False, True)),
        ([0, 1, 2], "classification", (0, 1, 2)),
        ([0.0, 1.0, 1.0], "classification", (0, 1)),
        ([0.5, 1.0, 1.0], "regression", ()),
        (list(range(40)), "regression", ()),
    ],
)
def test_the_kind_is_found_out_from_the_target(target, kind, classes):
    task = Task.infer(pd.Series(target), None, "target")
    assert (task.kind, task.classes) == (kind, classes)
    assert Task.from_json(task.to_json()) == task


def test_labels_come_back_as_they_were():
    target = pd.Series(["b", "a", "c"])
    task = Task.infer(target, None, "target")
    assert task.decode(np.eye(3)[task.encode(target)]).tolist() == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("target", "kind", "words"),
    [
        (["a", None], None, "target, row 2: no value"),
        (["a", "a"], None, "only one class, 'a'"),
        (["a", "b"], "regression", "target, row 1: 'a' is no finite number"),
    ],
)
def test_targets_that_cannot_be_learned_are_refused(target, kind, words):
    with pytest.raises(StudyError, match=words):
        Task.infer(pd.Series(target), kind, "target")


# -- splits --------------------------------------------------------------------------------------------------


def labels(*counts):
    return np.repeat(np.arange(len(counts)), counts)


def test_each_beginning_of_the_order_has_the_shares_of_the_classes():
    target = labels(700, 200, 99, 1)
    order = stratified_order(target, 0, 0)
    assert sorted(order) == list(range(1000))
    assert set(target[order[:4]]) == {0, 1, 2, 3}
    for n in (50, 100, 500):
        counts = np.bincount(target[order[:n]], minlength=4)
        assert np.abs(counts - n * np.array([0.7, 0.2, 0.099, 0.001])).max() <= 3


def test_a_holdout_keeps_the_shares_and_one_row_of_each_class():
    target = labels(80, 19, 1)
    first, second = holdout(target, 0.2, 0, 0)
    assert len(second) == 20
    assert sorted([*first, *second]) == list(range(100))
    assert np.bincount(target[second], minlength=3).tolist() == [16, 4, 0]
    assert len(holdout(labels(1, 1, 1), 0.9, 0, 0)[0]) == 3


def test_folds_judge_each_row_once_but_keep_single_rows_in_training():
    target = labels(31, 12, 3, 1)
    parts = folds(target, 5, 0, 0)
    judged = np.concatenate([judge for _, judge in parts])
    assert sorted(judged) == [i for i in range(47) if target[i] != 3]
    for train, judge in parts:
        assert not set(train) & set(judge)
        assert {3} <= set(target[train])


def test_splits_of_numbers_and_other_seeds():
    values = np.linspace(0, 1, 50)
    assert len(holdout(values, 0.2, 0, 0)[1]) == 10
    assert len(np.unique(np.concatenate([judge for _, judge in folds(values, 4, 0, 0)]))) == 50
    assert holdout(values, 0.2, 0, 0)[1].tolist() == holdout(values, 0.2, 0, 0)[1].tolist()
    assert holdout(values, 0.2, 0, 0)[1].tolist() != holdout(values, 0.2, 1, 0)[1].tolist()


# -- data sets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["data.csv", "data.csv.gz", "data.parquet"])
def test_files_of_each_kind_give_the_same_folds(save, name):
    frame = mixed()
    data = Dataset(options(data=save(frame, name)))
    assert data.task == Task("classification", ("no", "yes"))
    fold = data.fold(0)
    assert (len(fold.train), len(fold.judge), data.n_test, data.n_folds) == (38, 10, 12, 1)
    assert len(data.final().train) == 48


def test_npz_has_names_or_numbers_for_columns(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, X=np.arange(20.0).reshape(10, 2), y=np.arange(10) % 2, feature_names=["a", "b"])
    assert Dataset(options(data=str(path))).fold(0).encoder.names == ("a", "b")
    np.savez(path, X=np.arange(20.0).reshape(10, 2), y=np.arange(10) % 2)
    assert Dataset(options(data=str(path))).fold(0).encoder.names == ("x0", "x1")


def test_an_array_of_text_has_columns_of_numbers_too(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, X=np.array([["1", "red"], ["2.5", "blue"], ["", "red"], ["4", ""]] * 5), y=np.arange(20) % 2)
    columns = Dataset(options(data=str(path))).fold(0).encoder.columns
    assert [column.levels for column in columns] == [None, ("blue", "red")]


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_data_has_its_sizes(name):
    sizes = {
        "letter": (12_800, 3_200, 4_000, 16),
        "digits": (1_150, 288, 359, 64),
        "breast_cancer": (364, 91, 114, 30),
        "wine": (114, 28, 36, 13),
        "iris": (96, 24, 30, 4),
        "diabetes": (283, 71, 88, 10),
    }
    data = Dataset(options(data=name))
    fold = data.fold(0)
    assert (len(fold.train), len(fold.judge), data.n_test, fold.train.features.shape[1]) == sizes[name]


@pytest.mark.parametrize(
    ("test", "expected"),
    [(0, 0), (0.5, 30), ({"last": 7}, 7), ({"first": 9}, 9), ({"column": "colour", "value": "red"}, "red")],
)
def test_the_test_part_is_what_the_option_says(save, test, expected):
    frame = mixed()
    data = Dataset(options(data=save(frame), test=test))
    assert data.n_test == ((frame.colour == "red").sum() if expected == "red" else expected)
    assert len(data.final().judge) == data.n_test
    assert ("colour" in data.fold(0).encoder.names) == (expected != "red")


def test_the_test_part_may_be_a_file(save):
    data = Dataset(options(data=save(mixed()), test=save(mixed(17, seed=1), "test.csv")))
    assert (data.n_test, data.n_development) == (17, 60)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frame: frame.drop(columns="target"), "column 'target' of the test part is missing; there are: size"),
        (lambda frame: frame.drop(columns="size"), "test part: column 'size' is missing in the data"),
        (lambda frame: frame.assign(size=["big"] * 17), "test part: column 'size', row 1: 'big' is no finite number"),
        (lambda frame: frame.assign(target="maybe"), "of the test part, row 1: label 'maybe' does not occur"),
    ],
)
def test_slips_in_the_test_part_are_found_before_the_search(save, change, words):
    with pytest.raises(StudyError, match=words):
        Dataset(options(data=save(mixed()), test=save(change(mixed(17, seed=1)), "test.csv")))


def test_a_column_has_the_same_type_in_each_fold(tmp_path):
    """Two of the 60 values are text, which is few enough to be a slip, and may be missing in a fold altogether."""
    values = ["a", "b", "c", "d", "e", "f"] + ["1"] * 54
    np.savez(tmp_path / "d.npz", X=np.array([values, np.arange(60)]).T, y=np.arange(60) % 2)
    data = Dataset(options(data=str(tmp_path / "d.npz"), resampling="cv", folds=30, test=0))
    folds_of = [data.fold(number) for number in range(30)]
    assert {fold.encoder.columns[0].is_categorical for fold in folds_of} == {True}
    assert {fold.encoder.columns[1].is_categorical for fold in folds_of} == {False}


def test_only_training_rows_say_what_the_categories_are(save):
    frame = pd.DataFrame({"a": [f"c{i}" for i in range(50)], "target": ["x", "y"] * 25})
    fold = Dataset(options(data=save(frame))).fold(0)
    assert len(fold.encoder.columns[0].levels) == len(fold.train)
    assert np.isnan(fold.judge.features).all()


def test_poisoned_test_rows_change_nothing_that_the_search_sees(save):
    frame = mixed(100)
    clean = Dataset(options(data=save(frame), test={"last": 30}))
    frame.loc[70:, "target"] = "yes"
    frame.loc[70:, ["size", "colour"]] = [1e6, "poison"]
    poisoned = Dataset(options(data=save(frame, "poisoned.csv"), test={"last": 30}))
    assert clean.fold(0).mark == poisoned.fold(0).mark
    assert clean.final().mark != poisoned.final().mark


def test_subsamples_are_nested_and_have_each_class():
    fold = Dataset(options(data="digits")).fold(0)
    parts = [subsample(fold, percent, 0) for percent in (0.1, 5, 20, 100)]
    assert [len(part.train) for part in parts] == [10, 58, 230, 1150]
    rows = [{row.tobytes() for row in part.train.features} for part in parts]
    assert rows[0] <= rows[1] <= rows[2] <= rows[3]
    assert len({part.mark for part in parts}) == 4
    assert all(len(np.unique(part.train.target)) == 10 for part in parts)


def test_one_row_classes_are_learned_from():
    frame = mixed()
    frame.loc[7, "target"] = "maybe"
    for resampling in ("holdout", "cv"):
        data = Dataset(TableOptions.parse({"data": "iris", "resampling": resampling}, (), ("epochs",)))
        assert data.n_folds == (5 if resampling == "cv" else 1)


# -- mistakes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "the file is empty"),
        ("a,b,target\n", "there are no rows in it"),
        ("a,b,target\n1,2,3\n1,2,3,4\n", "line 3 has 4 cells, but the heading has 3 columns"),
        ("a,a,target\n1,2,3\n", "line 1: two columns are called 'a'"),
        ("a,,target\n1,2,3\n", "line 1: column 2 has no name"),
        ("1,2,3\n4,5,6\n", "line 1: a heading is needed"),
        ("a,target\n" + "".join(f"{i},{i % 2}\n" for i in range(30)) + "oops,1\n", "column .a., row 31: .oops. stands"),
        ("a,target\n1,x\n2,\n3,y\n", "column 'target', row 2: no value"),
    ],
)
def test_wrong_files_are_refused_with_file_column_and_row(tmp_path, content, words):
    path = tmp_path / "wrong.csv"
    path.write_text(content)
    with pytest.raises(StudyError, match=words) as caught:
        Dataset(options(data=str(path), test=0))
    assert "wrong.csv" in str(caught.value)


def test_files_that_are_not_what_they_are_called(tmp_path):
    for name in ("a.parquet", "a.npz", "a.csv.gz"):
        (tmp_path / name).write_bytes(b"\xff\xfenonsense" * 10)
        with pytest.raises(StudyError, match="cannot be read"):
            read_table(str(tmp_path / name))
    (tmp_path / "latin.csv").write_bytes("name,target\nJosé,1\n".encode("latin-1"))
    with pytest.raises(StudyError, match="not UTF-8 at byte"):
        read_table(str(tmp_path / "latin.csv"))
    with gzip.open(tmp_path / "cut.csv.gz", "wt") as file:
        file.write("a,target\n" + "1,2\n" * 10_000)
    cut = (tmp_path / "cut.csv.gz").read_bytes()
    (tmp_path / "cut.csv.gz").write_bytes(cut[: len(cut) // 2])
    with pytest.raises(StudyError, match="cannot be read"):
        read_table(str(tmp_path / "cut.csv.gz"))


def test_objects_in_an_npz_are_not_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.array([[print]], dtype=object), y=np.arange(1))
    with pytest.raises(StudyError, match="without pickled objects"):
        read_table(str(tmp_path / "a.npz"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"data": "irsi"}, r"'irsi' is no data set; did you mean 'iris'\?"),
        ({"data": "nowhere.csv"}, "'nowhere.csv' does not exist .looked at /"),
        ({"data": "openml:iris"}, "an OpenML id is a number"),
        ({"data": "iris", "target": "targte"}, r"no column 'targte' to predict; did you mean 'target'\?"),
        ({"data": "iris", "drop": ["x"]}, "worker_options.drop: iris has no column 'x'"),
        ({"data": "iris", "test": {"last": 500}}, "500 rows, but iris has 150"),
        ({"data": "iris", "test": {"column": "target", "value": 9}}, "9 must be in some rows"),
        ({"data": "iris", "task": "clasification"}, r"did you mean 'classification'\?"),
        ({"data": "iris", "metric": "rmsee"}, r"did you mean 'rmse'\?"),
        ({"data": "iris", "validation": 1.0}, "worker_options.validation: must be a number between 0 and 1"),
        ({"data": "iris", "fidelity": "folds"}, "worker_options.fidelity: 'folds' needs `resampling: cv`"),
        ({"data": "iris", "folds": 1}, "worker_options.folds: must be a whole number from 2"),
        ({"data": "iris", "test": 1}, "worker_options.test: must be a share below 1"),
        ({"data": "iris", "test": {"lats": 3}}, "worker_options.test: must be a share below 1"),
        ({"data": "iris", "categorical": "x"}, "worker_options.categorical: must be a list of names"),
        ({"data": "iris", "dorp": []}, r"worker_options.dorp: no such option; did you mean 'drop'\?"),
        ({"data": "iris", "keep": "yes"}, "worker_options.keep: must be true or false"),
        ({"data": 3}, "worker_options.data: must be text, not 3"),
    ],
)
def test_wrong_options_are_named_with_a_remedy(given, words):
    with pytest.raises(StudyError, match=words):
        Dataset(options(**given))


def test_an_openml_set_without_a_network_is_a_clear_error(monkeypatch):
    def unreachable(**_):
        raise OSError("no route to host")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", unreachable)
    with pytest.raises(StudyError, match=r"'openml:40996' cannot be fetched \(OSError: no route to host\); is there"):
        read_table("openml:40996")
