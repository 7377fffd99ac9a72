"""Counting ones: how far each method gets, averaged over seeds.

The objective of the BOHB paper's first experiment: binary categoricals and probabilities in [0, 1], of which the mean
of ``budget`` coin tosses is seen; the more ones, the better. Prints the normalised regret of the incumbent, that is of
the configuration with the lowest loss seen at the largest budget so far, without noise, by what was spent in units of
the largest budget. In the last row BOHB's model is told random losses: what is left is Hyperband.

References:
    Falkner, Klein, Hutter (2018), "BOHB: Robust and Efficient Hyperparameter Optimization at Scale", arXiv:1807.01774,
    section 5.1.
"""

import argparse
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, UniformFloatHyperparameter

from bohb_service import BOHB, HyperBand, RandomSearch
from bohb_service.optimizer.methods import sampler_of
from bohb_service.optimizer.observation import Observation, Suggestion
from bohb_service.optimizer.sampler import Sampler
from bohb_service.optimizer.seeding import Purpose, generator
from bohb_service.space import SearchSpace

CHECKPOINTS = (1, 2, 5, 10, 20, 21, 42, 50, 84, 100, 200)
MINIMUM, MAXIMUM, ETA = 9, 729, 3


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation: the budget it spent, the noisy loss and the regret without noise."""

    budget: float
    loss: float
    regret: float


class CountingOnes:
    """The objective, with the noise of one seed.

    Args:
        n_categorical: Number of binary dimensions.
        n_continuous: Number of probabilities.
        seed: Seed of the coin tosses.
    """

    def __init__(self, n_categorical: int, n_continuous: int, seed: int) -> None:
        self._categorical = [f"bit{i}" for i in range(n_categorical)]
        self._continuous = [f"share{i}" for i in range(n_continuous)]
        self._seed = seed
        self._count = 0

    def space(self) -> ConfigurationSpace:
        """The search space."""
        space = ConfigurationSpace()
        space.add([CategoricalHyperparameter(name, [0, 1]) for name in self._categorical])
        space.add([UniformFloatHyperparameter(name, 0.0, 1.0) for name in self._continuous])
        return space

    def __call__(self, values: Mapping[str, Any], budget: float) -> Evaluation:
        """Tosses ``budget`` coins for each probability."""
        tosses = generator(self._seed, Purpose.EVALUATION, self._count)
        self._count += 1
        ones = sum(values[name] for name in self._categorical)
        shares = [values[name] for name in self._continuous]
        seen = tosses.binomial(int(budget), shares).sum() / budget if shares else 0.0
        size = len(self._categorical) + len(self._continuous)
        return Evaluation(budget, float(-ones - seen), (size - ones - sum(shares)) / size)


class Shuffled:
    """A sampler that is told the losses of other evaluations: what is left of BOHB is Hyperband.

    Args:
        sampler: The sampler that is misled.
        seed: Seed of the lies.
    """

    def __init__(self, sampler: Sampler, seed: int) -> None:
        self._sampler = sampler
        self._seed = seed
        self._told: list[Observation] = []

    def suggest(
        self, number: int, observations: Sequence[Observation], taken: Sequence[Mapping[str, Any]]
    ) -> Suggestion:
        """What the misled sampler suggests."""
        for observation in observations[len(self._told) :]:
            lie = generator(self._seed, Purpose.EVALUATION, len(self._told)).random()
            self._told.append(replace(observation, loss=lie))
        return self._sampler.suggest(number, self._told, taken)


def evaluations(optimizer: Any, objective: CountingOnes) -> Iterator[Evaluation]:
    """Evaluations of one sequential run, without end."""
    while (trial := optimizer.ask()) is not None:
        result = objective(trial.config, trial.budget)
        optimizer.tell(trial, result.loss)
        yield result


def regrets(run: Iterator[Evaluation], checkpoints: Sequence[float]) -> list[float]:
    """Regret of the incumbent when each of ``checkpoints``, in units of the largest budget, was spent."""
    result: list[float] = []
    spent = 0.0
    best: Evaluation | None = None
    for evaluation in run:
        spent += evaluation.budget
        while best is not None and spent > checkpoints[len(result)] * MAXIMUM:
            result.append(best.regret)
            if len(result) == len(checkpoints):
                return result
        if best is None or (-evaluation.budget, evaluation.loss) < (-best.budget, best.loss):
            best = evaluation
    raise AssertionError("runs have no end")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--categorical", type=int, default=8, metavar="N", help="binary dimensions (default 8)")
    parser.add_argument("--continuous", type=int, default=8, metavar="N", help="probabilities (default 8)")
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help="runs of each method (default 20)")
    parser.add_argument(
        "--full-budgets", type=float, default=84, metavar="X", help="end of a run, in largest budgets (default 84)"
    )
    parser.add_argument(
        "--sizes",
        choices=("hpbandster", "paper"),
        default="hpbandster",
        help="rule for the sizes of brackets (default hpbandster)",
    )
    arguments = parser.parse_args()
    checkpoints = [point for point in CHECKPOINTS if point <= arguments.full_budgets]
    if not checkpoints:
        parser.error(f"--full-budgets must be at least {CHECKPOINTS[0]}")

    print(f"{'mean regret ± sd at':20}" + "".join(f"{point:>17}" for point in checkpoints))
    for label, method, is_misled in (
        ("BOHB", BOHB, False),
        ("Hyperband", HyperBand, False),
        ("random search", RandomSearch, False),
        ("BOHB, random losses", BOHB, True),
    ):
        rows = []
        for seed in range(arguments.seeds):
            objective = CountingOnes(arguments.categorical, arguments.continuous, seed)
            sampler = Shuffled(sampler_of("bohb", SearchSpace(objective.space()), seed), seed) if is_misled else None
            optimizer = method(
                objective.space(),
                min_budget=MINIMUM,
                max_budget=MAXIMUM,
                eta=ETA,
                seed=seed,
                sizes=arguments.sizes,
                sampler=sampler,
            )
            rows.append(regrets(evaluations(optimizer, objective), checkpoints))
        columns = list(zip(*rows, strict=True))
        deviations = [statistics.stdev(column) if len(column) > 1 else 0.0 for column in columns]
        means = [statistics.mean(column) for column in columns]
        cells = [f"{mean:.4f} ± {sd:.4f}" for mean, sd in zip(means, deviations, strict=True)]
        print(f"{label:20}" + "".join(f"{cell:>17}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
