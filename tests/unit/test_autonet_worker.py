import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from ConfigSpace import CategoricalHyperparameter

from bohb_service.errors import SpaceError, StudyError
from bohb_service.study import load_study
from bohb_service.worker.base import EvaluationContext
from bohb_service.workers.autonet import AutoNet, load
from bohb_service.workers.autonet.allowance import Allowance, epochs_within
from bohb_service.workers.autonet.hyperparameters import Hyperparameters
from bohb_service.workers.autonet.spaces import BASES, SPACES, build_space
from bohb_service.workers.tabular.saved import MODEL
from bohb_service.workers.tabular.worker import Effort
from tests.sealing import sealed_again

CONFIGS = Path(__file__).parents[2] / "configs"
TINY = {"layers": 1, "units": 16, "batch_size": 128}


def context(directory, seed=7, curve=None):
    points = [] if curve is None else curve
    return EvaluationContext("0.0", 0, 1.0, None, seed, directory, report=lambda *point: points.append(point))


def evaluate(worker, config, budget, directory, seed=7):
    curve = []
    result = worker.compute(config, float(budget), context(directory, seed, curve))
    return result["loss"], curve, result["info"]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Files with numbers, gaps, categories and a constant column; a class and a value to predict."""
    rng = np.random.default_rng(4)
    folder = tmp_path_factory.mktemp("tables")
    size = 90
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=size),
            "b": rng.exponential(size=size) * 1000,
            "constant": 1.0,
            "colour": rng.choice(["red", "green", "blue", "black", "white", "grey", "pink"], size=size),
            "size": rng.choice(["s", "l"], size=size),
        }
    )
    frame.loc[::7, "b"] = np.nan
    frame.loc[::11, "colour"] = None
    value = frame["a"] * 10 + (frame["size"] == "l") * 5
    frame.assign(target=np.where(value > 5, "high", np.where(value > -5, "middle", "low"))).to_csv(
        folder / "classes.csv", index=False
    )
    frame.assign(target=value + 0.5).to_csv(folder / "values.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def iris():
    worker = AutoNet(data="iris", horizon=9)
    worker.setup()
    return worker


# Package, options, configurations


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"spce": "full"}, "worker_options.spce: no such option; did you mean 'space'"),
        ({"space": "medum"}, "worker_options.space: 'medum'; did you mean 'medium'. choose from: small, medium, full"),
        ({"horizon": 0}, "worker_options.horizon: must be a whole number from 1"),
        ({"horizon": 2.5}, "worker_options.horizon: must be a whole number"),
        ({"early_stopping": -1}, "worker_options.early_stopping: must be a whole number from 0"),
        ({"threads": 0}, "worker_options.threads: must be a whole number from 1"),
        ({"device": "gpu"}, "worker_options.device: 'gpu'.*choose from: auto, cpu, cuda"),
        ({"fidelity": "epoch"}, "worker_options.fidelity: 'epoch'; did you mean 'epochs'"),
    ],
)
def test_wrong_options_are_refused_by_class_and_space(options, words):
    for door in (AutoNet, AutoNet.configuration_space):
        with pytest.raises(StudyError, match=words):
            door(**options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is such a device")
def test_a_device_that_is_missing_is_an_error_before_anything_is_trained():
    with pytest.raises(StudyError, match=r"worker_options.device: 'cuda', but PyTorch finds no such device"):
        AutoNet(data="iris", device="cuda").setup()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"learning_rat": 0.1}, "'learning_rat' is unknown to autonet; did you mean 'learning_rate'"),
        ({"shape": "brik"}, "'shape': 'brik' is none of its values; did you mean 'brick'"),
        ({"layers": 0}, "'layers' must be a whole number of at least 1, not 0"),
        ({"layers": 1.5}, "'layers' must be a whole number"),
        ({"learning_rate": 0.0}, "'learning_rate' must be a number above 0"),
        ({"learning_rate": float("nan")}, "'learning_rate' must be a number above 0"),
        ({"dropout": 1.1}, "'dropout' must be a number from 0 to 1"),
        ({"momentum": 1.0}, "'momentum' must be a number from 0 to below 1"),
        ({"batch_norm": 1}, "'batch_norm' must be true or false"),
        ({"weight_decay": -1.0}, "'weight_decay' must be a number of at least 0"),
    ],
)
def test_wrong_configurations_are_refused(iris, tmp_path, config, words):
    with pytest.raises(SpaceError, match=words):
        evaluate(iris, config, 1, tmp_path)


def test_what_a_configuration_leaves_out_is_as_in_the_space():
    for name in SPACES:
        default = dict(build_space(name).get_default_configuration())
        assert Hyperparameters.from_config(default, BASES[name]) == Hyperparameters.from_config({}, BASES[name])


# Spaces


def test_the_small_space_is_that_of_the_paper():
    space = AutoNet.configuration_space()
    assert {name: (hp.lower, hp.upper, hp.log) for name, hp in space.items()} == {
        "learning_rate": (1e-6, 1e-2, True),
        "batch_size": (8, 256, True),
        "units": (16, 256, True),
        "final_lr_fraction": (1e-4, 1.0, True),
        "layers": (1, 5, False),
        "dropout": (0.0, 0.5, False),
    }
    made = Hyperparameters.from_config({}, BASES["small"])
    assert (made.network, made.scheduler, made.use_dropout, made.head_layers) == ("mlp", "decay", True, 1)


def test_the_full_space_has_every_hyperparameter():
    names = set(Hyperparameters.__dataclass_fields__)
    assert set(build_space("full")) == names
    assert set(build_space("full", "regression")) == names - {"weighted_loss"}
    assert set(build_space("medium")) < names
    assert "weighted_loss" not in build_space("medium", "regression")


@pytest.mark.parametrize("name", SPACES)
def test_every_hyperparameter_and_choice_is_reached(name):
    space = build_space(name)
    space.seed(1)
    drawn = [dict(configuration) for configuration in space.sample_configuration(3000)]
    for key, hyperparameter in space.items():
        values = [config[key] for config in drawn if key in config]
        if isinstance(hyperparameter, CategoricalHyperparameter):
            assert set(values) == set(hyperparameter.choices)
        else:
            assert len(values) > 30
            assert len(set(values)) > 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classes", "values"])
def test_every_configuration_of_the_full_space_trains(tables, tmp_path, kind):
    worker = AutoNet(data=str(tables / f"{kind}.csv"), space="full", horizon=2, metric=None)
    worker.setup()
    assert worker.dataset.task.kind == ("classification" if kind == "classes" else "regression")
    space = AutoNet.configuration_space(**worker.options, task=worker.dataset.task.kind)
    space.seed(9)
    diverged = 0
    for number, configuration in enumerate(space.sample_configuration(20)):
        try:
            loss, curve, info = evaluate(worker, dict(configuration), 2, tmp_path / str(number), seed=number)
        except FloatingPointError:
            diverged += 1
            continue
        assert np.isfinite(loss), configuration
        assert [step for step, _ in curve] == [1, 2]
        assert info["epochs_trained"] == 2
    # Deep networks without any normalisation may burst; a study counts such an evaluation as failed.
    assert diverged <= 2


# Budgets


@pytest.mark.parametrize("config", [TINY, {**TINY, "dropout": 0.4, "layers": 3}])
def test_continuing_equals_training_in_one_go_bit_for_bit(iris, tmp_path, config):
    losses = {}
    for budget in (1, 3, 9):
        loss, curve, info = evaluate(iris, config, budget, tmp_path / "continued")
        fresh, whole, _ = evaluate(iris, config, budget, tmp_path / f"fresh-{budget}")
        assert loss == fresh
        assert info["epochs_resumed"] + info["epochs_trained"] == budget
        assert info["epochs_resumed"] == {1: 0, 3: 1, 9: 3}[budget]
        assert curve == whole[-len(curve) :]
        losses[budget] = loss
    assert evaluate(iris, config, 3, tmp_path / "continued")[0] == losses[3]
    assert evaluate(iris, config, 9, tmp_path / "other", seed=8)[1] != whole


def test_a_checkpoint_of_another_training_is_not_continued(iris, tmp_path):
    evaluate(iris, TINY, 3, tmp_path)
    assert evaluate(iris, {**TINY, "units": 17}, 4, tmp_path)[2]["epochs_resumed"] == 0
    evaluate(iris, TINY, 3, tmp_path)
    other = AutoNet(data="iris", horizon=10)
    assert evaluate(other, TINY, 4, tmp_path)[2]["epochs_resumed"] == 0
    (tmp_path / "fold-0" / "checkpoint.bin").write_bytes(b"damaged")
    assert evaluate(iris, TINY, 4, tmp_path)[2]["epochs_resumed"] == 0


def test_a_checkpoint_that_cannot_be_written_costs_nothing_but_time(iris, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr("bohb_service.workers.common.checkpoint.save_checkpoint", full)
    loss, _, info = evaluate(iris, TINY, 2, tmp_path)
    assert info["checkpoint_error"] == "no space left"
    assert loss == evaluate(iris, TINY, 2, tmp_path)[0]


@pytest.mark.parametrize(
    ("budget", "words"), [(0.0, "not a whole number"), (2.5, "not a whole"), (10.0, "horizon of 9")]
)
def test_budgets_that_are_no_epochs_within_the_horizon_are_refused(iris, tmp_path, budget, words):
    with pytest.raises(StudyError, match=words):
        evaluate(iris, TINY, budget, tmp_path)


def test_budgets_with_an_error_of_rounding_are_epochs():
    assert epochs_within(2.9999999999, 9) == 3


def test_early_stopping_takes_its_rows_from_the_training_part(tmp_path):
    worker = AutoNet(data="iris", horizon=200, early_stopping=2)
    config = {**TINY, "learning_rate": 0.01, "final_lr_fraction": 1.0}
    loss, _, info = evaluate(worker, config, 200, tmp_path / "a")
    assert info["stopped_early"]
    assert info["epochs_trained"] < 200
    poisoned = AutoNet(data="iris", horizon=200, early_stopping=2)
    fold = poisoned.dataset.fold(0)
    fold.judge.target[:] = 0
    assert evaluate(poisoned, config, 200, tmp_path / "b")[2]["epochs_trained"] == info["epochs_trained"]
    resumed = evaluate(worker, config, 5, tmp_path / "c")[2]["epochs_trained"]
    again, _, info_again = evaluate(worker, config, 200, tmp_path / "c")
    assert again == loss
    assert resumed + info_again["epochs_trained"] == info["epochs_trained"]


def test_seconds_are_a_budget_too(tmp_path):
    worker = AutoNet(data="iris", horizon=100_000, fidelity="seconds")
    loss, _, info = evaluate(worker, TINY, 0.2, tmp_path)
    assert 0 <= loss <= 1
    assert info["epochs_trained"] > 1
    assert info["train_s"] < 2
    more = evaluate(worker, TINY, 0.6, tmp_path)[2]
    assert more["epochs_resumed"] == info["epochs_trained"]
    assert more["epochs_trained"] > 1
    assert evaluate(worker, TINY, 0.1, tmp_path)[2]["epochs_resumed"] == 0


def test_an_allowance_of_seconds_ends_before_the_epoch_that_would_not_fit():
    allowance = Allowance.of(Effort("seconds", 1.0), 10)
    assert allowance.has_room(0)
    allowance.spent = 0.6
    assert allowance.has_room(2)
    assert not allowance.has_room(1)
    allowance.spent = 0.0
    assert not allowance.has_room(10)


def test_folds_and_shares_of_rows_train_up_to_the_horizon(tmp_path):
    folds = AutoNet(data="iris", horizon=4, fidelity="folds", resampling="cv", folds=3)
    assert evaluate(folds, TINY, 2, tmp_path / "folds")[2]["folds_trained"] == 2
    share = AutoNet(data="iris", horizon=4, fidelity="subsample")
    assert evaluate(share, TINY, 50, tmp_path / "share")[2]["epochs_trained"] == 4


# The final model


@pytest.mark.parametrize("kind", ["classes", "values"])
@pytest.mark.parametrize("preprocessor", ["none", "random_trees", "feature_agglomeration", "polynomial", "extra_trees"])
def test_the_final_model_is_saved_and_predicts_the_same(tables, tmp_path, kind, preprocessor):
    worker = AutoNet(data=str(tables / f"{kind}.csv"), space="full", horizon=5, model=str(tmp_path / "model"))
    config = {"preprocessor": preprocessor, "embedding": "learned", "batch_norm": True, "scaler": "quantile"}
    told = worker.refit(config, 5.0, context(tmp_path))
    model = load(told["model"])
    frame = pd.read_csv(tables / f"{kind}.csv")
    fold = worker.dataset.final()
    features = fold.encoder.transform(frame)
    (member,) = model.members
    prediction = member.model.predict(features)
    if kind == "classes":
        assert set(model.predict(frame)) <= {"low", "middle", "high"}
        assert np.allclose(model.predict_proba(frame).sum(axis=1), 1)
        assert told["test_error"] == pytest.approx(
            float(np.mean(member.model.predict(fold.judge.features).argmax(axis=1) != fold.judge.target))
        )
    else:
        assert model.predict(frame).shape == (90,)
        target = fold.judge.target
        assert told["test_loss"] == pytest.approx(
            float(np.sqrt(np.mean((member.model.predict(fold.judge.features) - target) ** 2)))
        )
    assert np.isfinite(prediction).all()
    assert told["baseline"]["name"] == "the default configuration"
    files = {path.name for path in (tmp_path / "model" / "member-0").iterdir()}
    assert files == {"network.json", "weights.safetensors", "preparation.skops"}


def test_a_saved_model_with_foreign_types_or_damage_is_refused(iris, tmp_path):
    import skops.io

    told = AutoNet(data="iris", horizon=1, model=str(tmp_path / "model")).refit(TINY, 1.0, context(tmp_path))
    member = Path(told["model"]) / "member-0"
    skops.io.dump({"imputer": Path("x")}, member / "preparation.skops")
    sealed_again(told["model"], MODEL)
    with pytest.raises(StudyError, match=r"holds types that no saved model has: pathlib"):
        load(told["model"])
    # A module of scikit-learn that names a function which starts processes.
    skops.io.dump({"imputer": ["touch", str(tmp_path / "ran")]}, member / "preparation.skops")
    with zipfile.ZipFile(member / "preparation.skops") as archive:
        schema = json.loads(archive.read("schema.json"))
    schema["content"]["imputer"].update({"__module__": "sklearn.utils._testing", "__class__": "check_output"})
    with zipfile.ZipFile(member / "preparation.skops", "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))
    sealed_again(told["model"], MODEL)
    with pytest.raises(StudyError, match=r"holds types that no saved model has: sklearn.utils._testing.check_output"):
        load(told["model"])
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["autonet", "autonet-adult", "autonet-regression"])
def test_study_files_fit_the_worker(name):
    study = load_study(CONFIGS / f"{name}.yaml")
    assert study.worker == "autonet"
    worker = AutoNet(**study.worker_options)
    assert worker.network_options.horizon == study.fidelity.max
    assert worker.fidelity == study.fidelity.name
    AutoNet.configuration_space(**study.worker_options)
