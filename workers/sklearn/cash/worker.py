"""The worker `sklearn`: chooses a learner, its hyperparameters, and everything that prepares a table for it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bohb_service.errors import StudyError
from bohb_service.suggestions import did_you_mean
from bohb_service.workers.common.checkpoint import Checkpoint, keep_checkpoint, load_checkpoint
from bohb_service.workers.common.checks import OptionError, names
from bohb_service.workers.common.progress import Progress
from bohb_service.workers.common.shown import shown
from bohb_service.workers.common.unfinished import leave
from bohb_service.workers.tabular.dataset import subsample
from bohb_service.workers.tabular.options import TableOptions
from bohb_service.workers.tabular.rows import Fold
from bohb_service.workers.tabular.task import Kind
from bohb_service.workers.tabular.worker import Effort, Report, TabularWorker, TrainedModel

from .components import Learner, Preprocessor
from .features import PREPROCESSORS
from .learners.registry import choose_learners
from .model import PipelineModel, quiet_single_thread
from .portfolio import first_configurations
from .recipes import make_recipe, read_config
from .space import build_space

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

    from .training import Fitted, Recipe

_CHECKPOINT = "checkpoint.bin"

_LEAST_ROWS = 500
"""Rows that a learner without iterations gets at least, if there are so many: fewer cost nothing and tell little."""

_MODEL_STATE = "model"

_FULL, _SLACK = 100.0, 1e-9


class SklearnPipeline(TabularWorker):
    """Combined algorithm selection and hyperparameter optimisation over scikit-learn, XGBoost and LightGBM.

    Budgets are percentages, or numbers of folds. With ``iterations``, a learner that is trained by iterations gets
    this share of the most it can have, and others are trained in full; with ``mixed``, those others get this share of
    the rows, and 500 at least. A promoted configuration continues where it stopped, if its learner can; the result is
    bit for bit that of a training in one go.

    Args:
        **options: Those of all targets for tables; and ``learners`` (names; default: all that are installed),
            ``exclude_learners`` and ``preprocessors`` (names beside ``none``; default: all).

    Raises:
        StudyError: An option is wrong.
    """

    NAME = "sklearn"
    FIDELITIES = ("mixed", "iterations")
    EXTRA: ClassVar[tuple[str, ...]] = ("learners", "exclude_learners", "preprocessors")

    @classmethod
    def parse_options(cls, options: Mapping[str, Any]) -> TableOptions:
        """The options, checked; which learners there are depends on the task, so that its option is needed for that.

        Raises:
            StudyError: A name or a value is wrong.
        """
        parsed = super().parse_options(options)
        included, excluded = _names(options, "learners"), _names(options, "exclude_learners") or ()
        if parsed.task is not None:
            choose_learners(parsed.task, included, excluded)
        _preprocessors(options, parsed.task or "classification")
        return parsed

    @classmethod
    def components(cls, **options: Any) -> tuple[Kind, tuple[Learner, ...], tuple[Preprocessor, ...]]:
        """The kind of task, and the learners and preprocessors of its space.

        Args:
            **options: As for the class. Unless they say what the ``task`` is, the data is read to find out.

        Raises:
            StudyError: An option is wrong, or the data cannot be read.
        """
        kind = cls.kind_of(options)
        learners = choose_learners(kind, _names(options, "learners"), _names(options, "exclude_learners") or ())
        return kind, learners, _preprocessors(options, kind)

    @staticmethod
    def configuration_space(**options: Any) -> "ConfigurationSpace":
        """The search space: for a classification with all packages 128 hyperparameters, of which about 13 are active.

        Args:
            **options: As for the class. Unless they say what the ``task`` is, the data is read to find out.

        Raises:
            StudyError: An option is wrong, or the data cannot be read.
        """
        return build_space(*SklearnPipeline.components(**options))

    @staticmethod
    def initial_configurations(**options: Any) -> list[dict[str, Any]]:
        """Configurations to try first: defaults of learners that do well on many tables, as far as there are.

        Args:
            **options: As for the class.

        Raises:
            StudyError: An option is wrong, or the data cannot be read.
        """
        return first_configurations(*SklearnPipeline.components(**options))

    def check_training(self, config: Mapping[str, Any], effort: Effort) -> None:
        """Refuse what `train` would refuse of any fold. Without the option `task` the data is read.

        Args:
            config: Values of the active hyperparameters.
            effort: What it may spend.

        Raises:
            StudyError: The budget is no percentage.
            SpaceError: A name or a component is unknown, or a hyperparameter is not active beside the others.
        """
        _check_percentage(effort)
        kind, learners, steps = self._components(self.table_options.task or self.dataset.task.kind)
        read_config(config, kind, learners, steps)

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
        """The configuration, trained on a fold.

        Args:
            config: Values of active hyperparameters; what is missing has its default.
            effort: ``full``, ``mixed`` or ``iterations``, in percent.
            fold: What it learns from.
            seed: Of all that is random.
            folder: For the checkpoint.
            report: Gets nothing: a point would cost a prediction for each of the iterations.
            progress: Asked between iterations of learners that can go on from there; told how many were taken over.

        Raises:
            SpaceError: The configuration is none of the space.
            StudyError: The budget is no percentage.
            FloatingPointError: A step makes values that are not finite.
            Preempted: It had to end early; the iterations that are done are in the checkpoint.
        """
        del report
        _check_percentage(effort)
        _, learners, steps = self._components(fold.task.kind)
        recipe = make_recipe(config, fold.task.kind, learners, steps, seed)
        part = fold
        if effort.fidelity == "mixed" and recipe.learner.iterations is None:
            percent = max(effort.budget, 100 * _LEAST_ROWS / len(fold.train))
            part = subsample(fold, percent, self.table_options.split_seed)
        with quiet_single_thread():
            return self._train(recipe, effort, part, folder, progress)

    def _train(self, recipe: "Recipe", effort: Effort, fold: Fold, folder: Path, progress: Progress) -> PipelineModel:
        iterations, path = recipe.iterations(effort.budget), folder / _CHECKPOINT
        mark = self.mark(recipe.config, fold, recipe.seed)
        resumes = recipe.learner.iterations is not None and recipe.learner.iterations.resumes
        start = _resumed(path, mark, iterations) if resumes else None
        taken_over = 0 if start is None else start.iterations
        if resumes:
            progress.took_over(taken_over, iterations)
        fitted = recipe.train(
            fold.train, fold.encoder.columns, fold.task, iterations, start, must_leave=progress.must_leave
        )
        if progress.leaves:
            leave(path, mark, _checkpoint(fitted, fitted.iterations))
        info: dict[str, Any] = {"learner": recipe.learner.name, "rows": len(fold.train)}
        if recipe.learner.iterations is not None:
            info["iterations_trained"] = fitted.iterations - taken_over
            info["iterations_resumed"] = taken_over
        # After the largest budget there is nothing to go on to.
        if resumes and effort.fidelity != "full" and effort.budget < 100 and fitted.iterations > taken_over:
            info |= keep_checkpoint(path, mark, _checkpoint(fitted, iterations))
        return PipelineModel(fitted, info)

    def _components(self, kind: Kind) -> tuple[Kind, tuple[Learner, ...], tuple[Preprocessor, ...]]:
        return type(self).components(**{**self.options, "task": kind})


def _check_percentage(effort: Effort) -> None:
    if not 0 < effort.budget <= _FULL + _SLACK:
        raise StudyError(
            f"budget {shown(effort.budget)} is no percentage: above 0, at most 100; correct the fidelity of the study"
        )


def _checkpoint(fitted: "Fitted", iterations: int) -> Checkpoint:
    """A training for those to go on with that want so many iterations, or more."""
    from .storage import dump

    return Checkpoint(np.zeros(iterations), {_MODEL_STATE: np.frombuffer(dump(fitted), dtype=np.uint8)})


def _resumed(path: Path, mark: str, iterations: int) -> "Fitted | None":
    """The training to go on with: one with as many iterations or fewer."""
    from .storage import restore

    checkpoint = load_checkpoint(path, mark, iterations)
    return None if checkpoint is None else restore(checkpoint.arrays[_MODEL_STATE].tobytes())


def _names(options: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    """The value of an option that is a list of names; None if it is not given."""
    value = options.get(key)
    return None if value is None else names(key, value)


def _preprocessors(options: Mapping[str, Any], kind: Kind) -> tuple[Preprocessor, ...]:
    wanted = _names(options, "preprocessors")
    there = {step.name: step for step in PREPROCESSORS if kind in step.kinds}
    for name in wanted or ():
        if name not in there:
            hint = did_you_mean(name, there)
            raise OptionError(
                "preprocessors",
                f"no preprocessor {name!r}; {f'{hint} ' if hint else ''}choose from: {', '.join(there)}",
            )
    return tuple(step for step in there.values() if wanted is None or step.name in ("none", *wanted))
