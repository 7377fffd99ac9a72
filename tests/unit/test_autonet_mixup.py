import numpy as np
import pytest
import torch
from torch.nn import functional

from bohb_service.workers.autonet.hyperparameters import Hyperparameters
from bohb_service.workers.autonet.mixup import Mixture, draw_mixture
from bohb_service.workers.autonet.objective import Objective

CPU = torch.device("cpu")


def test_the_loss_of_a_mixed_batch_is_the_mixed_loss():
    generator = torch.Generator().manual_seed(3)
    output = torch.randn(12, 5, generator=generator)
    target = torch.randint(0, 5, (12,), generator=generator)
    partners = torch.randperm(12, generator=generator)
    objective = Objective(5, is_classification=True)
    for share in (0.0, 0.3, 0.75, 1.0):
        loss = Mixture(share, partners).loss(objective.criterion(), output, target)
        log = torch.log_softmax(output, dim=1)
        own = -log[torch.arange(12), target].mean()
        other = -log[torch.arange(12), target[partners]].mean()
        assert float(loss) == pytest.approx(float(share * own + (1 - share) * other), abs=1e-6)


def test_mixed_rows_are_shares_of_two():
    rows = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    mixed = Mixture(0.25, torch.tensor([1, 0])).inputs(rows)
    assert mixed.tolist() == [[0.25, 1.5], [0.75, 0.5]]


def test_a_regression_mixes_squared_errors():
    objective = Objective(1, is_classification=False)
    output, target = torch.tensor([[1.0], [2.0]]), torch.tensor([0.0, 4.0])
    loss = Mixture(0.25, torch.tensor([1, 0])).loss(objective.criterion(), output, target)
    assert float(loss) == pytest.approx(0.25 * (1 + 4) / 2 + 0.75 * (9 + 4) / 2)


def test_the_share_is_from_a_beta_distribution():
    parameters = Hyperparameters(trainer="mixup", mixup_alpha=0.4)
    generator = np.random.default_rng(0)
    mixtures = [draw_mixture(parameters, 6, generator, CPU) for _ in range(4000)]
    shares = np.array([mixture.share for mixture in mixtures])
    assert shares.mean() == pytest.approx(0.5, abs=0.02)
    assert shares.var() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), rel=0.05)
    assert sorted(mixtures[0].partners.tolist()) == list(range(6))


@pytest.mark.parametrize("values", [{"trainer": "standard"}, {"trainer": "mixup", "mixup_alpha": 0.0}])
def test_without_mixup_nothing_is_drawn(values):
    generator = np.random.default_rng(0)
    assert draw_mixture(Hyperparameters(**values), 6, generator, CPU) is None
    assert generator.random() == np.random.default_rng(0).random()


def test_class_weights_make_classes_count_the_same():
    target = np.array([0] * 8 + [2] * 2)
    objective = Objective.of(target, 3, is_classification=True)
    weights = objective.class_weights(target)
    assert weights.tolist() == pytest.approx([0.625, 5.0, 2.5])
    assert weights[target].mean() == pytest.approx(1.0)
    output = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    each = functional.cross_entropy(output, torch.from_numpy(target), reduction="none")
    expected = (each[:8].mean() + each[8:].mean()) / 2
    assert float(objective.criterion(weights)(output, torch.from_numpy(target))) == pytest.approx(
        float(expected), rel=1e-5
    )


def test_a_regression_learns_on_a_standard_scale_and_predicts_on_its_own():
    target = np.array([100.0, 300.0])
    objective = Objective.of(target, 1, is_classification=False)
    assert objective.encode(target).tolist() == [-1.0, 1.0]
    assert objective.predictions(torch.tensor([[0.5]])).tolist() == [250.0]
    assert Objective.of(np.array([7.0, 7.0]), 1, is_classification=False).predictions(torch.zeros(1, 1)).tolist() == [
        7.0
    ]
    assert objective.class_weights(target) is None
