"""A space with a branch for each learner: how close the model-based sampler and random search come to the best.

    python scripts/conditional_space.py [--seeds 30] [--out FILE]

As many searches as seeds, each with its own objective: a choice of 20 learners, five hyperparameters of each learner
and four common ones; the loss is the learner's own, plus squared distances from an optimum. All evaluations are at one
budget. Prints the simple regret, in units of the loss, after so many evaluations, and writes it beside this file.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, EqualsCondition, UniformFloatHyperparameter

from bohb_service.optimizer.model_sampler import ModelSampler
from bohb_service.optimizer.observation import Observation
from bohb_service.optimizer.random_sampler import RandomSampler
from bohb_service.optimizer.sampler import Sampler
from bohb_service.space import SearchSpace

CHECKPOINTS = (60, 120, 300)
LEARNERS, OWN, COMMON = 20, 5, 4
SAMPLERS: dict[str, Callable[[SearchSpace, int], Sampler]] = {"random search": RandomSampler, "model": ModelSampler}


def space() -> SearchSpace:
    """The space: 105 dimensions, of which ten are active at once."""
    made = ConfigurationSpace()
    learner = CategoricalHyperparameter("learner", [str(i) for i in range(LEARNERS)])
    made.add([learner, *(UniformFloatHyperparameter(f"common{j}", 0, 1) for j in range(COMMON))])
    for i in range(LEARNERS):
        own = [UniformFloatHyperparameter(f"own{i}_{j}", 0, 1) for j in range(OWN)]
        made.add(own)
        made.add([EqualsCondition(one, learner, str(i)) for one in own])
    return SearchSpace(made)


class Objective:
    """The loss of one seed.

    Args:
        seed: Of all its constants.
    """

    def __init__(self, seed: int) -> None:
        draw = np.random.default_rng(seed)
        self._base = 0.3 * draw.random(LEARNERS)
        self._optimum, self._weight = draw.random((LEARNERS, OWN)), 0.6 * draw.random((LEARNERS, OWN))
        self._common = draw.random(COMMON)
        self.best = float(self._base.min())

    def __call__(self, values: Mapping[str, Any]) -> float:
        """The loss of a configuration."""
        i = int(values["learner"])
        own = np.array([values[f"own{i}_{j}"] for j in range(OWN)])
        common = np.array([values[f"common{j}"] for j in range(COMMON)])
        distance = self._weight[i] @ (own - self._optimum[i]) ** 2 + 0.2 * np.sum((common - self._common) ** 2)
        return float(self._base[i] + distance)


def regrets(make: Callable[[SearchSpace, int], Sampler], seed: int) -> list[float]:
    """Simple regret at each of the checkpoints."""
    searched, objective = space(), Objective(seed)
    sampler, observations = make(searched, seed), list[Observation]()
    for number in range(CHECKPOINTS[-1]):
        taken = [observation.values for observation in observations]
        values = sampler.suggest(number, observations, taken).values
        observations.append(Observation(number, values, 1.0, objective(values)))
    best = np.minimum.accumulate([observation.loss for observation in observations]) - objective.best
    return [float(best[n - 1]) for n in CHECKPOINTS]


def main() -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".txt"))
    arguments = parser.parse_args()
    made_on = f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, Python {platform.python_version()}"
    lines = [
        f"Mean simple regret, {arguments.seeds} seeds; {made_on}.",
        f"    python scripts/{Path(__file__).name} --seeds {arguments.seeds}",
        "",
        "evaluations    " + "".join(f"{n:>8}" for n in CHECKPOINTS),
    ]
    for name, make in SAMPLERS.items():
        means = np.mean([regrets(make, seed) for seed in range(arguments.seeds)], axis=0)
        lines.append(f"{name:<15}" + "".join(f"{mean:8.3f}" for mean in means))
    arguments.out.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
