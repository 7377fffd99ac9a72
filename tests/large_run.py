"""Runs of many trials, made in seconds: decided by the real scheduler, evaluated by a cheap function."""

import itertools
import random
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bohb_service.journal.run_directory import RunDirectory
from bohb_service.journal.sqlite import SqliteJournal
from bohb_service.master.plan import settings_for
from bohb_service.optimizer.observation import Observation, Suggestion
from bohb_service.scheduler.commands import Ask, Suggest, Tell
from bohb_service.scheduler.events import Event, MasterStarted
from bohb_service.scheduler.outcomes import Completed, Failed, Outcome
from bohb_service.scheduler.replies import Job
from bohb_service.scheduler.scheduler import Scheduler
from bohb_service.space import read_space
from bohb_service.study import Study, parse_study

OBJECTIVE = f"{Path(__file__).parent / 'objectives.py'}:SumOfValues"
N_WORKERS = 64
BATCH = 4096

SPACE = {
    **{f"rate{i}": {"type": "float", "low": 1e-6, "high": 1.0, "log": True} for i in range(4)},
    **{f"share{i}": [0.0, 1.0] for i in range(4)},
    **{f"size{i}": {"type": "int", "low": 1, "high": 1024, "log": True} for i in range(3)},
    **{f"choice{i}": ["adam", "sgd", "rmsprop", "lion"] for i in range(3)},
    **{f"switch{i}": [True, False] for i in range(2)},
}


def large_study(n_trials: int) -> Study:
    """A study that is never done, of a name that tells its size."""
    data = {
        "name": f"large-{n_trials}",
        "worker": OBJECTIVE,
        "space": SPACE,
        "fidelity": {"min": 1, "max": 81},
        "method": {"name": "bohb", "eta": 3},
        "stop": {"evaluations": 100 * n_trials},
    }
    return parse_study(data, base=Path.cwd(), source="bench")


class Simulation:
    """A study with many workers, evaluated in no time.

    Args:
        study: The study.
    """

    def __init__(self, study: Study) -> None:
        self.scheduler = Scheduler(settings_for(study, offers_refit=False))
        self._space = read_space(study.space)
        self._chance = random.Random(0)
        self._drawn: deque[dict] = deque()
        self._running: deque[Job] = deque()
        self.workers = [f"node{i // 8:02}.cluster-{4711 + i}-{i:02}" for i in range(N_WORKERS)]
        self._asking = itertools.cycle(self.workers)

    def step(self) -> list[Event]:
        """The events of one result and of the leases that follow; with nobody waiting for long."""
        events: list[Event] = []
        if len(self._running) >= N_WORKERS:
            self._running.rotate(-self._chance.randrange(4))
            job = self._running.popleft()
            events += self.scheduler.handle(Tell(job.lease, self.outcome(job))).events
        while len(self._running) < N_WORKERS:
            transition = self.scheduler.handle(Ask(next(self._asking)))
            events += transition.events
            if isinstance(transition.reply, Job):
                self._running.append(transition.reply)
            else:
                number = len(self.scheduler.state.configurations)
                suggestion = self.suggest(number, (), ())
                events += self.scheduler.handle(Suggest(number, suggestion.values, suggestion.origin)).events
        return events

    def suggest(self, number: int, _observations: Sequence[Observation], _taken: Sequence[Any]) -> Suggestion:
        """A draw of the prior, said to be the model's now and then."""
        if not self._drawn:
            rng = np.random.default_rng(number)
            self._drawn.extend(self._space.decode(self._space.sample(BATCH, rng)))
        return Suggestion(self._drawn.popleft(), "prior" if number % 3 == 0 else "model")

    def outcome(self, job: Job) -> Outcome:
        """What the cheap function says, or now and then a failure."""
        seconds = job.budget * self._chance.uniform(0.8, 1.2)
        if self._chance.random() < 0.01:
            return Failed("exception", "ValueError: diverged", "Traceback (most recent call last): ...", seconds)
        loss = sum(job.config[f"share{i}"] for i in range(4)) + self._chance.random() / job.budget
        info = {"accuracy": 1 - loss / 5, "epochs": int(job.budget)}
        return Completed(loss, info, seconds, ((job.budget, loss),))


def write_run(study: Study, directory: RunDirectory, n_trials: int) -> None:
    """Make the run directory of a study of which so many trials have been begun by one master."""
    directory.prepare()
    meta = {
        "study": study.to_json(),
        "study_id": "0" * 32,
        "space": read_space(study.space).to_json(),
        "refit": "false",
        "version": "0",
    }
    draft = directory.path / "draft.sqlite"
    journal = SqliteJournal.create(draft, meta)
    simulation = Simulation(study)
    events: list[Event] = [MasterStarted("0", "localhost", 1)]
    simulation.scheduler.state.apply(events[0])
    at = 1.7e9
    while simulation.scheduler.state.started < n_trials:
        events += simulation.step()
        at += 0.01
        if len(events) >= BATCH:
            journal.append([(at, event) for event in events])
            events = []
    journal.append([(at, event) for event in events])
    journal.close()
    draft.rename(directory.journal)
