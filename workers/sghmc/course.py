"""The course of one sampling: prepare, continue from the checkpoint, run the chains until the budget is spent."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bohb_service.workers.common.checkpoint import Checkpoint, keep_checkpoint, load_checkpoint
from bohb_service.workers.common.draws import derived_seed
from bohb_service.workers.common.progress import Progress, never
from bohb_service.workers.common.surroundings import torch_threads
from bohb_service.workers.common.unfinished import Unfinished
from bohb_service.workers.tabular.rows import Fold
from bohb_service.workers.tabular.worker import Effort

from .hyperparameters import Hyperparameters
from .layout import Layout
from .model import SampledNetworks
from .options import SamplingOptions
from .posterior import PUBLISHED_NOISE, WEAK_VARIANCE, Batches, BatchGradient, NoisePrior, Posterior
from .preparation import Preparation
from .sampler import Sampler, draw
from .steps import adapting_steps, steps_of
from .target_scale import TargetScale, residual_variance

_START, _NOISE, _ROWS = range(3)
"""Purposes of random numbers."""

_UNFINISHED = "unfinished.bin"


class Chains:
    """Chains that sample the networks of a fold.

    Args:
        parameters: Of sampler and network.
        fold: What is learned from; ``fold.judge`` is not looked at.
        options: Prior of the noise, number of chains, rows of a batch, and which positions are kept.
        seed: Of all that is random, in ``[0, 2**31)``.

    Attributes:
        sampler: The state of the chains.
        layout: Of the networks.
    """

    def __init__(self, parameters: Hyperparameters, fold: Fold, options: SamplingOptions, seed: int) -> None:
        is_classification, n = fold.task.is_classification, len(fold.train)
        n_levels = [None if column.levels is None else len(column.levels) for column in fold.encoder.columns]
        self.preparation = Preparation.fit(fold.train.features, n_levels)
        self.scale = TargetScale() if is_classification else TargetScale.of(fold.train.target)
        inputs = self.preparation.transform(fold.train.features)
        target = fold.train.target if is_classification else self.scale.standardised(fold.train.target)
        self.layout = Layout(
            inputs.shape[1], parameters.n_units_1, parameters.n_units_2, fold.task.n_outputs, is_classification
        )
        noise = PUBLISHED_NOISE
        if options.noise_prior == "weak" and not is_classification:
            middle = math.log(residual_variance(inputs, target))
            noise = NoisePrior(start=middle, mean=middle, variance=WEAK_VARIANCE)
        # Copies: sums of floats depend on the alignment in memory in the last digit.
        posterior = Posterior(self.layout, torch.from_numpy(inputs).clone(), torch.from_numpy(target).clone(), noise)
        start = self.layout.start(options.chains, derived_seed(seed, _START), noise.start)
        self.sampler = Sampler(
            start, l_rate=parameters.l_rate, mdecay=parameters.mdecay, seed=derived_seed(seed, _NOISE)
        )
        batches = Batches(n, options.batch_size, options.chains, derived_seed(seed, _ROWS))
        self._gradient = BatchGradient(posterior, self.sampler.position, batches)
        self._keep_every = options.keep_every
        self.kept: dict[int, NDArray[np.float64]] = {}
        """Positions by the number of steps before them, each of shape ``(chains, size)``."""

    def run(self, until: int, adapting: int, must_leave: Callable[[], bool] = never) -> None:
        """Go on until so many steps are done, those before included.

        Args:
            until: Number of steps.
            adapting: How many of them, the first ones, adapt the scales.
            must_leave: Asked between two steps whether to end early.

        Raises:
            FloatingPointError: A chain has diverged.
        """
        self.kept |= draw(
            self.sampler,
            self._gradient,
            until=until,
            adapting=adapting,
            keep_every=self._keep_every,
            must_leave=must_leave,
        )

    def forget(self, steps: float) -> None:
        """Drop the positions of the first steps.

        Args:
            steps: Their number.
        """
        self.kept = {step: position for step, position in self.kept.items() if step > steps}

    def state(self) -> dict[str, NDArray[Any]]:
        """All that the next steps and the sample depend on: arrays by name."""
        chains = tuple(self.sampler.position.shape)
        return {
            **self.sampler.state(),
            "kept_steps": np.array(list(self.kept), dtype=np.int64),
            "kept": np.stack([*self.kept.values()]) if self.kept else np.empty((0, *chains)),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a state of chains that were made with the same arguments.

        Args:
            state: What `state` returned.
        """
        self.sampler.restore(state)
        self.kept = dict(zip(state["kept_steps"].tolist(), state["kept"], strict=True))

    def networks(self, info: dict[str, Any]) -> SampledNetworks:
        """The positions that were kept; if there are none, those where the chains are.

        Args:
            info: Plain data about the sampling.
        """
        positions = [*self.kept.values()] or [self.sampler.position.numpy().copy()]
        return SampledNetworks(self.layout, self.preparation, self.scale, np.stack(positions, axis=1), info)


def sample_networks(
    parameters: Hyperparameters,
    effort: Effort,
    fold: Fold,
    *,
    options: SamplingOptions,
    seed: int,
    path: Path | None = None,
    mark: str = "",
    progress: Progress | None = None,
) -> SampledNetworks:
    """The networks of a fold.

    Args:
        parameters: Of sampler and network.
        effort: Steps in total.
        fold: What they learn from.
        options: How chains are run.
        seed: Of all that is random, in ``[0, 2**31)``.
        path: The checkpoint; None for none.
        mark: Of the checkpoint.
        progress: Asked between steps, if there is a checkpoint; told how many steps were taken over.

    Raises:
        StudyError: The budget is not one of the fidelity, or ends within the adaptation.
        FloatingPointError: A chain has diverged.
        Preempted: It had to end early; the chains are kept as they are, for the same number of steps.
    """
    progress = progress or Progress()
    steps = steps_of(effort, options)
    unfinished = None if path is None else Unfinished(path.with_name(_UNFINISHED), f"{mark} for {steps} steps")
    adapting = adapting_steps(parameters, steps, options)
    with torch_threads(options.threads, "sklearn.linear_model"):
        began = time.perf_counter()
        chains = Chains(parameters, fold, options, seed)
        if unfinished is not None and (state := unfinished.load()) is not None:
            chains.restore(state)
        elif path is not None:
            _resume(chains, load_checkpoint(path, mark, 1), steps, adapting, options)
        resumed = chains.sampler.steps
        progress.took_over(resumed, steps)
        # In the published way a longer budget adapts for longer: only what comes before the first sample goes on.
        _run(chains, adapting if options.adaptation == "budget" else steps, adapting, progress, unfinished)
        chains.forget(parameters.burn_in * steps)
        info = _keep(path, mark, chains, is_new=chains.sampler.steps > resumed)
        _run(chains, steps, adapting, progress, unfinished)
        if unfinished is not None:
            unfinished.drop()
        info |= {
            "steps_run": steps - resumed,
            "steps_resumed": resumed,
            "steps_adapting": adapting,
            "samples": len(chains.kept) or 1,
            "n_weights": chains.layout.size,
            "noise_clamped": chains.sampler.n_clamped / (steps * chains.sampler.position.numel()),
            "train_s": time.perf_counter() - began,
        }
        return chains.networks(info)


def mark_of(parameters: Hyperparameters, options: SamplingOptions) -> dict[str, Any]:
    """What the course of the chains depends on beside rows and seed, whatever the budget."""
    facts = {"parameters": asdict(parameters), "options": asdict(options)}
    del facts["options"]["steps"]
    return facts


def _run(chains: Chains, until: int, adapting: int, progress: Progress, unfinished: Unfinished | None) -> None:
    """Go on until so many steps are done, or leave the chains for another attempt."""
    if unfinished is None:
        chains.run(until, adapting)
        return
    chains.run(until, adapting, progress.must_leave)
    if progress.leaves:
        unfinished.leave(chains.state())


def _resume(chains: Chains, checkpoint: Checkpoint | None, steps: int, adapting: int, options: SamplingOptions) -> None:
    """Put the chains where the checkpoint is, if it is not beyond what is allowed."""
    most = adapting if options.adaptation == "budget" else steps
    if checkpoint is not None and int(checkpoint.arrays["steps"]) <= most:
        chains.restore(checkpoint.arrays)


def _keep(path: Path | None, mark: str, chains: Chains, *, is_new: bool) -> dict[str, Any]:
    """Write the checkpoint, if there is something new; return what there is to tell."""
    if path is None or not is_new:
        return {}
    return keep_checkpoint(path, mark, Checkpoint(np.zeros(1), chains.state()))
