"""Steps per second of the sampler against a bare PyTorch loop that does the same gradient work.

Both look at the same batches of 20 rows of 455, as of Boston housing, in double precision. The bare loop is plain:
`nn.Sequential`, the loss with the free log variance, `backward`, and a step of fused SGD; with several chains it does
so for one after the other. It draws no noise and adapts nothing.

Called by `sghmc_figures.py throughput`.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from bohb_service.workers.sghmc.layout import Layout
from bohb_service.workers.sghmc.posterior import PUBLISHED_NOISE, Batches, BatchGradient, Posterior
from bohb_service.workers.sghmc.sampler import Sampler

ROWS, COLUMNS, SIZE = 455, 13, 20
SETTINGS = ((64, 1), (64, 4), (128, 1), (256, 1), (512, 1))
"""Units of both layers, and chains."""

Step = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Throughput:
    """CPU time of a step in microseconds, medians.

    Attributes:
        units: Of both hidden layers.
        chains: Number of chains.
        bare: Of the bare loop.
        sampling: Of the sampler, with fixed scales.
        adapting: Of the sampler, while scales adapt.
    """

    units: int
    chains: int
    bare: float
    sampling: float
    adapting: float


def bare_loop(layout: Layout, chains: int, inputs: torch.Tensor, target: torch.Tensor) -> Step:
    """One step of the plainest loop, for each chain."""
    n, prior = len(target), PUBLISHED_NOISE
    steps = []
    for _ in range(chains):
        network = nn.Sequential(
            nn.Linear(layout.n_inputs, layout.n_units_1),
            nn.Tanh(),
            nn.Linear(layout.n_units_1, layout.n_units_2),
            nn.Tanh(),
            nn.Linear(layout.n_units_2, 1),
        ).double()
        log_variance = nn.Parameter(torch.zeros((), dtype=torch.float64))
        optimizer = torch.optim.SGD([*network.parameters(), log_variance], 1e-12, fused=True)
        steps.append((network, log_variance, optimizer))
    batches = Batches(n, SIZE, 1, seed=0)

    def step(number: int) -> None:
        rows = batches.rows(number)
        for network, log_variance, optimizer in steps:
            optimizer.zero_grad()
            squares = (network(inputs[rows]).squeeze(1) - target[rows]).square().mean()
            loss = 0.5 * n * (squares * torch.exp(-log_variance) + log_variance)
            loss = loss + 0.5 * (log_variance - prior.mean).square() / prior.variance
            loss.backward()
            optimizer.step()

    return step


def sampler_step(layout: Layout, chains: int, inputs: torch.Tensor, target: torch.Tensor, *, adapt: bool) -> Step:
    """One step of the sampler."""
    sampler = Sampler(layout.start(chains, 0), l_rate=1e-4, mdecay=0.05, seed=0)
    batches = Batches(len(target), SIZE, chains, seed=0)
    gradient = BatchGradient(Posterior(layout, inputs, target), sampler.position, batches)

    def step(number: int) -> None:
        sampler.step(gradient(sampler.position, number), adapt=adapt)

    return step


def measure(repeats: int, seconds: float) -> list[Throughput]:
    """The figures of each setting; the loops take turns.

    Args:
        repeats: Number of turns.
        seconds: Of a turn, about.
    """
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    inputs = torch.from_numpy(random.normal(size=(ROWS, COLUMNS)))
    target = torch.from_numpy(random.normal(size=ROWS))
    found = []
    for units, chains in SETTINGS:
        layout = Layout(COLUMNS, units, units, 1, is_classification=False)
        loops = [
            bare_loop(layout, chains, inputs, target),
            sampler_step(layout, chains, inputs, target, adapt=False),
            sampler_step(layout, chains, inputs, target, adapt=True),
        ]
        times = [[_microseconds(loop, seconds) for loop in loops] for _ in range(repeats)]
        found.append(Throughput(units, chains, *(statistics.median(column) for column in zip(*times, strict=True))))
    return found


def _microseconds(step: Step, seconds: float) -> float:
    for number in range(20):
        step(number)
    count, began = 0, time.process_time()
    while (spent := time.process_time() - began) < seconds:
        for number in range(20):
            step(number)
        count += 20
    return spent / count * 1e6
