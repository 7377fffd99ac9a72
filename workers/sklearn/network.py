"""A scikit-learn MLPClassifier that is trained epoch by epoch and whose whole state can be taken out and put back.

Everything random is drawn by counter, from the seed and the number of the epoch, so that a training which was
interrupted and restored goes on exactly as if it had not been.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bohb_service.workers.common.surroundings import limited_threads

from .datasets import Rows
from .hyperparameters import Hyperparameters

State = Mapping[str, NDArray[Any]]

_WEIGHTS, _SHUFFLE = 0, 1
"""Purposes of random numbers, the first element of the spawn key."""

_MOMENTS = {"adam": ("ms", "vs"), "sgd": ("velocities",)}
"""Attributes of scikit-learn's optimisers with one array for each weight array."""


def single_thread() -> AbstractContextManager[None]:
    """Numerical libraries use one thread inside the block; see `limited_threads`."""
    return limited_threads(1, "sklearn.neural_network")


class Network:
    """A classifier in training.

    Args:
        parameters: Network and training.
        seed: Of the initial weights and the order of rows, in ``[0, 2**31)``.
        data: Rows to learn from, standardised.
        n_classes: Number of classes.
    """

    def __init__(self, parameters: Hyperparameters, seed: int, data: Rows, n_classes: int) -> None:
        from sklearn.neural_network import MLPClassifier

        self._parameters = parameters
        self._seed = seed
        self._data = data
        self._classes = np.arange(n_classes)
        self._batch_size = min(parameters.batch_size, len(data))
        self._model = MLPClassifier(
            hidden_layer_sizes=(parameters.width,) * parameters.hidden_layers,
            activation=parameters.activation,
            solver=parameters.solver,
            learning_rate_init=parameters.learning_rate_init,
            batch_size=self._batch_size,
            alpha=parameters.alpha,
            momentum=parameters.momentum,
            random_state=int(np.random.SeedSequence(seed, spawn_key=(_WEIGHTS,)).generate_state(1)[0]),
            shuffle=False,
        )
        self._epochs = 0

    @property
    def epochs(self) -> int:
        """Number of epochs trained so far."""
        return self._epochs

    @property
    def n_weights(self) -> int:
        """Number of trained weights, biases included; 0 before the first epoch."""
        return sum(weights.size for weights in self._weights()) if self._epochs else 0

    def train_epoch(self) -> None:
        """Learn from each row once.

        Raises:
            FloatingPointError: The weights are no longer finite.
        """
        order = np.random.default_rng(
            np.random.SeedSequence(self._seed, spawn_key=(_SHUFFLE, self._epochs))
        ).permutation(len(self._data))
        if self._epochs:
            rate = self._parameters.learning_rate_init * self._parameters.learning_rate_decay**self._epochs
            optimizer = self._optimizer()
            # Adam starts each step from the first of the two, SGD uses the second.
            optimizer.learning_rate_init = rate
            optimizer.learning_rate = rate
        self._fit(self._data.select(order))
        self._epochs += 1

    def error(self, rows: Rows) -> float:
        """Fraction of rows whose class is predicted wrongly, in [0, 1]; needs one epoch at least.

        Args:
            rows: On the scale of the training rows.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            return float(np.mean(self._model.predict(rows.features) != rows.labels))

    def state(self) -> dict[str, NDArray[Any]]:
        """All that the next epochs depend on beside the constructor's arguments: arrays by name."""
        optimizer = self._optimizer()
        arrays = {f"weights_{i}": weights for i, weights in enumerate(self._weights())}
        for name in _MOMENTS[self._parameters.solver]:
            arrays |= {f"{name}_{i}": moment for i, moment in enumerate(getattr(optimizer, name))}
        arrays["steps"] = np.asarray(getattr(optimizer, "t", 0), dtype=np.int64)
        arrays["epochs"] = np.asarray(self._epochs, dtype=np.int64)
        return arrays

    def restore(self, state: State) -> None:
        """Continue from a state of a network that was made with the same arguments.

        Args:
            state: What `state` returned, after at least one epoch.

        Raises:
            ValueError: An array is missing, or its shape or type is not that of this network.
        """
        # One step on a few rows makes scikit-learn allocate all arrays; each of them is replaced below.
        self._fit(self._data.select(np.arange(self._batch_size)))
        self._epochs = 1
        expected = self.state()
        for name, array in expected.items():
            found = state.get(name)
            if found is None or found.shape != array.shape or found.dtype != array.dtype:
                raise ValueError(f"array {name!r} of the saved network is missing or has another shape or type")
        optimizer = self._optimizer()
        for i, weights in enumerate(self._weights()):
            weights[...] = state[f"weights_{i}"]
        for name in _MOMENTS[self._parameters.solver]:
            setattr(optimizer, name, [state[f"{name}_{i}"] for i in range(len(self._weights()))])
        if self._parameters.solver == "adam":
            optimizer.t = int(state["steps"])
        self._epochs = int(state["epochs"])

    def _fit(self, rows: Rows) -> None:
        """One pass over the rows, in this order."""
        try:
            # Overflow is no accident to warn of: it shows in the weights, which are checked at the end.
            with np.errstate(over="ignore", invalid="ignore"):
                self._model.partial_fit(rows.features, rows.labels, classes=self._classes)
        except ValueError as error:
            if all(np.isfinite(weights).all() for weights in self._weights()):
                raise
            raise FloatingPointError(
                f"training diverged in epoch {self._epochs + 1}: the weights are not finite; lower "
                f"learning_rate_init ({self._parameters.learning_rate_init:g}) or momentum"
            ) from error

    def _weights(self) -> list[NDArray[Any]]:
        """The arrays that the solver updates in place, in its order; empty before the first epoch."""
        return [*getattr(self._model, "coefs_", ()), *getattr(self._model, "intercepts_", ())]

    def _optimizer(self) -> Any:
        """The solver's state, which scikit-learn has no public name for; the same in versions 1.5 to 1.9."""
        return self._model._optimizer  # noqa: SLF001
