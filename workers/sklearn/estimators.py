"""Algorithm selection over scikit-learn, XGBoost and LightGBM as scikit-learn estimators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bohb_service.workers.tabular.estimators.base import TabularEstimator
from bohb_service.workers.tabular.estimators.kinds import TabularClassifier, TabularRegressor
from bohb_service.workers.tabular.estimators.search import COMMON_BUDGETS, Budgets
from bohb_service.workers.tabular.saved import SavedModel

from .saved import load


@dataclass(kw_only=True, eq=False, repr=False)
class _AutoMLEstimator(TabularEstimator):
    """What both kinds have in common; see `SklearnPipeline` for the parameters that are not `TabularEstimator`'s."""

    WORKER = "bohb_service.workers.sklearn:SklearnPipeline"
    TYPE_KEY = "learner"
    BUDGETS: ClassVar[Mapping[str, Budgets]] = {
        "mixed": Budgets(100 / 9, 100),
        "iterations": Budgets(100 / 9, 100),
        **COMMON_BUDGETS,
    }
    OPTIONS = ("learners", "exclude_learners", "preprocessors")

    learners: Sequence[str] | None = None
    exclude_learners: Sequence[str] | None = None
    preprocessors: Sequence[str] | None = None

    @staticmethod
    def load_saved(path: Path) -> SavedModel:
        """The pipeline that the worker saved.

        Args:
            path: Of the folder.
        """
        return load(path)


@dataclass(kw_only=True, eq=False, repr=False)
class AutoMLClassifier(TabularClassifier, _AutoMLEstimator):
    """Classes from an ensemble of tuned pipelines.

    Args:
        learners: Names of the learners to choose from; by default all that are installed.
        exclude_learners: Names of learners to leave out.
        preprocessors: Names of the preprocessors to choose from, beside none; by default all.
    """


@dataclass(kw_only=True, eq=False, repr=False)
class AutoMLRegressor(TabularRegressor, _AutoMLEstimator):
    """Numbers from an ensemble of tuned pipelines.

    Args:
        learners: Names of the learners to choose from; by default all that are installed.
        exclude_learners: Names of learners to leave out.
        preprocessors: Names of the preprocessors to choose from, beside none; by default all.
    """
