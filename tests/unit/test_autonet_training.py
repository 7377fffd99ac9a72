import numpy as np
import pytest
import torch

from bohb_service.workers.autonet.hyperparameters import Hyperparameters
from bohb_service.workers.autonet.objective import Objective
from bohb_service.workers.autonet.preparation import fit_preparation
from bohb_service.workers.autonet.stopping import EarlyStopping, set_aside
from bohb_service.workers.autonet.training import Batch, Training, Watch
from bohb_service.workers.tabular.rows import Rows

CPU = torch.device("cpu")
RNG = np.random.default_rng(2)
FEATURES = np.column_stack([RNG.normal(size=(101, 4)), np.arange(101) % 7])
LABELS = ((FEATURES[:, 0] + FEATURES[:, 1] > 0) + 2 * (FEATURES[:, 4] == 3)).astype(np.int64)
ROWS = Rows(FEATURES, LABELS)
LEVELS = (None, None, None, None, 7)

BASE = {"layers": 2, "units": 24, "output_units": 12, "batch_size": 25, "embedding": "learned", "learning_rate": 0.01}


def training(rows=ROWS, *, horizon=8, seed=5, watch=None, is_classification=True, **values):
    parameters = Hyperparameters(**{**BASE, **values})
    preparation = fit_preparation(parameters, rows, LEVELS, 1, is_classification=is_classification)
    objective = Objective.of(rows.target, 4, is_classification=is_classification)
    batch = Batch.of(preparation.transform(rows.features), CPU)
    return Training(
        parameters, preparation, objective, batch, rows.target, seed=seed, horizon=horizon, watch=watch
    ), batch


def train(made, epochs):
    for _ in range(epochs):
        made.train_epoch()


def trained(epochs, **options):
    made, batch = training(**options)
    train(made, epochs)
    return made, made.predict(batch)


VARIANTS = {
    "adam": {"optimizer": "adam", "use_dropout": True},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.01, "scheduler": "warm_restarts"},
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "batch_norm": True, "scheduler": "plateau", "plateau_patience": 1},
    "rmsprop": {"optimizer": "rmsprop", "momentum": 0.5, "learning_rate": 1e-3, "scheduler": "cyclic"},
    "mixup": {"trainer": "mixup", "mixup_alpha": 0.5, "weighted_loss": True},
    "shake_shake": {"network": "shaped_resnet", "branches": "shake_shake", "batch_norm": True},
    "shake_drop": {"network": "resnet", "branches": "shake_drop", "use_dropout": True, "initialiser": "orthogonal"},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_continuing_from_a_state_is_training_in_one_go(name):
    at_once, expected = trained(7, **VARIANTS[name])
    for cuts in ((1, 3, 7), (4, 7)):
        arrays, losses = {}, []
        for end in cuts:
            part, batch = training(**VARIANTS[name])
            if losses:
                part.restore(arrays, losses)
            while part.epochs < end:
                part.train_epoch()
            arrays, losses = part.state(), part.losses
        assert losses == at_once.losses
        assert np.array_equal(part.predict(batch), expected)
        once = at_once.state()
        assert once.keys() == arrays.keys()
        assert all(np.array_equal(once[key], arrays[key]) for key in once)


def test_a_plateau_goes_on_from_where_it_was():
    first, _ = training(scheduler="plateau", plateau_patience=9)
    first.train_epoch()
    first._schedule.plateau.take(5.0, 9, 0.5)
    first._schedule.plateau.factor = 0.25
    second, _ = training(scheduler="plateau", plateau_patience=9)
    second.restore(first.state(), first.losses)
    assert second._schedule.plateau == first._schedule.plateau
    assert second._schedule.plateau.waited == 1


def test_each_epoch_has_noise_of_its_own():
    made, _ = training(use_dropout=True)
    seeds = []
    made.network.body.register_forward_hook(lambda *_: seeds.append(torch.initial_seed()))
    train(made, 3)
    by_epoch = [set(seeds[first : first + 4]) for first in (0, 4, 8)]
    assert [len(own) for own in by_epoch] == [1, 1, 1]
    assert len(set(seeds)) == 3


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_learns(name):
    made, _ = trained(8, **VARIANTS[name])
    assert made.losses[-1] < made.losses[0]


def test_the_global_generator_neither_matters_nor_moves():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        before = torch.get_rng_state()
        _, first = trained(3, use_dropout=True)
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(2)
        _, second = trained(3, use_dropout=True)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, trained(3, use_dropout=True, seed=6)[1])


def test_mixup_with_alpha_0_is_standard_training_bit_for_bit():
    standard, expected = trained(4, use_dropout=True)
    mixed, found = trained(4, use_dropout=True, trainer="mixup", mixup_alpha=0.0)
    assert mixed.losses == standard.losses
    assert np.array_equal(found, expected)
    assert trained(4, use_dropout=True, trainer="mixup", mixup_alpha=0.3)[0].losses != standard.losses


def test_the_learning_rate_of_each_step_is_the_schedules(monkeypatch):
    made, _ = training(optimizer="sgd", scheduler="cosine", learning_rate=0.02)
    rates = []
    original = type(made._optimizer).step

    def step(self, *arguments, **options):
        rates.append({group["lr"] for group in self.param_groups})
        return original(self, *arguments, **options)

    monkeypatch.setattr(type(made._optimizer), "step", step)
    made.train_epoch()
    made.train_epoch()
    times = [epoch + step / 4 for epoch in range(2) for step in range(4)]
    expected = [0.02 * (1 + np.cos(np.pi * time / 8)) / 2 for time in times]
    assert [rate for (rate,) in rates] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rows", "size", "sizes"), [(101, 25, [25, 25, 25, 26]), (101, 40, [40, 40, 21]), (101, 500, [101]), (1, 8, [2])]
)
def test_each_row_is_learned_from_once_an_epoch(rows, size, sizes):
    made, _ = training(ROWS.select(np.arange(rows)), batch_size=size)
    for epoch in range(2):
        batches = made._batches(epoch)
        assert [len(batch) for batch in batches] == sizes
        if rows > 1:
            assert sorted(torch.cat(batches).tolist()) == list(range(rows))
    assert made._batches(0)[0].tolist() != made._batches(1)[0].tolist() or rows == 1


def test_a_single_row_with_batch_norm_is_no_obstacle():
    _, prediction = trained(2, rows=ROWS.select(np.arange(1)), batch_norm=True)
    assert np.isfinite(prediction).all()


def test_a_training_that_diverges_says_so():
    made, _ = training(optimizer="sgd", momentum=0.99, learning_rate=1e6)
    with pytest.raises(FloatingPointError, match=r"diverged in epoch \d+.*lower learning_rate \(1e\+06\)"):
        train(made, 8)


def test_weight_decay_shrinks_weights():
    norms = [
        sum(
            float(weights.detach().square().sum()) for weights in trained(6, weight_decay=decay)[0].network.parameters()
        )
        for decay in (0.0, 0.3)
    ]
    assert norms[1] < 0.7 * norms[0]


def test_a_weighted_loss_finds_a_rare_class():
    features = RNG.normal(size=(300, 5))
    features[:, 4] = 0
    target = (features[:, 0] + RNG.normal(size=300) > 2.2).astype(np.int64)
    rows = Rows(features, target)
    assert 5 < target.sum() < 40
    found = [
        (trained(6, rows=rows, weighted_loss=on, embedding="none")[1].argmax(axis=1)[target == 1] == 1).mean()
        for on in (False, True)
    ]
    assert found[1] > found[0] + 0.2


def test_a_regression_learns():
    target = 1000 + 50 * FEATURES[:, 0]
    made, batch = training(Rows(FEATURES, target), is_classification=False, horizon=40)
    train(made, 40)
    assert np.abs(made.predict(batch) - target).mean() < 12


def watched(patience, **values):
    kept, aside = set_aside(ROWS, 3)
    preparation = fit_preparation(Hyperparameters(**BASE), kept, LEVELS, 1, is_classification=True)
    batch = Batch.of(preparation.transform(aside.features), CPU)
    watch = Watch(batch, torch.from_numpy(aside.target), patience)
    made, _ = training(kept, watch=watch, **values)
    return made, batch, aside


def test_early_stopping_ends_and_keeps_the_best_epoch():
    made, batch, aside = watched(3, learning_rate=0.05, layers=3, horizon=80, scheduler="none")
    losses, weights = [], []
    while not made.is_over:
        made.train_epoch()
        prediction = made.predict(batch)
        losses.append(-np.log(prediction[np.arange(len(aside)), aside.target]).mean())
        weights.append({name: tensor.clone() for name, tensor in made.network.state_dict().items()})
        assert made.epochs < 80
    best = int(np.argmin(losses))
    assert made.epochs == best + 1 + 3
    assert all(torch.equal(tensor, weights[best][name]) for name, tensor in made.final_weights().items())


def test_early_stopping_continues_from_a_state():
    values = {"learning_rate": 0.05, "layers": 3, "horizon": 80, "scheduler": "none"}
    at_once, _, _ = watched(3, **values)
    while not at_once.is_over:
        at_once.train_epoch()
    for cut in (1, at_once.epochs - 2):
        first, _, _ = watched(3, **values)
        train(first, cut)
        second, _, _ = watched(3, **values)
        second.restore(first.state(), first.losses)
        while not second.is_over:
            second.train_epoch()
        assert second.losses == at_once.losses
        final = second.final_weights()
        assert all(torch.equal(tensor, final[name]) for name, tensor in at_once.final_weights().items())


def test_rows_set_aside_are_a_tenth_of_each_class_and_of_the_training_rows():
    target = np.repeat([0, 1, 2], [600, 300, 100]).astype(np.int64)
    rows = Rows(np.arange(1000.0)[:, None], target)
    kept, aside = set_aside(rows, 7)
    assert np.bincount(aside.target).tolist() == [60, 30, 10]
    assert sorted([*kept.features[:, 0], *aside.features[:, 0]]) == list(range(1000))
    other = set_aside(rows, 8)[1]
    assert other.features.tolist() != aside.features.tolist()
    assert len(set_aside(Rows(rows.features, rows.features[:, 0]), 7)[1]) == 100
    assert set_aside(rows.select(np.arange(9)), 7) is None


def test_a_loss_that_is_no_number_counts_as_no_improvement():
    stopping = EarlyStopping(2)
    for loss, weight in ((float("nan"), 0.0), (1.0, 1.0), (float("nan"), 2.0), (1.0, 3.0)):
        stopping.take(loss, {"w": torch.tensor(weight)})
    assert stopping.is_over
    assert stopping.best["w"] == 1.0
