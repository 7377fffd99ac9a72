"""A sample of networks with its preparation: what predicts."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bohb_service.workers.common.restored import restored
from bohb_service.workers.tabular.columns import FeatureEncoder, FloatArray
from bohb_service.workers.tabular.task import Task

from .layout import Layout
from .predictive import Predictive
from .preparation import Preparation
from .target_scale import TargetScale

_FACTS, _SAMPLES = "networks.json", "networks.safetensors"

_ROWS = 4096
"""Rows that are predicted at once: more would not fit into the caches."""


@dataclass(frozen=True, slots=True)
class SampledNetworks:
    """Networks that predict together.

    Attributes:
        layout: Of each network.
        preparation: Of the inputs.
        scale: Of the target of a regression.
        samples: Parameters, in order along each chain; shape ``(chains, draws, size)``.
        info: Plain data about the sampling.
    """

    layout: Layout
    preparation: Preparation
    scale: TargetScale
    samples: NDArray[np.float64]
    info: Mapping[str, Any] = field(default_factory=dict)

    def predict(self, features: FloatArray) -> FloatArray:
        """Probabilities of the classes, shape ``(n, classes)``, or mean and variance, shape ``(n, 2)``.

        Args:
            features: As those of the training rows, shape ``(n, d)``.
        """
        if not self.layout.is_classification:
            return self.predictive(features).moments()
        total: FloatArray = np.zeros((len(features), self.layout.n_outputs))
        for outputs in self._outputs(features):
            total += torch.softmax(outputs, 1).numpy()
        total /= len(self._flat)
        return total

    def predictive(self, features: FloatArray) -> Predictive:
        """The predictive distribution of a regression, on the scale of the data.

        Args:
            features: As those of the training rows, shape ``(n, d)``.
        """
        means = np.stack([outputs.numpy()[:, 0] for outputs in self._outputs(features)])
        count = len(means)
        noise = np.exp(self._flat[:, -1]) * self.scale.deviation**2
        return Predictive(means * self.scale.deviation + self.scale.mean, noise, np.full(count, 1.0 / count))

    def traces(self, features: FloatArray) -> dict[str, FloatArray]:
        """What is seen of the networks along the chains, by name; chains and draws are the first two dimensions.

        The parameters themselves tell nothing: networks whose units are exchanged are the same. So it is
        ``prediction``, one value a row (the mean; of a classification the probability of each class), and
        ``log_variance`` of the noise of a regression.

        Args:
            features: Of some rows, shape ``(n, d)``.
        """
        chains = self.samples.shape[:2]
        if self.layout.is_classification:
            probabilities = [torch.softmax(outputs, 1).numpy() for outputs in self._outputs(features)]
            return {"prediction": np.stack(probabilities).reshape(*chains, -1)}
        means = self.predictive(features).means
        return {"prediction": means.reshape(*chains, -1), "log_variance": self.samples[:, :, -1]}

    def save(self, folder: Path) -> None:
        """Write all that `predict` needs, without pickle.

        Args:
            folder: Exists and is empty.

        Raises:
            OSError: A file cannot be written.
        """
        from safetensors.numpy import save_file

        facts = {
            "layout": asdict(self.layout),
            "preparation": self.preparation.to_json(),
            "scale": asdict(self.scale),
        }
        (folder / _FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")
        save_file({"samples": np.ascontiguousarray(self.samples)}, folder / _SAMPLES)

    @property
    def _flat(self) -> NDArray[np.float64]:
        return self.samples.reshape(-1, self.samples.shape[2])

    def _outputs(self, features: FloatArray) -> list[torch.Tensor]:
        """What each network makes of the rows, shape ``(n, outputs)``."""
        # Copies: sums of floats depend on the alignment in memory in the last digit.
        inputs = torch.from_numpy(self.preparation.transform(features)).clone()
        made = []
        with torch.no_grad():
            for vector in self._flat:
                parts = self.layout.parts(torch.from_numpy(vector).clone().unsqueeze(0))
                made.append(torch.cat([parts.outputs(rows.unsqueeze(0))[0] for rows in inputs.split(_ROWS)]))
        return made


def read_networks(folder: Path, task: Task, encoder: FeatureEncoder) -> SampledNetworks:
    """The networks that `SampledNetworks.save` wrote.

    Args:
        folder: Where.
        task: What they predict.
        encoder: Of the features that they take.

    Raises:
        Exception: A file is missing or damaged, or the parts do not fit each other.
    """
    from safetensors.numpy import load_file

    facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
    networks = SampledNetworks(
        restored(Layout, facts["layout"]),
        Preparation.from_json(facts["preparation"]),
        restored(TargetScale, facts["scale"]),
        load_file(folder / _SAMPLES)["samples"],
    )
    _check_fit(networks, task, encoder)
    return networks


def _check_fit(networks: SampledNetworks, task: Task, encoder: FeatureEncoder) -> None:
    """Raise if the parts do not fit each other, the task or the features."""
    layout, preparation, samples = networks.layout, networks.preparation, networks.samples
    if (layout.n_outputs, layout.is_classification) != (task.n_outputs, task.is_classification):
        raise ValueError(f"{_FACTS}: its outputs are not those of the task")
    levels = tuple(None if column.levels is None else len(column.levels) for column in encoder.columns)
    if preparation.n_levels != levels:
        raise ValueError(f"{_FACTS}: its categories are not those of the features")
    if preparation.mean.shape != (layout.n_inputs,) or preparation.deviation.shape != (layout.n_inputs,):
        raise ValueError(f"{_FACTS}: the preparation does not fit networks with {layout.n_inputs} inputs")
    if samples.ndim != 3 or samples.shape[2] != layout.size or samples.dtype != np.float64:
        raise ValueError(
            f"{_SAMPLES}: samples of shape {samples.shape} and type {samples.dtype} do not fit networks with "
            f"{layout.size} parameters of type float64"
        )
    if not np.isfinite(samples).all():
        raise ValueError(f"{_SAMPLES}: samples that are not finite")
    networks.predict(np.full((1, len(levels)), np.nan))
