"""CPU time of one model-based proposal, refit after one new result included, on one thread.

Run as a script: ``python tests/benchmarks/bench_proposal.py``.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import statistics
import time

import numpy as np
from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, UniformFloatHyperparameter

from bohb_service.optimizer.methods import sampler_of
from bohb_service.optimizer.observation import Observation
from bohb_service.space import SearchSpace

# HpBandSter 0.7.4, proposal and refit, milliseconds of CPU, measured once on a quiet machine with two cores. It is not
# run here, so on another machine the ratio says less than the first column.
PREDECESSOR = {"16-d": {100: 79.8, 1_000: 97.9, 5_000: 176.0}, "2-d": {}}
TARGETS = {"16-d": {1_000: 1.0, 10_000: 5.0}, "2-d": {100: 0.25, 1_000: 0.25}}
SIZES = (100, 1_000, 5_000, 10_000, 100_000)


def mixed_space():
    """Eight categorical dimensions with three to five levels, and eight continuous ones."""
    space = ConfigurationSpace()
    space.add([CategoricalHyperparameter(f"c{i}", [f"level{k}" for k in range(3 + i % 3)]) for i in range(8)])
    space.add([UniformFloatHyperparameter(f"x{i}", 0.0, 1.0) for i in range(8)])
    return SearchSpace(space)


def small_space():
    """Two continuous dimensions, one of them logarithmic."""
    space = ConfigurationSpace()
    space.add([UniformFloatHyperparameter("a", 1e-5, 1.0, log=True), UniformFloatHyperparameter("b", 0.0, 1.0)])
    return SearchSpace(space)


def measure(space, size, repeats):
    """Median milliseconds of CPU of the model-based among ``repeats`` proposals after ``size`` observations."""
    rng = np.random.Generator(np.random.PCG64(0))
    vectors = space.sample(size + repeats, rng)
    losses = vectors.sum(axis=1) + rng.normal(0.0, 0.3, len(vectors))
    everything = [Observation(i, values, 81.0, float(losses[i])) for i, values in enumerate(space.decode(vectors))]
    sampler = sampler_of("bohb", space, seed=0)
    observations, taken = everything[:size], [observation.values for observation in everything[:size]]
    sampler.suggest(size - 1, observations, taken)
    times = []
    for number in range(size, size + repeats):
        observations.append(everything[number])
        begin = time.process_time()
        suggestion = sampler.suggest(number, observations, taken)
        elapsed = time.process_time() - begin
        taken.append(suggestion.values)
        if suggestion.origin == "model":
            times.append(elapsed)
    return 1e3 * statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200, help="proposals for each line")
    arguments = parser.parse_args()
    print(f"{'space':6} {'observations':>12} {'CPU ms':>8} {'target':>7} {'predecessor':>12} {'ratio':>6}")
    for name, space in (("16-d", mixed_space()), ("2-d", small_space())):
        for size in SIZES:
            cost = measure(space, size, arguments.repeats)
            target = TARGETS[name].get(size)
            before = PREDECESSOR[name].get(size)
            print(
                f"{name:6} {size:12} {cost:8.3f} {target or '-':>7} {before or '-':>12} "
                f"{f'{before / cost:.0f}x' if before else '-':>6}"
            )


if __name__ == "__main__":
    main()
