"""A trained network with its preparation: what predicts."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bohb_service.errors import StudyError
from bohb_service.workers.tabular.columns import FloatArray

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

        categories = [asdict(column) for column in self.preparation.categories]
        facts = {
            "hyperparameters": asdict(self.parameters),
            "objective": asdict(self.objective),
            "numeric": list(self.preparation.numeric),
            "categories": categories,
            "is_one_hot": self.preparation.is_one_hot,
            "n_dense": self.preparation.n_dense,
        }
        (folder / _FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")
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


def read_network(folder: Path) -> TrainedNetwork:
    """The network that `TrainedNetwork.save` wrote, on the CPU.

    Args:
        folder: Where.

    Raises:
        StudyError: A file is missing or damaged, or holds other types than a saved network has.
    """
    from safetensors.torch import load_file

    try:
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        # Copies: in the file weights lie at any address, and sums of floats depend on the alignment in the last digit.
        weights = {name: tensor.clone() for name, tensor in load_file(folder / _WEIGHTS).items()}
        steps = _load_steps(folder / _STEPS)
        categories = [{**entry, "codes": tuple(entry["codes"])} for entry in facts["categories"]]
        preparation = Preparation(
            numeric=tuple(facts["numeric"]),
            categories=tuple(CategoryColumn(**entry) for entry in categories),
            steps=steps,
            is_one_hot=facts["is_one_hot"],
            n_dense=facts["n_dense"],
        )
        return TrainedNetwork(
            Hyperparameters(**facts["hyperparameters"]), preparation, Objective(**facts["objective"]), weights
        )
    except StudyError:
        raise
    except Exception as error:
        raise StudyError(f"{folder}: not a network that this version saved: {error}") from error


def _load_steps(path: Path) -> Mapping[str, Any]:
    """The fitted transformers; types of foreign packages are refused."""
    import skops.io

    types = skops.io.get_untrusted_types(file=path)
    foreign = [name for name in types if name not in _TRUSTED]
    if foreign:
        raise StudyError(f"{path}: holds types that no saved model has: {', '.join(foreign)}; do not use this file")
    steps: Mapping[str, Any] = skops.io.load(path, trusted=types)
    return steps
