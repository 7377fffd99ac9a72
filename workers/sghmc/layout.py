"""How the parameters of a network lie in one vector."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

INITIAL_LOG_VARIANCE = float(np.log(1e-3))
"""Where the log variance of the noise starts in the published benchmark."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Views of parameter vectors; each has the chains as its first dimension.

    Attributes:
        weights: Of the three layers, shape ``(chains, inputs, outputs)``.
        biases: Of the three layers, shape ``(chains, 1, outputs)``.
        log_variance: Of the noise of a regression, shape ``(chains, 1, 1)``; without elements for a classification.
    """

    weights: tuple[Tensor, Tensor, Tensor]
    biases: tuple[Tensor, Tensor, Tensor]
    log_variance: Tensor

    def outputs(self, inputs: Tensor) -> Tensor:
        """What the networks make of rows: two layers with tanh, one without; shape ``(chains, n, outputs)``.

        Args:
            inputs: Shape ``(chains, n, inputs)``.
        """
        hidden = torch.baddbmm(self.biases[0], inputs, self.weights[0]).tanh()
        hidden = torch.baddbmm(self.biases[1], hidden, self.weights[1]).tanh()
        return torch.baddbmm(self.biases[2], hidden, self.weights[2])


@dataclass(frozen=True, slots=True)
class Layout:
    """The sizes of a network.

    Attributes:
        n_inputs: Columns of the prepared rows.
        n_units_1: Units of the first hidden layer.
        n_units_2: Units of the second hidden layer.
        n_outputs: Number of classes; 1 for a regression.
        is_classification: Whether there is no log variance.
    """

    n_inputs: int
    n_units_1: int
    n_units_2: int
    n_outputs: int
    is_classification: bool

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """Sizes from the inputs to the outputs."""
        return self.n_inputs, self.n_units_1, self.n_units_2, self.n_outputs

    @property
    def n_weights(self) -> int:
        """Number of weights and biases."""
        return sum((before + 1) * after for before, after in zip(self.widths, self.widths[1:], strict=False))

    @property
    def size(self) -> int:
        """Length of the vector: weights and biases, and the log variance of a regression, which comes last."""
        return self.n_weights + (not self.is_classification)

    def parts(self, vectors: Tensor) -> Parts:
        """Views of parameter vectors.

        Args:
            vectors: Shape ``(chains, size)``.
        """
        weights, biases, first, chains = [], [], 0, len(vectors)
        for before, after in zip(self.widths, self.widths[1:], strict=False):
            weights.append(vectors[:, first : first + before * after].view(chains, before, after))
            first += before * after
            biases.append(vectors[:, first : first + after].view(chains, 1, after))
            first += after
        log_variance = vectors[:, first:].unsqueeze(1)
        return Parts((weights[0], weights[1], weights[2]), (biases[0], biases[1], biases[2]), log_variance)

    def start(self, chains: int, seed: int, log_variance: float = INITIAL_LOG_VARIANCE) -> Tensor:
        """Where the chains start, shape ``(chains, size)``: each elsewhere.

        Biases are 0, weights normal with variance 1 / inputs of the layer: He's rule with the gain of a layer that is
        not rectified, as the published benchmark has it.

        Args:
            chains: Their number.
            seed: Of the weights, not negative.
            log_variance: Of the noise of a regression.
        """
        random = np.random.default_rng(seed)
        vectors = torch.zeros((chains, self.size), dtype=torch.float64)
        parts = self.parts(vectors)
        for weights in parts.weights:
            normal = random.standard_normal(tuple(weights.shape)) / np.sqrt(weights.shape[1])
            weights.copy_(torch.from_numpy(normal))
        parts.log_variance.fill_(log_variance)
        return vectors
