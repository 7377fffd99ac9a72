"""The posterior of a network's parameters: priors, likelihood, and its gradient from batches of rows."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .layout import Layout, Parts


@dataclass(frozen=True, slots=True)
class NoisePrior:
    """A normal prior of the log variance of the noise, on the scale where the training targets have variance 1.

    Attributes:
        start: Where the log variance starts.
        mean: Of the prior.
        variance: Of the prior.
    """

    start: float
    mean: float
    variance: float


PUBLISHED_NOISE = NoisePrior(start=math.log(1e-3), mean=math.log(1e-6), variance=0.01)
"""Of the published benchmark: made for functions that are observed almost without noise."""

WEAK_VARIANCE = 1.0
"""Variance of the weak prior: within a factor of 7.4 of its middle with 95 %."""


@dataclass(frozen=True, slots=True)
class Posterior:
    """The density that the chains sample.

    The potential is the negative log posterior: that of the likelihood of all rows, plus that of the priors. The prior
    of the weights is the published one, whose log density is the mean over the weights of ``-weight^2 / 2``: a normal
    distribution whose variance is the number of weights.

    Attributes:
        layout: Of the network.
        inputs: Rows, float64, shape ``(n, inputs)``.
        target: Class numbers, int64, or values on the scale where their variance is 1, float64; shape ``(n,)``.
        noise: Prior of the noise of a regression.
    """

    layout: Layout
    inputs: Tensor
    target: Tensor
    noise: NoisePrior = PUBLISHED_NOISE

    def potential(self, vector: Tensor) -> Tensor:
        """The potential of one chain from all rows, up to a constant; without dimensions.

        Args:
            vector: Its parameters, shape ``(size,)``.
        """
        parts = self.layout.parts(vector.unsqueeze(0))
        outputs = parts.outputs(self.inputs.unsqueeze(0))[0]
        weights = vector[: self.layout.n_weights]
        prior = 0.5 * weights.square().sum() / self.layout.n_weights
        if self.layout.is_classification:
            return functional.cross_entropy(outputs, self.target, reduction="sum") + prior
        log_variance = parts.log_variance.squeeze()
        squares = (outputs.squeeze(1) - self.target).square().sum()
        likelihood = 0.5 * squares * torch.exp(-log_variance) + 0.5 * len(self.target) * log_variance
        return likelihood + 0.5 * (log_variance - self.noise.mean).square() / self.noise.variance + prior


class Batches:
    """Which rows each chain looks at in each step: its own permutation of all rows, pass by pass.

    All is drawn by counter, from the seed and the number of the pass. Rows that do not fill a batch at the end of a
    pass are left out of it.

    Args:
        rows: Number of rows.
        size: Rows of a batch; at most all.
        chains: Number of chains.
        seed: Not negative.
    """

    def __init__(self, rows: int, size: int, chains: int, seed: int) -> None:
        self._rows, self.size, self._chains, self._seed = rows, min(size, rows), chains, seed
        self._steps = rows // self.size
        self._passage = -1
        self._order = torch.empty(0)

    @property
    def is_whole(self) -> bool:
        """Whether a batch has all rows."""
        return self.size == self._rows

    def rows(self, step: int) -> Tensor:
        """Numbers of the rows, the batch of each chain after that of the other, shape ``(chains * size,)``.

        Args:
            step: From 0.
        """
        passage, place = divmod(step, self._steps)
        if passage != self._passage:
            random = np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(passage,)))
            orders = random.permuted(np.tile(np.arange(self._rows), (self._chains, 1)), axis=1)
            self._order = torch.from_numpy(orders[:, : self._steps * self.size])
            self._order = (
                self._order.view(self._chains, self._steps, self.size).transpose(0, 1).reshape(self._steps, -1)
            )
            self._passage = passage
        return self._order[place]


class BatchGradient:
    """The gradient of the potential, estimated from a batch for each chain: written out by hand, into one buffer.

    Automatic differentiation of all chains at once would give the same numbers in three times the time.

    Args:
        posterior: Of the parameters.
        position: Parameters of the chains, shape ``(chains, size)``: the tensor that the sampler moves.
        batches: Which rows to look at.
    """

    def __init__(self, posterior: Posterior, position: Tensor, batches: Batches) -> None:
        self._posterior, self._batches = posterior, batches
        self._chains, self._n = len(position), len(posterior.target)
        self._position, self._parts = position, posterior.layout.parts(position)
        self._gradient = torch.empty_like(position)
        self._into = posterior.layout.parts(self._gradient)
        self._target = posterior.target if posterior.layout.is_classification else posterior.target.unsqueeze(1)
        self._factor = self._n / batches.size
        self._prior = 1.0 / posterior.layout.n_weights

    @torch.no_grad()
    def __call__(self, position: Tensor, step: int) -> Tensor:
        """The gradients, shape ``(chains, size)``; overwritten by the next call.

        Args:
            position: The tensor that this object was made for.
            step: Number of the batch, from 0.
        """
        assert position is self._position
        inputs, target = self._rows(step)
        parts, into = self._parts, self._into
        first = torch.baddbmm(parts.biases[0], inputs, parts.weights[0]).tanh_()
        second = torch.baddbmm(parts.biases[1], first, parts.weights[1]).tanh_()
        outputs = torch.baddbmm(parts.biases[2], second, parts.weights[2])
        delta = self._of_outputs(outputs, target, parts, into)
        for layer, below in ((2, second), (1, first), (0, inputs)):
            weights = parts.weights[layer]
            torch.baddbmm(weights, below.transpose(1, 2), delta, beta=self._prior, out=into.weights[layer])
            torch.sum(delta, 1, keepdim=True, out=into.biases[layer])
            into.biases[layer].add_(parts.biases[layer], alpha=self._prior)
            if layer:
                delta = torch.ops.aten.tanh_backward(torch.bmm(delta, weights.transpose(1, 2)), below)
        return self._gradient

    def _rows(self, step: int) -> tuple[Tensor, Tensor]:
        inputs, target = self._posterior.inputs, self._target
        if self._batches.is_whole:
            return inputs.expand(self._chains, -1, -1), target.expand(self._chains, *target.shape)
        rows = self._batches.rows(step)
        shape = (self._chains, self._batches.size)
        return (
            inputs.index_select(0, rows).view(*shape, -1),
            target.index_select(0, rows).view(*shape, *target.shape[1:]),
        )

    def _of_outputs(self, outputs: Tensor, target: Tensor, parts: Parts, into: Parts) -> Tensor:
        """The gradient by the outputs; that by the log variance is written."""
        if self._posterior.layout.is_classification:
            delta = torch.softmax(outputs, 2)
            ones = torch.full((1, 1, 1), -1.0, dtype=delta.dtype).expand(*target.shape, 1)
            return delta.scatter_add_(2, target.unsqueeze(2), ones).mul_(self._factor)
        residual = outputs.sub_(target)
        weight = torch.exp(-parts.log_variance).mul_(self._factor)
        noise = self._posterior.noise
        squares = residual.square().sum(1, keepdim=True).mul_(weight)
        squares.sub_(parts.log_variance - noise.mean, alpha=2.0 / noise.variance).sub_(self._n)
        into.log_variance.copy_(squares.mul_(-0.5))
        return residual.mul_(weight)
