"""Pictures of Bayesian neural networks, as PNG beside this file.

`toy` draws the predictive distribution of the toy function of the BOHB paper's benchmark, of which the networks see
part; `calibration` how often the values of test parts are in the intervals of each level.

Called by `sghmc_figures.py toy` and `sghmc_figures.py boston`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sghmc_splits import Judged

from bohb_service.workers.sghmc import BNNRegressor

TOY = Path(__file__).with_name("sghmc_toy.png")
CALIBRATION = Path(__file__).with_name("sghmc_calibration.png")
BANDS = (1, 2)
"""In deviations."""


def toy_function(x: NDArray[np.float64], random: np.random.Generator | None = None) -> NDArray[np.float64]:
    """The toy function; with noise in argument and value if there is a generator."""
    noise = 0.0 if random is None else random.normal(scale=0.02, size=x.shape)
    moved = x + noise
    return np.asarray(x + 0.3 * np.sin(2 * np.pi * moved) + 0.3 * np.sin(4 * np.pi * moved) + noise)


def draw_toy() -> float:
    """Draw the predictive distribution; return the share of new values in its 90 % intervals, where there was data."""
    random = np.random.default_rng(0)
    x = np.concatenate([random.uniform(0.0, 0.4, 60), random.uniform(0.65, 1.0, 60)])[:, None]
    model = BNNRegressor(l_rate=0.02, mdecay=0.1, n_steps=20_000, chains=4, keep_every=100, random_state=0)
    y = toy_function(x[:, 0], random)
    model.fit(x, y)
    grid = np.linspace(-0.25, 1.25, 400)[:, None]
    found = model.predictive(grid)
    deviation = np.sqrt(found.variance)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for band in BANDS:
        low, high = found.mean - band * deviation, found.mean + band * deviation
        label = f"{band} deviation{'s' if band > 1 else ''}"
        axes.fill_between(grid[:, 0], low, high, color="tab:blue", alpha=0.3 / band, linewidth=0, label=label)
    axes.plot(grid, found.means[:: max(1, len(found.means) // 12)].T, color="tab:blue", alpha=0.35, linewidth=0.6)
    axes.plot(grid, found.mean, color="tab:blue", label="predictive mean")
    axes.plot(grid, toy_function(grid[:, 0]), "k--", linewidth=1, label="function")
    axes.plot(x[:, 0], y, "k.", markersize=3, label="training rows")
    axes.set(xlabel="x", ylabel="y", ylim=(-1.5, 2.5), title="Predictive distribution of sampled networks")
    axes.legend(loc="upper left", fontsize="small")
    figure.savefig(TOY, dpi=120, metadata={"Software": None})
    new = np.concatenate([random.uniform(0.0, 0.4, 500), random.uniform(0.65, 1.0, 500)])[:, None]
    low, high = model.predict_interval(new, 0.9)
    truth = toy_function(new[:, 0], random)
    return float(np.mean((truth >= low) & (truth <= high)))


def draw_calibration(judged: Sequence[Judged], title: str) -> None:
    """Draw observed against nominal coverage.

    Args:
        judged: Test parts.
        title: Of the picture.
    """
    levels = np.linspace(0.02, 0.98, 49)
    covered = np.array([[part.coverage(level) for level in levels] for part in judged])
    mean, spread = covered.mean(axis=0), covered.std(axis=0)
    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], "k--", linewidth=1, label="calibrated")
    axes.fill_between(levels, mean - spread, mean + spread, color="tab:blue", alpha=0.25, linewidth=0, label="splits")
    axes.plot(levels, mean, color="tab:blue", label="mean")
    axes.set(xlabel="level of the interval", ylabel="share of values inside", xlim=(0, 1), ylim=(0, 1), title=title)
    axes.legend(loc="upper left", fontsize="small")
    figure.savefig(CALIBRATION, dpi=120, metadata={"Software": None})
