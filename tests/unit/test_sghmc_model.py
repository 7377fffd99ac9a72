import json

import arviz
import numpy as np
import pytest
import torch
from scipy.stats import norm

from bohb_service.errors import StudyError
from bohb_service.workers.sghmc import BayesianModel, load
from bohb_service.workers.sghmc.diagnostics import diagnose
from bohb_service.workers.sghmc.layout import Layout
from bohb_service.workers.sghmc.model import SampledNetworks
from bohb_service.workers.sghmc.predictive import Predictive
from bohb_service.workers.sghmc.preparation import Preparation
from bohb_service.workers.sghmc.target_scale import TargetScale, residual_variance
from bohb_service.workers.tabular.columns import FeatureEncoder
from bohb_service.workers.tabular.saved import MODEL, Member, save_model
from bohb_service.workers.tabular.task import Task
from tests.sealing import sealed_again
from tests.tables import mixed_frame

LEVELS = [None, 3, None]


def features(rows=50, seed=0):
    """A number with gaps, a category with gaps, and a constant."""
    rng = np.random.default_rng(seed)
    made = np.stack([rng.normal(3.0, 5.0, rows), rng.integers(0, 3, rows).astype(float), np.full(rows, 1e6)], axis=1)
    made[::7, 0] = np.nan
    made[::5, 1] = np.nan
    return made


def networks(is_classification, chains=2, draws=3, seed=0, scale=None):
    rng = np.random.default_rng(seed)
    outputs = 3 if is_classification else 1
    preparation = Preparation.fit(features(), LEVELS)
    layout = Layout(len(preparation.mean), 4, 5, outputs, is_classification)
    samples = rng.normal(size=(chains, draws, layout.size))
    return SampledNetworks(layout, preparation, scale or TargetScale(), samples)


def model(*members, task=None):
    encoder = FeatureEncoder.fit(mixed_frame()[:60][["x0", "colour", "constant"]])
    task = task or Task("regression")
    share = 1 / len(members)
    return BayesianModel(task, tuple(Member(share, encoder, member) for member in members), {"target": "sghmc"})


# Preparation


def test_columns_are_standardised_gaps_are_the_mean_and_categories_columns_of_their_own():
    prepared = Preparation.fit(features(), LEVELS).transform(features())
    assert prepared.shape == (50, 5)
    number = prepared[:, 0]
    assert np.all(number[::7] == 0)
    known = np.delete(number, np.arange(0, 50, 7))
    assert known.mean() == pytest.approx(0)
    assert known.std() == pytest.approx(1)
    for level in (1, 2, 3):
        assert prepared[:, level].mean() == pytest.approx(0)
        assert prepared[:, level].std() == pytest.approx(1)
    assert not prepared[:, 4].any()


def test_a_missing_category_is_like_a_new_one():
    preparation = Preparation.fit(features(), LEVELS)
    rows = np.array([[1.0, np.nan, 0.0], [1.0, 17.0, 0.0]])
    np.testing.assert_array_equal(*preparation.transform(rows))


def test_other_rows_are_measured_with_the_scale_of_the_training_rows():
    preparation = Preparation.fit(features(), LEVELS)
    one = preparation.transform(features(seed=1)[:1])
    np.testing.assert_array_equal(one, preparation.transform(features(seed=1))[:1])


def test_columns_without_a_value_and_tables_without_rows():
    empty = np.full((4, 1), np.nan)
    assert not Preparation.fit(empty, [None]).transform(empty).any()
    assert Preparation.fit(features(), LEVELS).transform(features()[:0]).shape == (0, 5)


def test_a_preparation_is_plain_data():
    preparation = Preparation.fit(features(), LEVELS)
    again = Preparation.from_json(json.loads(json.dumps(preparation.to_json())))
    np.testing.assert_array_equal(again.transform(features()), preparation.transform(features()))


# The target


def test_the_target_is_standardised_and_a_constant_one_stays_finite():
    values = np.array([10.0, 20.0, 60.0])
    scaled = TargetScale.of(values).standardised(values)
    assert scaled.mean() == pytest.approx(0)
    assert scaled.std() == pytest.approx(1)
    assert TargetScale.of(np.full(5, 0.1)).deviation == 1.0


def test_the_residual_variance_is_that_of_the_linear_fit():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(4000, 3))
    target = inputs @ [1.0, 2.0, 3.0] + 5.0 + 0.3 * rng.normal(size=4000)
    assert residual_variance(inputs, target) == pytest.approx(0.09, rel=0.05)
    # Without the correction for three columns and a constant this would be half of it.
    few = [residual_variance(inputs[i : i + 8], target[i : i + 8]) for i in range(0, 4000, 8)]
    assert np.mean(few) == pytest.approx(0.09, rel=0.1)


def test_a_linear_fit_that_is_exact_or_has_too_few_rows_leaves_some_noise():
    inputs = np.arange(6.0)[:, None]
    assert residual_variance(inputs, 2 * inputs[:, 0]) == 1e-6
    assert residual_variance(np.eye(4), np.array([1.0, -1.0, 1.0, -1.0])) == 0.5


# Predictions


def test_mean_and_variance_are_those_of_the_mixture():
    means, noise = np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]]), np.array([1.0, 2.0, 3.0])
    found = Predictive(means, noise, np.array([0.25, 0.5, 0.25]))
    np.testing.assert_allclose(found.mean, [2.0, 1.0])
    np.testing.assert_allclose(found.variance, [2.0 + 2.0, 2.0])
    np.testing.assert_allclose(found.moments(), [[2.0, 4.0], [1.0, 2.0]])


def test_intervals_and_draws_are_those_of_the_distribution():
    rng = np.random.default_rng(0)
    found = Predictive(rng.normal(size=(30, 2)), np.full(30, 4.0), np.full(30, 1 / 30))
    low, high = found.interval(0.9)
    np.testing.assert_allclose(norm.cdf(high, found.mean, np.sqrt(found.variance)), 0.95)
    np.testing.assert_allclose(norm.cdf(low, found.mean, np.sqrt(found.variance)), 0.05)

    drawn = found.sample(40_000, np.random.default_rng(1))
    assert drawn.shape == (40_000, 2)
    np.testing.assert_allclose(drawn.mean(axis=0), found.mean, atol=0.05)
    np.testing.assert_allclose(drawn.var(axis=0), found.variance, rtol=0.03)
    assert np.mean((drawn >= low) & (drawn <= high)) == pytest.approx(0.9, abs=0.01)
    # Both rows of a draw come from one network.
    expected = np.cov(found.means.T)[0, 1] * 29 / 30
    assert np.cov(drawn.T)[0, 1] == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, 90])
def test_a_level_that_is_no_share_is_refused(level):
    with pytest.raises(ValueError, match="level: must be a number between 0 and 1, both excluded, not"):
        Predictive(np.zeros((1, 1)), np.ones(1), np.ones(1)).interval(level)


def test_a_regression_is_predicted_on_the_scale_of_the_data():
    plain = networks(is_classification=False)
    scaled = networks(is_classification=False, scale=TargetScale(mean=100.0, deviation=7.0))
    mean, variance = plain.predict(features()).T
    np.testing.assert_allclose(scaled.predict(features()), np.stack([mean * 7 + 100, variance * 49], axis=1))


def test_probabilities_are_the_mean_over_the_networks():
    found = networks(is_classification=True)
    inputs = torch.from_numpy(found.preparation.transform(features()))
    each = [
        torch.softmax(found.layout.parts(torch.from_numpy(vector)[None]).outputs(inputs[None])[0], 1).numpy()
        for vector in found.samples.reshape(6, -1)
    ]
    np.testing.assert_allclose(found.predict(features()), np.mean(each, axis=0))


def test_no_rows_can_be_predicted():
    assert networks(is_classification=True).predict(features()[:0]).shape == (0, 3)
    assert networks(is_classification=False).predict(features()[:0]).shape == (0, 2)


# Saved models


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_a_saved_model_predicts_the_same(kind, tmp_path):
    task = Task(kind, ("a", "b", "c") if kind == "classification" else ())
    members = [networks(kind == "classification", seed=seed, scale=TargetScale(5.0, 2.0)) for seed in (0, 1)]
    made = model(*members, task=task)
    save_model(tmp_path / "model", task, made.members, made.facts)

    loaded = load(tmp_path / "model")

    frame = mixed_frame()
    assert loaded.predict(frame).tolist() == made.predict(frame).tolist()
    assert not list(tmp_path.rglob("*.pkl")) + list(tmp_path.rglob("*.skops"))
    if kind == "classification":
        np.testing.assert_array_equal(loaded.predict_proba(frame), made.predict_proba(frame))
        with pytest.raises(StudyError, match="a classification has no mean and variance; call predict_proba"):
            loaded.predict_dist(frame)
    else:
        np.testing.assert_array_equal(loaded.predict_dist(frame), made.predict_dist(frame))
        with pytest.raises(StudyError, match="a regression has no probabilities"):
            loaded.predict_proba(frame)


def test_the_networks_of_all_members_are_one_mixture():
    first, second = (networks(is_classification=False, seed=seed) for seed in (0, 1))
    frame = mixed_frame()
    mean, variance = model(first, second).predict_dist(frame)
    (mean_1, variance_1), (mean_2, variance_2) = (model(each).predict_dist(frame) for each in (first, second))
    np.testing.assert_allclose(mean, (mean_1 + mean_2) / 2)
    np.testing.assert_allclose(variance, (variance_1 + variance_2) / 2 + ((mean_1 - mean_2) / 2) ** 2)
    np.testing.assert_array_equal(model(first, second).predict(frame), mean)


def saved_regression(folder):
    made = model(networks(is_classification=False))
    save_model(folder, made.task, made.members, made.facts)
    return made


@pytest.mark.parametrize("name", ["networks.json", "networks.safetensors"])
def test_one_changed_bit_of_a_saved_model_is_noticed(name, tmp_path):
    made = saved_regression(tmp_path / "model")
    path = tmp_path / "model" / "member-0" / name
    whole = path.read_bytes()
    for at in np.linspace(0, len(whole) - 1, 60).astype(int):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(StudyError, match=f"{name}: was changed since it was saved"):
            load(tmp_path / "model")
    path.write_bytes(whole)
    assert load(tmp_path / "model").predict(mixed_frame()).tolist() == made.predict(mixed_frame()).tolist()


def changed_samples(samples, name):
    changed = samples.copy()
    changed[0, 0, 0] = np.inf
    return {
        "shape": {"samples": np.ascontiguousarray(samples[:, :, 1:])},
        "dimension": {"samples": samples[0]},
        "type": {"samples": samples.astype(np.float32)},
        "infinite": {"samples": changed},
        "name": {"sample": samples},
    }[name]


@pytest.mark.parametrize("damage", ["shape", "dimension", "type", "infinite", "name"])
def test_samples_that_do_not_fit_are_refused_whatever_their_digest(damage, tmp_path):
    from safetensors.numpy import save_file

    made = saved_regression(tmp_path / "model")
    save_file(
        changed_samples(made.members[0].model.samples, damage), tmp_path / "model" / "member-0" / "networks.safetensors"
    )
    sealed_again(tmp_path / "model", MODEL)
    with pytest.raises(StudyError, match=r"the model cannot be read .*copy the whole folder"):
        load(tmp_path / "model")


WRONG = [
    ("layout", {"n_inputs": "5"}),
    ("layout", {"n_inputs": 10**15}),
    ("layout", {"n_units_1": 5}),
    ("layout", {"n_outputs": 2}),
    ("layout", {"is_classification": True}),
    ("layout", {"n_units_3": 5}),
    ("scale", {"mean": "0"}),
    ("scale", {"mean": [0.0, 1.0]}),
    ("scale", {"deviation": None}),
    ("preparation", {"n_levels": [None, 4, None]}),
    ("preparation", {"n_levels": ["a", 3, None]}),
    ("preparation", {"n_levels": 3}),
    ("preparation", {"mean": [0.0]}),
    ("preparation", {"mean": ["a"] * 5}),
    ("preparation", {"deviation": 1.0}),
]


@pytest.mark.parametrize(("part", "change"), WRONG)
def test_facts_that_do_not_fit_are_refused_whatever_their_digest(part, change, tmp_path):
    saved_regression(tmp_path / "model")
    path = tmp_path / "model" / "member-0" / "networks.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, part: {**facts[part], **change}}))
    sealed_again(tmp_path / "model", MODEL)
    with pytest.raises(StudyError, match=r"the model cannot be read .*copy the whole folder"):
        load(tmp_path / "model")
    for name in change:
        facts[part].pop(name, None)
        path.write_text(json.dumps(facts))
        sealed_again(tmp_path / "model", MODEL)
        if name != "n_units_3":
            with pytest.raises(StudyError, match="the model cannot be read"):
                load(tmp_path / "model")


# Diagnostics


def test_chains_that_agree_are_told_from_chains_that_do_not():
    rng = np.random.default_rng(0)
    good, apart = rng.normal(size=(4, 500, 2)), rng.normal(size=(4, 500)) + np.arange(4)[:, None] * 3
    found = diagnose({"good": good, "apart": apart})
    assert found["good"].r_hat.shape == (2,)
    assert found["good"].worst_r_hat < 1.01
    assert 1500 < found["good"].least_ess < 2500
    assert found["apart"].worst_r_hat > 1.5
    assert found["apart"].least_ess < 20


def test_draws_that_depend_on_each_other_are_worth_less():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(4, 2000))
    slow = np.zeros((4, 2000))
    for step in range(1, 2000):
        slow[:, step] = 0.9 * slow[:, step - 1] + noise[:, step]
    found = diagnose({"slow": slow})["slow"]
    # An autoregression of this kind is worth (1 - 0.9) / (1 + 0.9) of its draws.
    assert found.ess_bulk == pytest.approx(8000 / 19, rel=0.3)
    assert found.ess_tail == pytest.approx(arviz.ess(slow, method="tail"))
    assert found.ess_tail != found.ess_bulk


def test_a_few_draws_or_constants_tell_nothing():
    with pytest.raises(ValueError, match="x: 3 draws of each chain are too few to diagnose; 4 are needed"):
        diagnose({"x": np.zeros((2, 3))})
    assert np.isnan(diagnose({"x": np.zeros((2, 10))})["x"].worst_r_hat)


def test_traces_follow_the_chains():
    found = networks(is_classification=False, chains=3, draws=5, scale=TargetScale(1.0, 2.0))
    traces = found.traces(features()[:4])
    assert traces["prediction"].shape == (3, 5, 4)
    np.testing.assert_array_equal(traces["log_variance"], found.samples[:, :, -1])
    one = SampledNetworks(found.layout, found.preparation, found.scale, found.samples[1:2, 2:3])
    np.testing.assert_allclose(traces["prediction"][1, 2], one.predict(features()[:4])[:, 0])
    assert networks(is_classification=True).traces(features()[:4])["prediction"].shape == (2, 3, 12)
