import io
import zipfile

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from threadpoolctl import threadpool_info, threadpool_limits

from bohb_service.errors import StudyError
from bohb_service.workers.sklearn.cash.features import PREPROCESSORS
from bohb_service.workers.sklearn.cash.learners.registry import LEARNERS, choose_learners
from bohb_service.workers.sklearn.cash.model import PipelineModel, quiet_single_thread, read_pipeline
from bohb_service.workers.sklearn.cash.recipes import make_recipe
from bohb_service.workers.sklearn.cash.storage import dump, restore
from bohb_service.workers.sklearn.cash.training import Fitted, probabilities
from bohb_service.workers.tabular.columns import Column, FeatureEncoder
from bohb_service.workers.tabular.rows import Fold, Rows
from bohb_service.workers.tabular.task import Task
from tests.tables import mixed_frame, mixed_table

EVERY = [(kind, learner.name) for learner in LEARNERS for kind in learner.kinds]
GROWING = [
    (kind, learner.name)
    for learner in LEARNERS
    for kind in learner.kinds
    if learner.iterations is not None and learner.iterations.resumes
]


def recipe_of(kind, config, seed=5):
    return make_recipe(config, kind, choose_learners(kind), PREPROCESSORS, seed)


def train(recipe, fold, percent=100.0, start=None):
    with quiet_single_thread():
        return recipe.train(fold.train, fold.encoder.columns, fold.task, recipe.iterations(percent), start)


def predict(fitted, features):
    with quiet_single_thread():
        return fitted.predict(features)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_learner_is_chosen_and_learns_and_gives_the_same_bits_again(kind, name, tmp_path):
    fold = mixed_table(kind)
    config = {"learner": name, "coalescing": "none"}
    recipe = recipe_of(kind, config)
    first, second = train(recipe, fold, 3), train(recipe, fold, 3)
    assert type(first.estimator).__module__.partition(".")[0] in ("sklearn", "xgboost", "lightgbm")
    prediction = predict(first, fold.judge.features)
    assert np.array_equal(prediction, predict(second, fold.judge.features))
    trained_on = predict(first, fold.train.features)
    if kind == "classification":
        assert np.mean(trained_on.argmax(axis=1) == fold.train.target) > 0.45
    else:
        assert np.mean((trained_on - fold.train.target) ** 2) < 0.95 * np.var(fold.train.target)
    PipelineModel(first).save(tmp_path)
    assert np.array_equal(prediction, predict(read_pipeline(tmp_path).fitted, fold.judge.features))


@pytest.mark.parametrize(("kind", "name"), GROWING)
def test_a_training_that_goes_on_gives_the_bits_of_one_in_one_go(kind, name):
    fold = mixed_table(kind)
    learner = next(entry for entry in choose_learners(kind) if entry.name == name)
    options = {
        "hist_gradient_boosting": {f"{name}:early_stopping": False, f"{name}:max_features": 0.5},
        "gradient_boosting": {f"{name}:subsample": 0.6, f"{name}:max_features": 0.5},
        "passive_aggressive": {f"{name}:C": 1e-4},
    }
    config = {"learner": name, "preprocessor": "pca", "pca:whiten": True, **options.get(name, {})}
    recipe = recipe_of(kind, config)
    most = learner.iterations.most
    fresh = train(recipe, fold, 12)
    part = train(recipe, fold, 1)
    assert part.iterations == -(-most // 100)
    for percent in (4, 12):
        part = train(recipe, fold, percent, restore(dump(part)))
    assert part.iterations == fresh.iterations
    assert np.array_equal(predict(part, fold.judge.features), predict(fresh, fold.judge.features))
    assert not np.array_equal(predict(part, fold.judge.features), predict(train(recipe, fold, 4), fold.judge.features))


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_a_training_that_stopped_by_itself_stays_as_it_is(kind):
    fold = mixed_table(kind)
    recipe = recipe_of(kind, {"learner": "hist_gradient_boosting", "hist_gradient_boosting:n_iter_no_change": 5})
    fold = Fold(fold.task, fold.encoder, _without_rare(fold.train), fold.judge, "x")
    stopped = train(recipe, fold, 50)
    assert 5 < stopped.iterations < 256
    before = predict(stopped, fold.judge.features)
    longer = train(recipe, fold, 100, restore(dump(stopped)))
    assert longer.iterations == stopped.iterations
    assert np.array_equal(predict(longer, fold.judge.features), before)
    assert np.array_equal(predict(train(recipe, fold, 100), fold.judge.features), before)


def _without_rare(rows):
    if rows.target.dtype.kind == "f":
        return rows
    return rows.select(np.flatnonzero(np.bincount(rows.target)[rows.target] > 1))


def test_iterations_are_shares_of_the_most_a_learner_can_have():
    forest = recipe_of("classification", {"learner": "random_forest"})
    assert [forest.iterations(percent) for percent in (0.01, 100 / 81, 100 / 3, 100)] == [1, 7, 171, 512]
    assert recipe_of("regression", {"learner": "sgd"}).iterations(100) == 1024
    assert recipe_of("regression", {"learner": "ridge"}).iterations(10) == 0


def test_iterations_bind_and_cost():
    """Ten times the budget is ten times the trees, passes and rounds."""
    fold = mixed_table("classification")
    for name, count in (
        ("random_forest", lambda e: len(e.estimators_)),
        ("mlp", lambda e: len(e.loss_curve_)),
        ("gradient_boosting", lambda e: len(e.estimators_)),
        ("lightgbm", lambda e: e.n_estimators),
        ("xgboost", lambda e: e.get_booster().num_boosted_rounds()),
    ):
        recipe = recipe_of("classification", {"learner": name})
        assert [count(train(recipe, fold, percent).estimator) for percent in (1, 10)] == [6, 52], name


def test_passes_end_when_there_is_nothing_more_to_learn():
    fold = mixed_table("regression")
    recipe = recipe_of("regression", {"learner": "sgd", "sgd:alpha": 0.1})
    assert 10 < train(recipe, fold).iterations < 1024


def test_values_that_were_not_learned_from_are_predicted():
    frame = mixed_frame()
    fold = mixed_table("classification")
    strange = frame.iloc[:3].copy()
    strange["city"] = ["Atlantis", None, "Avalon"]
    strange[["x0", "x1", "x2", "x3"]] = np.nan
    for encoding in ("one_hot", "ordinal"):
        for coalescing in ("minority", "none"):
            config = {"learner": "extra_trees", "encoding": encoding, "coalescing": coalescing}
            fitted = train(recipe_of("classification", config), fold, 2)
            found = predict(fitted, fold.encoder.transform(strange))
            assert np.allclose(found.sum(axis=1), 1)


def test_a_column_of_many_categories_becomes_no_more_than_64():
    n = 500
    codes = np.arange(n, dtype=np.float64)[:, None] % 250
    columns = (Column("id", tuple(str(code) for code in range(250))),)
    rows = Rows(codes, codes[:, 0] * 2.0)
    recipe = recipe_of("regression", {"learner": "ridge", "coalescing": "none"})
    with quiet_single_thread():
        fitted = recipe.train(rows, columns, Task("regression"), 0)
    assert fitted.transform(codes).shape == (n, 64)


@pytest.mark.parametrize("preprocessor", [step.name for step in PREPROCESSORS])
@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_the_smallest_tables_are_learned(kind, preprocessor):
    """Two rows of one constant column, and two of one that varies."""
    task = Task("classification", (0, 1)) if kind == "classification" else Task("regression")
    target = np.array([0, 1]) if kind == "classification" else np.array([1.0, 2.0])
    for values in ([[1.0], [1.0]], [[0.0], [1.0]]):
        rows = Rows(np.array(values), target)
        recipe = recipe_of(kind, {"learner": "k_nearest_neighbours", "preprocessor": preprocessor})
        with quiet_single_thread():
            fitted = recipe.train(rows, (Column("x"),), task, 0)
        assert np.isfinite(predict(fitted, rows.features)).all()


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_learner_learns_from_few_rows(kind, name):
    draw = np.random.default_rng(0)
    columns = (Column("x"), Column("y"))
    task = Task("classification", (0, 1, 2)) if kind == "classification" else Task("regression")
    target = np.array([0, 0, 1, 1, 2, 2, 2]) if kind == "classification" else draw.normal(size=7)
    rows = Rows(draw.normal(size=(7, 2)), target)
    fold = Fold(task, FeatureEncoder(columns), rows, rows, "few")
    assert np.isfinite(predict(train(recipe_of(kind, {"learner": name}), fold, 2), rows.features)).all()


def test_a_single_class_needs_no_learner():
    fold = mixed_table("classification")
    rows = fold.train.select(np.flatnonzero(fold.train.target == 1))
    fold = Fold(fold.task, fold.encoder, rows, fold.judge, "one")
    found = predict(train(recipe_of("classification", {}), fold, 1), fold.judge.features)
    assert found.tolist() == [[0.0, 1.0, 0.0, 0.0]] * len(fold.judge)


def test_classes_that_do_not_occur_have_no_probability():
    fold = mixed_table("classification")
    rows = fold.train.select(np.flatnonzero(np.isin(fold.train.target, (0, 2))))
    fold = Fold(fold.task, fold.encoder, rows, fold.judge, "two")
    for name in ("xgboost", "libsvm_svc", "lda"):
        found = predict(train(recipe_of("classification", {"learner": name}), fold, 1), fold.judge.features)
        assert (found[:, [1, 3]] == 0).all()
        assert np.allclose(found.sum(axis=1), 1)


def test_balanced_weights_help_the_rare_class():
    draw = np.random.default_rng(1)
    target = (draw.random(400) < 0.1).astype(np.int64)
    rows = Rows(draw.normal(size=(400, 2)) + target[:, None], target)
    fold = Fold(Task("classification", (0, 1)), FeatureEncoder((Column("x"), Column("y"))), rows, rows, "rare")
    found = {}
    for weighting in ("none", "balanced"):
        for name in ("logistic_regression", "sgd", "mlp", "lightgbm"):
            fitted = train(recipe_of("classification", {"learner": name, "weighting": weighting}), fold, 2)
            found[name, weighting] = predict(fitted, rows.features).argmax(axis=1).mean()
    for name in ("logistic_regression", "sgd", "mlp", "lightgbm"):
        assert found[name, "balanced"] > 1.5 * found[name, "none"], name


def test_a_step_that_overflows_says_which():
    rows = Rows(np.array([[1e200], [-1e200], [0.0]]), np.array([1.0, 2.0, 3.0]))
    recipe = recipe_of("regression", {"rescaling": "none", "preprocessor": "polynomial"})
    with pytest.raises(FloatingPointError, match="polynomial: makes values that are not finite"), quiet_single_thread():
        recipe.train(rows, (Column("x"),), Task("regression"), 1)


def test_labels_alone_are_probabilities_of_0_and_1():
    class Labels(ClassifierMixin, BaseEstimator):
        classes_ = np.array([0, 1])

        def predict(self, features):
            return (features[:, 0] > 0).astype(int)

    assert probabilities(Labels(), np.array([[1.0], [-1.0]])).tolist() == [[0.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize(("n_features", "tree"), [(2, "kd_tree"), (12, "kd_tree"), (30, None)])
@pytest.mark.parametrize("p", [1, 2])
def test_neighbours_are_saved_with_whatever_they_are_found_by(n_features, tree, p):
    draw = np.random.default_rng(0)
    rows = Rows(draw.normal(size=(300, n_features)), draw.normal(size=300))
    recipe = recipe_of("regression", {"learner": "k_nearest_neighbours", "k_nearest_neighbours:p": p})
    columns = tuple(Column(f"x{number}") for number in range(n_features))
    with quiet_single_thread():
        fitted = recipe.train(rows, columns, Task("regression"), 0)
    assert fitted.estimator._fit_method == (tree or "brute")
    assert np.array_equal(predict(restore(dump(fitted)), rows.features), predict(fitted, rows.features))


@pytest.mark.parametrize(("kind", "most"), [("classification", 300), ("regression", 1500)])
def test_a_learner_of_cubic_cost_learns_from_a_part_of_the_rows(kind, most):
    draw = np.random.default_rng(0)
    target = draw.normal(size=1600) if kind == "regression" else draw.integers(0, 2, 1600)
    rows = Rows(draw.normal(size=(1600, 2)), target)
    task = Task(kind) if kind == "regression" else Task(kind, (0, 1))
    recipe = recipe_of(kind, {"learner": "gaussian_process"})
    with quiet_single_thread():
        fitted = recipe.train(rows, (Column("x"), Column("y")), task, 0)
    process = fitted.estimator if kind == "regression" else fitted.estimator.base_estimator_
    assert process.X_train_.shape == (most, 2)


def test_one_thread_does_all():
    with threadpool_limits(2), quiet_single_thread():
        assert {library["num_threads"] for library in threadpool_info()} == {1}


@pytest.mark.parametrize("name", ["random_forest", "gradient_boosting", "hist_gradient_boosting"])
def test_trees_are_saved_as_few_arrays(name):
    fold = mixed_table("classification", n_rows=300)
    recipe = recipe_of("classification", {"learner": name})
    fitted = train(recipe, fold, 10)
    content = dump(fitted)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert len(archive.namelist()) < 80
    assert np.array_equal(predict(restore(content), fold.judge.features), predict(fitted, fold.judge.features))


class Stranger(BaseEstimator):
    """Not of the space."""


def test_a_model_of_a_type_that_is_not_listed_is_not_read():
    content = dump(Fitted([], Stranger(), np.empty(0, dtype=np.int64), 1))
    name = f"{Stranger.__module__}.Stranger"
    with pytest.raises(StudyError, match=f"not trusted: {name}"):
        restore(content)
    assert type(restore(content, [name]).estimator).__name__ == "Stranger"
