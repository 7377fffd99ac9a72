"""How much longer Auto-Net trains than a bare PyTorch loop of the same network.

    python scripts/autonet_throughput.py [--repeats 7] [--epochs 2] [--batch-size 64]

Both train the same network (small space: two layers of 128 units, dropout, Adam) on the 16000 rows of the letter data,
with the same batches, by turns in one process. Printed are the medians of CPU and wall time of an epoch, and the median
ratio of neighbouring turns; the exit status is 1 if a ratio of CPU times is above 1.3. Needs the extra `autonet`.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from bohb_service.workers.autonet.hyperparameters import Hyperparameters
from bohb_service.workers.autonet.objective import Objective
from bohb_service.workers.autonet.preparation import fit_preparation
from bohb_service.workers.autonet.spaces import BASES
from bohb_service.workers.autonet.training import Batch, Training
from bohb_service.workers.common.surroundings import torch_threads
from bohb_service.workers.tabular.rows import Rows
from bohb_service.workers.tabular.sources import letter

LIMIT = 1.3
ROWS = 16_000
CLASSES = 26


def bare_loop(dense: torch.Tensor, target: torch.Tensor, parameters: Hyperparameters) -> Callable[[], None]:
    """One epoch of the plainest loop: permutation, slices, forward, backward, step."""
    rate = parameters.dropout
    network = nn.Sequential(
        nn.Dropout(rate),
        nn.Linear(dense.shape[1], parameters.units),
        nn.ReLU(),
        nn.Dropout(rate),
        nn.Linear(parameters.units, parameters.units),
        nn.ReLU(),
        nn.Dropout(rate),
        nn.Linear(parameters.units, CLASSES),
    )
    optimizer = torch.optim.Adam(network.parameters(), parameters.learning_rate, fused=True)
    criterion = nn.CrossEntropyLoss()

    def epoch() -> None:
        network.train()
        order = torch.randperm(len(dense))
        for first in range(0, len(order), parameters.batch_size):
            index = order[first : first + parameters.batch_size]
            optimizer.zero_grad()
            criterion(network(dense[index]), target[index]).backward()
            optimizer.step()

    return epoch


def auto_net(rows: Rows, parameters: Hyperparameters) -> tuple[Callable[[], None], Batch]:
    """One epoch of Auto-Net's training, and the rows that it learns from."""
    preparation = fit_preparation(parameters, rows, [None] * rows.features.shape[1], 0, is_classification=True)
    objective = Objective.of(rows.target, CLASSES, is_classification=True)
    batch = Batch.of(preparation.transform(rows.features), torch.device("cpu"))
    training = Training(parameters, preparation, objective, batch, rows.target, seed=0, horizon=10_000)
    return training.train_epoch, batch


def seconds(epoch: Callable[[], None], epochs: int) -> tuple[float, float]:
    """CPU and wall time of an epoch, the mean of some."""
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(epochs):
        epoch()
    return (time.process_time() - cpu) / epochs, (time.perf_counter() - wall) / epochs


def measure(threads: int, arguments: argparse.Namespace) -> float:
    """Print the figures for a number of threads; return the ratio of CPU times."""
    parameters = Hyperparameters.from_config({"batch_size": arguments.batch_size}, BASES["small"])
    frame, labels = letter()
    rows = Rows(frame[:ROWS].astype(np.float64), labels[:ROWS].astype(np.int64))
    with torch_threads(threads):
        ours, batch = auto_net(rows, parameters)
        bare = bare_loop(batch.dense, torch.from_numpy(rows.target), parameters)
        seconds(ours, 1)
        seconds(bare, 1)
        pairs = [(seconds(ours, arguments.epochs), seconds(bare, arguments.epochs)) for _ in range(arguments.repeats)]
    ratios = []
    for number, kind in enumerate(("CPU", "wall")):
        own = statistics.median(pair[0][number] for pair in pairs)
        plain = statistics.median(pair[1][number] for pair in pairs)
        ratios.append(statistics.median(pair[0][number] / pair[1][number] for pair in pairs))
        print(f"{threads:>7}  {kind:<4}  {own:>10.3f}  {plain:>7.3f}  {ratios[-1]:>5.2f}")
    return ratios[0]


def main() -> int:
    """Measure with one thread and with two."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64)
    arguments = parser.parse_args()
    print(f"PyTorch {torch.__version__}; seconds of an epoch of {ROWS} rows in batches of {arguments.batch_size}")
    print("threads  time  Auto-Net s   bare s  ratio")
    return int(max(measure(threads, arguments) for threads in (1, 2)) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
