"""The estimators of SGHMC."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import check_estimator

from bohb_service.workers.sghmc import BNNClassifier, BNNRegressor, load
from tests.tables import mixed_frame

SHORT = {"n_steps": 400, "n_units_1": 16, "n_units_2": 16, "keep_every": 10, "random_state": 0}


@pytest.fixture(scope="module")
def diabetes():
    features, values = load_diabetes(return_X_y=True)
    return features[:300], values[:300], features[300:], values[300:]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [BNNClassifier, BNNRegressor])
def test_scikit_learn_finds_nothing_wrong(kind):
    results = check_estimator(kind(n_steps=1000, chains=1), on_skip=None, on_fail=None)

    failed = [f"{result['check_name']}: {result['exception']!r}" for result in results if result["status"] == "failed"]
    assert failed == []
    assert len(results) > 45


def test_a_regression_knows_how_sure_it_is(diabetes):
    features, values, new, truth = diabetes
    model = BNNRegressor(n_steps=2000, random_state=0).fit(features, values)

    mean, variance = model.predict_dist(new)
    low, high = model.predict_interval(new, 0.9)
    assert model.score(new, truth) > 0.4
    assert 0.8 < np.mean((truth >= low) & (truth <= high)) < 0.98
    np.testing.assert_array_equal(model.predict(new), mean)
    np.testing.assert_allclose(model.predict(new, return_std=True)[1] ** 2, variance)
    drawn = model.sample_y(new, 3000, random_state=1)
    assert drawn.shape == (len(new), 3000)
    np.testing.assert_allclose(drawn.mean(axis=1), mean, atol=0.2 * np.sqrt(variance).max())
    assert model.info_["samples"] == 28
    assert model.info_["steps_adapting"] == 600


def test_far_from_the_data_it_is_less_sure():
    rng = np.random.default_rng(0)
    inputs = rng.uniform(-1, 1, size=(60, 1))
    model = BNNRegressor(n_steps=3000, random_state=0).fit(inputs, np.sin(3 * inputs[:, 0]) + 0.1 * rng.normal(size=60))
    near, far = model.predict(np.array([[0.0], [6.0]]), return_std=True)[1]
    assert far > 1.5 * near


def test_chains_are_diagnosed(diabetes):
    features, values, new, _ = diabetes
    found = BNNRegressor(**SHORT).fit(features, values).diagnose(new[:6])
    assert set(found) == {"prediction", "log_variance"}
    assert found["prediction"].r_hat.shape == (6,)
    assert found["log_variance"].worst_r_hat > 0.99
    assert found["prediction"].least_ess > 1
    with pytest.raises(ValueError, match="draws of each chain are too few to diagnose"):
        BNNRegressor(**{**SHORT, "keep_every": 200}).fit(features, values).diagnose(new)


def test_the_same_seed_gives_the_same_networks_and_another_one_others(diabetes):
    features, values, new, _ = diabetes
    model = BNNRegressor(**SHORT).fit(features, values)
    np.testing.assert_array_equal(clone(model).fit(features, values).predict(new), model.predict(new))
    assert not np.array_equal(
        clone(model).set_params(random_state=1).fit(features, values).predict(new), model.predict(new)
    )


def test_saved_and_pickled_models_predict_the_same(diabetes, tmp_path):
    features, values, new, _ = diabetes
    model = BNNRegressor(**SHORT).fit(features, values)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").predict_dist(new), model.predict_dist(new))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(new), model.predict(new))


def test_classes_have_their_labels(tmp_path):
    features, numbers = load_iris(return_X_y=True)
    labels = np.array(["c", "a", "b"])[numbers]
    model = BNNClassifier(**{**SHORT, "n_steps": 1000}).fit(features, labels)
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert model.score(features, labels) > 0.9
    np.testing.assert_allclose(model.predict_proba(features).sum(axis=1), 1)
    model.save(tmp_path / "model")
    assert load(tmp_path / "model").predict(features).tolist() == model.predict(features).tolist()
    assert set(model.diagnose(features[:5])) == {"prediction"}


def test_tables_with_gaps_and_text_and_cross_validation():
    frame = mixed_frame()
    values = frame["x2"] * 10 + (frame["colour"] == "green") * 20
    frame["postcode"] = np.arange(len(frame)) % 3
    model = BNNRegressor(**{**SHORT, "categorical": ["postcode"], "n_steps": 800})
    fitted = clone(model).fit(frame, values)
    assert fitted.model_.feature_names == tuple(frame.columns)
    assert np.isfinite(fitted.predict(frame)).all()
    assert cross_val_score(model, frame.drop(columns="city"), values, cv=3).mean() > 0.3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"l_rate": -1.0}, "'l_rate' must be a number above 0"),
        ({"burn_in": 1.0}, "'burn_in' must be a number from 0 to below 1"),
        ({"l_rate": np.float64("inf")}, "'l_rate' must be a number above 0, not inf$"),
        ({"n_units_1": 2**70}, "'n_units_1' must be a whole number from 1 to 100000, not 1180591620717411303424"),
        ({"n_units_2": [8]}, r"'n_units_2' must be a whole number from 1 to 100000, not \[8\]"),
        ({"n_steps": 0}, r"^n_steps: must be a whole number from 1 to 1e\+09, not 0"),
        ({"chains": 0}, "^chains: must be a whole number from 1 to 1024, not 0"),
        ({"keep_every": np.float64(1.5)}, r"^keep_every: must be a whole number .* not 1\.5$"),
        ({"noise_prior": "wek"}, "^noise_prior: 'wek'; did you mean 'weak'"),
        ({"categorical": ["x10"]}, "^categorical: there is no column 'x10'; did you mean"),
        ({"categorical": "x0"}, "^categorical: must be a list of names of columns, not 'x0'"),
        ({"random_state": -1}, "^random_state must be a whole number from 0 to 4294967295, a .* not -1$"),
    ],
)
def test_wrong_settings_are_refused(diabetes, settings, words):
    features, values, *_ = diabetes
    with pytest.raises(ValueError, match=words):
        BNNRegressor(**settings).fit(features, values)


@pytest.mark.parametrize("wrong", [-1, 0, 1.5, True, None, "a", np.float64(2)])
def test_a_number_of_draws_that_is_none_is_refused(diabetes, wrong):
    features, values, new, _ = diabetes
    model = BNNRegressor(**SHORT).fit(features, values)
    with pytest.raises(ValueError, match=r"^n_samples: must be a whole number from 1 to 1e\+09, not ") as caught:
        model.sample_y(new, wrong)
    assert "np." not in str(caught.value)
    assert model.sample_y(new[:2], np.int64(3)).shape == (2, 3)


def test_wrong_arguments_of_predictions_are_named(diabetes):
    features, values, new, _ = diabetes
    model = BNNRegressor(**SHORT).fit(features, values)
    for level in ("most", None, 1, np.float64("inf"), True):
        with pytest.raises(
            ValueError, match=r"^level: must be a number between 0 and 1, both excluded, not "
        ) as caught:
            model.predict_interval(new, level)
        assert "np." not in str(caught.value)
    with pytest.raises(ValueError, match=r"^random_state must be a whole number from 0 to .* not -1$"):
        model.sample_y(new, 1, -1)
    with pytest.raises(ValueError, match=r"^count: must be a whole number from 1 to .* not 0$"):
        model.predictive(new).sample(0, np.random.default_rng(0))
    with pytest.raises(TypeError, match=r"^random: must be a numpy.random.Generator, such as .* not 3$"):
        model.predictive(new).sample(1, 3)


def test_a_column_that_is_missing_is_told():
    frame = pd.DataFrame({"a": np.arange(20.0), "b": 1.0})
    model = BNNRegressor(**SHORT).fit(frame, np.arange(20.0))
    with pytest.raises(ValueError, match="b"):
        model.predict(frame[["a"]])


def test_numbers_of_numpy_are_numbers(diabetes, tmp_path):
    features, values, *_ = diabetes
    given = {name: np.int64(value) for name, value in SHORT.items()}
    model = BNNRegressor(**given, l_rate=np.float64(0.02), chains=np.int32(1)).fit(features, values)
    same = BNNRegressor(**SHORT, l_rate=0.02, chains=1).fit(features, values)
    np.testing.assert_array_equal(model.predict(features), same.predict(features))
    model.save(tmp_path / "model")
    assert load(tmp_path / "model").facts == same.model_.facts
