"""The options that all targets for tables have, checked before anything is loaded."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from bohb_service.workers.common.checks import OptionError, boolean, known, names, number, one_of, text
from bohb_service.workers.common.shown import pythonic, shown

from .metrics import METRICS
from .task import KINDS, Kind

Test = float | str | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TableOptions:
    """What is learned, and how it is judged.

    Attributes:
        data: Name of a built-in data set, path of a file, or ``openml:ID``.
        target: Name of the column to predict; by default what the source says, else ``target``, else the last one.
        task: ``classification`` or ``regression``; by default found out from the target.
        categorical: Columns that hold numbers but are categories.
        drop: Columns to leave out.
        metric: One of `METRICS`; by default ``error`` or ``rmse``.
        resampling: ``holdout`` or ``cv``.
        validation: Share of the development rows that a holdout judges on.
        folds: Of the cross-validation.
        test: Share of all rows; or path of a file; or ``{first: n}``, ``{last: n}``, ``{column: name, value: v}``; 0
            for none. By default the customary part of the data set, else a fifth.
        split_seed: Seed of the splits, the same for all evaluations.
        fidelity: What a budget is; by default the target's first.
        keep: Whether each evaluation keeps its validation predictions and its model, for ensembles.
        model: Folder for the final model; by default ``model`` in the directory of the incumbent.
    """

    data: str = "letter"
    target: str | None = None
    task: Kind | None = None
    categorical: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    metric: str | None = None
    resampling: Literal["holdout", "cv"] = "holdout"
    validation: float = 0.2
    folds: int = 5
    test: Test | None = None
    split_seed: int = 0
    fidelity: str | None = None
    keep: bool = False
    model: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_folds(self) -> int:
        """Number of folds; 1 for a holdout."""
        return self.folds if self.resampling == "cv" else 1

    @classmethod
    def parse(cls, options: Mapping[str, Any], extra: Collection[str], fidelities: Collection[str]) -> "TableOptions":
        """The options of a study file.

        Args:
            options: ``worker_options``.
            extra: Names of the options that only this target has; they are passed on as they are.
            fidelities: What budgets can be.

        Raises:
            StudyError: A name or a value is wrong.
        """
        common = [entry.name for entry in fields(cls) if entry.name != "extra"]
        known(options, [*common, *extra])
        options = pythonic(options)
        own = {key: value for key, value in options.items() if key in common}
        for key in ("categorical", "drop"):
            if key in own:
                own[key] = names(key, own[key], "names of columns")
        made = cls(**own, extra={key: value for key, value in options.items() if key in extra})
        made._check(fidelities)
        return made

    def _check(self, fidelities: Collection[str]) -> None:
        text("data", self.data)
        for key in ("target", "model"):
            if getattr(self, key) is not None:
                text(key, getattr(self, key))
        one_of("task", self.task, (None, *KINDS))
        metrics = [name for name, metric in METRICS.items() if self.task in (None, metric.kind)]
        one_of("metric", self.metric, (None, *metrics))
        one_of("resampling", self.resampling, ("holdout", "cv"))
        one_of("fidelity", self.fidelity, (None, *fidelities))
        if self.fidelity == "folds" and self.resampling != "cv":
            raise OptionError("fidelity", "'folds' needs `resampling: cv`")
        number("validation", self.validation, 0.0, 1.0, is_open=True)
        number("folds", self.folds, 2, 100, is_integer=True)
        number("split_seed", self.split_seed, 0, 2**31, is_integer=True)
        boolean("keep", self.keep)
        _check_test(self.test)


_TEST_FORMS = "a share below 1, 0 for none, a file, {first: N}, {last: N} or {column: NAME, value: V}"


def _check_test(test: Any) -> None:
    if test is None or isinstance(test, str):
        return
    if isinstance(test, Mapping):
        if set(test) == {"column", "value"} and isinstance(test["column"], str):
            return
        if len(test) == 1 and set(test) <= {"first", "last"}:
            (key,) = test
            number(f"test.{key}", test[key], 1, 2**31, is_integer=True)
            return
    elif isinstance(test, int | float) and not isinstance(test, bool) and 0 <= test < 1:
        return
    raise OptionError("test", f"must be {_TEST_FORMS}, not {shown(test)}")
