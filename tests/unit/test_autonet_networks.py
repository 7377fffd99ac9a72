import pytest
import torch
from torch import nn

from bohb_service.workers.autonet.blocks import ResidualBlock, shake_drop, shake_shake
from bohb_service.workers.autonet.categories import CategoryColumn
from bohb_service.workers.autonet.hyperparameters import ACTIVATIONS, Hyperparameters
from bohb_service.workers.autonet.initialisers import initialise
from bohb_service.workers.autonet.networks import TabularNetwork, in_parts
from bohb_service.workers.autonet.optimisers import make_optimizer


def network(n_dense=16, embedded=(), n_outputs=3, **values):
    return TabularNetwork(Hyperparameters(**values), n_dense, embedded, n_outputs)


def linear_sizes(made):
    return [(layer.in_features, layer.out_features) for layer in made.modules() if isinstance(layer, nn.Linear)]


def rates(made):
    return [layer.p for layer in made.modules() if isinstance(layer, nn.Dropout)]


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        yield


def test_a_plain_perceptron_has_one_width_and_one_dropout_rate_for_input_and_layers():
    made = network(network="mlp", layers=3, units=20, use_dropout=True, dropout=0.3, head_layers=1)
    assert linear_sizes(made) == [(16, 20), (20, 20), (20, 20), (20, 3)]
    assert rates(made) == [0.3] * 4


def test_a_shaped_perceptron_has_the_shape_in_units_and_dropout():
    made = network(network="shaped_mlp", shape="funnel", layers=4, units=200, output_units=26, head_layers=2)
    assert linear_sizes(made) == [(16, 200), (200, 142), (142, 84), (84, 26), (26, 128), (128, 3)]
    dropped = network(network="shaped_mlp", shape="funnel", layers=5, units=50, use_dropout=True, dropout=0.5)
    assert rates(dropped) == pytest.approx([0.5, 0.375, 0.25, 0.125])
    assert rates(network(network="shaped_mlp", layers=5, dropout=0.5)) == []


def test_a_shaped_resnet_has_groups_of_blocks():
    made = network(
        network="shaped_resnet", shape="funnel", layers=2, units=200, output_units=26, blocks_per_group=2, head_layers=1
    )
    blocks = [layer for layer in made.modules() if isinstance(layer, ResidualBlock)]
    assert [linear_sizes(block) for block in blocks] == [
        [(200, 142), (200, 142), (142, 142)],
        [(142, 142), (142, 142)],
        [(142, 84), (142, 84), (84, 84)],
        [(84, 84), (84, 84)],
    ]
    assert linear_sizes(made)[0] == (16, 200)
    assert linear_sizes(made)[-1] == (84, 3)


def test_a_plain_resnet_has_one_width():
    made = network(network="resnet", layers=3, units=24, blocks_per_group=1, use_dropout=True, dropout=0.2)
    assert set(linear_sizes(made)[1:-2]) == {(24, 24)}
    assert rates(made) == [0.2] * 3


def test_a_block_with_a_skip_connection_adds_to_its_input():
    block = ResidualBlock(4, 4, activation="relu", batch_norm=False, dropout=0.0, shake=None)
    skipping = network(network="resnet", layers=1, units=4, blocks_per_group=1, skip_connection=True)
    rows = torch.randn(5, 4)
    with_skip = next(layer for layer in skipping.modules() if isinstance(layer, ResidualBlock))
    with_skip.load_state_dict(block.state_dict())
    assert torch.allclose(with_skip(rows), rows + block(rows))
    lacking = network(network="resnet", layers=1, units=4, blocks_per_group=1, skip_connection=False)
    without = next(layer for layer in lacking.modules() if isinstance(layer, ResidualBlock))
    without.load_state_dict(block.state_dict())
    assert torch.equal(without(rows), block(rows))


@pytest.mark.parametrize("kind", ["mlp", "shaped_mlp", "resnet", "shaped_resnet"])
def test_batch_norm_is_an_option_of_every_backbone(kind):
    counts = [
        sum(isinstance(layer, nn.BatchNorm1d) for layer in network(network=kind, batch_norm=on).modules())
        for on in (False, True)
    ]
    assert counts[0] == 0
    assert counts[1] >= 5


@pytest.mark.parametrize(("name", "kind"), [("relu", nn.ReLU), ("tanh", nn.Tanh), ("sigmoid", nn.Sigmoid)])
def test_activations(name, kind):
    found = {
        type(layer) for layer in network(activation=name).modules() if type(layer).__module__.endswith("activation")
    }
    assert found == {kind}
    assert len(ACTIVATIONS) == 3


def test_shake_shake_mixes_by_other_shares_forward_than_backward():
    first, second = torch.full((2, 3), 1.0, requires_grad=True), torch.zeros((2, 3), requires_grad=True)
    output = shake_shake(first, second, is_training=True)
    share = float(output[0, 0].detach())
    assert 0 < share < 1
    assert torch.allclose(output, torch.full((2, 3), share))
    output.sum().backward()
    backward = float(first.grad[0, 0])
    assert torch.allclose(second.grad, torch.full((2, 3), 1 - backward))
    assert abs(backward - share) > 1e-3
    assert torch.equal(shake_shake(first, second, is_training=False), torch.full((2, 3), 0.5))


def test_shake_drop_keeps_or_shakes_with_its_probability_and_takes_the_mean_in_prediction():
    one = torch.ones(1)
    drawn = torch.cat([shake_drop(one, 0.25, is_training=True) for _ in range(2000)])
    assert float((drawn == 1).float().mean()) == pytest.approx(0.75, abs=0.04)
    assert 0 <= float(drawn.min()) < 0.1
    assert float(drawn.mean()) == pytest.approx(1 - 0.25 / 2, abs=0.02)
    assert float(shake_drop(one, 0.25, is_training=False)) == pytest.approx(1 - 0.25 / 2)
    rows = torch.ones(1, requires_grad=True)
    output = shake_drop(rows, 1.0, is_training=True)
    output.backward()
    assert float(rows.grad) != pytest.approx(float(output.detach()), abs=1e-6)


def test_shake_drop_grows_linearly_to_its_largest_probability():
    made = network(
        network="resnet", layers=2, blocks_per_group=2, branches="shake_drop", shake_drop_probability=0.8, units=8
    )
    blocks = [layer for layer in made.modules() if isinstance(layer, ResidualBlock)]
    assert [block._shake.probability for block in blocks] == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_shake_shake_has_two_branches_and_shakes_only_in_training():
    made = network(network="resnet", layers=1, units=8, branches="shake_shake", blocks_per_group=1)
    rows, codes = torch.randn(6, 16), torch.zeros((6, 0), dtype=torch.int64)
    assert not torch.equal(made(rows, codes), made(rows, codes))
    made.eval()
    assert torch.equal(made(rows, codes), made(rows, codes))


def test_embeddings_are_trained_vectors_and_a_new_category_is_the_zero_vector():
    column = CategoryColumn(0, (0, 1, 2, 3), 4, 2)
    made = network(n_dense=1, embedded=[column], layers=1)
    codes = torch.tensor([[0], [3], [4]])
    embedded = made.embed(torch.zeros(3, 1), codes)
    assert embedded.shape == (3, 3)
    assert torch.equal(embedded[2], torch.zeros(3))
    before = made.embeddings[0].weight.detach().clone()
    optimizer = make_optimizer(Hyperparameters(optimizer="sgd", learning_rate=0.1), made.parameters())
    made(torch.ones(2, 1), codes[:2]).square().sum().backward()
    optimizer.step()
    moved = (made.embeddings[0].weight != before).any(dim=1).tolist()
    assert moved == [True, False, False, True, False]


def test_a_network_without_inputs_predicts_a_constant():
    made = network(n_dense=0).eval()
    output = made(torch.zeros((4, 0)), torch.zeros((4, 0), dtype=torch.int64))
    assert output.shape == (4, 3)
    assert torch.equal(output[0], output[3])


def test_predictions_in_parts_are_those_in_one_go():
    made = network(layers=2, units=8).eval()
    rows = torch.randn(20_000, 16)
    codes = torch.zeros((20_000, 0), dtype=torch.int64)
    parts = in_parts(made, rows, codes)
    with torch.inference_mode():
        assert torch.allclose(parts, made(rows, codes), atol=1e-6)
    assert in_parts(made, rows[:0], codes[:0]).shape == (0, 3)


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("xavier", lambda w: abs(float(w.std()) - (2 / (64 + 100)) ** 0.5) < 0.005),
        ("kaiming", lambda w: abs(float(w.std()) - (2 / 64) ** 0.5) < 0.01),
        ("orthogonal", lambda w: torch.allclose(w.T @ w, torch.eye(64), atol=1e-4)),
        ("sparse", lambda w: abs(float((w == 0).float().mean()) - 0.9) < 0.01),
        ("none", lambda w: float(w.abs().max()) <= 1 / 8),
    ],
)
def test_initialisers(name, holds):
    made = nn.Sequential(nn.Linear(64, 100))
    initialise(made, Hyperparameters(initialiser=name, bias="zero"))
    assert holds(made[0].weight.detach())
    assert bool((made[0].bias == 0).all()) == (name != "none")
    initialise(made, Hyperparameters(initialiser=name, bias="normal"))
    if name != "none":
        assert float(made[0].bias.detach().std()) == pytest.approx(0.01, rel=0.3)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("sgd", lambda w: torch.optim.SGD(w, 0.01, momentum=0.8, weight_decay=0.05)),
        ("adam", lambda w: torch.optim.Adam(w, 0.01, betas=(0.87, 0.95), weight_decay=0.05)),
        ("adamw", lambda w: torch.optim.AdamW(w, 0.01, betas=(0.87, 0.95), weight_decay=0.05)),
        ("rmsprop", lambda w: torch.optim.RMSprop(w, 0.01, alpha=0.7, momentum=0.8, weight_decay=0.05)),
    ],
)
def test_optimisers_are_pytorchs_with_these_settings(name, reference):
    parameters = Hyperparameters(
        optimizer=name, learning_rate=0.01, momentum=0.8, beta1=0.87, beta2=0.95, rmsprop_alpha=0.7, weight_decay=0.05
    )
    start = torch.randn(7, 3)
    ends = []
    for make in (lambda w: make_optimizer(parameters, w), reference):
        weights = start.clone().requires_grad_()
        optimizer = make([weights])
        for step in range(5):
            optimizer.zero_grad()
            ((weights - step) ** 3).sum().backward()
            optimizer.step()
        ends.append(weights.detach())
    assert torch.allclose(*ends, rtol=1e-4, atol=1e-6)
    assert not torch.allclose(ends[0], start, atol=1e-3)
