"""The figures of the target SGHMC: each sub-command measures one, and writes its line of `sghmc_figures.md`.

    OMP_NUM_THREADS=1 python scripts/sghmc_figures.py NAME [--data FOLDER] [--work FOLDER] [--workers N]

gaussian      a two-dimensional Gaussian with known covariance
linear        Bayesian linear regression against the closed form
throughput    against a bare PyTorch loop; its table is `sghmc_throughput.md`
published     BOHB with the published priors on Boston housing against random configurations
boston        20 standard splits, with the configuration of one study; draws `sghmc_calibration.png`
protein       5 standard splits, with the configuration of one study, against Bayesian linear regression
search        BOHB against random search at equal steps; what is in `sghmc_search.csv` is replayed
toy           draws `sghmc_toy.png`, a predictive distribution with bands

FOLDER with the data holds `boston.npz` and `protein.npz` (arrays X, y, and test_mask: split x row). Needs the extra
`sghmc` and matplotlib.
"""

import argparse
import json
import math
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from sghmc_search import CHECKPOINTS, Searches
from sghmc_splits import find_configuration, judge
from sghmc_throughput import measure

from bohb_service import BOHB
from bohb_service.worker.base import EvaluationContext
from bohb_service.worker.plain import to_plain
from bohb_service.workers.sghmc import SGHMC
from bohb_service.workers.sghmc.sampler import Sampler, draw, gradient_of

FIGURES = Path(__file__).with_suffix(".md")
THROUGHPUT = Path(__file__).with_name("sghmc_throughput.md")
HEAD = "| figure | target | measured | seconds | date, cores, versions |\n|---|---|---|---|---|\n"
SEEDS = 20


@dataclass(frozen=True, slots=True)
class Figure:
    """What a sub-command has found: the demand, and what was measured."""

    target: str
    measured: str


def gaussian(_: argparse.Namespace) -> Figure:
    """Sixteen chains of 20000 steps, with the gradients of the whole data."""
    mean, covariance = torch.tensor([1.0, -2.0]).double(), torch.tensor([[1.0, 1.6], [1.6, 4.0]]).double()
    precision = torch.linalg.inv(covariance)
    chains = Sampler(torch.zeros((16, 2)), l_rate=0.05, mdecay=0.1, seed=0)
    kept = draw(chains, lambda theta, _: (theta - mean) @ precision, until=20_000, adapting=1000, keep_every=10)
    drawn = np.concatenate(list(kept.values()))
    shift = np.abs(drawn.mean(axis=0) - mean.numpy()) / np.sqrt(np.diag(covariance))
    ratio = np.abs(np.cov(drawn.T) / covariance.numpy() - 1)
    return Figure("mean within 0.1 deviations, covariance within 15 %", f"{shift.max():.3f}, {ratio.max():.1%}")


def linear(_: argparse.Namespace) -> Figure:
    """Three coefficients, 40 rows; what is predicted for 25 new ones."""
    random = np.random.default_rng(1)
    inputs, noise = torch.from_numpy(random.normal(size=(40, 3))), 0.5
    weights = torch.tensor([1.0, -1.0, 0.5]).double()
    target = inputs @ weights + noise * torch.from_numpy(random.normal(size=40))
    new = torch.from_numpy(random.normal(size=(25, 3)) * 2)
    covariance = torch.linalg.inv(inputs.T @ inputs / noise**2 + torch.eye(3).double())
    mean = (new @ covariance @ inputs.T @ target / noise**2).numpy()
    variance = ((new @ covariance) * new).sum(1).numpy() + noise**2

    def potential(theta: torch.Tensor) -> torch.Tensor:
        return 0.5 * (inputs @ theta - target).square().sum() / noise**2 + 0.5 * theta.square().sum()

    chains = Sampler(torch.zeros((50, 3)), l_rate=0.02, mdecay=0.1, seed=3)
    kept = draw(chains, gradient_of(potential), until=3000, adapting=1000, keep_every=10)
    predicted = np.concatenate(list(kept.values())) @ new.numpy().T
    shift = np.abs(predicted.mean(axis=0) - mean) / np.sqrt(variance)
    ratio = np.abs((predicted.var(axis=0) + noise**2) / variance - 1)
    epistemic = np.abs(predicted.var(axis=0) / (variance - noise**2) - 1)
    return Figure(
        "predictive mean within 0.1 deviations, variance within 10 %",
        f"{shift.max():.3f}, {ratio.max():.1%}; variance without the noise {epistemic.max():.1%}",
    )


def throughput(_: argparse.Namespace) -> Figure:
    """CPU times of a step."""
    found = measure(repeats=7, seconds=0.5)
    lines = [
        f"PyTorch {version('torch')}, one thread, float64, batches of 20 rows; CPU time of a step, medians of 7",
        "",
        "| units | chains | bare loop, us | sampling, us | ratio | adapting, us | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {each.units} x {each.units} | {each.chains} | {each.bare:.0f} | {each.sampling:.0f} "
        f"| {each.sampling / each.bare:.2f} | {each.adapting:.0f} | {each.adapting / each.bare:.2f} |"
        for each in found
    ]
    THROUGHPUT.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    ratios = ", ".join(
        f"{each.sampling / each.bare:.2f} ({each.units} units{f', {each.chains} chains' if each.chains > 1 else ''})"
        for each in found
    )
    return Figure("at most 1.5 times a bare loop", ratios)


def published(arguments: argparse.Namespace) -> Figure:
    """One cycle of BOHB with budgets from 370 to 3333 steps, against 20 random configurations at 3333."""
    low, high = 370, 3333
    worker = SGHMC(
        data=str(arguments.data / "boston.npz"),
        task="regression",
        test=0.2,
        validation=0.25,
        noise_prior="published",
        adaptation="budget",
    )
    space = SGHMC.configuration_space()
    with tempfile.TemporaryDirectory() as folder:

        def loss(config: dict[str, object], budget: float, name: str, seed: int) -> float:
            context = EvaluationContext(name, 0, budget, None, seed, Path(folder) / name)
            try:
                return float(worker.compute(config, round(budget), context)["loss"])
            except FloatingPointError:
                return math.inf

        space.seed(0)
        random = [
            loss(to_plain(dict(space.sample_configuration()), "config"), high, f"random-{number}", number)
            for number in range(20)
        ]
        optimizer = BOHB(space, min_budget=high / 9, max_budget=high, eta=3, seed=0, n_brackets=3)
        while (trial := optimizer.ask()) is not None:
            found = loss(dict(trial.config), max(trial.budget, low), trial.id.split(".")[0], trial.seed)
            if math.isinf(found):
                optimizer.tell(trial, failed="diverged")
            else:
                optimizer.tell(trial, found)
    best = optimizer.incumbent
    assert best is not None
    median = statistics.median(random)
    return Figure(
        "validation NLL <= 4.0 and <= 1/5 of the median of 20 random configurations",
        f"{best.loss:.2f}, median {median:.2f} (best of the 20: {min(random):.2f})",
    )


def boston(arguments: argparse.Namespace) -> Figure:
    """Twenty standard splits."""
    from sghmc_pictures import draw_calibration

    config, options = find_configuration("boston", arguments.data, arguments.work, arguments.workers)
    judged = judge("boston", arguments.data, config, options)
    draw_calibration(judged, f"Boston housing, {len(judged)} standard splits")
    nll = [part.nll for part in judged]
    covered = statistics.mean(part.coverage() for part in judged)
    error = statistics.stdev(nll) / math.sqrt(len(nll))
    return Figure(
        "mean test NLL <= 2.75, 90 % intervals cover 82 to 97 %",
        f"{statistics.mean(nll):.3f} +- {error:.3f}, {covered:.1%}; RMSE "
        f"{statistics.mean(p.rmse for p in judged):.2f}; linear "
        f"{statistics.mean(p.baseline_nll for p in judged):.2f}; `{json.dumps(config)}`",
    )


def protein(arguments: argparse.Namespace) -> Figure:
    """Five standard splits."""
    config, options = find_configuration("protein", arguments.data, arguments.work, arguments.workers)
    judged = judge("protein", arguments.data, config, options)
    nll, baseline = (statistics.mean(values) for values in zip(*((p.nll, p.baseline_nll) for p in judged), strict=True))
    return Figure(
        "test NLL lower than that of Bayesian linear regression by >= 0.15",
        f"{nll:.3f} against {baseline:.3f}, lower by {baseline - nll:.3f}; RMSE "
        f"{statistics.mean(p.rmse for p in judged):.2f}; `{json.dumps(config)}`",
    )


def search(arguments: argparse.Namespace) -> Figure:
    """Twenty seeds."""
    searches, found = Searches(arguments.data), []
    for seed in range(SEEDS):
        found.append(searches.outcome(seed))
        print(f"seed {seed}: {found[-1]}", flush=True)
    parts = []
    for place, steps in enumerate(CHECKPOINTS):
        bohb, random = [each.bohb[place] for each in found], [each.random[place] for each in found]
        wins = sum(one < other for one, other in zip(bohb, random, strict=True))
        parts.append(
            f"{wins} at {steps} (median loss {statistics.median(bohb):.2f} and {statistics.median(random):.2f})"
        )
    return Figure(f"BOHB better in >= 16 of {SEEDS} seeds at equal steps", ", ".join(parts))


def toy(_: argparse.Namespace) -> Figure:
    """A picture."""
    from sghmc_pictures import draw_toy

    return Figure("90 % intervals, where there are rows", f"cover {draw_toy():.1%} of new values")


COMMANDS: dict[str, Callable[[argparse.Namespace], Figure]] = {
    "gaussian": gaussian,
    "linear": linear,
    "throughput": throughput,
    "published": published,
    "boston": boston,
    "protein": protein,
    "search": search,
    "toy": toy,
}


def main() -> None:
    """Measure what is asked for, print it, and write its line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=COMMANDS)
    parser.add_argument("--data", type=Path, default=Path())
    parser.add_argument("--work", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        arguments.work = arguments.work or Path(folder)
        arguments.work.mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        figure = COMMANDS[arguments.name](arguments)
    seconds = time.perf_counter() - began
    lines = dict(line.split(" | ", 1) for line in FIGURES.read_text().splitlines()[2:]) if FIGURES.exists() else {}
    where = (
        f"{time.strftime('%Y-%m-%d')}, {len(os.sched_getaffinity(0))} shared cores, Python "
        f"{platform.python_version()}, PyTorch {version('torch')}"
    )
    lines[f"| {arguments.name}"] = f"{figure.target} | {figure.measured} | {seconds:.0f} | {where} |"
    order = [f"| {name}" for name in COMMANDS]
    FIGURES.write_text(HEAD + "".join(f"{name} | {lines[name]}\n" for name in order if name in lines))
    print(f"{arguments.name}: {figure.target}: {figure.measured} ({seconds:.0f} s)")


if __name__ == "__main__":
    main()
