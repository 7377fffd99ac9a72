"""BOHB against random search on the published benchmark, Boston housing, at equal numbers of steps.

Real evaluations, with the published space, priors and adaptation, on one split. Each is charged with its whole budget,
although a promoted configuration continues its adaptation. Each evaluation is written to `sghmc_search.csv` beside this
file; what is there already is not done again, so that an interrupted run goes on, and a finished one can be replayed.

Called by `sghmc_figures.py search`.
"""

import csv
import math
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bohb_service import BOHB, RandomSearch
from bohb_service.worker.base import EvaluationContext
from bohb_service.workers.sghmc import SGHMC

RECORD = Path(__file__).with_suffix(".csv")
COLUMNS = ("method", "seed", "trial", "budget", "loss")
MAXIMUM, ETA, RUNGS = 3333, 3, 3
MINIMUM = MAXIMUM / ETA ** (RUNGS - 1)

CHECKPOINTS = (50_000, 100_000, 200_000)
"""Steps after which the two are compared; the last are those of 60 evaluations at the largest budget."""

METHODS = ("bohb", "random")

Key = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the methods have found for a seed, at each of the checkpoints: the smallest loss at the largest budget."""

    bohb: tuple[float, ...]
    random: tuple[float, ...]


class Searches:
    """Searches whose evaluations are recorded.

    Args:
        data: Folder with ``boston.npz``.
    """

    def __init__(self, data: Path) -> None:
        # The published split is 60/20/20.
        self._worker = SGHMC(
            data=str(data / "boston.npz"),
            task="regression",
            test=0.2,
            validation=0.25,
            noise_prior="published",
            adaptation="budget",
        )
        self._known: dict[Key, float] = {}
        if RECORD.exists():
            with RECORD.open(newline="") as file:
                for row in csv.DictReader(file):
                    self._known[row["method"], int(row["seed"]), row["trial"]] = float(row["loss"])
        else:
            RECORD.write_text(",".join(COLUMNS) + "\n")

    def outcome(self, seed: int) -> Outcome:
        """What both methods find.

        Args:
            seed: Of the searches.
        """
        found = [self._search(method, seed) for method in METHODS]
        return Outcome(*found)

    def _search(self, method: str, seed: int) -> tuple[float, ...]:
        space = SGHMC.configuration_space()
        optimizer: BOHB | RandomSearch
        if method == "bohb":
            optimizer = BOHB(space, min_budget=MINIMUM, max_budget=MAXIMUM, eta=ETA, seed=seed)
        else:
            optimizer = RandomSearch(space, min_budget=MAXIMUM, max_budget=MAXIMUM, eta=ETA, seed=seed)
        best, spent, found = math.inf, 0, []
        folder = Path(tempfile.mkdtemp())
        try:
            while (trial := optimizer.ask()) is not None:
                budget = round(trial.budget)
                spent += budget
                while len(found) < len(CHECKPOINTS) and spent > CHECKPOINTS[len(found)]:
                    found.append(best)
                if len(found) == len(CHECKPOINTS):
                    break
                loss = self._loss((method, seed, trial.id), dict(trial.config), budget, trial.seed, folder)
                if math.isnan(loss):
                    optimizer.tell(trial, failed="diverged")
                else:
                    optimizer.tell(trial, loss)
                    best = min(best, loss) if budget == MAXIMUM else best
        finally:
            shutil.rmtree(folder)
        return tuple(found)

    def _loss(self, key: Key, config: dict[str, Any], budget: int, seed: int, folder: Path) -> float:
        """The loss of an evaluation, recorded or made; not a number where the chain has diverged."""
        if key not in self._known:
            number = key[2].split(".", maxsplit=1)[0]
            context = EvaluationContext(key[2], int(number), budget, None, seed, folder / number)
            try:
                self._known[key] = float(self._worker.compute(config, budget, context)["loss"])
            except FloatingPointError:
                self._known[key] = math.nan
            with RECORD.open("a", newline="") as file:
                csv.writer(file, lineterminator="\n").writerow([*key, budget, repr(self._known[key])])
        return self._known[key]
