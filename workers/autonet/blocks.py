"""Residual blocks, with branches that are shaken."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


@dataclass(frozen=True, slots=True)
class Shake:
    """How the branches of a block are mixed with its input.

    Attributes:
        branches: ``none``, ``shake_shake`` or ``shake_drop``.
        probability: Of a shake, for ``shake_drop``.

    References:
        Gastaldi (2017), "Shake-Shake regularization"; Yamada et al. (2019), "ShakeDrop Regularization for Deep
        Residual Learning", here with forward factors in [0, 1] as in Auto-PyTorch.
    """

    branches: str
    probability: float


def shake_shake(first: Tensor, second: Tensor, *, is_training: bool) -> Tensor:
    """A mixture of two branches: by random shares in training, other ones backward than forward; else the mean.

    Args:
        first: One branch.
        second: The other, of the same shape.
        is_training: Whether shares are drawn, from PyTorch's CPU generator.
    """
    if not is_training:
        return 0.5 * (first + second)
    forward, backward = torch.rand(2).tolist()
    mixed = backward * first + (1.0 - backward) * second
    # The difference in the value is hidden from the gradient.
    shaken: Tensor = mixed + (forward - backward) * (first - second).detach()
    return shaken


def shake_drop(branch: Tensor, probability: float, *, is_training: bool) -> Tensor:
    """A branch that with this probability is multiplied by random factors; otherwise by their mean.

    Args:
        branch: The branch.
        probability: Of a shake.
        is_training: Whether factors are drawn, from PyTorch's CPU generator.
    """
    if not is_training:
        return (1.0 - 0.5 * probability) * branch
    draw, forward, backward = torch.rand(3).tolist()
    if draw >= probability:
        return branch
    shaken: Tensor = backward * branch + (forward - backward) * branch.detach()
    return shaken


class ResidualBlock(nn.Module):
    """Two linear layers, each after a normalisation and an activation, beside the input itself.

    Where the width changes, input and layers share the first normalisation, and a linear map fits the input.

    Args:
        n_in: Width of the input.
        n_out: Width of the output.
        activation: Name of the activation.
        batch_norm: Whether there are normalisations.
        dropout: Rate between the layers.
        shake: How layers and input are mixed; None for no connection past the layers.
    """

    def __init__(
        self, n_in: int, n_out: int, *, activation: str, batch_norm: bool, dropout: float, shake: Shake | None
    ) -> None:
        super().__init__()
        self._shake = shake
        start = [*([nn.BatchNorm1d(n_in)] if batch_norm else []), ACTIVATIONS[activation]()]
        has_map = shake is not None and n_in != n_out
        self.start = nn.Sequential(*start) if has_map else nn.Identity()
        self.map = nn.Linear(n_in, n_out) if has_map else nn.Identity()

        def branch() -> nn.Module:
            own_start = [] if has_map else [*([nn.BatchNorm1d(n_in)] if batch_norm else []), ACTIVATIONS[activation]()]
            return nn.Sequential(
                *own_start,
                nn.Linear(n_in, n_out),
                *([nn.BatchNorm1d(n_out)] if batch_norm else []),
                ACTIVATIONS[activation](),
                *([nn.Dropout(dropout)] if dropout > 0 else []),
                nn.Linear(n_out, n_out),
            )

        self.branch = branch()
        self.other_branch = branch() if shake is not None and shake.branches == "shake_shake" else None

    def forward(self, rows: Tensor) -> Tensor:
        """The output of rows."""
        started = self.start(rows)
        output: Tensor = self.branch(started)
        if self._shake is None:
            return output
        if self.other_branch is not None:
            output = shake_shake(output, self.other_branch(started), is_training=self.training)
        elif self._shake.branches == "shake_drop":
            output = shake_drop(output, self._shake.probability, is_training=self.training)
        mapped: Tensor = self.map(started)
        return output + mapped
