"""Stochastic-gradient Hamiltonian Monte Carlo with adaptive scales, for several chains at once."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bohb_service.workers.common.checks import named_as_arguments, number
from bohb_service.workers.common.draws import LARGEST_SEED
from bohb_service.workers.common.progress import never

from .noise import noise_variance

EPSILON = 1e-16
"""Keeps quotients finite."""

Potential = Callable[[Tensor], Tensor]
"""Of the parameters of one chain, shape ``(d,)``: the negative log density, up to a constant; without dimensions."""

Gradient = Callable[[Tensor, int], Tensor]
"""Of the parameters of all chains, shape ``(chains, d)``, and the number of steps before: the gradients of their
potentials, or unbiased estimates, of the same shape."""


class Sampler:
    """The state of the chains; each `step` changes it in place.

    Each parameter has a scale, ``1 / sqrt(v)``, where ``v`` estimates the second moment of its gradient over a window
    ``tau`` that adapts itself. Only steps that adapt change the scales: the chain has its target as its stationary
    distribution while they are fixed.

    The noise is drawn in single precision, which is three times as fast; all else is double.

    Args:
        start: Parameters of the chains, float64, shape ``(chains, d)``; copied.
        l_rate: Step size, above 0.
        mdecay: Share of the momentum that is lost in a step, in [0, 1].
        seed: Of the noise, in ``[0, 2**31)``.

    Attributes:
        position: The parameters, shape ``(chains, d)``; always the same tensor.
        steps: Number of steps so far.

    Raises:
        ValueError: A number is out of its range.

    References:
        Springenberg, Klein, Falkner, Hutter (2016), eqs. 8 to 10; Chen, Fox, Guestrin (2014).
    """

    def __init__(self, start: Tensor, *, l_rate: float, mdecay: float, seed: int) -> None:
        with named_as_arguments():
            number("l_rate", l_rate, 0, math.inf, is_open=True)
            number("mdecay", mdecay, 0, 1)
            number("seed", seed, 0, LARGEST_SEED, is_integer=True)
        self.position = start.detach().to(torch.float64).clone()
        self.steps = 0
        self._l_rate, self._mdecay = l_rate, mdecay
        self._momentum = torch.zeros_like(self.position)
        self._tau = torch.ones_like(self.position)
        self._mean = torch.ones_like(self.position)
        self._square = torch.ones_like(self.position)
        self._noise = torch.empty(self.position.shape, dtype=torch.float32)
        self._generator = torch.Generator().manual_seed(seed)
        self._clamped = torch.zeros((), dtype=torch.int64)
        self._pull = torch.empty_like(self.position)
        # A new tensor for each intermediate value would cost more than its computation: fresh pages of memory.
        self._buffers = tuple(torch.empty_like(self.position) for _ in range(3))
        self._fix_scales()

    @torch.no_grad()
    def step(self, gradient: Tensor, *, adapt: bool) -> None:
        """Move all chains.

        Args:
            gradient: Of the potential at `position`, or an unbiased estimate; shape ``(chains, d)``.
            adapt: Whether the scales adapt.
        """
        if adapt:
            self._adapt(gradient)
            self._fix_scales()
        self._clamped += self._n_clamped
        noise = self._noise.normal_(generator=self._generator)
        momentum = self._momentum.mul_(1.0 - self._mdecay)
        momentum.addcmul_(self._pull, gradient, value=-1.0).addcmul_(self._spread, noise)
        self.position.add_(momentum)
        self.steps += 1

    @property
    def n_clamped(self) -> int:
        """How often the noise of a parameter in a step was less than the smallest variance, in all chains and steps."""
        return int(self._clamped)

    @property
    def scale(self) -> Tensor:
        """The preconditioner of each parameter, shape ``(chains, d)``."""
        return 1.0 / (self._square.sqrt() + EPSILON)

    def state(self) -> dict[str, NDArray[Any]]:
        """All that the next steps depend on beside the constructor's arguments: arrays by name."""
        return {
            **{name: getattr(self, f"_{name}").numpy().copy() for name in _STATE},
            "position": self.position.numpy().copy(),
            "generator": self._generator.get_state().numpy().copy(),
            "steps": np.asarray(self.steps),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a state of a sampler that was made with the same arguments.

        Args:
            state: What `state` returned.
        """
        for name in _STATE:
            getattr(self, f"_{name}").copy_(torch.from_numpy(np.asarray(state[name])))
        self.position.copy_(torch.from_numpy(state["position"]))
        self._generator.set_state(torch.from_numpy(np.array(state["generator"])))
        self.steps = int(state["steps"])
        self._fix_scales()

    def _adapt(self, gradient: Tensor) -> None:
        """One step of the moving averages of gradients, their squares and the window."""
        weight, product, square = self._buffers
        torch.add(self._tau, 1.0, out=weight).reciprocal_()
        torch.square(self._mean, out=product).mul_(self._tau)
        torch.add(self._square, EPSILON, out=square)
        self._tau.addcdiv_(product, square, value=-1.0).add_(1.0)
        self._mean.lerp_(gradient, weight)
        self._square.lerp_(torch.square(gradient, out=square), weight)

    def _fix_scales(self) -> None:
        """What a step multiplies gradient and noise with; constant while the scales are."""
        scale = torch.sqrt(self._square, out=self._pull).add_(EPSILON).reciprocal_()
        variance, self._n_clamped = noise_variance(scale, self._l_rate, self._mdecay)
        self._spread = variance.sqrt_()
        scale.mul_(self._l_rate**2)


_MOST_STEPS = 10**9

_STATE = ("momentum", "tau", "mean", "square", "clamped")
"""Tensors of the state beside the position."""


def gradient_of(potential: Potential) -> Gradient:
    """The gradients of a potential for all chains at once, by automatic differentiation.

    Args:
        potential: Written with PyTorch's functions, for one chain.
    """
    of_all = torch.func.vmap(torch.func.grad(potential))

    def gradient(position: Tensor, _: int) -> Tensor:
        made: Tensor = of_all(position)
        return made

    return gradient


def draw(
    sampler: Sampler,
    gradient: Gradient,
    *,
    until: int,
    adapting: int = 0,
    keep_every: int = 1,
    must_leave: Callable[[], bool] = never,
) -> dict[int, NDArray[np.float64]]:
    """Positions of the chains, each of shape ``(chains, d)``, by their number of steps; none while the scales adapt.

    Args:
        sampler: Moves from where it is.
        gradient: Of the potential.
        until: Number of steps, those before included.
        adapting: How many of them, the first ones, adapt the scales.
        keep_every: The position is kept when the number of steps is a multiple of it.
        must_leave: Asked between two steps whether to end early; `draw` goes on from there when it is called again.

    Raises:
        ValueError: A number of steps is none.
        FloatingPointError: A position is no longer finite.
    """
    with named_as_arguments():
        number("until", until, 0, _MOST_STEPS, is_integer=True)
        number("adapting", adapting, 0, _MOST_STEPS, is_integer=True)
        number("keep_every", keep_every, 1, _MOST_STEPS, is_integer=True)
    kept: dict[int, NDArray[np.float64]] = {}
    while sampler.steps < until:
        sampler.step(gradient(sampler.position, sampler.steps), adapt=sampler.steps < adapting)
        is_kept = sampler.steps % keep_every == 0
        if (is_kept or sampler.steps == until) and not bool(sampler.position.isfinite().all()):
            raise FloatingPointError(
                f"the chain has diverged within {sampler.steps} steps; lower l_rate, or raise mdecay"
            )
        if is_kept and sampler.steps > adapting:
            kept[sampler.steps] = sampler.position.numpy().copy()
        if sampler.steps < until and must_leave():
            break
    return kept
