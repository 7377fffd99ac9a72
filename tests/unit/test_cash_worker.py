import json
import re
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bohb_service.errors import StudyError
from bohb_service.study import load_study
from bohb_service.worker.base import EvaluationContext
from bohb_service.workers.sklearn import EstimatorWorker, SklearnPipeline, load
from bohb_service.workers.sklearn.cash.features import PREPROCESSORS
from bohb_service.workers.sklearn.cash.learners.registry import learner_names
from bohb_service.workers.tabular.saved import MODEL
from tests.sealing import sealed_again
from tests.tables import mixed_frame

ROOT = Path(__file__).parents[2]
FOREST = {"learner": "random_forest"}
NEIGHBOURS = {"learner": "k_nearest_neighbours"}


def context(folder, budget=100.0, seed=0):
    return EvaluationContext("0.0", 0, budget, None, seed, folder)


def evaluate(worker, config, budget, folder, seed=0):
    return worker.compute(config, budget, context(folder, budget, seed))


@pytest.fixture
def own_table(tmp_path):
    frame = mixed_frame(n_rows=200)
    frame["label"] = np.where(frame["x2"] + frame["x3"] > 0, "yes", "no")
    path = tmp_path / "own.csv"
    frame.to_csv(path, index=False)
    return {"data": str(path), "target": "label"}


@pytest.mark.parametrize("config", [FOREST, {"learner": "mlp"}, {"learner": "lightgbm"}, NEIGHBOURS])
@pytest.mark.parametrize("fidelity", ["mixed", "iterations"])
def test_a_promoted_configuration_has_the_loss_of_a_fresh_one(tmp_path, config, fidelity):
    worker = SklearnPipeline(data="digits", metric="log_loss", fidelity=fidelity)
    budgets = (2.0, 6.0, 18.0) if "iterations" in fidelity or config != NEIGHBOURS else (40.0, 60.0, 80.0)
    found = [evaluate(worker, config, budget, tmp_path / "a")["loss"] for budget in budgets]
    fresh = [evaluate(worker, config, budget, tmp_path / f"b{budget}")["loss"] for budget in budgets]
    assert found == fresh
    assert len(set(found)) == (1 if (config, fidelity) == (NEIGHBOURS, "iterations") else 3)


def test_the_info_tells_what_was_trained_now_and_what_taken_over(tmp_path):
    worker = SklearnPipeline(data="wine")
    told = [evaluate(worker, FOREST, budget, tmp_path)["info"] for budget in (1.0, 3.0, 100.0)]
    assert [(info["iterations_trained"], info["iterations_resumed"]) for info in told] == [(6, 0), (10, 6), (496, 16)]
    assert told[0]["learner"] == "random_forest"
    again = evaluate(worker, FOREST, 100.0, tmp_path)["info"]
    assert again["iterations_resumed"] == 16


def test_another_seed_or_configuration_does_not_continue(tmp_path):
    worker = SklearnPipeline(data="wine")
    evaluate(worker, FOREST, 3.0, tmp_path)
    assert evaluate(worker, FOREST, 9.0, tmp_path, seed=1)["info"]["iterations_resumed"] == 0
    other = {**FOREST, "random_forest:min_samples_leaf": 2}
    assert evaluate(worker, other, 9.0, tmp_path)["info"]["iterations_resumed"] == 0
    assert evaluate(worker, other, 3.0, tmp_path)["info"]["iterations_resumed"] == 0


def test_a_damaged_checkpoint_is_not_continued(tmp_path):
    worker = SklearnPipeline(data="wine")
    loss = evaluate(worker, FOREST, 3.0, tmp_path)["loss"]
    path = tmp_path / "fold-0" / "checkpoint.bin"
    path.write_bytes(path.read_bytes()[:-10])
    found = evaluate(worker, FOREST, 3.0, tmp_path)
    assert (found["loss"], found["info"]["iterations_resumed"]) == (loss, 0)


def test_mixed_gives_rows_to_those_that_have_no_iterations(tmp_path):
    worker = SklearnPipeline(data="digits")
    least, few, many = (evaluate(worker, NEIGHBOURS, budget, tmp_path) for budget in (5.0, 60.0, 100.0))
    assert least["info"]["rows"] == 500
    assert few["info"]["rows"] == round(0.6 * many["info"]["rows"])
    assert many["loss"] < least["loss"]
    assert evaluate(worker, FOREST, 1.0, tmp_path)["info"]["rows"] == many["info"]["rows"]


def test_rows_and_folds_are_budgets_too(tmp_path):
    worker = SklearnPipeline(data="wine", fidelity="subsample")
    info = evaluate(worker, {**FOREST}, 25.0, tmp_path)["info"]
    assert info["iterations_trained"] == 512
    assert info["rows"] < 40
    worker = SklearnPipeline(data="wine", fidelity="folds", resampling="cv", folds=3)
    assert len(evaluate(worker, NEIGHBOURS, 2, tmp_path)["info"]["fold_losses"]) == 2


@pytest.mark.parametrize("budget", [0.0, -1.0, 101.0])
def test_a_budget_that_is_no_percentage_is_refused(tmp_path, budget):
    with pytest.raises(StudyError, match="is no percentage: above 0, at most 100"):
        evaluate(SklearnPipeline(data="wine"), FOREST, budget, tmp_path)


@pytest.mark.parametrize("learner", ["random_forest", "lightgbm", "xgboost", "hist_gradient_boosting", "libsvm_svc"])
def test_the_final_model_predicts_labels_of_own_data(tmp_path, own_table, learner):
    worker = SklearnPipeline(**own_table, model=str(tmp_path / "final"))
    told = worker.refit({"learner": learner}, 5.0, context(tmp_path / "run"))
    assert told["model"] == str(tmp_path / "final")
    assert told["test_error"] < 0.4
    assert told["baseline"]["name"] == "the default configuration"
    model = load(tmp_path / "final")
    frame = pd.read_csv(own_table["data"])
    strange = frame.drop(columns="label").assign(colour="violet", x0=np.nan)[::-1]
    labels = model.predict(strange)
    assert set(labels) == {"yes", "no"}
    assert np.mean(labels == frame["label"].to_numpy()[::-1]) > 0.6
    probabilities = model.predict_proba(strange)
    assert np.array_equal(probabilities.argmax(axis=1), (labels == "yes").astype(int))
    assert not list((tmp_path / "final").rglob("*.pkl"))
    facts = json.loads((tmp_path / "final" / "model.json").read_text())["facts"]
    assert facts["config"]["learner"] == learner


def test_the_final_model_of_a_regression_predicts_values(tmp_path):
    worker = SklearnPipeline(data="diabetes")
    told = worker.refit({"learner": "ridge"}, 100.0, context(tmp_path))
    from sklearn.datasets import load_diabetes

    table = load_diabetes(as_frame=True)
    found = load(told["model"]).predict(table.data)
    assert np.corrcoef(found, table.target)[0, 1] > 0.6


def test_one_changed_bit_of_a_saved_model_is_noticed(tmp_path):
    worker = SklearnPipeline(data="wine", model=str(tmp_path / "final"))
    worker.refit({"learner": "gaussian_nb"}, 100.0, context(tmp_path))
    path = tmp_path / "final" / "member-0" / "pipeline.skops"
    whole = path.read_bytes()
    for at in np.linspace(0, len(whole) - 1, 60).astype(int):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(StudyError, match=r"pipeline.skops: was changed since it was saved"):
            load(tmp_path / "final")
    path.write_bytes(whole)
    load(tmp_path / "final")


@pytest.mark.parametrize(
    "task", [{"kind": "regression", "classes": []}, {"kind": "classification", "classes": [0, 1, 2, 3]}]
)
def test_a_pipeline_of_another_task_is_refused_whatever_its_digest(tmp_path, task):
    worker = SklearnPipeline(data="wine", model=str(tmp_path / "final"))
    worker.refit({"learner": "gaussian_nb"}, 100.0, context(tmp_path))
    sealed_again(tmp_path / "final", MODEL, task=task)
    with pytest.raises(StudyError, match=r"cannot be read .*the outputs of the pipeline are not those of the task"):
        load(tmp_path / "final")


def test_the_labels_of_the_test_rows_change_nothing(tmp_path, own_table):
    frame = pd.read_csv(own_table["data"])
    frame["part"] = ["test" if number % 4 == 0 else "train" for number in range(len(frame))]
    poisoned = frame.copy()
    poisoned.loc[poisoned["part"] == "test", "label"] = "yes"
    losses = []
    for number, table in enumerate((frame, poisoned)):
        path = tmp_path / f"{number}.csv"
        table.to_csv(path, index=False)
        worker = SklearnPipeline(data=str(path), target="label", test={"column": "part", "value": "test"})
        losses.append(evaluate(worker, FOREST, 3.0, tmp_path / f"run{number}")["loss"])
    assert losses[0] == losses[1]


def test_the_readme_names_every_learner_preprocessor_and_option():
    text = (ROOT / "workers" / "sklearn" / "README.md").read_text()
    named = set(re.findall(r"`(\w+)`", text))
    assert {*learner_names(), *(step.name for step in PREPROCESSORS)} <= named
    assert {*SklearnPipeline.EXTRA, *EstimatorWorker.EXTRA} <= named
    assert all(f"`fidelity: {name}`" in text for name in SklearnPipeline.FIDELITIES)
    for kind, data in (("classification", "iris"), ("regression", "diabetes")):
        assert f"{len(SklearnPipeline.configuration_space(data=data))} for {kind}" in text


def test_the_workers_are_installed_by_name():
    found = {
        point.name: point.load() for point in entry_points(group="bohb_service.workers") if "sklearn" in point.name
    }
    assert found["sklearn"] is SklearnPipeline
    assert found["sklearn-estimator"] is EstimatorWorker


def test_the_shipped_studies_are_legal(own_table):
    study = load_study(ROOT / "configs" / "sklearn.yaml")
    SklearnPipeline.configuration_space(**study.worker_options)
    own = load_study(ROOT / "configs" / "sklearn-own-csv.yaml").worker_options
    SklearnPipeline(**{**own, **own_table}).setup()
    EstimatorWorker(**load_study(ROOT / "configs" / "sklearn-estimator.yaml").worker_options).setup()
