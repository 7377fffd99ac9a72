"""The worker `sklearn-mlp`: tunes a multi-layer perceptron, one epoch per unit of budget."""

import dataclasses
import time
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bohb_service.worker.base import EvaluationContext, Worker
from bohb_service.workers.common.checkpoint import Checkpoint, fingerprint, keep_checkpoint, load_checkpoint
from bohb_service.workers.common.whole import whole_epochs

from .datasets import Dataset, Rows, load_dataset
from .hyperparameters import Hyperparameters, build_space
from .network import Network, single_thread
from .options import dataset_option

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

_CHECKPOINT = "checkpoint.bin"


class SklearnMLP(Worker):
    """A scikit-learn ``MLPClassifier`` on a tabular data set; the loss is the validation error, a fraction.

    The budget is the number of epochs in total. A configuration that was trained before continues from the
    checkpoint in its directory; the result is bit for bit that of a fresh training with the same seed.

    Args:
        **options: ``dataset``: ``letter`` (default), ``digits``, ``breast_cancer``, ``wine`` or ``iris``.

    Raises:
        StudyError: An option or the data set is unknown.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._dataset_name = dataset_option(options)

    @staticmethod
    def configuration_space(**options: Any) -> "ConfigurationSpace":
        """The search space, the same for all data sets.

        Args:
            **options: As for the class.

        Raises:
            StudyError: An option or the data set is unknown.
        """
        dataset_option(options)
        return build_space()

    @cached_property
    def dataset(self) -> Dataset:
        """The data set, loaded once in the life of the worker."""
        return load_dataset(self._dataset_name)

    def check_trial(self, config: Mapping[str, Any], budget: float) -> None:
        """Refuse a budget or a hyperparameter that no evaluation can have.

        Raises:
            StudyError: The budget is not a whole number, or a name is unknown.
        """
        Hyperparameters.from_config(config)
        whole_epochs(budget)

    def setup(self) -> None:
        """Load the data set, and scikit-learn with it."""
        with single_thread():
            _ = self.dataset

    def compute(self, config: Mapping[str, Any], budget: float, context: EvaluationContext) -> Mapping[str, Any]:
        """Validation error after `budget` epochs of training in total.

        Args:
            config: A configuration of the built-in space, or part of one.
            budget: Number of epochs, a whole number of at least 1.
            context: Gives the seed and the directory; receives the validation error after each epoch, also of
                those epochs that an earlier budget has paid for.

        Returns:
            The loss, and as info: epochs trained now and epochs taken over, seconds, number of weights.

        Raises:
            StudyError: The budget is not a whole number, or the configuration has an unknown name.
            FloatingPointError: The training diverged.
        """
        parameters = Hyperparameters.from_config(config)
        epochs = whole_epochs(budget)
        started = time.perf_counter()
        with single_thread():
            train = self.dataset.train.standardised_by(self.dataset.train)
            validation = self.dataset.validation.standardised_by(self.dataset.train)
            path = context.directory / _CHECKPOINT
            mark = self._fingerprint(parameters, context.seed)
            network, curve = self._resume(load_checkpoint(path, mark, epochs), parameters, context.seed, train)
            n_resumed = network.epochs
            context.continued_from = float(n_resumed)
            for epoch, error in enumerate(curve, start=1):
                context.report(epoch, error)
            while network.epochs < epochs and not (curve and context.preempted):
                network.train_epoch()
                curve.append(network.error(validation))
                context.report(network.epochs, curve[-1])
        info: dict[str, Any] = {
            "epochs_trained": network.epochs - n_resumed,
            "epochs_resumed": n_resumed,
            "n_weights": network.n_weights,
        }
        if network.epochs > n_resumed:
            info |= keep_checkpoint(path, mark, Checkpoint(np.asarray(curve), network.state()))
        info["train_s"] = time.perf_counter() - started
        return {"loss": curve[-1], "info": info}

    def refit(self, config: Mapping[str, Any], budget: float, context: EvaluationContext) -> Mapping[str, Any]:
        """Test error of the configuration after training on the training and validation part together.

        The baseline is ``MLPClassifier()`` with all its defaults, given the same rows, the same standardised inputs,
        the same number of epochs and the same seed. Its validation loss comes from a second training, on the training
        part alone, as that of a trial does. Neither stops early.

        Args:
            config: The incumbent.
            budget: Number of epochs, a whole number of at least 1.
            context: Gives the seed; nothing is read from or written to its directory.

        Returns:
            ``test_error``, ``baseline``, and what they were measured with.

        Raises:
            StudyError: The budget is not a whole number, or the configuration has an unknown name.
            FloatingPointError: The training diverged.
        """
        parameters = Hyperparameters.from_config(config)
        epochs = whole_epochs(budget)
        data, default, seed = self.dataset, Hyperparameters(), context.seed
        started = time.perf_counter()
        with single_thread():
            final = self._train(parameters, epochs, seed, data.development)
            test_error = final.error(data.test.standardised_by(data.development))
            train_s = time.perf_counter() - started
            baseline = self._train(default, epochs, seed, data.development)
            baseline_test_error = baseline.error(data.test.standardised_by(data.development))
            judged = self._train(default, epochs, seed, data.train)
            baseline_validation_loss = judged.error(data.validation.standardised_by(data.train))
        return {
            "test_error": test_error,
            "dataset": data.name,
            "epochs": epochs,
            "seed": seed,
            "train_rows": len(data.development),
            "test_rows": len(data.test),
            "n_weights": final.n_weights,
            "train_s": train_s,
            "hyperparameters": dataclasses.asdict(parameters),
            "baseline": {
                "name": "scikit-learn's default MLPClassifier",
                "test_error": baseline_test_error,
                "validation_loss": baseline_validation_loss,
                "n_weights": baseline.n_weights,
            },
        }

    def _resume(
        self, checkpoint: Checkpoint | None, parameters: Hyperparameters, seed: int, train: Rows
    ) -> tuple[Network, list[float]]:
        """The network to go on with and its errors so far: from the checkpoint if it fits, else a fresh one."""
        network = Network(parameters, seed, train, self.dataset.n_classes)
        if checkpoint is None:
            return network, []
        network.restore(checkpoint.arrays)
        return network, checkpoint.curve.tolist()

    def _train(self, parameters: Hyperparameters, epochs: int, seed: int, rows: Rows) -> Network:
        """A network that learned from these rows, standardised, for this number of epochs."""
        network = Network(parameters, seed, rows.standardised_by(rows), self.dataset.n_classes)
        for _ in range(epochs):
            network.train_epoch()
        return network

    def _fingerprint(self, parameters: Hyperparameters, seed: int) -> str:
        """What a checkpoint must agree in to be continued: other versions of the libraries compute other bits."""
        import sklearn

        return fingerprint(
            dataset=self._dataset_name,
            hyperparameters=dataclasses.asdict(parameters),
            seed=seed,
            numpy=np.__version__,
            sklearn=sklearn.__version__,
        )
