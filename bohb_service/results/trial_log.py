"""What happened to one trial: its attempts, and what is known of how each of them ended."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from bohb_service.errors import StudyError
from bohb_service.journal.journal import Record
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.journal.sqlite import SqliteJournal
from bohb_service.results.plain import strict
from bohb_service.scheduler.events import (
    ConfigurationSuggested,
    TrialAbandoned,
    TrialCompleted,
    TrialFailed,
    TrialLeased,
    TrialRequeued,
)
from bohb_service.scheduler.trial import TrialId

End = Literal["running", "completed", "failed", "requeued", "abandoned", "ignored"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One lease of a trial.

    Attributes:
        lease: Its number.
        number: Which attempt it was, from 1.
        worker: Who held it.
        started_at: When it began, seconds since the epoch.
        ended_at: When it ended; None while it goes on.
        end: How it ended: ``running`` until then; ``ignored`` if the result of another attempt came first.
        seconds: Wall time of the evaluation, or None without a result.
        loss: The loss, or None without one.
        reason: Kind of the failure or loss; else empty.
        message: What happened, on one line; else empty.
        detail: Last output and traceback of a failure; may be empty.
    """

    lease: int
    number: int
    worker: str
    started_at: float
    ended_at: float | None = None
    end: End = "running"
    seconds: float | None = None
    loss: float | None = None
    reason: str = ""
    message: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TrialLog:
    """All that the journal has of one trial.

    Attributes:
        trial: Its name.
        budget: What it might spend.
        config: Values of its active hyperparameters.
        attempts: Its leases, in order.
    """

    trial: str
    budget: float
    config: Mapping[str, Any] = field(default_factory=dict)
    attempts: tuple[Attempt, ...] = ()


def trial_log(directory: Path, name: str) -> TrialLog:
    """The log of a trial, as it is at this moment; a master may be writing to the journal.

    Args:
        directory: The run directory.
        name: The trial, e.g. ``12.0`` or ``12.refit``.

    Raises:
        StudyError: It is no trial of this run, or was not begun yet.
        JournalError: There is no journal, or it cannot be read.
    """
    try:
        trial = TrialId.parse(name)
    except ValueError:
        raise StudyError(
            f"{name!r} is no trial: a name has the number of the configuration and the rung, e.g. 12.0; "
            f"`bohb-master logs {directory}` lists those that failed"
        ) from None
    journal = SqliteJournal.open(RunDirectory(directory).journal, read_only=True)
    try:
        fold = _Fold(trial)
        for record in journal.read():
            fold.take(record)
    finally:
        journal.close()
    if not fold.attempts:
        raise StudyError(
            f"trial {name} was not begun in {directory}; `bohb-master logs {directory}` lists the trials that failed"
        )
    return TrialLog(str(trial), fold.budget, fold.config, tuple(fold.attempts.values()))


class _Fold:
    """Gathers the events of one trial."""

    def __init__(self, trial: TrialId) -> None:
        self.budget = 0.0
        self.config: Mapping[str, Any] = {}
        self.attempts: dict[int, Attempt] = {}
        self._trial = trial

    def take(self, record: Record) -> None:
        """Look at one event."""
        event = record.event
        if isinstance(event, ConfigurationSuggested):
            if event.configuration == self._trial.configuration:
                self.config = event.values
        elif isinstance(event, TrialLeased):
            if event.trial == self._trial:
                self.budget = event.budget
                self.attempts[event.lease] = Attempt(event.lease, event.attempt, event.worker, record.at)
        elif isinstance(event, TrialCompleted | TrialFailed | TrialRequeued | TrialAbandoned):
            self._end(event, record.at)

    def _end(self, event: TrialCompleted | TrialFailed | TrialRequeued | TrialAbandoned, at: float) -> None:
        if event.trial != self._trial or event.lease not in self.attempts:
            return
        self.attempts[event.lease] = _ended(self.attempts[event.lease], at, event)
        if isinstance(event, TrialCompleted | TrialFailed):
            self._ignore_others(at)

    def _ignore_others(self, at: float) -> None:
        for lease, attempt in self.attempts.items():
            if attempt.end == "running":
                message = "the result of another attempt came first"
                self.attempts[lease] = replace(attempt, ended_at=at, end="ignored", message=message)


def _ended(
    attempt: Attempt, at: float, event: TrialCompleted | TrialFailed | TrialRequeued | TrialAbandoned
) -> Attempt:
    match event:
        case TrialCompleted(_, _, loss, _, seconds):
            return replace(attempt, ended_at=at, end="completed", loss=loss, seconds=seconds, reason="", message="")
        case TrialFailed(_, _, reason, message, detail, seconds):
            attempt = replace(attempt, reason=reason, message=message, detail=detail, seconds=seconds)
            return replace(attempt, ended_at=at, end="failed")
        case TrialRequeued(_, _, reason, message):
            return replace(attempt, ended_at=at, end="requeued", reason=reason, message=message)
        case TrialAbandoned(_, _, reason, message):
            return replace(attempt, ended_at=at, end="abandoned", reason=reason, message=message)


def log_to_dict(log: TrialLog) -> dict[str, Any]:
    """The log as plain data for strict JSON, with the keys of `TrialLog` and `Attempt`."""
    plain: dict[str, Any] = strict({**asdict(replace(log, config={})), "config": dict(log.config)})
    return plain
