"""Bayesian neural networks as scikit-learn estimators: one configuration, without a search."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from bohb_service.workers.common.checks import number
from bohb_service.workers.tabular.columns import FeatureEncoder, FloatArray
from bohb_service.workers.tabular.estimators.inputs import categorical_of
from bohb_service.workers.tabular.estimators.settings import seed_of
from bohb_service.workers.tabular.estimators.tables import LabelMixin, TableEstimator
from bohb_service.workers.tabular.estimators.validation import classes_of, frame_of, value_errors, values_of
from bohb_service.workers.tabular.rows import Fold, Rows
from bohb_service.workers.tabular.saved import Member
from bohb_service.workers.tabular.task import Task
from bohb_service.workers.tabular.worker import Effort

from .course import sample_networks
from .diagnostics import Diagnostics, diagnose
from .hyperparameters import Hyperparameters
from .options import TARGET, SamplingOptions
from .predictive import MOST_DRAWS, Predictive
from .saved import BayesianModel, networks_of

_HYPERPARAMETERS = tuple(field.name for field in fields(Hyperparameters))


@dataclass(kw_only=True, eq=False, repr=False)
class _BayesianEstimator(TableEstimator):
    """What both kinds have in common.

    Args:
        n_units_1: Units of the first hidden layer.
        n_units_2: Units of the second hidden layer.
        l_rate: Step size of the sampler.
        mdecay: Share of the momentum that is lost in a step.
        burn_in: Share of the steps in which the scales adapt and after which the sample begins.
        n_steps: Steps of each chain in total.
        chains: Number of independent chains.
        batch_size: Rows that a step of a chain looks at.
        keep_every: The positions after each so many steps are the sample.
        noise_prior: ``weak`` or ``published``, see `SamplingOptions`.
        categorical: Names of columns that hold numbers but are categories (``x0``, ``x1``, ... in arrays).
        random_state: Seed, or generator; None for another one at each `fit`.

    Attributes:
        n_features_in_: Number of columns.
        feature_names_in_: Names of the columns, if they are text.
        model_: The sampled networks, a `BayesianModel`.
        info_: Plain data about the sampling: steps, number of networks, share of clamped noise, seconds.
    """

    n_units_1: int = 64
    n_units_2: int = 64
    l_rate: float = 2e-2
    mdecay: float = 0.2
    burn_in: float = 0.3
    n_steps: int = 3000
    chains: int = 4
    batch_size: int = 20
    keep_every: int = 50
    noise_prior: Literal["weak", "published"] = "weak"
    categorical: Sequence[str] | None = None
    random_state: Any = None

    def diagnose(self, X: Any) -> dict[str, Diagnostics]:
        """Convergence of the chains as it is seen in the predictions for some rows, and in the noise of a regression.

        Args:
            X: Rows as for `fit`; some ten are enough.

        Raises:
            ValueError: The data is wrong, or the chains have fewer than 4 draws.
            NotFittedError: `fit` was not called.
        """
        check_is_fitted(self, "model_")
        (member,) = self.model_.members
        frame = frame_of(self, X, is_training=False)
        with value_errors():
            return diagnose(networks_of(member).traces(member.encoder.transform(frame)))

    @abstractmethod
    def _learn_target(self, y: Any) -> tuple[NDArray[Any], Task]:
        """Class numbers or values, and what is predicted; remembers the classes."""

    def fit(self, X: Any, y: Any) -> Self:
        """Sample the networks.

        Args:
            X: Data frame or array, shape ``(n, d)``; missing values, text and mixed types are welcome.
            y: Labels or numbers, shape ``(n,)``.

        Raises:
            ValueError: A parameter, or the data, is wrong.
            FloatingPointError: A chain has diverged.
        """
        frame = frame_of(self, X, is_training=True)
        target, task = self._learn_target(y)
        check_consistent_length(frame, target)
        seed = seed_of(self.random_state)
        with value_errors({"steps": "n_steps"}):
            parameters = Hyperparameters.from_config({name: getattr(self, name) for name in _HYPERPARAMETERS})
            chosen = {name: getattr(self, name) for name in ("noise_prior", "chains", "batch_size", "keep_every")}
            options = SamplingOptions.parse({**chosen, "adaptation": "budget", "steps": self.n_steps})
            encoder = FeatureEncoder.fit(frame, categorical_of(frame, self.categorical))
            features = encoder.transform(frame)
            fold = Fold(task, encoder, Rows(features, target), Rows(features[:0], target[:0]), "")
            networks = sample_networks(parameters, Effort("steps", options.steps), fold, options=options, seed=seed)
        self.info_ = dict(networks.info)
        facts = {"target": TARGET, "config": asdict(parameters), "budget": options.steps, "fidelity": "steps"}
        self.model_ = BayesianModel(task, (Member(1.0, encoder, networks),), facts)
        return self


@dataclass(kw_only=True, eq=False, repr=False)
class BNNRegressor(RegressorMixin, _BayesianEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Numbers, and how sure they are, from networks sampled by adaptive SGHMC."""

    def predict(self, X: Any, *, return_std: bool = False) -> FloatArray | tuple[FloatArray, FloatArray]:
        """The means, shape ``(n,)``; and on demand the deviations of the predictive distribution.

        Args:
            X: As for `fit`, with the same columns.
            return_std: Whether to return a pair.

        Raises:
            ValueError: The data is wrong.
            NotFittedError: `fit` was not called.
        """
        found = self.predictive(X)
        return (found.mean, np.sqrt(found.variance)) if return_std else found.mean

    def predict_dist(self, X: Any) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of the predictive distribution, each of shape ``(n,)``.

        Args:
            X: As for `fit`, with the same columns.

        Raises:
            ValueError: The data is wrong.
            NotFittedError: `fit` was not called.
        """
        found = self.predictive(X)
        return found.mean, found.variance

    def predict_interval(self, X: Any, level: float = 0.9) -> tuple[FloatArray, FloatArray]:
        """Lower and upper ends of central intervals, each of shape ``(n,)``; see `Predictive.interval`.

        Args:
            X: As for `fit`, with the same columns.
            level: Share of the probability inside, in (0, 1).

        Raises:
            ValueError: The data or the level is wrong.
            NotFittedError: `fit` was not called.
        """
        return self.predictive(X).interval(level)

    def sample_y(self, X: Any, n_samples: int = 1, random_state: Any = 0) -> FloatArray:
        """Draws from the predictive distribution, shape ``(n, n_samples)``; see `Predictive.sample`.

        Args:
            X: As for `fit`, with the same columns.
            n_samples: Number of draws, at least 1.
            random_state: Seed, or generator.

        Raises:
            ValueError: The data or a parameter is wrong.
            NotFittedError: `fit` was not called.
        """
        with value_errors():
            number("n_samples", n_samples, 1, MOST_DRAWS, is_integer=True)
        seed = seed_of(random_state)
        return self.predictive(X).sample(n_samples, np.random.default_rng(seed)).T

    def predictive(self, X: Any) -> Predictive:
        """The predictive distribution.

        Args:
            X: As for `fit`, with the same columns.

        Raises:
            ValueError: The data is wrong.
            NotFittedError: `fit` was not called.
        """
        found: Predictive = self._asked("predictive", X)
        return found

    def _learn_target(self, y: Any) -> tuple[NDArray[Any], Task]:
        return values_of(y), Task("regression")


@dataclass(kw_only=True, eq=False, repr=False)
class BNNClassifier(LabelMixin, _BayesianEstimator):
    """Classes from networks sampled by adaptive SGHMC.

    Attributes:
        classes_: The labels, sorted; the columns of `predict_proba`.
    """

    def predict_proba(self, X: Any) -> FloatArray:
        """Probabilities of ``classes_``, shape ``(n, classes)``: the means over the networks.

        Args:
            X: As for `fit`, with the same columns.

        Raises:
            ValueError: The data is wrong.
            NotFittedError: `fit` was not called.
        """
        shares: FloatArray = self._asked("predict_proba", X)
        return shares

    def _learn_target(self, y: Any) -> tuple[NDArray[Any], Task]:
        self.classes_, numbers = classes_of(y)
        return numbers, Task("classification", tuple(self.classes_.tolist()))
