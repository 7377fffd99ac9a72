"""A trained network with its preparation: what predicts."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bohb_service.errors import SpaceError, StudyError
from bohb_service.workers.common.restored import restored
from bohb_service.workers.tabular.columns import FeatureEncoder, FloatArray
from bohb_service.workers.tabular.task import Task

from .categories import CategoryColumn
from .hyperparameters import Hyperparameters
from .networks import TabularNetwork, in_parts
from .objective import Objective
from .preparation import Preparation

_FACTS, _WEIGHTS, _STEPS = "network.json", "weights.safetensors", "preparation.skops"

_TRUSTED = frozenset(
    {
        "numpy.dtype",
        "numpy.max",
        "numpy.mean",
        "numpy.median",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.tree._tree.Tree",
    }
)
"""Types beside those that skops trusts by itself that a saved preparation may hold.

Not whole packages: some modules of scikit-learn name functions of others, such as those that start processes.
"""


@dataclass(frozen=True, slots=True)
class _Facts:
    """All of a saved network but weights and fitted transformers."""

    hyperparameters: Hyperparameters
    objective: Objective
    numeric: tuple[int, ...]
    categories: tuple[CategoryColumn, ...]
    is_one_hot: bool
    n_dense: int


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A network that predicts.

    Attributes:
        parameters: Of the network.
        preparation: Of its inputs.
        objective: What its outputs mean.
        weights: Its weights by name.
        info: Plain data about the training.
    """

    parameters: Hyperparameters
    preparation: Preparation
    objective: Objective
    weights: Mapping[str, Tensor]
    info: Mapping[str, Any] = field(default_factory=dict)

    def predict(self, features: FloatArray) -> FloatArray:
        """Probabilities of the classes, shape ``(n, classes)``, or values, shape ``(n,)``.

        Args:
            features: As those that it was trained with, shape ``(n, d)``.
        """
        inputs = self.preparation.transform(features)
        device = next(iter(self.weights.values())).device
        dense, codes = torch.from_numpy(inputs.dense).to(device), torch.from_numpy(inputs.codes).to(device)
        return self.objective.predictions(in_parts(self._network(), dense, codes))

    def save(self, folder: Path) -> None:
        """Write all that `predict` needs, without pickle.

        Args:
            folder: Exists and is empty.

        Raises:
            OSError: A file cannot be written.
        """
        import skops.io
        from safetensors.torch import save_file

        prepared = self.preparation
        facts = _Facts(
            hyperparameters=self.parameters,
            objective=self.objective,
            numeric=prepared.numeric,
            categories=prepared.categories,
            is_one_hot=prepared.is_one_hot,
            n_dense=prepared.n_dense,
        )
        (folder / _FACTS).write_text(json.dumps(asdict(facts), indent=1), encoding="utf-8")
        save_file({name: tensor.cpu().contiguous() for name, tensor in self.weights.items()}, folder / _WEIGHTS)
        skops.io.dump(dict(self.preparation.steps), folder / _STEPS)

    def _network(self) -> TabularNetwork:
        preparation = self.preparation
        with torch.device("meta"):
            network = TabularNetwork(
                self.parameters, preparation.n_dense, preparation.embedded, self.objective.n_outputs
            )
        network.load_state_dict(self.weights, assign=True)
        return network.eval()


def read_network(folder: Path, task: Task, encoder: FeatureEncoder) -> TrainedNetwork:
    """The network that `TrainedNetwork.save` wrote, on the CPU.

    Args:
        folder: Where.
        task: What it predicts.
        encoder: Of the features that it takes.

    Raises:
        StudyError: A file holds other types than a saved network has.
        Exception: A file is missing or damaged, or the parts do not fit each other.
    """
    from safetensors.torch import load_file

    facts = restored(_Facts, json.loads((folder / _FACTS).read_text(encoding="utf-8")))
    # Copies: in the file weights lie at any address, and sums of floats depend on the alignment in the last digit.
    weights = {name: tensor.clone() for name, tensor in load_file(folder / _WEIGHTS).items()}
    try:
        parameters = Hyperparameters.from_config(asdict(facts.hyperparameters), {})
    except SpaceError as error:
        raise ValueError(f"{_FACTS}: {error}") from error
    n_groups = parameters.layers * (parameters.blocks_per_group if parameters.network.endswith("resnet") else 1)
    if max(n_groups, parameters.head_layers) > len(weights):
        raise ValueError(f"{_WEIGHTS} has {len(weights)} arrays, too few for the layers of {_FACTS}")
    preparation = Preparation(
        numeric=facts.numeric,
        categories=facts.categories,
        steps=_load_steps(folder / _STEPS),
        is_one_hot=facts.is_one_hot,
        n_dense=facts.n_dense,
    )
    network = TrainedNetwork(parameters, preparation, facts.objective, weights)
    _check_fit(network, task, encoder)
    return network


def _check_fit(network: TrainedNetwork, task: Task, encoder: FeatureEncoder) -> None:
    """Raise if the parts of a network do not fit each other, its task or its features: if it could not predict."""
    preparation, objective = network.preparation, network.objective
    levels = [None if column.levels is None else len(column.levels) for column in encoder.columns]
    if preparation.numeric != tuple(index for index, count in enumerate(levels) if count is None):
        raise ValueError(f"{_FACTS}: numeric features {preparation.numeric}")
    counts = [(index, count) for index, count in enumerate(levels) if count is not None]
    if [(column.index, len(column.codes)) for column in preparation.categories] != counts:
        raise ValueError(f"{_FACTS}: its categories are not those of the features")
    for column in preparation.categories:
        if min(column.codes, default=0) < 0 or max(column.codes, default=-1) + 1 != column.n_codes:
            raise ValueError(f"{_FACTS}: codes of feature {column.index}")
    if (objective.n_outputs, objective.is_classification) != (task.n_outputs, task.is_classification):
        raise ValueError(f"{_FACTS}: its outputs are not those of the task")
    has_numbers = bool(preparation.numeric or (preparation.categories and not preparation.is_one_hot))
    wanted = {"imputer": has_numbers, "scaler": has_numbers and network.parameters.scaler != "none"}
    if any((name in preparation.steps) != is_wanted for name, is_wanted in wanted.items()):
        raise ValueError(f"{_STEPS}: holds {', '.join(preparation.steps)}")
    rows = np.array([[0.0] * len(levels), [np.nan] * len(levels)])
    if preparation.transform(rows).dense.shape[1] != preparation.n_dense:
        raise ValueError(f"{_FACTS}: {preparation.n_dense} dense columns")
    network.predict(rows)


def _load_steps(path: Path) -> Mapping[str, Any]:
    """The fitted transformers; types of foreign packages are refused."""
    import skops.io

    types = skops.io.get_untrusted_types(file=path)
    foreign = [name for name in types if name not in _TRUSTED]
    if foreign:
        raise StudyError(f"{path}: holds types that no saved model has: {', '.join(foreign)}; do not use this file")
    steps: Mapping[str, Any] = skops.io.load(path, trusted=types)
    return steps
