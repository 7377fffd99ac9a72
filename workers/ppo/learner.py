"""Proximal policy optimisation: policy and value network, and how they learn from a rollout."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .actor import Actor
from .advantages import estimate
from .agent import Agent
from .distributions import Categorical, Distribution, Gaussian
from .draws import minibatch_generator, weight_seed
from .environments import Interface
from .hyperparameters import Hyperparameters
from .networks import Network, Optimiser
from .normalisation import Eyes, Moments, forward_sums
from .objective import objective_slope
from .rollout import Rollout

_POLICY_GAIN = 0.01
_VALUE_GAIN = 1.0
_MOST = 10.0


class Learner:
    """An agent that learns.

    Attributes:
        actor: What acts; it shares its weights with the policy that learns.
        n_updates: Updates so far.

    Args:
        parameters: Of the agent.
        interface: Of the environment.
        seed: Of the trial.
    """

    def __init__(self, parameters: Hyperparameters, interface: Interface, seed: int) -> None:
        self._p = p = parameters
        self._seed = seed
        self._interface = interface
        self.n_updates = 0
        generator = torch.Generator().manual_seed(weight_seed(seed))
        activations = (p.activation_1, p.activation_2)
        form, width = interface.actions, interface.observations
        is_continuous = form.kind == "continuous"
        self._policy = Network(
            (width, p.n_units_1, p.n_units_2, form.size),
            activations,
            output_gain=_POLICY_GAIN,
            generator=generator,
            n_extra=form.size if is_continuous else 0,
        )
        self._policy.extra.fill_(p.initial_log_std)
        sees = width if p.baseline_mode == "states" else p.n_units_2
        self._baseline = Network(
            (sees, p.baseline_n_units_1, p.baseline_n_units_2, 1),
            activations,
            output_gain=_VALUE_GAIN,
            generator=generator,
        )
        self._policy_optimiser = Optimiser(self._policy, p.optimizer_type, p.learning_rate, p.max_grad_norm)
        self._baseline_optimiser = Optimiser(
            self._baseline, p.baseline_optimizer_type, p.baseline_learning_rate, p.max_grad_norm
        )
        self.actor = Actor(self._policy.layers, form.kind, self._policy.extra.numpy())
        self._observations = Moments(width)
        self._sums = Moments(1)

    @property
    def eyes(self) -> Eyes | None:
        """How observations are scaled until the next update."""
        if not self._p.normalise_observations:
            return None
        moments = self._observations
        return Eyes(moments.mean.astype(np.float32), moments.deviation.astype(np.float32))

    def agent(self) -> Agent:
        """The agent as it is now; it does not change when more is learned."""
        now = Agent(self.actor, self._interface, self.eyes)
        return Agent.from_arrays(now.arrays(), self.actor.layers.activations, self._interface, self.eyes)

    @property
    def is_finite(self) -> bool:
        """Whether all weights are numbers."""
        return bool(torch.isfinite(self._policy.parameters).all() and torch.isfinite(self._baseline.parameters).all())

    def state(self) -> dict[str, NDArray[Any]]:
        """All that the next updates depend on, once there was one: arrays by name."""
        parts = {
            f"{part}.{name}": array for part, owner in self._parts().items() for name, array in owner.state().items()
        }
        return {**parts, "updates": np.asarray(self.n_updates)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Put a new learner where another one, made with the same arguments, was.

        Args:
            state: What `state` returned.
        """
        for part, owner in self._parts().items():
            prefix = f"{part}."
            own = {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
            owner.restore(own)
        self.n_updates = int(state["updates"])

    def _parts(self) -> dict[str, Optimiser | Moments]:
        return {
            "policy": self._policy_optimiser,
            "baseline": self._baseline_optimiser,
            "observations": self._observations,
            "sums": self._sums,
        }

    def update(self, rollout: Rollout) -> None:
        """Learn from a rollout that `actor` has collected with `eyes` as they are.

        Args:
            rollout: At least one step.
        """
        eyes = self.eyes
        last = np.stack([stretch.last for stretch in rollout.stretches])
        observations = torch.from_numpy(rollout.observations if eyes is None else eyes.see(rollout.observations))
        afterwards = torch.from_numpy(last if eyes is None else eyes.see(last))
        advantages, targets = self._estimates(rollout, observations, afterwards)
        self._learn_policy(observations, torch.from_numpy(rollout.actions), advantages)
        self._learn_baseline(observations, targets)
        if self._p.normalise_observations:
            self._observations.update(rollout.observations)
        self.n_updates += 1

    def _estimates(self, rollout: Rollout, observations: Tensor, afterwards: Tensor) -> tuple[Tensor, Tensor]:
        """Advantages and targets of the values."""
        values, last_values = self._values(observations), self._values(afterwards)
        ends = np.cumsum([stretch.end - stretch.first for stretch in rollout.stretches])
        starts = np.concatenate([[0], ends[:-1]])
        parts = [slice(int(start), int(end)) for start, end in zip(starts, ends, strict=True)]
        rewards = self._scaled(rollout.rewards, parts)
        advantages, targets = np.empty(len(rollout)), np.empty(len(rollout))
        for stretch, part, last_value in zip(rollout.stretches, parts, last_values, strict=True):
            advantages[part], targets[part] = estimate(
                rewards[part],
                values[part],
                0.0 if stretch.is_terminated else float(last_value),
                discount=self._p.discount,
                gae_lambda=self._p.gae_lambda,
            )
        return torch.from_numpy(advantages.astype(np.float32)), torch.from_numpy(targets.astype(np.float32))

    def _scaled(self, rewards: NDArray[np.float64], parts: list[slice]) -> NDArray[np.float64]:
        if not self._p.normalise_rewards:
            return rewards
        sums = np.concatenate([forward_sums(rewards[part], self._p.discount) for part in parts])
        self._sums.update(sums[:, None])
        scaled: NDArray[np.float64] = np.clip(rewards / self._sums.deviation[0], -_MOST, _MOST)
        return scaled

    def _inputs(self, observations: Tensor) -> Tensor:
        """What the value network sees."""
        return observations if self._p.baseline_mode == "states" else self._policy.features(observations)

    def _values(self, observations: Tensor) -> NDArray[np.float64]:
        outputs = self._baseline.forward(self._inputs(observations)).outputs
        values: NDArray[np.float64] = outputs[:, 0].numpy().astype(np.float64)
        return values

    def _distribution(self, outputs: Tensor, actions: Tensor) -> Distribution:
        if self.actor.kind == "discrete":
            return Categorical(outputs, actions)
        return Gaussian(outputs, self._policy.extra, actions)

    def _learn_policy(self, observations: Tensor, actions: Tensor, advantages: Tensor) -> None:
        p = self._p
        before = self._distribution(self._policy.forward(observations).outputs, actions).log_probabilities
        for batch in self._minibatches(p.optimization_steps, observations, actions, advantages, before, purpose=0):
            seen, done, worth, old = batch
            n = len(seen)
            if p.normalise_advantages:
                worth = (worth - worth.mean()) / (worth.std(correction=0) + 1e-8)
            forward = self._policy.forward(seen)
            distribution = self._distribution(forward.outputs, done)
            ratio = torch.exp(distribution.log_probabilities - old)
            slope = objective_slope(ratio, worth, p.likelihood_ratio_clipping)
            # The optimiser minimises.
            of_outputs, of_extra = distribution.slopes(slope / -n, -p.entropy_regularization / n)
            self._policy.backward(forward, of_outputs)
            self._policy.extra_gradient.copy_(of_extra)
            self._policy_optimiser.step()

    def _learn_baseline(self, observations: Tensor, targets: Tensor) -> None:
        inputs = self._inputs(observations)
        for seen, target in self._minibatches(self._p.baseline_optimization_steps, inputs, targets, purpose=1):
            forward = self._baseline.forward(seen)
            # Of the mean squared error, halved.
            self._baseline.backward(forward, (forward.outputs - target[:, None]) / len(seen))
            self._baseline_optimiser.step()

    def _minibatches(self, passes: int, *columns: Tensor, purpose: int) -> Iterator[tuple[Tensor, ...]]:
        """All rows in each pass, in random order and in parts if the batch is divided."""
        n, size = len(columns[0]), self._p.minibatch_size
        if not size or size >= n:
            for _ in range(passes):
                yield columns
            return
        generator = minibatch_generator(self._seed, 2 * self.n_updates + purpose)
        for _ in range(passes):
            order = torch.from_numpy(generator.permutation(n))
            shuffled = [column.index_select(0, order) for column in columns]
            yield from zip(*(column.split(size) for column in shuffled), strict=True)
