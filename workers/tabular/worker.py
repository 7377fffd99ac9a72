"""The base of the targets for tables: folds, share of rows, losses, kept evaluations, the final model."""

import contextlib
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from bohb_service.errors import StudyError
from bohb_service.worker.base import EvaluationContext, Worker
from bohb_service.worker.plain import to_plain
from bohb_service.workers.common.checkpoint import fingerprint
from bohb_service.workers.common.checks import OptionError
from bohb_service.workers.common.draws import derived_seed
from bohb_service.workers.common.folders import check_folder_option, private_folder
from bohb_service.workers.common.progress import Preempted, Progress
from bohb_service.workers.common.shown import shown
from bohb_service.workers.common.versions import versions
from bohb_service.workers.common.whole import whole_number

from .columns import FloatArray
from .dataset import Dataset, subsample
from .kept import keep_fold, load_fold, save_evaluation
from .metrics import DEFAULT_METRIC, METRICS, Metric
from .options import TableOptions
from .rows import Fold
from .saved import MODEL, Member, Savable, save_model
from .task import Kind

Report = Callable[[float, FloatArray], None]
"""Adds a point to the learning curve: a step, and the prediction for the rows of the fold that are judged on."""

_FULL = 100.0
_LIBRARIES = ("numpy", "scikit-learn", "torch", "xgboost", "lightgbm")
"""Other versions of these compute other bits."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What the training of one model may spend.

    Attributes:
        fidelity: One of the target's own, or ``full``: as much as the target ever spends.
        budget: In units of the fidelity.
    """

    fidelity: str
    budget: float


class TrainedModel(Savable, Protocol):
    """The result of one training."""

    @property
    def info(self) -> Mapping[str, Any]:
        """Plain data about it: what was trained now, what was taken over, sizes."""


class TabularWorker(Worker):
    """Evaluates a configuration on a table: the mean loss over the folds, in units of the metric.

    Budgets that are done here for all targets: ``folds``, the number of folds judged on, of which those that were
    done at an earlier budget are not done again (unless evaluations are kept, for that needs their models); and
    ``subsample``, the percentage of the training rows. Preemption ends an evaluation between two folds at the latest.

    Args:
        **options: `TableOptions`, and those of the target.

    Raises:
        StudyError: An option is wrong.
    """

    NAME: ClassVar[str]
    """Name of the target, as in its entry point."""

    FIDELITIES: ClassVar[tuple[str, ...]]
    """What budgets can be beside folds and share of rows; the first is the default."""

    EXTRA: ClassVar[tuple[str, ...]] = ()
    """Names of the options that only this target has."""

    DEFAULT_METRICS: ClassVar[Mapping[Kind, str]] = DEFAULT_METRIC
    """The loss of each kind of task, if the options do not say."""

    TELLS_VARIANCE: ClassVar[bool] = False
    """Whether the predictions of a regression have variances."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.table_options = self.parse_options(options)
        self.fidelity = self.table_options.fidelity or self.FIDELITIES[0]

    @classmethod
    def parse_options(cls, options: Mapping[str, Any]) -> TableOptions:
        """The options, checked; those of the target are in ``extra`` as they were given.

        Raises:
            StudyError: A name or a value is wrong.
        """
        return TableOptions.parse(options, cls.EXTRA, (*cls.FIDELITIES, "folds", "subsample"))

    @classmethod
    def kind_of(cls, options: Mapping[str, Any]) -> Kind:
        """Classification or regression; the data is read to find out only if the options do not say.

        Raises:
            StudyError: An option is wrong, or the data cannot be read.
        """
        parsed = cls.parse_options(options)
        return parsed.task or Dataset(parsed).task.kind

    @abstractmethod
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
        """The model of one fold.

        Args:
            config: Values of the active hyperparameters.
            effort: What it may spend in total, what an earlier budget has spent included.
            fold: What it learns from; ``fold.judge.target`` is not to be looked at.
            seed: Of all that is random, in ``[0, 2**31)``.
            folder: Private to configuration and fold; persists from budget to budget, for checkpoints.
            report: For the learning curve.
            progress: Asked whether to end early, and told what was taken over from a checkpoint.

        Raises:
            Preempted: It had to end early; what was done is in the folder.
        """

    @cached_property
    def dataset(self) -> Dataset:
        """The data, read once in the life of the worker."""
        return Dataset(self.table_options)

    @cached_property
    def metric(self) -> Metric:
        """The loss.

        Raises:
            StudyError: It is for another kind of task, or needs variances that the target does not tell.
        """
        kind = self.dataset.task.kind
        metric = METRICS[self.table_options.metric or self.DEFAULT_METRICS[kind]]
        if metric.kind != kind:
            known = ", ".join(name for name, other in METRICS.items() if other.kind == kind)
            raise OptionError(
                "metric",
                f"{metric.name!r} is for {metric.kind}, and {self.dataset.name} is a {kind} "
                f"(column {self.table_options.target or 'target'!r}); choose from: {known}",
            )
        if metric.needs_variance and not self.TELLS_VARIANCE:
            raise OptionError(
                "metric",
                f"{metric.name!r} needs predictions with a variance, which {self.NAME} does not make; take rmse, or "
                "the target sghmc",
            )
        return metric

    def check_trial(self, config: Mapping[str, Any], budget: float) -> None:
        """Refuse a budget or a hyperparameter that no evaluation can have; the data is not read.

        Raises:
            StudyError: The budget is none of the fidelity.
            SpaceError: A hyperparameter is unknown to the target, or its value impossible.
        """
        effort, _, _ = self._plan(budget)
        self.check_training(to_plain(config, "config"), effort)

    def check_training(self, config: Mapping[str, Any], effort: Effort) -> None:
        """Refuse what `train` would refuse of any fold; by default nothing.

        Args:
            config: Values of the active hyperparameters.
            effort: What it may spend.

        Raises:
            StudyError: The effort is none that the options allow.
            SpaceError: A hyperparameter is unknown, or its value impossible.
        """

    def setup(self) -> None:
        """Read the data; and import what saves models, if each evaluation saves one.

        That takes seconds, which would otherwise count as time of the first evaluation of each process.

        Raises:
            StudyError: The data cannot be read, or the final model could not be written where the options say.
        """
        check_folder_option("model", self.table_options.model, MODEL.facts)
        _ = self.metric
        if self.table_options.keep:
            with contextlib.suppress(ImportError):
                import skops.io  # noqa: F401

    def compute(self, config: Mapping[str, Any], budget: float, context: EvaluationContext) -> Mapping[str, Any]:
        """The mean loss of the folds at this budget.

        Args:
            config: A configuration of the target's space.
            budget: In units of the fidelity, in total.
            context: Seed, directory, learning curve.

        Returns:
            The loss; as info the loss of each fold and what the target tells of each training, and seconds.

        Raises:
            StudyError: The budget does not fit the fidelity.
            FloatingPointError: A prediction is not finite.
            Preempted: The machine is to be taken away; what was done is kept in the directory.
        """
        began = time.perf_counter()
        config = to_plain(config, "config")
        effort, n_folds, percent = self._plan(budget)
        # A kept evaluation needs the models of all folds, not their predictions alone.
        reuses = self.table_options.n_folds > 1 and not self.table_options.keep
        losses, predictions, members, infos = [], [], [], []
        spared = 0.0
        kept: dict[str, Any] = {}
        for number in range(n_folds):
            fold = subsample(self.dataset.fold(number), percent, self.table_options.split_seed)
            folder = private_folder(context.directory / f"fold-{number}")
            seed = derived_seed(context.seed, number)
            facts = {"options": dict(self.table_options.extra), "effort": asdict(effort)}
            mark = self.mark(config, fold, seed, **facts) if reuses else ""
            prediction = load_fold(folder, mark) if reuses else None
            progress = Progress(lambda: context.preempted)
            if prediction is not None:
                progress.took_over(1, 1)
            else:
                report = self._reporter(fold, context) if n_folds == 1 else _ignore
                model = self.train(config, effort, fold, seed=seed, folder=folder, report=report, progress=progress)
                prediction = _checked(model.predict(fold.judge.features))
                infos.append(dict(model.info))
                members.append(Member(1 / n_folds, fold.encoder, model))
                if reuses:
                    kept |= keep_fold(folder, mark, prediction)
            losses.append(self.metric.loss(fold.judge.target, prediction))
            predictions.append(prediction)
            if n_folds > 1:
                context.report(number + 1, float(np.mean(losses)))
            spared += progress.spared(budget)
            if number + 1 < n_folds and progress.must_leave():
                raise Preempted(f"the machine is to be taken away after {number + 1} of {n_folds} folds")
        context.continued_from = spared / n_folds
        if self.table_options.keep:
            save_evaluation(
                context.directory,
                budget,
                predictions=predictions,
                task=self.dataset.task,
                members=members,
                facts=self._facts(config, budget),
            )
        info: dict[str, Any] = {"fold_losses": losses} if n_folds > 1 else {}
        info |= infos[0] if n_folds == 1 and infos else {"folds_trained": len(infos)}
        return {"loss": float(np.mean(losses)), "info": {**info, **kept, "seconds": time.perf_counter() - began}}

    def refit(self, config: Mapping[str, Any], budget: float, context: EvaluationContext) -> Mapping[str, Any]:
        """Train the final model on all rows but those of the test part, save it, and judge it on the test part.

        The baseline is the default configuration of the target's space, at the same budget and seed.

        Args:
            config: The incumbent.
            budget: The largest of the study.
            context: Seed and directory.

        Returns:
            ``model``, the folder that the target's ``load`` reads; with a test part also the losses there,
            ``test_error`` for a classification, and the baseline's.

        Raises:
            Preempted: The machine is to be taken away; what was done is kept in the directory.
        """
        config = to_plain(config, "config")
        effort, _, _ = self._plan(budget if self.fidelity != "subsample" else _FULL)
        fold, seed = self.dataset.final(), derived_seed(context.seed, 0)
        folder, progress = private_folder(context.directory / "final"), Progress(lambda: context.preempted)
        began = time.perf_counter()
        model = self.train(config, effort, fold, seed=seed, folder=folder, report=_ignore, progress=progress)
        train_s = time.perf_counter() - began
        path = Path(self.table_options.model or context.directory / "model").absolute()
        save_model(path, fold.task, [Member(1.0, fold.encoder, model)], self._facts(config, budget))
        told: dict[str, Any] = {
            "model": str(path),
            "dataset": self.dataset.name,
            "train_rows": len(fold.train),
            "test_rows": len(fold.judge),
            "train_s": train_s,
        }
        if not len(fold.judge):
            return told
        told |= self._judged(fold, model)
        default = self.default_configuration()
        other = private_folder(folder / "default")
        baseline = self.train(default, effort, fold, seed=seed, folder=other, report=_ignore, progress=progress)
        return {**told, "baseline": {"name": "the default configuration", **self._judged(fold, baseline)}}

    def default_configuration(self) -> Mapping[str, Any]:
        """The default of the target's space."""
        default = type(self).configuration_space(**self.options).get_default_configuration()
        plain: dict[str, Any] = to_plain(dict(default), "config")
        return plain

    def mark(self, config: Mapping[str, Any], fold: Fold, seed: int, **facts: Any) -> str:
        """Text that is equal for two trainings exactly if they take the same course, whatever their budgets.

        Args:
            config: Of the training.
            fold: Of the training.
            seed: Of the training.
            **facts: What else it depends on, beside the versions of libraries.
        """
        made_with = versions(*_LIBRARIES)
        return fingerprint(
            target=self.NAME, config=dict(config), fold=fold.mark, seed=seed, versions=made_with, **facts
        )

    def _plan(self, budget: float) -> tuple[Effort, int, float]:
        """What each training may spend, how many folds there are, and what share of the rows it gets."""
        n_folds = self.table_options.n_folds
        if self.fidelity == "folds":
            count = whole_number(budget)
            if count is None or not 1 <= count <= n_folds:
                raise StudyError(
                    f"budget {shown(budget)} is no number of folds from 1 to {n_folds}; see option `folds`"
                )
            return Effort("full", _FULL), count, _FULL
        if self.fidelity == "subsample":
            if not 0 < budget <= _FULL + 1e-9:
                raise StudyError(f"budget {shown(budget)} is no percentage of rows: above 0, at most 100")
            return Effort("full", _FULL), n_folds, min(budget, _FULL)
        return Effort(self.fidelity, budget), n_folds, _FULL

    def _reporter(self, fold: Fold, context: EvaluationContext) -> Report:
        def report(step: float, prediction: FloatArray) -> None:
            context.report(step, self.metric.loss(fold.judge.target, prediction))

        return report

    def _judged(self, fold: Fold, model: TrainedModel) -> dict[str, Any]:
        prediction = _checked(model.predict(fold.judge.features))
        judged = {"test_loss": self.metric.loss(fold.judge.target, prediction), "metric": self.metric.name}
        if fold.task.is_classification:
            judged["test_error"] = METRICS["error"].loss(fold.judge.target, prediction)
        return judged

    def _facts(self, config: Mapping[str, Any], budget: float) -> dict[str, Any]:
        return {
            "target": self.NAME,
            "config": dict(config),
            "budget": budget,
            "fidelity": self.fidelity,
            "metric": self.metric.name,
            "data": self.dataset.name,
        }


def _ignore(_: float, __: FloatArray) -> None:
    """A learning curve that nobody looks at."""


def _checked(prediction: FloatArray) -> FloatArray:
    if not np.isfinite(prediction).all():
        raise FloatingPointError("the model predicts values that are not finite: its training diverged")
    return prediction
