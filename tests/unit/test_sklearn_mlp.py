import dataclasses
import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from ConfigSpace import ConfigurationSpace
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_info, threadpool_limits

from bohb_service.errors import SpaceError, StudyError
from bohb_service.study import load_study
from bohb_service.worker.base import EvaluationContext
from bohb_service.workers.common.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from bohb_service.workers.sklearn import SklearnMLP, datasets
from bohb_service.workers.sklearn.datasets import load_dataset, load_letter
from bohb_service.workers.sklearn.hyperparameters import Hyperparameters
from bohb_service.workers.sklearn.network import Network, single_thread
from bohb_service.workers.sklearn.options import DATASETS
from bohb_service.workers.tabular import sources

CONFIGS = Path(__file__).parents[2] / "configs"

ADAM = {"solver": "adam", "width": 24, "learning_rate_init": 0.01, "learning_rate_decay": 0.9, "batch_size": 64}
SGD = {
    "solver": "sgd",
    "hidden_layers": 2,
    "width": 20,
    "activation": "tanh",
    "learning_rate_init": 0.05,
    "learning_rate_decay": 0.95,
    "batch_size": 50,
    "alpha": 1e-3,
    "momentum": 0.8,
}
TINY = {"width": 4, "batch_size": 512}


def context(directory, *, budget=1.0, seed=7, curve=None):
    points = [] if curve is None else curve
    return EvaluationContext(
        trial_id="0.0",
        configuration_id=0,
        budget=budget,
        previous_budget=None,
        seed=seed,
        directory=directory,
        report=lambda step, loss: points.append((step, loss)),
    )


def evaluate(worker, config, budget, directory, seed=7):
    curve = []
    result = worker.compute(config, float(budget), context(directory, budget=float(budget), seed=seed, curve=curve))
    return result["loss"], curve, result["info"]


@pytest.fixture(scope="module")
def digits():
    worker = SklearnMLP(dataset="digits")
    worker.setup()
    return worker


@pytest.fixture(scope="module")
def letter():
    worker = SklearnMLP()
    worker.setup()
    return worker


@pytest.fixture
def fitted_rows(monkeypatch):
    """Number of rows of each pass that scikit-learn is asked for."""
    passes = []
    original = MLPClassifier.partial_fit

    def counting(self, X, y, **kwargs):
        passes.append(len(y))
        return original(self, X, y, **kwargs)

    monkeypatch.setattr(MLPClassifier, "partial_fit", counting)
    return passes


# The shipped data


def test_letter_is_the_uci_data_set():
    rows = load_letter()
    assert rows.features.shape == (20_000, 16)
    assert rows.features.min() == 0
    assert rows.features.max() == 15
    assert np.array_equal(np.unique(rows.labels), np.arange(26))
    assert (rows.features[0].astype(int).tolist(), "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[rows.labels[0]]) == (
        [2, 8, 3, 5, 1, 8, 13, 0, 6, 6, 10, 8, 0, 8, 0, 8],
        "T",
    )
    content = rows.features.astype(np.uint8).tobytes() + rows.labels.astype(np.uint8).tobytes()
    expected = "995ccb68672af4fd3bfa393a81ca094669007f8a9d38027272e988f142ca8f3a"
    assert hashlib.sha256(content).hexdigest() == expected


def test_letter_file_is_small_has_no_pickle_and_its_licence_beside_it():
    folder = Path(sources.__file__).parent / "data"
    assert (folder / "letter.npz").stat().st_size < 300_000
    assert zipfile.ZipFile(folder / "letter.npz").testzip() is None
    licence = (folder / "LICENSE-letter.txt").read_text()
    for fact in ("CC BY 4.0", "Frey", "Slate", "10.24432/C5ZP40", "Changes made"):
        assert fact in licence


def test_letter_has_the_customary_split(letter):
    rows, data = load_letter(), letter.dataset
    assert (len(data.train), len(data.validation), len(data.test), data.n_classes) == (13_000, 3_000, 4_000, 26)
    assert np.array_equal(data.test.features, rows.features[16_000:])
    assert np.array_equal(data.test.labels, rows.labels[16_000:])
    development = np.sort(data.development.features @ np.arange(1, 17) + data.development.labels * 0.01)
    assert np.array_equal(development, np.sort(rows.features[:16_000] @ np.arange(1, 17) + rows.labels[:16_000] * 0.01))
    shares = [np.bincount(part.labels) / len(part) for part in (data.train, data.validation)]
    assert np.abs(shares[0] - shares[1]).max() < 5e-4


@pytest.mark.parametrize("name", DATASETS)
def test_every_split_is_fixed_and_complete(name):
    first, second = load_dataset(name), load_dataset(name)
    for part in ("train", "validation", "test"):
        rows, again = getattr(first, part), getattr(second, part)
        assert np.array_equal(rows.features, again.features)
        assert np.array_equal(np.unique(rows.labels), np.arange(first.n_classes))
    assert len(first.development) == len(first.train) + len(first.validation)


def test_standardising_uses_the_reference_and_survives_constant_features():
    data = load_dataset("digits")
    assert (data.train.features.std(axis=0) == 0).any()
    scaled = data.train.standardised_by(data.train).features
    deviation = scaled.std(axis=0)
    assert np.abs(scaled.mean(axis=0)).max() < 1e-5
    assert (np.isclose(deviation, 1, atol=1e-5) | (deviation == 0)).all()
    other = data.validation.standardised_by(data.train).features
    assert np.isfinite(other).all()
    assert np.abs(other.mean(axis=0)).max() > 1e-3


# Options and space


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dataset": "leter"}, ["worker_options.dataset", "'leter'", "did you mean 'letter'", "digits"]),
        ({"dataset": 3}, ["worker_options.dataset", "3", "letter, digits"]),
        ({"datset": "letter"}, ["worker_options.datset", "did you mean 'dataset'"]),
    ],
)
def test_wrong_options_are_refused_by_class_and_space(options, words):
    for door in (SklearnMLP, SklearnMLP.configuration_space):
        with pytest.raises(StudyError) as caught:
            door(**options)
        for word in words:
            assert word in str(caught.value)


def test_load_dataset_refuses_unknown_names():
    with pytest.raises(StudyError, match="did you mean 'iris'"):
        load_dataset("irs")


def test_space_matches_the_hyperparameters_and_has_a_condition():
    space = SklearnMLP.configuration_space()
    assert isinstance(space, ConfigurationSpace)
    assert set(space) == {field.name for field in dataclasses.fields(Hyperparameters)}
    assert [(c.child.name, c.parent.name, c.value) for c in space.conditions] == [("momentum", "solver", "sgd")]
    default = Hyperparameters.from_config(dict(space.get_default_configuration()))
    assert default == Hyperparameters()


def test_defaults_are_those_of_scikit_learn():
    ours = Network(Hyperparameters(), 0, load_dataset("digits").train, 10)._model.get_params()
    theirs = MLPClassifier().get_params()
    assert {key for key in theirs if ours[key] != theirs[key]} == {"batch_size", "random_state", "shuffle"}
    assert theirs["batch_size"] == "auto"
    assert ours["batch_size"] == 200


def test_sampled_configurations_train_without_a_warning(tmp_path):
    worker = SklearnMLP(dataset="iris")
    space = SklearnMLP.configuration_space()
    space.seed(3)
    for i, configuration in enumerate(space.sample_configuration(60)):
        loss, curve, _ = evaluate(worker, dict(configuration), 2, tmp_path / str(i), seed=i)
        assert 0 <= loss <= 1
        assert [step for step, _ in curve] == [1, 2]


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_wildest_corner_of_the_space_stays_finite(letter, tmp_path, solver, activation):
    space = SklearnMLP.configuration_space()
    config = {name: space[name].upper for name in ("hidden_layers", "learning_rate_init", "learning_rate_decay")}
    config |= {"solver": solver, "activation": activation, "width": space["width"].lower}
    config |= {"batch_size": space["batch_size"].lower, "alpha": space["alpha"].lower}
    config |= {"momentum": space["momentum"].upper} if solver == "sgd" else {}
    loss, _, _ = evaluate(letter, config, 1, tmp_path)
    assert 0 <= loss <= 1


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"learning_rate": 0.1}, "'learning_rate' is unknown .* did you mean 'learning_rate_init'"),
        ({"solver": "lbfgs"}, "'lbfgs' cannot train epoch by epoch"),
    ],
)
def test_wrong_configurations_are_refused(digits, tmp_path, config, words):
    with pytest.raises(SpaceError, match=words):
        evaluate(digits, config, 1, tmp_path)


@pytest.mark.parametrize("budget", [0.0, 0.4, 2.5, -1.0])
def test_budgets_that_are_no_number_of_epochs_are_refused(digits, tmp_path, budget):
    with pytest.raises(StudyError, match="whole number of epochs"):
        evaluate(digits, ADAM, budget, tmp_path)
    with pytest.raises(StudyError, match="whole number of epochs"):
        digits.refit(ADAM, budget, context(tmp_path))


def test_a_budget_with_an_error_of_rounding_is_accepted(digits, tmp_path):
    assert [step for step, _ in evaluate(digits, ADAM, 3 * (1 - 1e-15), tmp_path)[1]] == [1, 2, 3]


def test_divergence_is_told_as_such(digits, tmp_path):
    wild = {**SGD, "activation": "relu", "learning_rate_init": 1e20}
    with pytest.raises(FloatingPointError, match=r"diverged in epoch 1.*learning_rate_init \(1e\+20\)"):
        evaluate(digits, wild, 1, tmp_path)


# Training and continuing


def test_an_epoch_is_what_scikit_learn_does_on_the_same_order():
    data = load_dataset("digits")
    train = data.train.standardised_by(data.train)
    with single_thread():
        network = Network(Hyperparameters(), 5, train, 10)
        network.train_epoch()
        order = np.random.default_rng(np.random.SeedSequence(5, spawn_key=(1, 0))).permutation(len(train))
        peer = MLPClassifier(shuffle=False, random_state=network._model.random_state)
        peer.partial_fit(train.features[order], train.labels[order], classes=np.arange(10))
    for ours, theirs in zip(network._model.coefs_, peer.coefs_, strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(("solver", "attribute"), [("adam", "learning_rate_init"), ("sgd", "learning_rate")])
def test_the_learning_rate_falls_from_epoch_to_epoch(solver, attribute):
    data = load_dataset("iris")
    network = Network(Hyperparameters(solver=solver, learning_rate_decay=0.5), 5, data.train, 3)
    rates = []
    for _ in range(3):
        network.train_epoch()
        # What the solver's next step starts from.
        rates.append(getattr(network._optimizer(), attribute))
    assert rates == [1e-3, 5e-4, 2.5e-4]


def test_rows_come_in_another_order_each_epoch_and_seed(monkeypatch, tmp_path):
    orders = []
    original = MLPClassifier.partial_fit

    def noting(self, X, y, **kwargs):
        orders.append(tuple(y))
        return original(self, X, y, **kwargs)

    monkeypatch.setattr(MLPClassifier, "partial_fit", noting)
    worker = SklearnMLP(dataset="iris")
    evaluate(worker, TINY, 2, tmp_path / "a", seed=1)
    evaluate(worker, TINY, 2, tmp_path / "b", seed=2)
    assert len(set(orders)) == 4


@pytest.mark.parametrize("config", [ADAM, SGD], ids=["adam", "sgd"])
@pytest.mark.parametrize("dataset", ["digits", "breast_cancer"])
def test_continuing_equals_a_fresh_training_bit_for_bit(tmp_path, config, dataset):
    worker = SklearnMLP(dataset=dataset)
    fresh = {b: evaluate(worker, config, b, tmp_path / f"fresh{b}") for b in (1, 3, 9)}
    for budget, resumed in ((1, 0), (3, 1), (9, 3)):
        # A new worker each time: nothing but the directory carries over.
        loss, curve, info = evaluate(SklearnMLP(dataset=dataset), config, budget, tmp_path / "steps")
        assert (loss, curve) == fresh[budget][:2]
        assert (info["epochs_resumed"], info["epochs_trained"]) == (resumed, budget - resumed)
    ours, theirs = ((tmp_path / folder / "checkpoint.bin").read_bytes() for folder in ("steps", "fresh9"))
    assert ours == theirs
    assert fresh[9][1][-1] == (9, fresh[9][0])
    assert fresh[9][0] <= fresh[1][0]


def test_continuing_equals_a_fresh_training_on_the_letter_data(letter, tmp_path):
    config = {**SGD, "batch_size": 200}
    evaluate(letter, config, 1, tmp_path / "steps")
    steps = evaluate(letter, config, 2, tmp_path / "steps")
    assert steps[2]["epochs_resumed"] == 1
    assert steps[:2] == evaluate(letter, config, 2, tmp_path / "fresh")[:2]


def test_cost_is_proportional_to_the_epochs(tmp_path, fitted_rows):
    worker = SklearnMLP(dataset="iris")
    n_rows = len(worker.dataset.train)
    for budget in (1, 3, 9):
        fitted_rows.clear()
        evaluate(worker, ADAM, budget, tmp_path / str(budget))
        assert fitted_rows == [n_rows] * budget
    fitted_rows.clear()
    evaluate(worker, {**ADAM, "batch_size": 10}, 3, tmp_path / "steps")
    evaluate(worker, {**ADAM, "batch_size": 10}, 9, tmp_path / "steps")
    # Restoring takes one step of one batch.
    assert fitted_rows == [n_rows] * 3 + [10] + [n_rows] * 6


def test_a_repeated_evaluation_trains_nothing_and_gives_the_same(tmp_path, fitted_rows):
    worker = SklearnMLP(dataset="iris")
    first = evaluate(worker, ADAM, 3, tmp_path)
    fitted_rows.clear()
    written = (tmp_path / "checkpoint.bin").stat().st_mtime_ns
    again = evaluate(worker, ADAM, 3, tmp_path)
    assert (tmp_path / "checkpoint.bin").stat().st_mtime_ns == written
    assert again[:2] == first[:2]
    assert sum(fitted_rows) <= ADAM["batch_size"]
    assert again[2]["n_weights"] == first[2]["n_weights"] == 4 * 24 + 24 + 24 * 3 + 3


def test_a_smaller_budget_than_the_checkpoint_starts_anew(digits, tmp_path):
    fresh = evaluate(digits, SGD, 2, tmp_path / "fresh")
    evaluate(digits, SGD, 4, tmp_path / "steps")
    loss, curve, info = evaluate(digits, SGD, 2, tmp_path / "steps")
    assert (loss, curve, info["epochs_resumed"]) == (*fresh[:2], 0)


@pytest.mark.parametrize(
    ("dataset", "config", "seed"),
    [("digits", SGD, 8), ("digits", {**SGD, "alpha": 2e-3}, 7), ("wine", SGD, 7)],
    ids=["seed", "config", "dataset"],
)
def test_the_checkpoint_of_another_training_is_not_continued(digits, tmp_path, dataset, config, seed):
    evaluate(digits, SGD, 1, tmp_path / "steps", seed=7)
    worker = SklearnMLP(dataset=dataset)
    loss, curve, info = evaluate(worker, config, 2, tmp_path / "steps", seed=seed)
    assert info["epochs_resumed"] == 0
    assert (loss, curve) == evaluate(worker, config, 2, tmp_path / "fresh", seed=seed)[:2]


def test_a_corrupt_checkpoint_means_starting_anew(tmp_path):
    worker = SklearnMLP(dataset="iris")
    fresh = evaluate(worker, ADAM, 2, tmp_path / "fresh")
    evaluate(worker, ADAM, 1, tmp_path / "steps")
    path = tmp_path / "steps" / "checkpoint.bin"
    good = path.read_bytes()
    flipped = [
        good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :] for at in np.linspace(0, len(good) - 1, 25).astype(int)
    ]
    for content in [b"", b"x", b"no archive at all" * 9, good[: len(good) // 2], good + b"\0", *flipped]:
        path.write_bytes(content)
        loss, curve, info = evaluate(worker, ADAM, 2, tmp_path / "steps")
        assert (loss, curve, info["epochs_resumed"]) == (*fresh[:2], 0)


def test_a_folder_in_place_of_a_checkpoint_is_replaced_if_it_is_empty(tmp_path):
    worker = SklearnMLP(dataset="iris")
    fresh = evaluate(worker, ADAM, 2, tmp_path / "fresh")
    path = tmp_path / "checkpoint.bin"
    path.mkdir()
    (path / "notes.txt").write_text("mine")
    loss, curve, info = evaluate(worker, ADAM, 2, tmp_path)
    assert (loss, curve) == fresh[:2]
    assert "not empty" in info["checkpoint_error"]
    assert [file.name for file in tmp_path.rglob("*")] == ["fresh", "checkpoint.bin", "checkpoint.bin", "notes.txt"]
    (path / "notes.txt").unlink()
    loss, curve, info = evaluate(worker, ADAM, 2, tmp_path)
    assert (loss, curve) == fresh[:2]
    assert "checkpoint_error" not in info
    assert evaluate(worker, ADAM, 2, tmp_path)[2]["epochs_resumed"] == 2


def test_a_directory_that_cannot_be_written_costs_the_checkpoint_only(tmp_path):
    worker = SklearnMLP(dataset="iris")
    (tmp_path / "file").write_text("in the way")
    loss, _, info = evaluate(worker, ADAM, 1, tmp_path / "file")
    assert loss == evaluate(worker, ADAM, 1, tmp_path / "good")[0]
    assert info["checkpoint_error"]


def test_a_failed_save_keeps_the_old_file_and_leaves_nothing_behind(tmp_path, monkeypatch):
    checkpoint = Checkpoint(curve=np.asarray([0.5]), arrays={"a": np.arange(3)})
    path = tmp_path / "checkpoint.bin"
    save_checkpoint(path, "mark", checkpoint)

    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(path, "other", checkpoint)
    assert list(tmp_path.iterdir()) == [path]
    found = load_checkpoint(path, "mark", 1)
    assert found is not None
    assert found.curve.tolist() == [0.5]
    assert found.arrays["a"].tolist() == [0, 1, 2]
    assert load_checkpoint(path, "other", 1) is None


@pytest.mark.parametrize("damage", ["missing", "shape", "type"])
def test_a_network_refuses_a_state_that_is_not_its_own(damage):
    data = load_dataset("iris")
    network = Network(Hyperparameters(**ADAM), 1, data.train, 3)
    network.train_epoch()
    state = network.state()
    if damage == "missing":
        del state["ms_1"]
    else:
        state["ms_1"] = state["ms_1"][:, :1] if damage == "shape" else state["ms_1"].astype(np.float64)
    with pytest.raises(ValueError, match="'ms_1'"):
        Network(Hyperparameters(**ADAM), 1, data.train, 3).restore(state)


def test_results_do_not_depend_on_the_number_of_threads(letter, tmp_path):
    config = {"width": 64, "batch_size": 512}
    threads = []

    def note(step, loss):
        threads.extend(library["num_threads"] for library in threadpool_info())

    results = []
    for limit in (1, 2):
        with threadpool_limits(limits=limit):
            place = context(tmp_path / str(limit))
            place.report = note
            results.append(letter.compute(config, 1.0, place)["loss"])
    assert set(threads) == {1}
    assert results[0] == results[1]


def test_a_trial_does_not_see_the_test_part(tmp_path, monkeypatch):
    honest = evaluate(SklearnMLP(), TINY, 1, tmp_path / "honest")
    rows = load_letter()
    features, labels = rows.features.copy(), rows.labels.copy()
    features[16_000:] = np.nan
    labels[16_000:] = 25 - labels[16_000:]
    monkeypatch.setattr(datasets, "load_letter", lambda: datasets.Rows(features, labels))
    poisoned = SklearnMLP()
    assert np.isnan(poisoned.dataset.test.features).all()
    result = evaluate(poisoned, TINY, 1, tmp_path / "poisoned")
    assert result[:2] == honest[:2]
    files = [(tmp_path / folder / "checkpoint.bin").read_bytes() for folder in ("honest", "poisoned")]
    assert files[0] == files[1]


def test_evaluations_differ_by_seed(digits, tmp_path):
    assert evaluate(digits, ADAM, 1, tmp_path / "a", seed=1)[0] != evaluate(digits, ADAM, 1, tmp_path / "b", seed=2)[0]


# Refit


def test_refit_reports_the_test_error_and_a_fair_baseline(digits, tmp_path, fitted_rows):
    result = digits.refit(ADAM, 6.0, context(tmp_path, seed=11))
    data = digits.dataset
    assert fitted_rows == [len(data.development)] * 12 + [len(data.train)] * 6
    assert {"test_error", "baseline", "dataset", "epochs", "seed", "train_rows", "test_rows"} <= set(result)
    assert set(result["baseline"]) == {"name", "test_error", "validation_loss", "n_weights"}
    assert (result["epochs"], result["seed"], result["dataset"]) == (6, 11, "digits")
    assert (result["train_rows"], result["test_rows"]) == (len(data.development), len(data.test))
    assert 0 < result["test_error"] < 0.1
    assert 0 < result["baseline"]["test_error"] < 0.2
    # The baseline's validation loss is that of a trial with scikit-learn's defaults.
    assert result["baseline"]["validation_loss"] == evaluate(digits, {}, 6, tmp_path / "trial", seed=11)[0]
    # Refitting the default is the baseline, and nothing is taken from the directory or written to it.
    again = digits.refit({}, 6.0, context(tmp_path / "trial", seed=11))
    assert again["test_error"] == again["baseline"]["test_error"] == result["baseline"]["test_error"]
    assert [path.name for path in tmp_path.iterdir()] == ["trial"]


def test_refit_judges_on_the_test_part(tmp_path):
    worker = SklearnMLP(dataset="wine")
    honest = worker.refit(ADAM, 9.0, context(tmp_path))
    test = worker.dataset.test
    wrong = datasets.Rows(test.features, (test.labels + 1) % 3)
    worker.__dict__["dataset"] = dataclasses.replace(worker.dataset, test=wrong)
    poisoned = worker.refit(ADAM, 9.0, context(tmp_path))
    assert honest["test_error"] < 0.2
    assert poisoned["test_error"] > 0.8
    assert poisoned["baseline"]["validation_loss"] == honest["baseline"]["validation_loss"]


# The study files


@pytest.mark.parametrize("name", ["quickstart", "tiny"])
def test_the_studies_that_ship_with_the_worker_are_valid(name):
    study = load_study(CONFIGS / f"{name}.yaml")
    assert study.worker == "sklearn-mlp"
    assert study.fidelity.integer
    SklearnMLP(**study.worker_options)
    space = SklearnMLP.configuration_space(**study.worker_options)
    for config in study.initial:
        space.check_configuration(type(space.get_default_configuration())(space, values=config))


def test_a_preempted_training_goes_on_where_it_was_and_ends_the_same(digits, tmp_path):
    fresh, _, _ = evaluate(digits, TINY, 4, tmp_path / "fresh")
    looks = iter([False, True])
    preempted = EvaluationContext("0.0", 0, 4.0, None, 7, tmp_path / "c", is_preempted=lambda: next(looks))
    assert digits.compute(TINY, 4.0, preempted)["info"]["epochs_trained"] == 2
    later = context(tmp_path / "c", budget=4.0)

    result = digits.compute(TINY, 4.0, later)

    assert result["info"]["epochs_resumed"] == later.continued_from == 2.0
    assert result["loss"] == fresh
