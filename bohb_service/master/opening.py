"""Opens the journal of a run: a new one, or the one that is there, and brings the scheduler up to date."""

import json
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bohb_service._version import VERSION
from bohb_service.clock import Clock
from bohb_service.errors import JournalCorruptError, RunMismatchError, StudyError
from bohb_service.journal.journal import Record
from bohb_service.journal.replay import replay
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.journal.sqlite import SqliteJournal
from bohb_service.master.plan import sampler_for, settings_for
from bohb_service.optimizer.observation import Observation
from bohb_service.results.run import load_run
from bohb_service.results.working_time import WorkingTime
from bohb_service.scheduler.commands import Reopen, WarmStart
from bohb_service.scheduler.events import Event, MasterStarted
from bohb_service.scheduler.scheduler import Scheduler
from bohb_service.study import MAY_CHANGE, Study

if TYPE_CHECKING:
    from bohb_service.space import SearchSpace

_EPOCH_BYTES = 8


class Description(Protocol):
    """What a worker class says of itself."""

    @property
    def space(self) -> dict[str, Any] | None:
        """Its own search space in ConfigSpace's dict form, or None."""
        ...

    @property
    def refit(self) -> bool:
        """Whether it can train the incumbent again at the end."""
        ...

    @property
    def recommended(self) -> list[dict[str, Any]] | None:
        """Configurations that it recommends to try first, or None if it has no word on that."""
        ...


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that a master can go on with.

    Attributes:
        journal: Its journal, ready to be appended to.
        scheduler: Its state.
        study_id: Identity of this run, also in the file ``id`` of its configurations folder.
        space_json: Its search space.
        initial: Configurations to try first.
        seconds_before: Working time of earlier masters.
        is_resumed: Whether the journal was there before.
    """

    journal: SqliteJournal
    scheduler: Scheduler
    study_id: str
    space_json: str
    initial: list[dict[str, Any]]
    seconds_before: float
    is_resumed: bool


def open_run(
    study: Study, directory: RunDirectory, describe: Callable[[], Description], clock: Clock, *, min_workers: int = 0
) -> OpenRun:
    """Open or make the journal of a run; the caller holds the run directory's lock.

    Args:
        study: What is to be run; must be the study that the journal holds, if there is one.
        directory: Where.
        describe: Asks the worker class what it is; called for a new run only.
        clock: For the times of the events.
        min_workers: How many workers the master will wait for; that time does not count.

    Raises:
        StudyError: The space, the initial configurations, the method or the earlier runs do not fit together.
        RunMismatchError: The run directory holds another study.
        JournalError: The run directory cannot be used.
    """
    is_resumed = directory.journal.exists()
    if not is_resumed:
        _create(study, directory, describe)
    journal = SqliteJournal.open(directory.journal)
    try:
        meta = _checked_meta(journal, study, directory.path)
        directory.write_id(meta["study_id"])
        scheduler = Scheduler(settings_for(study, offers_refit=meta["refit"] == "true"))
        seconds_before = _replay(journal, scheduler)
        events: list[Event] = []
        if scheduler.state.n_masters == 0 and study.warm_start:
            events += scheduler.handle(WarmStart(_earlier_results(study, meta["space"]))).events
        has_time = study.stop.seconds is None or seconds_before < study.stop.seconds
        events += scheduler.handle(Reopen(frozenset({"seconds"} if has_time else ()))).events
        if not scheduler.is_finished:
            started = MasterStarted(
                VERSION, socket.gethostname(), os.getpid(), secrets.token_hex(_EPOCH_BYTES), min_workers
            )
            scheduler.state.apply(started)
            journal.append([(clock.now(), event) for event in (started, *events)])
    except BaseException:
        journal.close()
        raise
    # Journals of earlier versions have no word on it: then the study file's are all.
    initial = json.loads(meta["initial"]) if "initial" in meta else list(study.initial)
    return OpenRun(journal, scheduler, meta["study_id"], meta["space"], initial, seconds_before, is_resumed)


@dataclass(frozen=True, slots=True)
class Ground:
    """What a study stands on, everything checked.

    Attributes:
        space_json: Its search space.
        offers_refit: Whether its worker can train the incumbent again.
        initial: Configurations to try first.
    """

    space_json: str
    offers_refit: bool
    initial: list[dict[str, Any]]


def ground_of(study: Study, describe: Callable[[], Description]) -> Ground:
    """What a study stands on: its own words, and its worker's where it leaves that to it.

    Raises:
        StudyError: The space, an initial configuration or an option of the method is wrong, or the study asks for a
            portfolio and its worker has none.
    """
    from bohb_service.space import SearchSpace, read_space

    description = describe()
    if study.space is not None:
        space = read_space(study.space)
    elif description.space is not None:
        space = SearchSpace.from_json(json.dumps(description.space))
    else:
        raise StudyError(
            f"space: worker {study.worker!r} has no search space of its own; "
            "give it a static method configuration_space(**options), or the study file a `space`"
        )
    for number, configuration in enumerate(study.initial):
        try:
            space.check(configuration)
        except StudyError as error:
            raise StudyError(f"initial.{number}: {error}") from error
    text = space.to_json()
    initial = [*study.initial, *(_portfolio(study, space, description.recommended) if study.portfolio else [])]
    sampler_for(study, text, initial)
    return Ground(text, description.refit, initial)


def _portfolio(
    study: Study, space: "SearchSpace", recommended: list[dict[str, Any]] | None
) -> Iterator[dict[str, Any]]:
    """The worker's configurations, but for those that the study file has too."""
    if not recommended:
        raise StudyError(
            f"portfolio: worker {study.worker!r} recommends no configurations for these options; leave the key out, or "
            "give the worker a static method initial_configurations(**options)"
        )
    for number, configuration in enumerate(recommended):
        try:
            space.check(configuration)
        except StudyError as error:
            raise StudyError(
                f"portfolio: configuration {number} of worker {study.worker!r} is not of this study's space: {error}; "
                "leave the key out, or use the worker's own space"
            ) from error
        if configuration not in study.initial:
            yield configuration


def _create(study: Study, directory: RunDirectory, describe: Callable[[], Description]) -> None:
    ground = ground_of(study, describe)
    _earlier_results(study, ground.space_json)
    study_id = secrets.token_hex(16)
    meta = {
        "study": study.to_json(),
        "study_id": study_id,
        "space": ground.space_json,
        "refit": "true" if ground.offers_refit else "false",
        "initial": json.dumps(ground.initial),
        "version": VERSION,
    }
    SqliteJournal.create(directory.journal, meta).close()


def _checked_meta(journal: SqliteJournal, study: Study, path: Path) -> dict[str, str]:
    meta = journal.meta
    missing = {"study", "study_id", "space", "refit"} - meta.keys()
    if missing:
        raise JournalCorruptError(
            f"{path}: the journal lacks {', '.join(sorted(missing))}; choose another run directory"
        )
    try:
        stored = Study.from_json(meta["study"])
    except StudyError as error:
        raise JournalCorruptError(
            f"{path}: this version cannot read the study in the journal ({error}); use the version that wrote it"
        ) from error
    if stored.identity() != study.identity():
        before, now = stored.model_dump(mode="json"), study.model_dump(mode="json")
        keys = [key for key in now if before.get(key) != now[key] and key not in MAY_CHANGE]
        changes = "; ".join(f"{key} was {_short(before.get(key))}, now {_short(now[key])}" for key in keys)
        raise RunMismatchError(
            f"{path} holds another study ({changes}); choose another --run-dir, or undo the change: "
            f"only {', '.join(sorted(MAY_CHANGE))} may change between a run and its resumption"
        )
    return meta


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _replay(journal: SqliteJournal, scheduler: Scheduler) -> float:
    """Bring the scheduler up to date; return the working time of earlier masters in seconds."""
    time = WorkingTime()

    def take(record: Record) -> None:
        time.take(record.at, record.event)
        scheduler.state.apply(record.event)

    replay(journal, take)
    return time.seconds


def _earlier_results(study: Study, space_json: str) -> tuple[Observation, ...]:
    """What the runs named by ``warm_start`` found, numbered from -1 downwards."""
    from bohb_service.space import SearchSpace

    if not study.warm_start:
        return ()
    space = SearchSpace.from_json(space_json)
    observations: list[Observation] = []
    first = 0
    for number, path in enumerate(study.warm_start):
        run = load_run(path)
        for trial in run.trials:
            if trial.loss is None:
                continue
            try:
                space.check(trial.config)
            except StudyError as error:
                raise StudyError(
                    f"warm_start.{number}: configuration {trial.configuration} of {path} does not belong to this "
                    f"study's space: {error}; use runs of the same space"
                ) from error
            observations.append(Observation(-1 - first - trial.configuration, trial.config, trial.budget, trial.loss))
        first += len(run.configurations)
    return tuple(observations)
