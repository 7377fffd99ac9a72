"""Networks that learn, with gradients by hand: for nets and batches as small as these, autograd is most of the time."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .actor import Layers, activate


@dataclass(frozen=True, slots=True)
class Forward:
    """What a network has computed for a batch.

    Attributes:
        inputs: Shape ``(n, inputs)``.
        hidden_1: After the first hidden layer.
        hidden_2: After the second.
        outputs: Shape ``(n, outputs)``.
    """

    inputs: Tensor
    hidden_1: Tensor
    hidden_2: Tensor
    outputs: Tensor


class Network:
    """Two hidden layers; all parameters are one vector, and so are their gradients.

    Attributes:
        parameters: All of them, shape ``(p,)``; ``parameters.grad`` is their gradient.
        extra: The last of them, which belong to no layer; shape ``(n_extra,)``.
        extra_gradient: Their gradient.
        layers: The layers as arrays that share the memory of the parameters.

    Args:
        sizes: Inputs, units of both hidden layers, outputs.
        activations: Of the hidden layers.
        output_gain: Scale of the initial weights of the last layer.
        generator: Of the initial weights, which are orthogonal; biases are 0.
        n_extra: Number of extra parameters, initially 0.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activations: tuple[str, str],
        *,
        output_gain: float,
        generator: torch.Generator,
        n_extra: int = 0,
    ) -> None:
        shapes = list(itertools.pairwise(sizes))
        total = sum(rows * columns + columns for rows, columns in shapes) + n_extra
        self.parameters = torch.zeros(total)
        self.parameters.grad = torch.zeros(total)
        self._weights, self._biases, self.extra = _views(self.parameters, shapes)
        self._weight_gradients, self._bias_gradients, self.extra_gradient = _views(self.parameters.grad, shapes)
        for number, weight in enumerate(self._weights):
            gain = output_gain if number == len(shapes) - 1 else 2.0**0.5
            torch.nn.init.orthogonal_(weight, gain, generator=generator)
        self._activations = activations
        first, second, third = (weight.numpy() for weight in self._weights)
        bias_1, bias_2, bias_3 = (bias.numpy() for bias in self._biases)
        self.layers = Layers((first, second, third), (bias_1, bias_2, bias_3), activations)

    def forward(self, inputs: Tensor) -> Forward:
        """The outputs, and what `backward` needs.

        Args:
            inputs: Shape ``(n, inputs)``.
        """
        hidden_1 = torch.addmm(self._biases[0], inputs, self._weights[0])
        activate(self._activations[0], hidden_1.numpy())
        hidden_2 = torch.addmm(self._biases[1], hidden_1, self._weights[1])
        activate(self._activations[1], hidden_2.numpy())
        return Forward(inputs, hidden_1, hidden_2, torch.addmm(self._biases[2], hidden_2, self._weights[2]))

    def features(self, inputs: Tensor) -> Tensor:
        """The second hidden layer, shape ``(n, units)``.

        Args:
            inputs: As for `forward`.
        """
        return self.forward(inputs).hidden_2

    def backward(self, done: Forward, slope: Tensor) -> None:
        """Set the gradient of all weights and biases; not that of the extra parameters.

        Args:
            done: What `forward` has returned for the parameters as they are.
            slope: Derivative with respect to the outputs, shape ``(n, outputs)``.
        """
        torch.mm(done.hidden_2.T, slope, out=self._weight_gradients[2])
        torch.sum(slope, 0, out=self._bias_gradients[2])
        slope = torch.mm(slope, self._weights[2].T)
        _through(self._activations[1], done.hidden_2, slope)
        torch.mm(done.hidden_1.T, slope, out=self._weight_gradients[1])
        torch.sum(slope, 0, out=self._bias_gradients[1])
        slope = torch.mm(slope, self._weights[1].T)
        _through(self._activations[0], done.hidden_1, slope)
        torch.mm(done.inputs.T, slope, out=self._weight_gradients[0])
        torch.sum(slope, 0, out=self._bias_gradients[0])


def _views(vector: Tensor, shapes: Sequence[tuple[int, int]]) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Weights, biases and the rest of a vector, as views of it."""
    weights, biases, first = [], [], 0
    for rows, columns in shapes:
        weights.append(vector[first : first + rows * columns].view(rows, columns))
        first += rows * columns
        biases.append(vector[first : first + columns])
        first += columns
    return weights, biases, vector[first:]


def _through(activation: str, activated: Tensor, slope: Tensor) -> None:
    """Make the derivative with respect to what an activation returned that with respect to what it was given."""
    slope.mul_(1 - activated * activated if activation == "tanh" else activated > 0)


_PARAMETERS = "parameters"


class Optimiser:
    """Changes a network's parameters along its gradient.

    Args:
        network: The network.
        kind: ``adam`` or ``rmsprop``.
        learning_rate: Size of the steps.
        max_norm: Longer gradients are cut to this norm; 0: none are.
    """

    def __init__(self, network: Network, kind: str, learning_rate: float, max_norm: float) -> None:
        self._optimiser: torch.optim.Optimizer
        if kind == "adam":
            self._optimiser = torch.optim.Adam([network.parameters], learning_rate, fused=True)
        else:
            self._optimiser = torch.optim.RMSprop([network.parameters], learning_rate)
        assert network.parameters.grad is not None
        self._parameters, self._gradient = network.parameters, network.parameters.grad
        self._max_norm = max_norm

    def state(self) -> dict[str, NDArray[Any]]:
        """The parameters, and what the next steps depend on, once there was a step: copies, by name."""
        moments = self._optimiser.state_dict()["state"][0]
        arrays = {name: torch.as_tensor(moment).numpy().copy() for name, moment in moments.items()}
        return {_PARAMETERS: self._parameters.numpy().copy(), **arrays}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Put a new network and its optimiser where others, made with the same arguments, were.

        Args:
            state: What `state` returned.
        """
        arrays = {name: torch.from_numpy(np.array(array)) for name, array in state.items()}
        self._parameters.copy_(arrays.pop(_PARAMETERS))
        groups = self._optimiser.state_dict()["param_groups"]
        self._optimiser.load_state_dict({"state": {0: arrays}, "param_groups": groups})

    def step(self) -> None:
        """One step along the gradient."""
        if self._max_norm:
            self._gradient.mul_((self._max_norm / (self._gradient.norm() + 1e-6)).clamp_(max=1.0))
        self._optimiser.step()
