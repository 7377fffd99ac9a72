"""The worker `sklearn-estimator`: tunes any estimator with the interface of scikit-learn."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bohb_service.errors import SpaceError, StudyError
from bohb_service.workers.common.checks import OptionError, one_of
from bohb_service.workers.common.progress import Progress
from bohb_service.workers.common.shown import shown
from bohb_service.workers.common.whole import whole_number
from bohb_service.workers.tabular.rows import Fold
from bohb_service.workers.tabular.worker import Effort, Report, TabularWorker, TrainedModel

from .estimators import load_maker, make_estimator
from .model import PipelineModel, quiet_single_thread
from .worker import SklearnPipeline

if TYPE_CHECKING:
    from collections.abc import Callable

_INPUTS = ("clean", "codes", "frame")


class EstimatorWorker(TabularWorker):
    """Hyperparameters of an estimator of one's own; the space is in the study file, its names are the parameters.

    The budget is the percentage of the training rows (``subsample``), the number of folds (``folds``), or one of the
    estimator's own parameters, a whole number (``parameter``). A training never continues an earlier one.

    Args:
        **options: Those of all targets for tables; and

            - ``estimator``: ``package.module:Name`` or ``path/to/file.py:Name`` of a class, or of a function that
              returns an estimator;
            - ``fixed``: values of parameters that are not searched;
            - ``input``: what it gets: ``clean`` (default), an array without gaps in which each category is a column;
              ``codes``, an array with NaN where a value is missing and numbers for categories; ``frame``, a data frame
              with columns of categories;
            - ``fidelity_parameter``: with the fidelity ``parameter``, the name of that parameter.

    Raises:
        StudyError: An option is wrong.
    """

    NAME = "sklearn-estimator"
    FIDELITIES = ("subsample", "parameter")
    EXTRA: ClassVar[tuple[str, ...]] = ("estimator", "fixed", "input", "fidelity_parameter")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._spec = options.get("estimator")
        self._fixed = dict(_mapping(options.get("fixed", {})))
        self._input = options.get("input", _INPUTS[0])
        self._budgeted = options.get("fidelity_parameter")
        if not isinstance(self._spec, str):
            raise OptionError(
                "estimator", f"say which, as package.module:Class or path/to/file.py:Class, not {shown(self._spec)}"
            )
        one_of("input", self._input, _INPUTS)
        if (self.fidelity == "parameter") != (self._budgeted is not None):
            raise OptionError(
                "fidelity_parameter",
                "name the parameter that the budget is, with `fidelity: parameter`, and only then",
            )
        if self._budgeted is not None and (not isinstance(self._budgeted, str) or self._budgeted in self._fixed):
            raise OptionError(
                "fidelity_parameter",
                f"{shown(self._budgeted)} must be the name of a parameter that is not under `fixed`",
            )

    @cached_property
    def _make(self) -> "Callable[..., Any]":
        return load_maker(str(self._spec))

    def setup(self) -> None:
        """Read the data, and import the estimator."""
        super().setup()
        _ = self._make

    def default_configuration(self) -> Mapping[str, Any]:
        """Nothing: the estimator with its own defaults, and what is fixed."""
        return {}

    def check_training(self, config: Mapping[str, Any], effort: Effort) -> None:
        """Make the estimator, and forget it.

        Args:
            config: Parameters by name.
            effort: As for `train`.

        Raises:
            SpaceError: A hyperparameter is no parameter of the estimator.
            StudyError: The estimator cannot be made, or the budget is no whole number.
        """
        make_estimator(self._make, self._parameters(config, effort), self.table_options.task, seed=0)

    def train(
        self,
        config: Mapping[str, Any],
        effort: Effort,
        fold: Fold,
        *,
        seed: int,
        folder: Path,
        report: Report,
        progress: Progress,
    ) -> TrainedModel:
        """The estimator, trained on a fold.

        Args:
            config: Parameters by name.
            effort: ``full``, or ``parameter`` with its value.
            fold: What it learns from.
            seed: For each ``random_state`` that is not set.
            folder: Not used.
            report: Gets nothing.
            progress: Not asked: there is no state that a training could go on from.

        Raises:
            SpaceError: A hyperparameter is no parameter of the estimator.
            StudyError: The estimator cannot be made, or the budget is no whole number.
        """
        del folder, report, progress
        parameters = self._parameters(config, effort)
        from .training import Fitted

        classes = np.unique(fold.train.target) if fold.task.is_classification else np.empty(0, dtype=np.int64)
        fitted = Fitted([], None, classes, fold.task.n_outputs)
        with quiet_single_thread():
            features: Any = fold.train.features
            if self._input != "codes":
                step = self._preparation(fold, seed)
                features = step.fit_transform(features)
                fitted.steps = [step]
            estimator = make_estimator(self._make, parameters, fold.task.kind, seed)
            if len(classes) != 1:
                target = np.searchsorted(classes, fold.train.target) if len(classes) else fold.train.target
                fitted.estimator = estimator.fit(features, target)
        return PipelineModel(fitted, {"estimator": type(estimator).__name__, "rows": len(fold.train)})

    def _parameters(self, config: Mapping[str, Any], effort: Effort) -> dict[str, Any]:
        """What the estimator is given."""
        for name in config:
            if name in self._fixed:
                raise SpaceError(f"hyperparameter {name!r} is in the space and in worker_options.fixed; choose one")
        parameters = {**self._fixed, **config}
        if self._budgeted is not None and effort.fidelity == "parameter":
            if self._budgeted in config:
                raise SpaceError(f"hyperparameter {self._budgeted!r} is the budget; leave it out of the space")
            parameters[self._budgeted] = _whole(effort.budget)
        return parameters

    def _preparation(self, fold: Fold, seed: int) -> Any:
        from .cleaning import build_cleaning
        from .transformers import ToFrame

        if self._input == "frame":
            return ToFrame(
                names=[column.name for column in fold.encoder.columns],
                levels=[None if column.levels is None else list(column.levels) for column in fold.encoder.columns],
            )
        plain = {"imputation": "mean", "encoding": "one_hot", "coalescing": "none", "rescaling": "none"}
        return build_cleaning(plain, fold.encoder.columns, len(fold.train), seed)

    def _facts(self, config: Mapping[str, Any], budget: float) -> dict[str, Any]:
        # The target that reads the model: both write the same files.
        return {**super()._facts(config, budget), "target": SklearnPipeline.NAME, "estimator": self._spec}


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise OptionError("fixed", f"must map names of parameters to values, not {shown(value)}")
    return value


def _whole(budget: float) -> int:
    """The budget as a whole number.

    Raises:
        StudyError: It is none.
    """
    count = whole_number(budget)
    if count is None:
        raise StudyError(
            f"budget {shown(budget)} is no whole number, as the estimator's parameter must be; "
            "declare the fidelity of the study as integer"
        )
    return count
