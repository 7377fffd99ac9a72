"""The estimators of the targets for tables, without what belongs to one target."""

import contextlib
import tempfile
import time
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import FitFailedWarning
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from bohb_service.api.inline import describe_here, search_here
from bohb_service.results.run import Run
from bohb_service.study import Study
from bohb_service.worker.describe import Description, describe
from bohb_service.worker.labels import own_cores
from bohb_service.worker.loader import load_worker
from bohb_service.workers.common.shown import pythonic, shown
from bohb_service.workers.tabular.columns import FloatArray
from bohb_service.workers.tabular.dataset import Dataset
from bohb_service.workers.tabular.metrics import DEFAULT_METRIC, METRICS
from bohb_service.workers.tabular.options import TableOptions
from bohb_service.workers.tabular.saved import SavedModel
from bohb_service.workers.tabular.task import Kind, Task

from . import fitted
from .combined import combined, outward_reader
from .evaluated import best_evaluated, choose, prune
from .inputs import DATA_FILE, TrainingTable
from .refit import refitted
from .search import Budgets, search, study_of
from .settings import check_budgets, check_path, check_seconds, check_whole, seed_of
from .tables import TableEstimator
from .validation import check_enough, frame_of, value_errors

if TYPE_CHECKING:
    import pandas as pd

    from bohb_service.workers.tabular.worker import TabularWorker

_RESERVE_SHARE, _RESERVE_S = 0.1, 10.0
"""Share of the time limit, and most seconds, that are kept for choosing and loading the ensemble."""

_EVALUATION_SHARE, _EVALUATION_S = 0.25, 10.0
"""Share of the time limit that one evaluation may take, and what it may take even of a short one, up to its half."""

_LEAST_S = 1.0
_DEFAULT_WORKERS = 2


@dataclass(kw_only=True, eq=False, repr=False)
class TabularEstimator(TableEstimator):
    """Searches models for a table on this machine and predicts with an ensemble of them.

    `fit` writes the rows to ``data.npz`` of a run directory, and runs a study there: a master in this process, and
    worker processes of their own sessions, so that it works in scripts without a main guard, in notebooks and in
    threads. In ``configurations/NUMBER/kept/BUDGET`` each evaluation leaves its predictions for the validation rows
    and its model. Of these, ensemble selection takes the members; their models are read into memory, and a temporary
    run directory is removed. A validation row is judged on by a model that has not learned from it.

    Args:
        time_limit: Seconds for `fit`. It may take a tenth and ten seconds more, to end what runs.
        memory_limit: Resident memory of one evaluation in MiB; None for no limit.
        evaluation_limit: Seconds for one evaluation; by default a quarter of the time limit, or 10 seconds (but no more
            than its half) if that is more.
        workers: Number of worker processes; by default one for each usable core, two at most. 0: evaluations are done
            in this process, one after the other, where nothing ends one that takes too long or too much memory.
        metric: The loss that is minimised, see `METRICS`; by default ``error`` or ``rmse``.
        resampling: ``holdout``: a fifth of the rows is judged on; ``cv``: all are, in five folds.
        run_dir: Where the run is stored; with the same rows and settings (``random_state`` a number) another `fit` goes
            on there. By default a temporary directory.
        ensemble_size: Rounds of ensemble selection; 1 takes the best single model.
        evaluations: Evaluations after which the search ends; None for no such number.
        random_state: Seed, or generator, of splits, configurations and models; None for another one at each `fit`.
        categorical: Names of columns that hold numbers but are categories (``x0``, ``x1``, ... in arrays).
        fidelity: What a budget is; by default the target's first.
        min_budget: Smallest budget of an evaluation; by default the target's for this fidelity.
        max_budget: Largest budget of an evaluation; by default the target's for this fidelity.

    Attributes:
        n_features_in_: Number of columns.
        feature_names_in_: Names of the columns, if they are text.
        model_: The ensemble, a `SavedModel`.
        members_: The members of the ensemble, heaviest first; empty if nothing was learned.
        run_: The run as its journal tells it.
    """

    WORKER: ClassVar[str]
    """The worker, as a study file names it."""

    KIND: ClassVar[Kind]
    """What is predicted."""

    BUDGETS: ClassVar[Mapping[str, Budgets]]
    """Usual budgets of each fidelity, those of `COMMON_BUDGETS` included; the first is the default."""

    OPTIONS: ClassVar[tuple[str, ...]] = ()
    """Parameters that go to the worker as options of the same name, unless they are None."""

    ARGUMENTS: ClassVar[Mapping[str, str]] = {}
    """Parameters that go to the worker as options of other names, by these."""

    TYPE_KEY: ClassVar[str]
    """The hyperparameter that tells the kind of model; if there is none of this name, the name itself is shown."""

    time_limit: float = 60.0
    memory_limit: int | None = None
    evaluation_limit: float | None = None
    workers: int | None = None
    metric: str | None = None
    resampling: Literal["holdout", "cv"] = "holdout"
    run_dir: Path | str | None = None
    ensemble_size: int = 50
    evaluations: int | None = None
    random_state: Any = None
    categorical: Sequence[str] | None = None
    fidelity: str | None = None
    min_budget: float | None = None
    max_budget: float | None = None

    @staticmethod
    @abstractmethod
    def load_saved(path: Path) -> SavedModel:
        """The target's ``load``: the model that its worker saved.

        Args:
            path: Of the folder.
        """

    @classmethod
    def type_of(cls, config: Mapping[str, Any]) -> str:
        """The kind of model, for the leaderboard.

        Args:
            config: Values of the active hyperparameters.
        """
        return str(config.get(cls.TYPE_KEY, cls.TYPE_KEY))

    def target_options(self, budgets: Budgets) -> dict[str, Any]:  # noqa: ARG002 (targets look at them)
        """The worker's options that only this target has: the parameters in `OPTIONS` that are not None.

        Args:
            budgets: Of the search.
        """
        given = {name: pythonic(getattr(self, name)) for name in self.OPTIONS}
        return {name: value for name, value in given.items() if value is not None}

    @abstractmethod
    def _learn_target(self, y: Any) -> NDArray[Any]:
        """Class numbers or values; remembers the classes."""

    @abstractmethod
    def _numbers_of(self, y: Any) -> NDArray[Any]:
        """Class numbers or values of other rows, for the classes that are known."""

    @property
    @abstractmethod
    def _labels(self) -> NDArray[Any] | None:
        """The labels of a classification, in the order of their numbers; None for a regression."""

    @property
    @abstractmethod
    def _task(self) -> Task:
        """What is predicted, with the labels as the user gave them."""

    def fit(self, X: Any, y: Any) -> Self:
        """Search for at most the time limit, then choose the ensemble.

        Warns when nothing could be learned in the time; predictions are then the shares of the classes, or the mean.

        Args:
            X: Data frame or array, shape ``(n, d)``; missing values, text and mixed types are welcome.
            y: Labels or numbers, shape ``(n,)``.

        Raises:
            ValueError: A parameter, or the data, is wrong.
            BohbError: The run directory cannot be used, or the worker processes cannot run.
        """
        began = time.monotonic()
        self._check_settings()
        deadline = began + float(self.time_limit)
        frame = frame_of(self, X, is_training=True)
        target = self._learn_target(y)
        check_consistent_length(frame, target)
        seed = seed_of(self.random_state)
        with self._run_directory() as directory:
            with value_errors(self.ARGUMENTS):
                table = TrainingTable.of(frame, target, self.categorical)
                table.save(directory / DATA_FILE)
                parsed = TableOptions.parse(self._options(table, directory, seed), (), tuple(self.BUDGETS))
                check_enough(target, self._labels, parsed.folds if self.resampling == "cv" else 2)
                dataset = Dataset(parsed)
                judged = [dataset.fold(number).judge.target for number in range(dataset.n_folds)]
                study, description = self._study(self._options(table, directory, seed), seed, deadline)
            truth = np.concatenate(judged)
            tidy = partial(prune, directory, len(truth))
            self.run_ = self._search(study, description, directory, deadline, tidy)
            library = best_evaluated(self.run_, len(truth))
            load = outward_reader(self.load_saved, table, self._task)
            size, loss = self.ensemble_size, METRICS[self._metric].loss
            self.members_ = choose(library, truth, loss, load, size=size, seed=seed)
        if not self.members_:
            warnings.warn(fitted.why_nothing(self.run_), FitFailedWarning, stacklevel=2)
        self.model_ = combined(self.members_, table, self._task)
        return self

    def refit(self, X: Any, y: Any) -> Self:
        """Train each member of the ensemble anew, with its configuration and budget, on all of these rows.

        Done in this process, one member after the other, without limits; the weights stay. After a cross-validation
        each member is one model again instead of one for each fold.

        Args:
            X: As for `fit`, with the same columns; usually the same rows, or more of them.
            y: Labels that `fit` has seen, or numbers.

        Raises:
            ValueError: The data is wrong.
            NotFittedError: `fit` was not called.
        """
        check_is_fitted(self, "model_")
        frame, target = frame_of(self, X, is_training=False), self._numbers_of(y)
        check_consistent_length(frame, target)
        with tempfile.TemporaryDirectory(prefix="bohb-refit-") as folder:
            directory = Path(folder)
            with value_errors(self.ARGUMENTS):
                table = TrainingTable.of(frame, target, self.categorical)
                table.save(directory / DATA_FILE)
                options = {**self.run_.study.worker_options, **table.options(directory / DATA_FILE), "keep": False}
                load = outward_reader(self.load_saved, table, self._task)
                members = tuple(
                    refitted(member, self.WORKER, options, directory, load, seed=self.run_.study.seed)
                    for member in self.members_
                )
        self.members_ = members
        self.model_ = combined(members, table, self._task)
        return self

    def leaderboard(self, *, ensemble_only: bool = False) -> "pd.DataFrame":
        """All evaluations, the best first; see `bohb_service.workers.tabular.estimators.fitted.leaderboard`.

        Args:
            ensemble_only: Leave out those that are not in the ensemble.
        """
        check_is_fitted(self, "model_")
        return fitted.leaderboard(self.run_, self.members_, self.type_of, ensemble_only=ensemble_only)

    def show_models(self) -> list[dict[str, Any]]:
        """The members of the ensemble; see `bohb_service.workers.tabular.estimators.fitted.models`."""
        check_is_fitted(self, "model_")
        return fitted.models(self.members_, self.type_of)

    def summary(self) -> str:
        """Data set, metric, best validation loss, and how many runs ended how; some lines of text."""
        check_is_fitted(self, "model_")
        data = f"{self.n_features_in_} columns, {self._task.kind}"
        return fitted.summary(self.run_, self.members_, data=data, metric=self._metric)

    @property
    def cv_results_(self) -> dict[str, Any]:
        """All evaluations as arrays; see `bohb_service.workers.tabular.estimators.fitted.cv_results`."""
        check_is_fitted(self, "model_")
        return fitted.cv_results(self.run_)

    def _check_settings(self) -> None:
        check_whole("ensemble_size", self.ensemble_size, 1)
        check_seconds("time_limit", self.time_limit)
        for name, least in (("evaluations", 1), ("workers", 0), ("memory_limit", 1)):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), least)
        if self.evaluation_limit is not None:
            check_seconds("evaluation_limit", self.evaluation_limit)
        if self.run_dir is not None:
            check_path("run_dir", self.run_dir)
        if self.fidelity is not None and self.fidelity not in tuple(self.BUDGETS):
            raise ValueError(f"fidelity {shown(self.fidelity)} is none of {', '.join(self.BUDGETS)}")
        check_budgets(self.BUDGETS[self._fidelity], self.min_budget, self.max_budget)

    @property
    def _metric(self) -> str:
        return self.metric or DEFAULT_METRIC[self.KIND]

    @property
    def _fidelity(self) -> str:
        return self.fidelity or next(iter(self.BUDGETS))

    @property
    def _n_workers(self) -> int:
        if self.workers is not None:
            return self.workers
        return min(_DEFAULT_WORKERS, own_cores())

    @contextlib.contextmanager
    def _run_directory(self) -> Iterator[Path]:
        if self.run_dir is None:
            with tempfile.TemporaryDirectory(prefix="bohb-fit-", ignore_cleanup_errors=True) as folder:
                yield Path(folder)
            return
        directory = Path(self.run_dir)
        directory.mkdir(parents=True, exist_ok=True)
        yield directory

    def _options(self, table: TrainingTable, directory: Path, seed: int) -> dict[str, Any]:
        return {
            **table.options(directory / DATA_FILE),
            "task": self.KIND,
            "metric": self._metric,
            "resampling": self.resampling,
            "split_seed": seed,
            "fidelity": self._fidelity,
            "keep": True,
        }

    def _study(self, common: Mapping[str, Any], seed: int, deadline: float) -> tuple[Study, Description]:
        limit = float(self.time_limit)
        budgets = self.BUDGETS[self._fidelity].within(pythonic(self.min_budget), pythonic(self.max_budget))
        options = {**common, **self.target_options(budgets)}
        # Here, for the process that describes the worker knows nothing of parameters.
        cast("type[TabularWorker]", load_worker(self.WORKER)).parse_options(options)
        description = (describe if self._n_workers else describe_here)(self.WORKER, options)
        study = study_of(
            type(self).__name__,
            self.WORKER,
            options,
            description,
            budgets=budgets,
            seed=seed,
            seconds=max(_LEAST_S, self._end(deadline) - time.monotonic()),
            evaluations=self.evaluations,
            evaluation_seconds=pythonic(self.evaluation_limit)
            or max(_EVALUATION_SHARE * limit, min(limit / 2, _EVALUATION_S)),
            memory_mb=self.memory_limit,
        )
        return study, description

    def _end(self, deadline: float) -> float:
        """When the search must end, so that the ensemble is chosen before the deadline."""
        return deadline - min(_RESERVE_SHARE * float(self.time_limit), _RESERVE_S)

    def _search(
        self, study: Study, description: Description, directory: Path, deadline: float, tidy: Callable[[], None]
    ) -> Run:
        end = max(self._end(deadline), time.monotonic() + _LEAST_S)
        if self._n_workers == 0:
            return search_here(study, directory, description, deadline=end, tidy=tidy)
        return search(study, directory, description, workers=self._n_workers, deadline=end, tidy=tidy)

    def _predicted(self, X: Any) -> FloatArray:
        """Probabilities or values."""
        predicted: FloatArray = self._asked("average", X)
        return predicted
