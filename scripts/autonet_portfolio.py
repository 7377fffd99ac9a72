"""Learns the portfolio of Auto-Net: 16 configurations of the medium space that together suit many data sets.

    python scripts/autonet_portfolio.py --data FOLDER --work FOLDER [--leave-one-out] [--write]

1. Each data set (``NAME.csv.gz`` in the folder, the last column to be predicted) is cut to at most 2000 rows for
   development, of which a quarter validates; of the rest at most 5000 rows test.
2. Random configurations, networks of at most 256 units, are trained on each; the best few become candidates.
3. All candidates are trained on all data sets. The matrix of validation errors, each data set's scaled to [0, 1]
   between its best and its median candidate, decides: one after the other, the candidate is taken that lowers the mean
   over the data sets of the best error so far the most. When none does, the errors so far are forgotten.

``--write`` writes `workers/autonet/portfolio.json`. ``--leave-one-out`` compares: for each data set, the portfolio
learned from the others (data sets with the same content are left out too) against 16 random configurations. Of each 16
the one with the smallest validation error is trained again on all development rows, and tested; the random side is the
mean over many draws. Evaluations are kept in the work folder: a second call goes on where the first ended.
"""

import argparse
import functools
import gzip
import hashlib
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# Two processes share the cores.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pandas as pd

from bohb_service.worker.plain import to_plain
from bohb_service.workers.autonet import AutoNet
from bohb_service.workers.autonet.spaces import build_space
from bohb_service.workers.common.progress import Progress
from bohb_service.workers.tabular.metrics import METRICS
from bohb_service.workers.tabular.worker import Effort

NAMES = (
    "car",
    "credit_g",
    "dna",
    "kr_vs_kp",
    "letter",
    "phoneme",
    "segment",
    "spambase",
    "vowel",
    "waveform5000",
)
SIZE = 16
PORTFOLIO = Path(__file__).parents[1] / "workers" / "autonet" / "portfolio.json"
Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Data:
    """A data set as it is learned from.

    Attributes:
        name: Its file, without endings.
        digest: SHA-256 of the content of the source.
        path: The cut file, with a column ``split``.
    """

    name: str
    digest: str
    path: Path


@dataclass(frozen=True, slots=True)
class Task:
    """One training: of a configuration on a data set.

    Attributes:
        data: The data set.
        config: The configuration.
        epochs: Of the training, and the horizon.
        seed: Of the training.
        is_test: Whether it learns from all development rows and is tested, or leaves some to validate on.
    """

    data: Data
    config: Config
    epochs: int
    seed: int
    is_test: bool = False

    @property
    def key(self) -> str:
        """Text by which its result is kept."""
        facts = [self.data.digest, dict(self.config), self.epochs, self.seed, self.is_test]
        return json.dumps(facts, sort_keys=True)


def cut(source: Path, folder: Path, rows: int, seed: int) -> Data:
    """The data set in the form of `Data`."""
    with gzip.open(source) as file:
        content = file.read()
    digest = hashlib.sha256(content).hexdigest()
    name = source.name.removesuffix(".csv.gz")
    path = folder / f"{name}-{digest[:12]}-{rows}-{seed}.csv"
    if not path.exists():
        frame = pd.read_csv(source)
        order = np.random.default_rng(seed).permutation(len(frame))
        n_development = min(rows, int(0.75 * len(frame)))
        chosen = frame.iloc[order[: n_development + 5000]].reset_index(drop=True).copy()
        chosen.insert(0, "split", ["train" if row < n_development else "test" for row in range(len(chosen))])
        chosen.to_csv(path, index=False)
    return Data(name, digest, path)


@functools.cache
def worker_of(path: Path, epochs: int) -> AutoNet:
    """The worker of a data set, with its data read once in a process."""
    return AutoNet(
        data=str(path),
        test={"column": "split", "value": "test"},
        task="classification",
        space="medium",
        horizon=epochs,
        validation=0.25,
        device="cpu",
    )


def evaluate(task: Task) -> float:
    """Validation or test error of a training; 1 if it diverged."""
    worker = worker_of(task.data.path, task.epochs)
    fold = worker.dataset.final() if task.is_test else worker.dataset.fold(0)
    effort = Effort("epochs", task.epochs)
    with tempfile.TemporaryDirectory() as folder:
        try:
            model = worker.train(
                task.config,
                effort,
                fold,
                seed=task.seed,
                folder=Path(folder),
                report=lambda *_: None,
                progress=Progress(),
            )
            prediction = model.predict(fold.judge.features)
        except FloatingPointError:
            return 1.0
    return METRICS["error"].loss(fold.judge.target, prediction) if np.isfinite(prediction).all() else 1.0


class Evaluations:
    """Results of trainings, kept in a file.

    Args:
        path: The file; one result a line.
        processes: How many trainings at once.
    """

    def __init__(self, path: Path, processes: int) -> None:
        self._path = path
        self._processes = processes
        lines = path.read_text().splitlines() if path.exists() else []
        self._known: dict[str, float] = dict(json.loads(line) for line in lines)

    def of(self, tasks: Sequence[Task]) -> list[float]:
        """Errors of trainings; those that are not known yet are computed now."""
        missing = list({task.key: task for task in tasks if task.key not in self._known}.values())
        if not missing:
            return [self._known[task.key] for task in tasks]
        began = time.monotonic()
        with multiprocessing.get_context("spawn").Pool(self._processes) as pool, self._path.open("a") as file:
            for number, (task, error) in enumerate(zip(missing, pool.imap(evaluate, missing), strict=True), 1):
                self._known[task.key] = error
                file.write(json.dumps([task.key, error]) + "\n")
                file.flush()
                if number % 50 == 0 or number == len(missing):
                    spent = time.monotonic() - began
                    print(f"  {number} of {len(missing)} trainings, {spent:.0f} s", file=sys.stderr, flush=True)
        return [self._known[task.key] for task in tasks]


def random_configurations(count: int, seed: int) -> list[Config]:
    """Configurations of the medium space that are also ones of the full space, with at most 256 units."""
    space = build_space("medium")
    space.seed(seed)
    found: list[Config] = []
    while len(found) < count:
        config = to_plain(dict(space.sample_configuration()), "config")
        if config["units"] <= 256 and 32 <= config["batch_size"] <= 320:
            found.append(config)
    return found


def greedy(errors: np.ndarray, size: int) -> list[int]:
    """Numbers of the configurations that are taken, in order.

    Args:
        errors: Of each configuration (row) on each data set (column).
        size: How many to take, if there are as many.
    """
    best, middle = errors.min(axis=0), np.median(errors, axis=0)
    scaled = np.minimum((errors - best) / np.where(middle > best, middle - best, 1.0), 1.0)
    chosen: list[int] = []
    reached = np.ones(errors.shape[1])
    while len(chosen) < min(size, len(errors)):
        means = np.minimum(scaled, reached).mean(axis=1)
        means[chosen] = np.inf
        if means.min() >= reached.mean() and not (reached == 1).all():
            reached = np.ones(errors.shape[1])
            continue
        # Of equal gains the one that is better on the whole.
        number = min(range(len(errors)), key=lambda row: (means[row], scaled[row].mean()))
        chosen.append(number)
        reached = np.minimum(reached, scaled[number])
    return chosen


@dataclass(frozen=True, slots=True)
class Matrix:
    """The errors that portfolios are learned from.

    Attributes:
        data: The data sets: columns.
        configs: The candidates: rows.
        sources: For each candidate the digest of the data set on which it was found.
        errors: Validation errors.
    """

    data: Sequence[Data]
    configs: Sequence[Config]
    sources: Sequence[str]
    errors: np.ndarray

    def portfolio(self, without: str | None = None) -> list[int]:
        """Numbers of the candidates, learned without the data sets of a digest: neither errors nor candidates."""
        rows = [row for row, source in enumerate(self.sources) if source != without]
        columns = [column for column, data in enumerate(self.data) if data.digest != without]
        return [rows[number] for number in greedy(self.errors[np.ix_(rows, columns)], SIZE)]


class Study:
    """All of it, for given arguments."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._a = arguments
        arguments.work.mkdir(parents=True, exist_ok=True)
        self.data = [
            cut(arguments.data / f"{name}.csv.gz", arguments.work, arguments.rows, arguments.seed)
            for name in arguments.names
        ]
        self._evaluations = Evaluations(arguments.work / "evaluations.jsonl", arguments.processes)
        self._drawn = [random_configurations(arguments.draws, 100 * arguments.seed + i) for i in range(len(self.data))]
        tasks = [self._task(data, config) for data, own in zip(self.data, self._drawn, strict=True) for config in own]
        self._drawn_errors = np.array(self._evaluations.of(tasks)).reshape(len(self.data), -1)

    def matrix(self) -> Matrix:
        """Candidates and their errors."""
        configs, sources = [], []
        for data, drawn, errors in zip(self.data, self._drawn, self._drawn_errors, strict=True):
            for row in np.argsort(errors, kind="stable")[: self._a.candidates]:
                configs.append(drawn[row])
                sources.append(data.digest)
        tasks = [self._task(data, config) for data in self.data for config in configs]
        errors = np.array(self._evaluations.of(tasks)).reshape(len(self.data), -1).T
        return Matrix(self.data, configs, sources, errors)

    def leave_one_out(self, matrix: Matrix) -> int:
        """Print who wins on each data set; return how often the portfolio does."""
        portfolios = [matrix.portfolio(without=data.digest) for data in self.data]
        own = [rows[int(matrix.errors[rows, column].argmin())] for column, rows in enumerate(portfolios)]
        draws = [self._draws(number) for number in range(len(self.data))]
        others = [
            [rows[int(errors[rows].argmin())] for rows in subsets]
            for subsets, errors in zip(draws, self._drawn_errors, strict=True)
        ]
        tested = self._tested(
            [[matrix.configs[row]] + [self._drawn[i][other] for other in others[i]] for i, row in enumerate(own)]
        )
        wins = 0
        print("\nLeft out        validation error    test error of the chosen one")
        print("               portfolio   random   portfolio   random   better")
        for number, data in enumerate(self.data):
            ours, *random = tested[number]
            theirs = float(np.mean(random))
            wins += ours < theirs
            validated = float(np.mean([self._drawn_errors[number][rows].min() for rows in draws[number]]))
            better = "portfolio" if ours < theirs else "random" if ours > theirs else "neither"
            print(
                f"{data.name:<14} {matrix.errors[own[number], number]:>9.4f} {validated:>8.4f}   {ours:>9.4f} "
                f"{theirs:>8.4f}   {better}"
            )
        print(f"\nThe portfolio is better on {wins} of {len(self.data)} data sets.")
        return wins

    def _draws(self, number: int) -> list[np.ndarray]:
        """Some times 16 of the random configurations of a data set."""
        generator = np.random.default_rng([self._a.seed, number])
        return [generator.permutation(self._a.draws)[:SIZE] for _ in range(self._a.repeats)]

    def _task(self, data: Data, config: Config) -> Task:
        return Task(data, config, self._a.epochs, self._a.seed)

    def _tested(self, configs: Sequence[Sequence[Config]]) -> list[list[float]]:
        """Test errors of configurations on each data set, each the mean over seeds."""
        seeds = range(self._a.seed, self._a.seed + self._a.test_seeds)
        tasks = [
            [[replace(self._task(data, config), seed=seed, is_test=True) for seed in seeds] for config in own]
            for data, own in zip(self.data, configs, strict=True)
        ]
        flat = iter(self._evaluations.of([task for own in tasks for each in own for task in each]))
        return [[float(np.mean([next(flat) for _ in each])) for each in own] for own in tasks]


def show(matrix: Matrix, chosen: Sequence[int]) -> None:
    """Print the portfolio and what each of its members adds."""
    print("\nPortfolio: best validation error so far on each data set")
    print("    " + " ".join(f"{data.name[:9]:>9}" for data in matrix.data) + "  found on, what")
    names = {data.digest: data.name for data in matrix.data}
    for number in range(len(chosen)):
        best = matrix.errors[chosen[: number + 1]].min(axis=0)
        config = matrix.configs[chosen[number]]
        told = f"{config['network']} {config['layers']}x{config['units']} {config['optimizer']} {config['trainer']}"
        print(
            f"{number + 1:>3} "
            + " ".join(f"{e:>9.4f}" for e in best)
            + f"  {names[matrix.sources[chosen[number]]]}, {told}"
        )
    print(
        "all " + " ".join(f"{e:>9.4f}" for e in matrix.errors.min(axis=0)) + f"  the best of all {len(matrix.configs)}"
    )


def write(matrix: Matrix, chosen: Sequence[int], arguments: argparse.Namespace, path: Path) -> None:
    """Write the portfolio with where it comes from."""
    learned = {
        "epochs": arguments.epochs,
        "rows": arguments.rows,
        "seed": arguments.seed,
        "data": [{"name": data.name, "sha256": data.digest} for data in matrix.data],
    }
    content = {"learned": learned, "configurations": [dict(matrix.configs[number]) for number in chosen]}
    path.write_text(json.dumps(content, indent=1) + "\n")


def main() -> int:
    """Learn, compare, write, as the arguments say; 1 if the comparison is lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with NAME.csv.gz")
    parser.add_argument("--work", type=Path, required=True, help="folder for cut data and results")
    parser.add_argument("--names", nargs="+", default=NAMES, help="data sets")
    parser.add_argument("--rows", type=int, default=2000, help="most development rows")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--draws", type=int, default=32, help="random configurations of each data set")
    parser.add_argument("--candidates", type=int, default=6, help="best of them that become candidates")
    parser.add_argument("--repeats", type=int, default=20, help="draws of 16 random configurations to compare with")
    parser.add_argument("--test-seeds", type=int, default=2, help="seeds of the trainings that are tested")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--leave-one-out", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--output", type=Path, default=PORTFOLIO)
    arguments = parser.parse_args()
    study = Study(arguments)
    matrix = study.matrix()
    chosen = matrix.portfolio()
    show(matrix, chosen)
    if arguments.write:
        write(matrix, chosen, arguments, arguments.output)
    if arguments.leave_one_out:
        return int(study.leave_one_out(matrix) < 0.8 * len(study.data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
