import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from bohb_service.errors import SpaceError, StudyError
from bohb_service.study import load_study
from bohb_service.worker.base import EvaluationContext
from bohb_service.workers.sghmc import SGHMC, BayesianModel, load
from bohb_service.workers.sghmc.course import Chains
from bohb_service.workers.sghmc.hyperparameters import Hyperparameters
from bohb_service.workers.sghmc.options import SamplingOptions
from tests.tables import mixed_frame

CONFIGS = Path(__file__).parents[2] / "configs"
SMALL = {"n_units_1": 6, "n_units_2": 5, "l_rate": 0.02, "mdecay": 0.2}
MODES = pytest.mark.parametrize("adaptation", [20, "budget"])


def context(directory, seed=7, curve=None):
    points = [] if curve is None else curve
    return EvaluationContext("0.0", 0, 1.0, None, seed, directory, report=lambda *point: points.append(point))


def evaluate(worker, config, budget, directory, seed=7):
    result = worker.compute(config, float(budget), context(directory, seed))
    return result["loss"], result["info"]


def checkpoint(folder):
    """The arrays of the checkpoint that an evaluation has left."""
    content = (folder / "fold-0" / "checkpoint.bin").read_bytes()
    with np.load(io.BytesIO(content[32:])) as archive:
        return dict(archive)


def short(data="diabetes", **options):
    """A worker for small budgets."""
    return SGHMC(**{"data": str(data), "adaptation": 20, "keep_every": 5, **options})


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Files with numbers, gaps, categories and a constant column; a class and a value to predict."""
    folder = tmp_path_factory.mktemp("tables")
    frame = mixed_frame().drop(columns=["empty", "city"])
    value = frame["x2"] * 10 + (frame["colour"] == "green") * 5
    frame.assign(target=np.where(value > 5, "high", np.where(value > -5, "middle", "low"))).to_csv(
        folder / "classes.csv", index=False
    )
    frame.assign(target=value + 1000.5).to_csv(folder / "values.csv", index=False)
    return folder


# Package, options, configurations


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"noise_prio": "weak"}, "worker_options.noise_prio: no such option; did you mean 'noise_prior'"),
        ({"noise_prior": "wek"}, "worker_options.noise_prior: 'wek'; did you mean 'weak'"),
        ({"adaptation": "budgt"}, "worker_options.adaptation: must be a number of steps or 'budget', not 'budgt'"),
        ({"adaptation": 0}, "worker_options.adaptation: must be a whole number from 1"),
        ({"adaptation": 2.5}, "worker_options.adaptation: must be a whole number from 1"),
        ({"chains": 0}, "worker_options.chains: must be a whole number from 1"),
        ({"batch_size": 0}, "worker_options.batch_size: must be a whole number from 1"),
        ({"keep_every": True}, "worker_options.keep_every: must be a whole number from 1"),
        ({"steps": 0}, "worker_options.steps: must be a whole number from 1"),
        ({"threads": 0}, "worker_options.threads: must be a whole number from 1"),
        ({"fidelity": "step"}, "worker_options.fidelity: 'step'; did you mean 'steps'"),
        ({"metric": "nl"}, "worker_options.metric: 'nl'; did you mean 'nll'"),
        (
            {"fidelity": "subsample", "steps": 200, "adaptation": 300},
            "adaptation: 300 steps are more than",
        ),
    ],
)
def test_wrong_options_are_refused_by_class_and_space(options, words):
    for door in (SGHMC, SGHMC.configuration_space):
        with pytest.raises(StudyError, match=words):
            door(**options)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"l_rat": 0.1}, "'l_rat' is unknown to sghmc; did you mean 'l_rate'"),
        ({"l_rate": 0.0}, "'l_rate' must be a number above 0, not 0.0"),
        ({"l_rate": float("nan")}, "'l_rate' must be a number above 0"),
        ({"mdecay": 1.1}, "'mdecay' must be a number from 0 to 1, not 1.1"),
        ({"burn_in": 1.0}, "'burn_in' must be a number from 0 to below 1, not 1.0"),
        ({"burn_in": True}, "'burn_in' must be a number"),
        ({"n_units_1": 0}, "'n_units_1' must be a whole number from 1 to 100000, not 0"),
        ({"n_units_2": 2.5}, "'n_units_2' must be a whole number"),
    ],
)
def test_wrong_configurations_are_refused(tmp_path, config, words):
    with pytest.raises(SpaceError, match=words):
        evaluate(short(), config, 30, tmp_path)


def test_the_space_is_the_published_one():
    space = SGHMC.configuration_space()
    assert {name: (hp.lower, hp.upper, hp.log, hp.default_value) for name, hp in space.items()} == {
        "l_rate": (1e-6, 1e-1, True, 1e-2),
        "burn_in": (0.0, 0.8, False, 0.3),
        "n_units_1": (16, 512, True, 64),
        "n_units_2": (16, 512, True, 64),
        "mdecay": (0.0, 1.0, False, 0.05),
    }
    assert Hyperparameters.from_config(dict(space.get_default_configuration())) == Hyperparameters()


@pytest.mark.parametrize("name", ["sghmc", "sghmc-boston", "sghmc-classification", "sghmc-protein", "sghmc-published"])
def test_study_files_fit_the_worker(name):
    study = load_study(CONFIGS / f"{name}.yaml")
    assert study.worker == "sghmc"
    worker = SGHMC(**study.worker_options)
    assert worker.fidelity == study.fidelity.name
    assert worker.sampling_options.adaptation in {"budget", round(study.fidelity.min)}
    SGHMC.configuration_space(**study.worker_options)


# Budgets


@MODES
@pytest.mark.parametrize("data", ["diabetes", "iris"])
@pytest.mark.parametrize("chains", [1, 2])
def test_continuing_equals_fresh_chains_bit_for_bit(tmp_path, data, adaptation, chains):
    worker = short(data, adaptation=adaptation, chains=chains)
    config = {**SMALL, "burn_in": 0.4}
    losses = {}
    resumed = {20: {20: 0, 60: 20, 180: 60}, "budget": {20: 0, 60: 8, 180: 24}}[adaptation]
    for budget in (20, 60, 180):
        loss, info = evaluate(worker, config, budget, tmp_path / "continued")
        assert loss == evaluate(worker, config, budget, tmp_path / f"fresh-{budget}")[0]
        assert info["steps_resumed"] == resumed[budget]
        assert info["steps_resumed"] + info["steps_run"] == budget
        losses[budget] = loss
    assert len(set(losses.values())) == 3
    assert evaluate(worker, config, 60, tmp_path / "continued")[0] == losses[60]
    assert evaluate(worker, config, 180, tmp_path / "other", seed=8)[0] != losses[180]


@MODES
def test_a_smaller_budget_than_before_is_evaluated_afresh(tmp_path, adaptation):
    worker, config = short(adaptation=adaptation), {**SMALL, "burn_in": 0.2}
    evaluate(worker, config, 180, tmp_path / "used")
    loss, info = evaluate(worker, config, 60, tmp_path / "used")
    assert loss == evaluate(worker, config, 60, tmp_path / "fresh")[0]
    assert info["steps_resumed"] == 0


def test_the_learning_curve_has_the_loss_at_the_budget(tmp_path):
    curve = []
    loss = short().compute(SMALL, 60.0, context(tmp_path, curve=curve))["loss"]
    assert curve == [(60, loss)]


def test_trials_of_several_chains_tell_whether_they_agree(tmp_path):
    _, info = evaluate(short(chains=2), SMALL, 100, tmp_path / "two")
    assert 0.9 < info["r_hat"] < 10
    assert 1 <= info["ess"] <= 80
    for name, worker, budget in [("one", short(), 100), ("few", short(chains=2, keep_every=50), 100)]:
        assert not {"r_hat", "ess"} & set(evaluate(worker, SMALL, budget, tmp_path / name)[1])


@MODES
def test_the_same_budget_again_takes_no_step_twice(tmp_path, adaptation):
    worker = short(adaptation=adaptation)
    first, _ = evaluate(worker, SMALL, 60, tmp_path)
    again, info = evaluate(worker, SMALL, 60, tmp_path)
    assert again == first
    assert info["steps_run"] == (0 if adaptation == 20 else 42)


def test_each_unit_of_budget_is_one_step(tmp_path, monkeypatch):
    from bohb_service.workers.sghmc.sampler import Sampler

    counted = []
    step = Sampler.step
    monkeypatch.setattr(Sampler, "step", lambda self, *args, **kwargs: (counted.append(1), step(self, *args, **kwargs)))
    for budget in (20, 60, 180):
        counted.clear()
        evaluate(short(), SMALL, budget, tmp_path / str(budget))
        assert len(counted) == budget
    counted.clear()
    evaluate(short(), SMALL, 180, tmp_path / "60")
    assert len(counted) == 120


@pytest.mark.parametrize(("burn_in", "samples"), [(0.0, 20), (0.5, 10), (0.8, 4)])
@MODES
def test_the_longer_the_burn_in_the_fewer_the_samples(tmp_path, adaptation, burn_in, samples):
    _, info = evaluate(short(adaptation=adaptation), {**SMALL, "burn_in": burn_in}, 100, tmp_path)
    assert info["samples"] == samples
    assert info["steps_adapting"] == int(burn_in * (20 if adaptation == 20 else 100))


def test_a_chain_that_is_too_short_for_a_sample_predicts_from_where_it_is(tmp_path):
    worker = short(keep_every=1000)
    loss, info = evaluate(worker, SMALL, 60, tmp_path)
    assert info["samples"] == 1
    assert np.isfinite(loss)
    assert evaluate(worker, SMALL, 180, tmp_path)[0] == evaluate(worker, SMALL, 180, tmp_path / "fresh")[0]


def test_start_noise_and_order_of_rows_each_depend_on_the_seed():
    fold, options = short().dataset.fold(0), SamplingOptions()
    one, same, other = (Chains(Hyperparameters(), fold, options, seed) for seed in (1, 1, 2))

    def parts(chains):
        state = chains.state()
        return state["position"], state["generator"], chains._gradient._batches.rows(0).numpy()

    for found, equal, different in zip(parts(one), parts(same), parts(other), strict=True):
        np.testing.assert_array_equal(found, equal)
        assert not np.array_equal(found, different)


def test_a_checkpoint_holds_no_position_that_a_larger_budget_would_throw_away(tmp_path):
    evaluate(short(), {**SMALL, "burn_in": 0.5}, 100, tmp_path / "steps")
    assert checkpoint(tmp_path / "steps")["state_kept_steps"].tolist() == list(range(55, 101, 5))
    evaluate(short(adaptation="budget"), {**SMALL, "burn_in": 0.5}, 100, tmp_path / "budget")
    assert checkpoint(tmp_path / "budget")["state_kept_steps"].tolist() == []


def test_chains_of_other_settings_are_not_continued(tmp_path):
    evaluate(short(), SMALL, 30, tmp_path)
    for worker, config in [
        (short(), {**SMALL, "n_units_1": 7}),
        (short(), {**SMALL, "burn_in": 0.1}),
        (short(batch_size=10), SMALL),
        (short(noise_prior="published"), SMALL),
        (short(chains=2), SMALL),
        (short(keep_every=4), SMALL),
        (short(adaptation=30), SMALL),
        (short(adaptation="budget"), SMALL),
        (short(split_seed=1), SMALL),
    ]:
        assert evaluate(worker, config, 40, tmp_path)[1]["steps_resumed"] == 0
        evaluate(short(), SMALL, 30, tmp_path)
    (tmp_path / "fold-0" / "checkpoint.bin").write_bytes(b"damaged")
    assert evaluate(short(), SMALL, 40, tmp_path)[1]["steps_resumed"] == 0


def test_a_checkpoint_that_cannot_be_written_costs_nothing_but_time(tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr("bohb_service.workers.common.checkpoint.save_checkpoint", full)
    loss, info = evaluate(short(), SMALL, 30, tmp_path)
    assert info["checkpoint_error"] == "no space left"
    assert loss == evaluate(short(), SMALL, 30, tmp_path)[0]


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (0.0, r"budget 0.0 is not a whole number of steps"),
        (30.5, r"budget 30.5 is not a whole number of steps"),
        (19.0, r"budget 19 is below the 20 steps of worker_options.adaptation; set that to the smallest budget"),
    ],
)
def test_budgets_that_are_no_steps_are_refused(tmp_path, budget, words):
    with pytest.raises(StudyError, match=words):
        evaluate(short(), SMALL, budget, tmp_path)


def test_folds_and_shares_of_rows_run_as_many_steps_as_the_option_says(tmp_path):
    folds = short("iris", fidelity="folds", resampling="cv", folds=3, steps=30)
    assert evaluate(folds, SMALL, 2, tmp_path / "folds")[1]["folds_trained"] == 2
    share = short("iris", fidelity="subsample", steps=30)
    assert evaluate(share, SMALL, 50, tmp_path / "share")[1]["steps_run"] == 30


def test_a_chain_that_diverges_is_a_failed_evaluation(tmp_path):
    with pytest.raises(FloatingPointError, match="diverged within"):
        evaluate(short(), {**SMALL, "l_rate": 1e6}, 40, tmp_path)


# The loss


def test_the_loss_is_the_negative_log_likelihood_on_the_scale_of_the_data(tmp_path):
    worker = short(adaptation=100, model=str(tmp_path / "model"))
    told = worker.refit(SMALL, 400.0, context(tmp_path))
    model = load(told["model"])
    assert isinstance(model, BayesianModel)
    fold = worker.dataset.final()
    frame = pd.DataFrame(fold.judge.features, columns=model.feature_names)
    mean, variance = model.predict_dist(frame)
    wanted = -norm.logpdf(fold.judge.target, mean, np.sqrt(variance)).mean()
    assert told["test_loss"] == pytest.approx(wanted)
    assert told["metric"] == "nll"
    # Diabetes has a deviation of 77: standardised targets would have a loss near 1.
    assert 5 < told["test_loss"] < 6.5
    np.testing.assert_array_equal(model.predict(frame), mean)
    assert np.corrcoef(mean, fold.judge.target)[0, 1] > 0.5
    assert {path.name for path in (tmp_path / "model" / "member-0").iterdir()} == {
        "networks.json",
        "networks.safetensors",
    }


def test_another_unit_of_the_target_shifts_the_loss_by_its_logarithm(tables, tmp_path):
    frame = pd.read_csv(tables / "values.csv")
    frame.assign(target=frame["target"] * 8.0).to_csv(tmp_path / "scaled.csv", index=False)
    loss, _ = evaluate(short(tables / "values.csv", task="regression"), SMALL, 60, tmp_path / "a")
    scaled, _ = evaluate(short(tmp_path / "scaled.csv", task="regression"), SMALL, 60, tmp_path / "b")
    assert scaled - loss == pytest.approx(np.log(8.0), abs=1e-6)


def test_a_classification_is_judged_by_its_log_loss_unless_told_otherwise(tables, tmp_path):
    worker = short(tables / "classes.csv", adaptation=100)
    assert worker.metric.name == "log_loss"
    told = worker.refit(SMALL, 400.0, context(tmp_path / "final"))
    frame = pd.read_csv(tables / "classes.csv")
    model = load(told["model"])
    probabilities = model.predict_proba(frame)
    assert model.task.classes == ("high", "low", "middle")
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert np.mean(model.predict(frame) == frame["target"]) > 0.7
    assert told["test_error"] < 0.6
    (tmp_path / "error").mkdir()
    assert 0 <= evaluate(short(tables / "classes.csv", metric="error"), SMALL, 60, tmp_path / "error")[0] <= 1


@pytest.mark.parametrize("metric", ["rmse", "mse", "mae", "r2"])
def test_other_losses_of_a_regression_look_at_the_mean(tmp_path, metric):
    loss, _ = evaluate(short(metric=metric), SMALL, 60, tmp_path)
    assert np.isfinite(loss)
    assert loss > 0


def test_rows_that_judge_are_not_learned_from(tmp_path):
    def kept(worker, folder):
        evaluate(worker, SMALL, 60, folder)
        return checkpoint(folder)["state_kept"]

    poisoned = short()
    poisoned.dataset.fold(0).judge.target[:] = 0.0
    np.testing.assert_array_equal(kept(poisoned, tmp_path / "poisoned"), kept(short(), tmp_path / "clean"))


def test_the_noise_prior_decides_how_sure_predictions_are(tmp_path):
    def deviation(prior):
        worker = short(noise_prior=prior, adaptation=100, model=str(tmp_path / prior))
        told = worker.refit({}, 300.0, context(tmp_path / f"{prior}-run"))
        features = worker.dataset.final().judge.features
        return float(np.sqrt(load(told["model"]).predict_dist(features)[1].mean()))

    # A linear fit leaves a deviation of 54.
    assert 40 < deviation("weak") < 75
    assert deviation("published") < 25


def test_folds_share_their_networks(tmp_path):
    worker = short(resampling="cv", folds=3, keep=True)
    loss, info = evaluate(worker, SMALL, 60, tmp_path)
    assert loss == pytest.approx(np.mean(info["fold_losses"]))
    model = load(tmp_path / "kept" / "60" / "model")
    features = worker.dataset.final().judge.features
    mean, variance = model.predict_dist(features)
    assert len(model.members) == 3
    assert mean.shape == variance.shape == (len(features),)
