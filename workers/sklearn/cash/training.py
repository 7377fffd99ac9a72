"""Trains a configuration on rows: cleaning, preprocessing, learner; from the start, or on from an earlier training."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bohb_service.workers.common.draws import derived_seed
from bohb_service.workers.common.progress import never
from bohb_service.workers.tabular.columns import Column, FloatArray
from bohb_service.workers.tabular.rows import Rows
from bohb_service.workers.tabular.splits import stratified_order
from bohb_service.workers.tabular.task import Task

from .cleaning import build_cleaning
from .components import Facts, Learner, Preprocessor
from .growing import grow
from .lesson import Lesson
from .portions import MustLeave

_CLEANING, _PREPROCESSOR, _LEARNER, _ROWS = range(4)
"""Purposes of random numbers."""


@dataclass(slots=True)
class Fitted:
    """A trained configuration; what of it is arrays and estimators can be saved and continued.

    Attributes:
        steps: Fitted transformers in order, from the table to the learner's features.
        estimator: The fitted learner; None if there is only one class to learn.
        classes: Numbers of the classes that occurred, in order; empty for a regression.
        n_outputs: Classes of the task; 1 for a regression.
        centre: Mean of a regression's target.
        scale: Standard deviation of a regression's target, and 1 for a constant one.
        iterations: How many the learner has had; 0 if it is trained in one go.
    """

    steps: list[Any]
    estimator: Any
    classes: NDArray[np.int64]
    n_outputs: int
    centre: float = 0.0
    scale: float = 1.0
    iterations: int = 0

    def transform(self, features: FloatArray) -> FloatArray:
        """The learner's features of a table's rows."""
        for step in self.steps:
            features = step.transform(features)
        return features

    def predict(self, features: FloatArray) -> FloatArray:
        """Probabilities of all classes, shape ``(n, classes)``, or values, shape ``(n,)``.

        Args:
            features: As `FeatureEncoder.transform` makes them.
        """
        if not len(features):
            return np.empty((0, self.n_outputs) if len(self.classes) else 0)
        if not len(self.classes):
            values = self.estimator.predict(self.transform(features))
            return self.centre + self.scale * np.asarray(values, dtype=np.float64).reshape(-1)
        everything = np.zeros((len(features), self.n_outputs))
        if self.estimator is None:
            everything[:, self.classes] = 1.0
        else:
            everything[:, self.classes] = probabilities(self.estimator, self.transform(features))
        return everything


def probabilities(estimator: Any, features: FloatArray) -> FloatArray:
    """Probabilities of an estimator's classes.

    Of decision values they are the softmax, or the sigmoid for two classes; of mere labels 0 and 1.

    Args:
        estimator: A fitted classifier.
        features: Of the rows to predict.
    """
    from scipy.special import expit, softmax

    if hasattr(estimator, "predict_proba"):
        found = np.asarray(estimator.predict_proba(features), dtype=np.float64)
    elif hasattr(estimator, "decision_function"):
        decision = np.asarray(estimator.decision_function(features), dtype=np.float64)
        if decision.ndim == 2:
            found = np.asarray(softmax(decision, axis=1))
        else:
            found = np.column_stack([expit(-decision), expit(decision)])
    else:
        labels = np.asarray(estimator.predict(features)).reshape(-1)
        found = (labels[:, None] == np.asarray(estimator.classes_)[None, :]).astype(np.float64)
    # Single precision, and one-against-rest, leave sums that are not quite 1.
    total = found.sum(axis=1, keepdims=True)
    return np.where(total > 0, found / np.where(total > 0, total, 1.0), 1.0 / found.shape[1])


@dataclass(frozen=True, slots=True)
class Recipe:
    """A configuration with the components that it names.

    Attributes:
        config: Values of all active hyperparameters.
        learner: That it has chosen.
        preprocessor: That it has chosen.
        seed: Of all that is random.
    """

    config: Mapping[str, Any]
    learner: Learner
    preprocessor: Preprocessor
    seed: int

    def iterations(self, percent: float) -> int:
        """Iterations of a budget; 0 if the learner is trained in one go.

        Args:
            percent: Of the most that the learner can have.
        """
        if self.learner.iterations is None:
            return 0
        # A budget is a quotient; its rounding error must not cost an iteration.
        return max(1, ceil(self.learner.iterations.most * percent / 100 - 1e-6))

    def train(
        self,
        rows: Rows,
        columns: tuple[Column, ...],
        task: Task,
        iterations: int,
        start: Fitted | None = None,
        *,
        must_leave: MustLeave = never,
    ) -> Fitted:
        """The configuration, trained on these rows.

        Args:
            rows: To learn from.
            columns: Their types.
            task: What is predicted.
            iterations: That the learner has in the end, those of `start` included; 0 if it is trained in one go.
            start: An earlier training on the same rows with fewer iterations, which is continued and changed.
            must_leave: Asked between two iterations; the training has had fewer of them after a yes.

        Raises:
            FloatingPointError: A step makes values that are not finite.
        """
        features, target = rows.features, rows.target
        classes = np.unique(target) if task.is_classification else np.empty(0, dtype=np.int64)
        if task.is_classification:
            rows_of = np.bincount(target)[target]
            enough = rows_of >= self.learner.least_class
            if enough.any() and not enough.all():
                features, target = features[enough], target[enough]
                classes = np.unique(target)
            if len(classes) == 1:
                return Fitted([], None, classes, task.n_outputs, iterations=iterations)
        features, target = self._bounded(features, target)
        fitted = start if start is not None else Fitted([], None, classes, task.n_outputs)
        if start is None:
            features, fitted.steps = self._fit_steps(features, target, columns, task)
        else:
            features = fitted.transform(features)
        weights = None
        if task.is_classification:
            target = np.searchsorted(classes, target)
            if self.config.get("weighting") == "balanced":
                counts = np.bincount(target)
                weights = (len(target) / (len(counts) * counts))[target]
        else:
            fitted.centre, spread = float(target.mean()), float(target.std())
            fitted.scale = spread if spread > 0 else 1.0
            target = (target - fitted.centre) / fitted.scale
        facts = _facts(task, features, target)
        if fitted.estimator is None:
            fitted.estimator = self.learner.build(self._part(self.learner.name), facts, self._seed(_LEARNER))
        if self.learner.iterations is None:
            fitted.estimator.fit(features, target, **({} if weights is None else {"sample_weight": weights}))
        else:
            fitted.iterations = grow(
                fitted.estimator,
                self.learner.iterations,
                fitted.iterations,
                iterations,
                Lesson(features, target, weights, self._seed(_LEARNER)),
                must_leave=must_leave,
            )
        return fitted

    def _fit_steps(
        self, features: FloatArray, target: NDArray[Any], columns: tuple[Column, ...], task: Task
    ) -> tuple[FloatArray, list[Any]]:
        """The learner's features, and the fitted steps that make them.

        Each is fitted first and then applied, for ``fit_transform`` may round otherwise than ``transform``, which is
        what a training that goes on has.
        """
        cleaning = build_cleaning(self.config, columns, len(features), self._seed(_CLEANING))
        steps = [cleaning]
        features = _finite(cleaning.fit(features).transform(features), "cleaning")
        facts = _facts(task, features, target)
        step = self.preprocessor.build(self._part(self.preprocessor.name), facts, self._seed(_PREPROCESSOR))
        if step is not None:
            features = _finite(step.fit(features, target).transform(features), self.preprocessor.name)
            steps.append(step)
        if self.learner.needs_positive:
            from sklearn.preprocessing import MinMaxScaler

            scaler = MinMaxScaler(clip=True)
            features = scaler.fit(features).transform(features)
            steps.append(scaler)
        return features, steps

    def _bounded(self, features: FloatArray, target: NDArray[Any]) -> tuple[FloatArray, NDArray[Any]]:
        """As many of the rows as the learner can take."""
        most = self.learner.most_rows
        if most is None or len(target) <= most:
            return features, target
        kept = np.sort(stratified_order(target, self._seed(_ROWS), _ROWS)[:most])
        return features[kept], target[kept]

    def _part(self, name: str) -> dict[str, Any]:
        """Values of a component's hyperparameters, by their names within it."""
        prefix = f"{name}:"
        return {key.removeprefix(prefix): value for key, value in self.config.items() if key.startswith(prefix)}

    def _seed(self, purpose: int) -> int:
        return derived_seed(self.seed, purpose)


def _facts(task: Task, features: FloatArray, target: NDArray[Any]) -> Facts:
    counts = np.unique(target, return_counts=True)[1] if task.is_classification else np.zeros(0, dtype=np.int64)
    return Facts(
        kind=task.kind,
        n_rows=len(features),
        n_features=features.shape[1],
        n_classes=len(counts),
        least_class=int(counts.min()) if len(counts) else 0,
    )


def _finite(features: Any, step: str) -> FloatArray:
    values: FloatArray = np.asarray(features, dtype=np.float64)
    if not np.isfinite(values).all():
        raise FloatingPointError(f"{step}: makes values that are not finite from this table")
    return values
