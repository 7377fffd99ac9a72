"""What a checkpoint of the target `sklearn` costs beside the training that it saves: letter, 57 iterations.

    OMP_NUM_THREADS=1 python scripts/checkpoint_costs.py [--out FILE]

Seconds of CPU time of one thread, and the size in memory. The table is written beside this file.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bohb_service.workers.sklearn.cash.features import PREPROCESSORS
from bohb_service.workers.sklearn.cash.learners.registry import choose_learners
from bohb_service.workers.sklearn.cash.model import quiet_single_thread
from bohb_service.workers.sklearn.cash.recipes import make_recipe
from bohb_service.workers.sklearn.cash.storage import dump, restore
from bohb_service.workers.tabular.dataset import Dataset
from bohb_service.workers.tabular.options import TableOptions

LEARNERS = ("random_forest", "extra_trees", "hist_gradient_boosting", "gradient_boosting", "mlp")
ITERATIONS = 57


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """The result and the seconds of CPU time."""
    began = time.process_time()
    result = function(*arguments)
    return result, time.process_time() - began


def main() -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    arguments = parser.parse_args()
    fold = Dataset(TableOptions.parse({"data": "letter"}, (), ("mixed",))).fold(0)
    made_with = f"Python {platform.python_version()}, scikit-learn {version('scikit-learn')}"
    lines = [
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, one thread, {made_with}.",
        "",
        f"    OMP_NUM_THREADS=1 python scripts/{Path(__file__).name}",
        "",
        "| learner | training, s | writing, s | reading, s | size, MB |",
        "|---|---|---|---|---|",
    ]
    import_module("skops.io")  # once in a process, and no cost of the first checkpoint
    for name in LEARNERS:
        learners = choose_learners("classification", [name])
        recipe = make_recipe({"learner": name}, "classification", learners, PREPROCESSORS, 0)
        with quiet_single_thread():
            fitted, train_s = timed(recipe.train, fold.train, fold.encoder.columns, fold.task, ITERATIONS, None)
            data, write_s = timed(dump, fitted)
            _, read_s = timed(restore, data)
        lines.append(f"| {name} | {train_s:.2f} | {write_s:.2f} | {read_s:.2f} | {len(data) / 1e6:.1f} |")
        print(lines[-1], flush=True)
    arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
