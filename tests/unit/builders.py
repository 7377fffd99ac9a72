"""Runs made without processes: the real scheduler under simulated time, with simulated workers and a real journal.

`play` begins or resumes a run; what becomes of a job is decided by the test. Load it with `runpy`, as test folders
are no packages.
"""

import heapq
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bohb_service.journal.journal import Journal
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.journal.sqlite import SqliteJournal
from bohb_service.master.plan import settings_for
from bohb_service.optimizer.observation import Observation
from bohb_service.scheduler.commands import Ask, Halt, Reopen, Suggest, Tell, WarmStart
from bohb_service.scheduler.events import MasterStarted
from bohb_service.scheduler.outcomes import Completed, Failed, Outcome, Released
from bohb_service.scheduler.replies import Job, Stop, Wait
from bohb_service.scheduler.scheduler import Scheduler
from bohb_service.scheduler.trial import REFIT_RUNG
from bohb_service.study import Study

START = 1_800_000_000.0

SPACE_JSON = json.dumps(
    {
        "name": None,
        "hyperparameters": [
            {
                "type": "categorical",
                "name": "kind",
                "choices": ["a", "b"],
                "weights": None,
                "default_value": "a",
                "meta": None,
            },
            {
                "type": "uniform_float",
                "name": "x",
                "lower": 0.0,
                "upper": 1.0,
                "default_value": 0.5,
                "log": False,
                "meta": None,
            },
        ],
        "conditions": [],
        "forbiddens": [],
        "python_module_version": "1.2.0",
        "format_version": 0.4,
    }
)


def make_study(**changes: Any) -> Study:
    """A study of budgets 1, 3, 9 with whole-number epochs: brackets 9-3-1, 5-1 and 3."""
    content = {
        "name": "small",
        "worker": "module:Class",
        "fidelity": {"name": "epochs", "min": 1, "max": 9, "integer": True},
        "stop": {"brackets": 3},
        **changes,
    }
    return Study.from_json(json.dumps(content))


def values_of(number: int) -> dict[str, Any]:
    """Values of a configuration: the golden-ratio sequence for x."""
    x = (0.5 + number * 0.6180339887498949) % 1.0
    return {"kind": "a", "x": round(x, 6)} if number % 2 else {"kind": "b", "x": round(x, 6)}


def loss_of(job: Job) -> float:
    """A loss that falls with the budget and is lowest at x = 0.3."""
    return round((job.config["x"] - 0.3) ** 2 + 0.1 / job.budget, 6)


def complete(job: Job) -> Outcome:
    """The objective returns; one unit of budget takes a second. A refit tells of a baseline, too."""
    if job.trial.rung == REFIT_RUNG:
        baseline = {"name": "the default", "test_error": 0.2, "validation_loss": 0.25}
        return Completed(0.1, {"test_error": 0.15, "baseline": baseline, "epochs": 9}, job.budget)
    info = {"accuracy": 1 - loss_of(job)}
    return Completed(loss_of(job), info, job.budget, ((1.0, 0.5), (job.budget, loss_of(job))))


def fail(job: Job) -> Outcome:
    """The objective raises."""
    message = f"ValueError: x is {job.config['x']}"
    return Failed("exception", message, f"Traceback (most recent call last):\n  in compute\n{message}", job.budget / 2)


def lose_first_attempt(job: Job) -> Outcome:
    """The worker is lost on the first attempt at every fourth configuration."""
    if job.attempt == 1 and job.trial.configuration % 4 == 0:
        return Released("lost", "worker killed")
    return complete(job)


class Play:
    """A run under way; `play` wraps it.

    Args:
        study: The study.
        journal: Where its events go; what it holds already is replayed.
        start: When this master starts, seconds since the epoch.
        offers_refit: Whether the worker can train the incumbent again.
    """

    def __init__(self, study: Study, journal: Journal, start: float = START, *, offers_refit: bool = False) -> None:
        self.now = start
        self.journal = journal
        self.scheduler = Scheduler(settings_for(study, offers_refit=offers_refit))
        for record in journal.read():
            self.scheduler.state.apply(record.event)
        self._log(MasterStarted("1.0", "head", 1))
        self._waiting: list[str] = []
        self._running: list[tuple[float, int, str]] = []

    def _log(self, event: MasterStarted) -> None:
        self.scheduler.state.apply(event)
        self.journal.append([(self.now, event)])

    def handle(self, command: Any) -> Any:
        """The scheduler's reply; its events go into the journal."""
        transition = self.scheduler.handle(command)
        if transition.events:
            self.journal.append([(self.now, event) for event in transition.events])
        return transition.reply

    def ask(self, worker: str) -> Job | Wait | Stop:
        """The next job of a worker, for which configurations are suggested as needed; every second by the model."""
        while isinstance(reply := self.handle(Ask(worker)), Wait) and reply.needs_suggestion:
            number = len(self.scheduler.state.configurations)
            self.handle(Suggest(number, values_of(number), "model" if number % 2 else "prior"))
        return reply

    def run(
        self, outcome_of: Callable[[Job], Outcome] = complete, n_workers: int = 2, n_outcomes: float = float("inf")
    ) -> None:
        """Let workers work until the study ends, or so many outcomes have been told; the rest stays leased."""
        workers = [f"worker-{number}" for number in range(n_workers)]
        jobs: dict[int, Outcome] = {}
        while n_outcomes > 0:
            for worker in list(workers):
                reply = self.ask(worker)
                if not isinstance(reply, Job):
                    break
                workers.remove(worker)
                outcome = outcome_of(reply)
                seconds = reply.budget if isinstance(outcome, Released) else outcome.seconds
                jobs[reply.lease] = outcome
                heapq.heappush(self._running, (self.now + seconds, reply.lease, worker))
            if not self._running:
                return
            self.now, lease, worker = heapq.heappop(self._running)
            self.handle(Tell(lease, jobs.pop(lease)))
            workers.append(worker)
            n_outcomes -= 1


def play(
    study: Study,
    directory: Path,
    outcome_of: Callable[[Job], Outcome] = complete,
    *,
    n_workers: int = 2,
    n_outcomes: float = float("inf"),
    offers_refit: bool = False,
    start: float = START,
    halt: str | None = None,
    warm: tuple[Observation, ...] = (),
) -> Path:
    """The run directory of a run, begun or resumed.

    Args:
        study: The study.
        directory: The run directory; resumed if there is a journal in it.
        outcome_of: What becomes of a job; takes the job.
        n_workers: Number of workers.
        n_outcomes: After how many outcomes the master dies.
        offers_refit: Whether the worker can train the incumbent again.
        start: When the master starts, seconds since the epoch.
        halt: A reason to end the search at the end.
        warm: Results of earlier runs.
    """
    paths = RunDirectory(directory)
    paths.prepare()
    is_new = not paths.journal.exists()
    if is_new:
        meta = {
            "study": study.to_json(),
            "study_id": "0123456789abcdef",
            "space": SPACE_JSON,
            "refit": "true" if offers_refit else "false",
            "version": "1.0",
        }
        SqliteJournal.create(paths.journal, meta).close()
    journal = SqliteJournal.open(paths.journal)
    journal._connection.execute("PRAGMA synchronous = OFF")  # no test cuts the power
    try:
        run = Play(study, journal, start, offers_refit=offers_refit)
        if is_new:
            run.handle(WarmStart(warm))
        run.handle(Reopen())
        # As a restarted master does with the leases of workers that did not come back.
        for trial in list(run.scheduler.state.current.values()):
            run.handle(Tell(trial.lease if trial.lease is not None else -1, Released("lost", "its process died")))
        run.run(outcome_of, n_workers, n_outcomes)
        if halt is not None:
            run.handle(Halt(halt))
    finally:
        journal.close()
    return directory
