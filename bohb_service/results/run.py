"""A run as it is in its directory."""

import math
import os
import socket
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bohb_service.errors import JournalCorruptError, StudyError
from bohb_service.journal.replay import replay, without_collector
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.journal.sqlite import SqliteJournal
from bohb_service.results.fold import Fold
from bohb_service.results.rows import (
    Continuation,
    FailureGroup,
    IncumbentResult,
    LostWorker,
    RungResult,
    TrajectoryPoint,
    TrialResult,
)
from bohb_service.scheduler.state import Configuration
from bohb_service.scheduler.trial import TrialState
from bohb_service.study import Study

if TYPE_CHECKING:
    import pandas as pd

RunState = Literal["running", "refitting", "finished", "interrupted"]

_REMEDY = "it is left as it is: restore it from a copy, or choose another run directory"


@dataclass(frozen=True, slots=True)
class Run:
    """What a run has found so far.

    Attributes:
        directory: Where it is stored.
        study: The study as it was when the run began.
        study_id: Identity of the run.
        version: Version of this package that began it.
        space_json: Its search space, for `SearchSpace.from_json`.
        state: ``running`` or ``refitting`` while a master serves it, ``finished``, or ``interrupted``: it can go on.
            A master on another machine is believed to be alive.
        stop_reason: The stopping rule that ended the search, or None.
        trials: All trials of the search that were begun, in order of their first lease.
        configurations: All suggested configurations by number.
        incumbent: The best trial at the largest budget seen, or None.
        refit: What the final training returned, or None.
        refit_failure: Why the final training failed, or None.
        requeues: How many leases of the search came back without a result, by reason: ``lost`` with their worker,
            ``preempted`` or ``unstarted`` when a worker left, ``stopped`` because the search ended.
        lost_workers: The last workers that were lost, oldest first.
        n_lost_workers: How often a worker was lost.
        wall_s: Working time in seconds: from the start of each master to the last event before the next one starts.
        utilisation: Seconds of evaluations with a result by seconds in which workers were available, waiting for
            others included, in [0, 1]; None before any. See `WorkerUsage` for what counts.
        spent: Budgets of all trials begun, in units of the largest budget.
        completions: All completed trials in order of completion.
        rungs: What became of each rung of each opened bracket, in order.
    """

    directory: Path
    study: Study
    study_id: str
    version: str
    space_json: str
    state: RunState
    stop_reason: str | None
    trials: tuple[TrialResult, ...]
    configurations: tuple[Configuration, ...]
    incumbent: IncumbentResult | None
    refit: Mapping[str, Any] | None
    refit_failure: str | None
    requeues: Mapping[str, int]
    lost_workers: tuple[LostWorker, ...]
    n_lost_workers: int
    wall_s: float
    utilisation: float | None
    spent: float
    completions: tuple[TrajectoryPoint, ...]
    rungs: tuple[RungResult, ...]

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.study.name

    @property
    def share_from_model(self) -> float | None:
        """Which part of the evaluated configurations the model proposed, in [0, 1]; None before any evaluation."""
        evaluated = {trial.configuration for trial in self.trials}
        if not evaluated:
            return None
        return sum(self.configurations[number].origin == "model" for number in evaluated) / len(evaluated)

    def count(self, state: TrialState) -> int:
        """How many of the trials are in a state."""
        return sum(trial.state is state for trial in self.trials)

    @property
    def continuation(self) -> Continuation:
        """What promoted trials gained from the trials before them."""
        before = {(rung.bracket, rung.rung): rung.budget for rung in self.rungs}
        promoted = [trial for trial in self.trials if trial.rung and trial.state is TrialState.COMPLETED]
        # What a preempted attempt had done beyond its last promotion is not the promotion's merit.
        saved = [min(trial.continued_from, before[trial.bracket, trial.rung - 1]) for trial in promoted]
        return Continuation(len(promoted), sum(each > 0 for each in saved), math.fsum(saved) / self.study.fidelity.max)

    def incumbent_trajectory(self, budget: float | None = None) -> list[TrajectoryPoint]:
        """The incumbent over time, one point for each change, ending with the present one.

        Args:
            budget: Look at the trials of this budget alone. By default the larger budget wins and among equal budgets
                the lower loss, so losses may rise where the budget does.
        """
        points: list[TrajectoryPoint] = []
        for point in self.completions:
            if budget is not None and point.budget != budget:
                continue
            if not points or (-point.budget, point.loss) < (-points[-1].budget, points[-1].loss):
                points.append(point)
        return points

    def failures(self) -> tuple[FailureGroup, ...]:
        """The failed trials grouped by reason, most frequent reason first."""
        groups: dict[str, list[TrialResult]] = {}
        for trial in self.trials:
            if trial.state is TrialState.FAILED:
                groups.setdefault(trial.reason, []).append(trial)
        return tuple(sorted(map(_group, groups.values()), key=lambda group: -group.count))

    def status(self) -> dict[str, Any]:
        """How far the run is, in the form in which a running master tells it, as far as the journal knows.

        Returns:
            The keys of `bohb_service.master.status.status_of`, with the ``state`` of this object, no workers, and all
            ``brackets``; and ``failures``, the last few: ``trial``, ``reason``, ``message``. The ``version`` is the
            one that began the run. The master alone knows ``foreign_leases``: None.
        """
        from bohb_service.results.export import run_to_status

        return run_to_status(self)

    def to_dict(self) -> dict[str, Any]:
        """The run as plain data for strict JSON; see `bohb_service.results.export.run_to_dict` for the keys."""
        from bohb_service.results.export import run_to_dict

        return run_to_dict(self)

    def to_dataframe(self) -> "pd.DataFrame":
        """The trials as a table; see `bohb_service.results.export.run_to_dataframe` for the columns.

        Raises:
            BohbError: pandas is not installed.
        """
        from bohb_service.results.export import run_to_dataframe

        return run_to_dataframe(self)


@without_collector()
def load_run(directory: Path | str) -> Run:
    """The run in a directory, as it is at this moment; a master may be writing to it.

    Args:
        directory: The run directory.

    Raises:
        JournalError: There is no journal, or it cannot be opened.
        JournalCorruptError: It is damaged, contradicts itself, or was written by a newer version.
    """
    directory = Path(directory)
    path = RunDirectory(directory).journal
    journal = SqliteJournal.open(path, read_only=True)
    try:
        meta = journal.meta
        missing = {"study", "study_id", "space"} - meta.keys()
        if missing:
            raise JournalCorruptError(f"{path} lacks {', '.join(sorted(missing))}; {_REMEDY}")
        try:
            study = Study.from_json(meta["study"])
        except StudyError as error:
            raise JournalCorruptError(
                f"{path}: this version cannot read the study in it ({error}); use the version that wrote it"
            ) from error
        fold = _fold(journal, study)
    finally:
        journal.close()
    state = fold.state
    return Run(
        directory=directory,
        study=study,
        study_id=meta["study_id"],
        version=meta.get("version", ""),
        space_json=meta["space"],
        state=_run_state(fold, RunDirectory(directory), may_refit=study.refit and meta.get("refit") == "true"),
        stop_reason=state.stop_reason,
        trials=fold.trials(),
        configurations=tuple(state.configurations),
        incumbent=fold.incumbent(),
        refit=state.refit,
        refit_failure=fold.refit_failure,
        requeues=dict(fold.requeues),
        lost_workers=tuple(LostWorker(event.worker, event.reason) for event in state.lost_workers),
        n_lost_workers=state.n_lost_workers,
        wall_s=fold.time.seconds,
        utilisation=fold.usage.share,
        spent=state.spent,
        completions=tuple(fold.completions),
        rungs=fold.rungs(),
    )


def _fold(journal: SqliteJournal, study: Study) -> Fold:
    fold = Fold(study.seed, study.fidelity.max)
    replay(journal, fold.take)
    return fold


def _run_state(fold: Fold, directory: RunDirectory, *, may_refit: bool) -> RunState:
    state, is_served = fold.state, _is_served(directory)
    if state.stop_reason is None:
        return "running" if is_served else "interrupted"
    has_ended = state.refit is not None or fold.refit_failure is not None
    if not may_refit or has_ended or state.incumbent is None:
        return "finished"
    return "refitting" if is_served else "interrupted"


def _is_served(directory: RunDirectory) -> bool:
    """Whether a master has said that it serves the run and, as far as can be seen from here, is alive."""
    address = directory.read_address()
    if address is None:
        return False
    if address.hostname != socket.gethostname():
        return True
    try:
        os.kill(address.pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it exists, but belongs to somebody else; or the file is nonsense
        return True
    return True


def _group(trials: Iterable[TrialResult]) -> FailureGroup:
    trials = list(trials)
    # Counter keeps the order of first occurrence among equals.
    ((message, _),) = Counter(trial.message for trial in trials).most_common(1)
    first = next(trial for trial in trials if trial.message == message)
    return FailureGroup(first.reason, len(trials), message, first.trial, first.detail)
