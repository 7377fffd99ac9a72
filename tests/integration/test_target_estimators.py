"""The estimators of the built-in targets."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_iris
from sklearn.utils.estimator_checks import check_estimator

from bohb_service.workers import autonet, sklearn
from bohb_service.workers.autonet.portfolio import portfolio

TARGETS = {
    # A network needs that many epochs to explain half of the variance of scikit-learn's 200 rows.
    "autonet": (autonet, autonet.AutoNetClassifier, autonet.AutoNetRegressor, {"min_budget": 100, "max_budget": 100}),
    "sklearn": (sklearn, sklearn.AutoMLClassifier, sklearn.AutoMLRegressor, {"learners": ["decision_tree"]}),
}


@pytest.fixture(params=TARGETS)
def target(request):
    return TARGETS[request.param]


@pytest.mark.parametrize("which", [1, 2], ids=["classifier", "regressor"])
def test_scikit_learn_finds_nothing_wrong(target, which):
    kind, settings = target[which], target[3]

    results = check_estimator(kind(evaluations=1, workers=0, time_limit=60, **settings), on_skip=None, on_fail=None)

    failed = [f"{result['check_name']}: {result['exception']!r}" for result in results if result["status"] == "failed"]
    assert failed == []
    assert len(results) > 45


def test_a_search_with_workers_ends_with_an_ensemble_that_can_be_saved(target, tmp_path):
    package, kind, _, _ = target
    features, labels = load_iris(return_X_y=True)

    model = kind(evaluations=4, workers=1, time_limit=90, random_state=0).fit(features, np.array(list("abc"))[labels])
    model.save(tmp_path / "model")

    assert model.score(features, np.array(list("abc"))[labels]) > 0.6
    loaded = package.load(tmp_path / "model")
    np.testing.assert_allclose(loaded.predict_proba(features), model.predict_proba(features))
    assert loaded.predict(features).tolist() == model.predict(features).tolist()
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_proba(features), model.predict_proba(features))
    assert set(model.leaderboard()["status"]) == {"success"}


def test_refit_after_a_cross_validation_has_one_model_a_member(target):
    features, values = load_diabetes(return_X_y=True)
    model = target[2](evaluations=2, workers=0, time_limit=90, resampling="cv", random_state=0, **target[3])

    model.fit(features[:120], values[:120]).refit(features, values)

    assert [len(member["models"]) for member in model.show_models()] == [1] * len(model.members_)
    assert model.score(features, values) > 0.3


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        (autonet.AutoNetClassifier, {"space": "ful"}, r"^space: 'ful'; did you mean 'full'\?"),
        (
            autonet.AutoNetRegressor,
            {"early_stopping": -1},
            "^early_stopping: must be a whole number from 0 to .* not -1$",
        ),
        (autonet.AutoNetRegressor, {"threads": np.float64(1.5)}, r"^threads: must be a whole number .* not 1\.5$"),
        (
            autonet.AutoNetRegressor,
            {"max_budget": 10**7},
            "^max_budget: must be a whole number from 1 to .* not 10000000$",
        ),
        (autonet.AutoNetClassifier, {"metric": "rmse"}, "^metric: 'rmse'; choose from: error"),
        (
            sklearn.AutoMLClassifier,
            {"learners": ["randm_forest"]},
            "^learners: no learner 'randm_forest'; did you mean ",
        ),
        (sklearn.AutoMLClassifier, {"learners": ["ridge"]}, "^learners: ridge cannot do a classification"),
        (sklearn.AutoMLClassifier, {"learners": []}, "^learners: no learner is left"),
        (sklearn.AutoMLRegressor, {"exclude_learners": "mlp"}, "^exclude_learners: must be a list of names, not 'mlp'"),
        (sklearn.AutoMLRegressor, {"preprocessors": ["zz"]}, "^preprocessors: no preprocessor 'zz'; choose from: none"),
    ],
)
def test_wrong_parameters_are_named_as_they_were_given(kind, settings, words, workers):
    features, labels = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=words):
        kind(**settings, workers=workers).fit(features, labels)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is such a device")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_device_that_is_missing_is_told_before_anything_runs(workers):
    features, labels = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=r"^device: 'cuda', but PyTorch finds no such device"):
        autonet.AutoNetClassifier(device="cuda", workers=workers).fit(features, labels)


def test_numbers_of_numpy_are_numbers():
    features, labels = load_iris(return_X_y=True)
    numbers = {
        "early_stopping": 2,
        "threads": 1,
        "evaluations": 2,
        "ensemble_size": 1,
        "max_budget": 3,
        "time_limit": 60,
        "evaluation_limit": 30,
        "memory_limit": 3000,
        "random_state": 0,
    }
    given = {name: np.int64(value) for name, value in numbers.items()}

    models = [autonet.AutoNetClassifier(workers=0, **settings).fit(features, labels) for settings in (numbers, given)]

    np.testing.assert_array_equal(*(model.predict_proba(features) for model in models))


@pytest.mark.parametrize("workers", [0, 1])
def test_what_the_target_recommends_is_tried_first(workers):
    features, labels = load_iris(return_X_y=True)
    model = autonet.AutoNetClassifier(space="medium", evaluations=3, workers=workers, max_budget=9, random_state=0)

    model.fit(features, labels)

    tried = [dict(configuration.values) for configuration in model.run_.configurations[1:3]]
    assert tried == portfolio("medium", "classification")[:2]
