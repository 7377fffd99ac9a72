from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bohb_service.errors import SpaceError, StudyError
from bohb_service.worker.base import EvaluationContext
from bohb_service.workers.sklearn import EstimatorWorker, load
from bohb_service.workers.sklearn.cash.estimators import load_maker, make_estimator
from tests.tables import mixed_frame

FOREST = "sklearn.ensemble:RandomForestClassifier"
FILE = f"{Path(__file__).parents[1] / 'estimators.py'}"


def context(folder, budget=100.0):
    return EvaluationContext("0.0", 0, budget, None, 3, folder)


def evaluate(worker, config, budget, folder):
    return worker.compute(config, budget, context(folder, budget))


@pytest.fixture
def own_table(tmp_path):
    frame = mixed_frame(n_rows=200)
    frame["label"] = np.where(frame["x2"] + frame["x3"] > 0, "yes", "no")
    path = tmp_path / "own.csv"
    frame.to_csv(path, index=False)
    return {"data": str(path), "target": "label"}


def test_hyperparameters_are_parameters_and_the_budget_is_one_of_them(tmp_path):
    worker = EstimatorWorker(
        data="digits",
        estimator=FOREST,
        fixed={"max_depth": 6},
        fidelity="parameter",
        fidelity_parameter="n_estimators",
    )
    config = {"max_features": 0.4, "min_samples_leaf": 3}
    losses = [evaluate(worker, config, budget, tmp_path)["loss"] for budget in (1.0, 5.0, 40.0)]
    assert losses[0] > losses[1] > losses[2]
    assert evaluate(worker, config, 40.0, tmp_path / "again")["loss"] == losses[2]
    told = worker.refit(config, 7.0, context(tmp_path))
    forest = load(told["model"]).members[0].model.fitted.estimator
    assert (forest.max_features, forest.min_samples_leaf, forest.max_depth) == (0.4, 3, 6)
    assert len(forest.estimators_) == 7
    assert forest.random_state is not None
    assert told["baseline"]["test_error"] > 0


def test_rows_and_folds_are_budgets(tmp_path):
    worker = EstimatorWorker(data="digits", estimator=FOREST, fixed={"n_estimators": 20})
    found = [evaluate(worker, {}, budget, tmp_path) for budget in (5.0, 100.0)]
    assert found[0]["info"]["rows"] == round(0.05 * found[1]["info"]["rows"])
    assert found[0]["loss"] > found[1]["loss"]
    worker = EstimatorWorker(data="iris", estimator=FOREST, fidelity="folds", resampling="cv", folds=4)
    assert len(evaluate(worker, {}, 2, tmp_path)["info"]["fold_losses"]) == 2


def test_a_function_makes_a_pipeline_and_nested_names_reach_its_parts(tmp_path):
    worker = EstimatorWorker(data="wine", estimator=f"{FILE}:scaled_regression", fixed={"with_mean": False})
    config = {"logisticregression__C": 0.01}
    assert evaluate(worker, config, 100.0, tmp_path)["loss"] < 0.2
    pipeline = load(worker.refit(config, 100.0, context(tmp_path))["model"]).members[0].model.fitted.estimator
    assert pipeline[0].with_mean is False
    assert pipeline[1].C == 0.01
    assert pipeline[1].random_state is not None


def test_an_own_class_predicts_and_is_saved_if_it_is_trusted(tmp_path):
    worker = EstimatorWorker(data="wine", estimator=f"{FILE}:Centroids")
    assert evaluate(worker, {"shrink": 0.01}, 100.0, tmp_path)["loss"] < 0.5
    told = worker.refit({"shrink": 0.01}, 100.0, context(tmp_path))
    with pytest.raises(StudyError, match=r"types that are not trusted: estimators\.Centroids; name them as `trusted`"):
        load(told["model"])
    assert load(told["model"], trusted=["estimators.Centroids"]).task.n_outputs == 3


@pytest.mark.parametrize("form", ["clean", "codes", "frame"])
def test_the_estimator_gets_what_it_asks_for(tmp_path, own_table, form):
    worker = EstimatorWorker(
        **own_table,
        estimator="sklearn.ensemble:HistGradientBoostingClassifier",
        fixed={"max_iter": 20, **({"categorical_features": "from_dtype"} if form == "frame" else {})},
        input=form,
        drop=["empty"],
    )
    told = worker.refit({}, 100.0, context(tmp_path))
    model = load(told["model"])
    seen = model.members[0].model.fitted
    frame = pd.read_csv(own_table["data"])
    assert np.mean(model.predict(frame.assign(city="nowhere")) == frame["label"]) > 0.8
    rows = seen.transform(model.members[0].encoder.transform(frame))
    if form == "frame":
        assert isinstance(rows["colour"].dtype, pd.CategoricalDtype)
        assert rows["colour"].iloc[:50].astype(object).where(rows["colour"].iloc[:50].notna(), None).tolist() == [
            None if pd.isna(value) else value for value in frame["colour"].iloc[:50]
        ]
        assert seen.estimator.is_categorical_.sum() == 2
    elif form == "codes":
        assert rows.shape == (200, 7)
        assert np.isnan(rows[:, :2]).any()
    else:
        assert not np.isnan(rows).any()
        assert rows.shape[1] > 30


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "worker_options.estimator: say which"),
        ({"estimator": "forest"}, "'forest' is neither package.module:Class nor path"),
        ({"estimator": "sklearn.ensemble:RandomForestClasifier"}, "did you mean 'RandomForestClassifier'"),
        (
            {"estimator": "sklearn.nowhere:Forest"},
            "worker_options.estimator: 'sklearn.nowhere:Forest': there is no module",
        ),
        ({"estimator": f"{FILE[:-4]}.py:Centroids"}, "there is no file"),
        ({"estimator": f"{FILE}:nothing"}, "gives a int, which has no fit and predict"),
        ({"estimator": "sklearn.linear_model:Ridge"}, "Ridge is for regression, and the data set is a classification"),
        ({"estimator": FOREST, "fixed": [1]}, "worker_options.fixed: must map names"),
        ({"estimator": FOREST, "input": "array"}, "worker_options.input: 'array'; choose from: clean, codes, frame"),
        ({"estimator": FOREST, "fidelity": "parameter"}, "fidelity_parameter: name the parameter"),
        ({"estimator": FOREST, "fidelity_parameter": "n_estimators"}, "fidelity_parameter: name the parameter"),
        (
            {"estimator": FOREST, "fidelity": "parameter", "fidelity_parameter": "a", "fixed": {"a": 1}},
            "must be the name of a parameter that is not under `fixed`",
        ),
    ],
)
def test_a_wrong_option_says_what_to_do(tmp_path, options, words):
    with pytest.raises(StudyError, match=words):
        evaluate(EstimatorWorker(data="iris", **options), {}, 100.0, tmp_path)


def test_a_name_that_is_no_parameter_is_refused(tmp_path):
    worker = EstimatorWorker(data="iris", estimator=FOREST)
    with pytest.raises(
        SpaceError, match="'max_dept' is no parameter of RandomForestClassifier; did you mean 'max_depth'"
    ):
        evaluate(worker, {"max_dept": 3}, 100.0, tmp_path)


def test_the_budget_is_neither_searched_nor_a_fraction(tmp_path):
    worker = EstimatorWorker(data="iris", estimator=FOREST, fidelity="parameter", fidelity_parameter="n_estimators")
    with pytest.raises(SpaceError, match="'n_estimators' is the budget; leave it out of the space"):
        evaluate(worker, {"n_estimators": 3}, 5.0, tmp_path)
    with pytest.raises(StudyError, match=r"budget 2\.5 is no whole number"):
        evaluate(worker, {}, 2.5, tmp_path)


def test_seeds_reach_every_part_that_has_none_of_its_own():
    make = load_maker("sklearn.ensemble:BaggingClassifier")
    from sklearn.tree import DecisionTreeClassifier

    parameters = {"estimator": DecisionTreeClassifier(), "estimator__random_state": 4}
    made = make_estimator(make, parameters, "classification", 9)
    assert (made.random_state, made.estimator.random_state) == (9, 4)
