"""What chooses actions: a small network in NumPy, which for few observations is much faster than PyTorch."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Actions = NDArray[np.int64] | NDArray[np.float32]
Kind = Literal["discrete", "continuous"]


def activate(name: str, values: Floats) -> None:
    """Apply an activation in place.

    Args:
        name: ``tanh`` or ``relu``.
        values: Of any shape.
    """
    if name == "tanh":
        np.tanh(values, out=values)
    else:
        np.maximum(values, np.float32(0), out=values)


@dataclass(frozen=True, slots=True)
class Layers:
    """A network with two hidden layers.

    Attributes:
        weights: Of each of the three layers, shape ``(inputs, outputs)``.
        biases: Of each, shape ``(outputs,)``.
        activations: Of the hidden layers.
    """

    weights: tuple[Floats, Floats, Floats]
    biases: tuple[Floats, Floats, Floats]
    activations: tuple[str, str]

    def __call__(self, inputs: Floats) -> Floats:
        """Outputs, shape ``(n, outputs)``.

        Args:
            inputs: Shape ``(n, inputs)``.
        """
        values = inputs
        for number in range(2):
            values = values @ self.weights[number]
            values += self.biases[number]
            activate(self.activations[number], values)
        values = values @ self.weights[2]
        values += self.biases[2]
        return values


@dataclass(frozen=True, slots=True)
class Actor:
    """Actions for observations.

    Attributes:
        layers: Their outputs are logarithms of unnormalised probabilities, or means of Gaussians.
        kind: ``discrete`` or ``continuous``.
        log_std: Logarithms of the Gaussians' standard deviations, shape ``(actions,)``; empty if discrete.
    """

    layers: Layers
    kind: Kind
    log_std: Floats

    def mode(self, observations: Floats) -> Actions:
        """The likeliest actions, shape ``(n,)`` or ``(n, actions)``.

        Args:
            observations: As the network was trained with, shape ``(n, d)``.
        """
        outputs = self.layers(observations)
        return outputs if self.kind == "continuous" else outputs.argmax(axis=1)

    def sample(self, observations: Floats, noise: Floats) -> Actions:
        """Random actions, shape ``(n,)`` or ``(n, actions)``.

        Args:
            observations: As for `mode`.
            noise: Uniform in [0, 1), shape ``(n,)``; or standard normal, shape ``(n, actions)``.
        """
        outputs = self.layers(observations)
        if self.kind == "continuous":
            scaled: Floats = np.exp(self.log_std) * noise
            scaled += outputs
            return scaled
        outputs -= outputs.max(axis=1, keepdims=True)
        np.exp(outputs, out=outputs)
        bounds = np.cumsum(outputs, axis=1)
        # The last bound is left out: rounding may put the noise above it.
        below: NDArray[np.int64] = (bounds[:, :-1] <= (noise * bounds[:, -1])[:, None]).sum(axis=1)
        return below

    def noise(self, rng: np.random.Generator, count: int) -> Floats:
        """Noise for `sample`.

        Args:
            rng: Draws it.
            count: Number of actions.
        """
        if self.kind == "discrete":
            return rng.random(count, dtype=np.float32)
        return rng.standard_normal((count, len(self.log_std)), dtype=np.float32)
