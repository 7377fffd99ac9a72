"""Networks for tables: learned embeddings, a backbone, a head."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .blocks import ACTIVATIONS, ResidualBlock, Shake
from .categories import CategoryColumn
from .hyperparameters import Hyperparameters
from .shapes import layer_dropout, layer_units

_ROWS = 8192
"""Rows that are predicted at once."""


class TabularNetwork(nn.Module):
    """A network of dense columns and categories.

    Args:
        parameters: Of the network.
        n_dense: Number of dense columns.
        embedded: The columns of categories.
        n_outputs: Number of outputs.
    """

    def __init__(
        self, parameters: Hyperparameters, n_dense: int, embedded: Sequence[CategoryColumn], n_outputs: int
    ) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(_embedding(column) for column in embedded)
        n_inputs = max(1, n_dense + sum(column.width for column in embedded))
        self._pads = n_dense == 0 and not embedded
        build = _residual if parameters.network.endswith("resnet") else _perceptron
        backbone, width = build(parameters, n_inputs)
        self.body = nn.Sequential(*backbone, *_head(parameters, width, n_outputs))

    def embed(self, dense: Tensor, codes: Tensor) -> Tensor:
        """What the body takes: dense columns, then the vectors of the categories, shape ``(n, n_inputs)``.

        Args:
            dense: Shape ``(n, n_dense)``.
            codes: Shape ``(n, n_embedded)``.
        """
        if self._pads:
            return dense.new_zeros((len(dense), 1))
        if not len(self.embeddings):
            return dense
        vectors = [embedding(codes[:, number]) for number, embedding in enumerate(self.embeddings)]
        return torch.cat([dense, *vectors], dim=1)

    def forward(self, dense: Tensor, codes: Tensor) -> Tensor:
        """The outputs of rows, shape ``(n, n_outputs)``.

        Args:
            dense: Shape ``(n, n_dense)``.
            codes: Shape ``(n, n_embedded)``.
        """
        output: Tensor = self.body(self.embed(dense, codes))
        return output


def in_parts(forward: Callable[[Tensor, Tensor], Tensor], dense: Tensor, codes: Tensor) -> Tensor:
    """Outputs of many rows, computed some thousand at a time so that memory stays small; no gradient.

    Args:
        forward: The network in evaluation mode.
        dense: As `TabularNetwork.forward` takes it.
        codes: As `TabularNetwork.forward` takes it.
    """
    with torch.inference_mode():
        parts = zip(dense.split(_ROWS), codes.split(_ROWS), strict=True)
        return torch.cat([forward(*part) for part in parts])


def _embedding(column: CategoryColumn) -> nn.Embedding:
    """A vector for each category, and one, 0 at first, for those that are missing or new."""
    embedding = nn.Embedding(column.n_codes + 1, column.width)
    with torch.no_grad():
        embedding.weight[column.n_codes].zero_()
    return embedding


def _perceptron(p: Hyperparameters, n_inputs: int) -> tuple[list[nn.Module], int]:
    """The layers of a perceptron, and its width at the end."""
    modules: list[nn.Module] = []
    if p.network == "mlp":
        units = [p.units] * p.layers
        rates = [p.dropout] * p.layers
        if p.use_dropout:
            modules += _dropout(p.dropout)
    else:
        units = layer_units(p.shape, n_inputs, p.output_units, p.units, p.layers)
        rates = layer_dropout(p.shape, p.dropout, p.layers)
    width = n_inputs
    for count, rate in zip(units, rates, strict=True):
        modules.append(nn.Linear(width, count))
        if p.batch_norm:
            modules.append(nn.BatchNorm1d(count))
        modules.append(ACTIVATIONS[p.activation]())
        if p.use_dropout:
            modules += _dropout(rate)
        width = count
    return modules, width


def _residual(p: Hyperparameters, n_inputs: int) -> tuple[list[nn.Module], int]:
    """The blocks of a residual network, and its width at the end."""
    if p.network == "resnet":
        units = [p.units] * (p.layers + 1)
        rates = [p.dropout] * p.layers
    else:
        # The first layer and the groups; the last of the shape would be the output, which the head has.
        units = layer_units(p.shape, n_inputs, p.output_units, p.units, p.layers + 2)[:-1]
        rates = layer_dropout(p.shape, p.dropout, p.layers)
    n_blocks = p.layers * p.blocks_per_group
    modules: list[nn.Module] = [nn.Linear(n_inputs, units[0])]
    for group, rate in enumerate(rates):
        for block in range(p.blocks_per_group):
            number = group * p.blocks_per_group + block + 1
            shake = Shake(p.branches, p.shake_drop_probability * number / n_blocks) if p.skip_connection else None
            width = units[group] if block == 0 else units[group + 1]
            modules.append(
                ResidualBlock(
                    width,
                    units[group + 1],
                    activation=p.activation,
                    batch_norm=p.batch_norm,
                    dropout=rate if p.use_dropout else 0.0,
                    shake=shake,
                )
            )
    if p.batch_norm:
        modules.append(nn.BatchNorm1d(units[-1]))
    return [*modules, ACTIVATIONS[p.activation]()], units[-1]


def _head(p: Hyperparameters, width: int, n_outputs: int) -> list[nn.Module]:
    modules: list[nn.Module] = []
    for _ in range(p.head_layers - 1):
        modules += [nn.Linear(width, p.head_units), ACTIVATIONS[p.activation]()]
        width = p.head_units
    return [*modules, nn.Linear(width, n_outputs)]


def _dropout(rate: float) -> list[nn.Module]:
    return [nn.Dropout(rate)] if rate > 0 else []
