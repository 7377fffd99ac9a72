"""Bayesian neural networks on Boston housing and protein structure, judged on the standard splits.

The configuration is found by one study (`configs/sghmc-boston.yaml`, `configs/sghmc-protein.yaml`), whose splits are
others than the standard ones. It is then sampled anew for each standard split, at the largest budget, from the
training rows of the split alone.

Called by `sghmc_figures.py boston` and `sghmc_figures.py protein`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import BayesianRidge
from sklearn.preprocessing import StandardScaler

from bohb_service.api.study_run import StudyRun
from bohb_service.study import load_study
from bohb_service.workers.sghmc import SGHMC
from bohb_service.workers.sghmc.course import sample_networks
from bohb_service.workers.sghmc.hyperparameters import Hyperparameters
from bohb_service.workers.sghmc.options import SamplingOptions
from bohb_service.workers.sghmc.predictive import Predictive
from bohb_service.workers.tabular.columns import Column, FeatureEncoder
from bohb_service.workers.tabular.metrics import METRICS
from bohb_service.workers.tabular.rows import Fold, Rows
from bohb_service.workers.tabular.task import Task
from bohb_service.workers.tabular.worker import Effort

ROOT = Path(__file__).parents[1]
LEVEL = 0.9
STEPS = 10_000


@dataclass(frozen=True, slots=True)
class Judged:
    """A test part and what is predicted for it.

    Attributes:
        target: The values.
        predictive: What the networks say.
        baseline: Mean and variance of Bayesian linear regression, shape ``(n, 2)``.
    """

    target: NDArray[np.float64]
    predictive: Predictive
    baseline: NDArray[np.float64]

    @property
    def nll(self) -> float:
        """Mean negative log likelihood of the networks."""
        return METRICS["nll"].loss(self.target, self.predictive.moments())

    @property
    def rmse(self) -> float:
        """Root of the mean squared error of the networks."""
        return METRICS["rmse"].loss(self.target, self.predictive.moments())

    @property
    def baseline_nll(self) -> float:
        """Mean negative log likelihood of Bayesian linear regression."""
        return METRICS["nll"].loss(self.target, self.baseline)

    def coverage(self, level: float = LEVEL) -> float:
        """Share of the values in the central intervals of this level."""
        low, high = self.predictive.interval(level)
        return float(np.mean((self.target >= low) & (self.target <= high)))


def find_configuration(name: str, data: Path, work: Path, workers: int) -> tuple[Mapping[str, Any], SamplingOptions]:
    """The incumbent of the study of a data set, and its options; a study that is there already goes on, or is read.

    Args:
        name: ``boston`` or ``protein``.
        data: Folder with the data.
        work: Folder for the run.
        workers: Number of worker processes.
    """
    study = f"sghmc-{name}"
    text = (ROOT / "configs" / f"{study}.yaml").read_text()
    copy = work / f"{study}.yaml"
    copy.write_text(text.replace(f"data: {name}.npz", f"data: {data.absolute() / name}.npz"))
    loaded = load_study(copy)
    with StudyRun(loaded, work / study, workers=workers) as run:
        while not run.wait(1.0):
            pass
    incumbent = run.results().incumbent
    if incumbent is None:
        raise SystemExit(f"{study}: no evaluation was completed")
    return dict(incumbent.config), SGHMC(**loaded.worker_options).sampling_options


def judge(name: str, data: Path, config: Mapping[str, Any], options: SamplingOptions) -> list[Judged]:
    """What the configuration predicts for the test part of each standard split.

    Args:
        name: ``boston`` or ``protein``.
        data: Folder with the data.
        config: A configuration.
        options: How chains are run.
    """
    with np.load(data / f"{name}.npz", allow_pickle=False) as archive:
        features, target = archive["X"].astype(np.float64), archive["y"].astype(np.float64)
        masks = archive["test_mask"].astype(bool)
    encoder = FeatureEncoder(tuple(Column(f"x{number}") for number in range(features.shape[1])))
    found = []
    for split, is_test in enumerate(masks):
        train, test = Rows(features[~is_test], target[~is_test]), Rows(features[is_test], target[is_test])
        networks = sample_networks(
            Hyperparameters.from_config(config),
            Effort("steps", STEPS),
            Fold(Task("regression"), encoder, train, test, ""),
            options=options,
            seed=split,
        )
        judged = Judged(test.target, networks.predictive(test.features), _linear(train, test))
        print(
            f"{name} split {split}: nll {judged.nll:.3f}, rmse {judged.rmse:.3f}, "
            f"90 % intervals cover {judged.coverage():.3f}; linear {judged.baseline_nll:.3f}",
            flush=True,
        )
        found.append(judged)
    return found


def _linear(train: Rows, test: Rows) -> NDArray[np.float64]:
    """Mean and variance of Bayesian linear regression, whose two precisions maximise the evidence."""
    scaler = StandardScaler().fit(train.features)
    model = BayesianRidge().fit(scaler.transform(train.features), train.target)
    mean, deviation = model.predict(scaler.transform(test.features), return_std=True)
    return np.stack([mean, deviation**2], axis=1)
