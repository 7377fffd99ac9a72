"""Evaluates the jobs of a bench in an objective process, without a master."""

import itertools
import shutil
from pathlib import Path
from typing import Literal

from bohb_service.api.bench_plan import BenchPlan
from bohb_service.clock import Clock
from bohb_service.errors import WorkerSpecError
from bohb_service.results.fidelity import Evaluation
from bohb_service.scheduler.outcomes import Completed, Failed, Outcome, Released
from bohb_service.scheduler.replies import Job
from bohb_service.scheduler.trial import TrialId, evaluation_seed
from bohb_service.worker.events import Broken, Finished, Limits, SetupFailed
from bohb_service.worker.logs import LogFile
from bohb_service.worker.process import Launch
from bohb_service.worker.runner import TEARDOWN_S
from bohb_service.worker.signals import StopSignals
from bohb_service.worker.supervisor import Supervisor
from bohb_service.worker.waiting import Waiting

End = Literal["finished", "seconds", "interrupted", "terminated"]
"""Why a bench ended."""

_WAIT_S = 1.0


class StoppedError(Exception):
    """The bench is to end now.

    Attributes:
        end: Why.
    """

    def __init__(self, end: End) -> None:
        super().__init__(end)
        self.end: End = end


class _Directory:
    """A directory that is removed, with what the objective has made in it, at the end of the block."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> str:
        return str(self._path)

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path, ignore_errors=True)


class BenchMachine:
    """Evaluates one job after another in an objective process, under the limits of the study, as a worker does.

    Args:
        plan: Worker, limits, seed and configurations.
        folder: For the directories of evaluations and the output of the objective.
        signals: Any of them ends an evaluation.
        deadline: Monotonic time at which an evaluation ends.
        clock: For the limits.
    """

    def __init__(self, plan: BenchPlan, folder: Path, signals: StopSignals, deadline: float, clock: Clock) -> None:
        study = plan.study
        limits = Limits(study.limits.seconds, study.limits.memory_mb)
        self._plan = plan
        self._folder = folder
        self._signals = signals
        self._deadline = deadline
        self._clock = clock
        self._leases = itertools.count()
        self._folders = itertools.count()
        self._waiting = Waiting()
        self._waiting.add_alarm(signals)
        launch = Launch(study.worker, study.worker_options, LogFile(folder / "output.log"))
        self._supervisor = Supervisor(launch, limits, self._waiting, clock)

    def directory(self) -> _Directory:
        """A directory of its own, which the objective makes when it asks for it."""
        return _Directory(self._folder / str(next(self._folders)))

    def evaluate(self, number: int, budget: float, previous: float | None, directory: str) -> Evaluation:
        """One configuration at one budget; after a loss that is nobody's fault, again.

        Args:
            number: Of the configuration.
            budget: What it may spend.
            previous: Budget at which it was completed in this directory, or None.
            directory: Of the configuration.

        Raises:
            StoppedError: A signal came, or the time is over.
            WorkerSpecError: The worker cannot be constructed or set up.
        """
        lost: Released | None = None
        for attempt in range(1, self._plan.study.limits.attempts + 1):
            outcome = self._outcome(self._job(number, budget, previous, attempt), directory)
            if isinstance(outcome, Completed):
                return Evaluation(number, budget, outcome.seconds, outcome.loss)
            if isinstance(outcome, Failed):
                return Evaluation(number, budget, outcome.seconds, None, f"{outcome.reason}: {outcome.message}")
            lost = outcome
            if previous is None:
                shutil.rmtree(directory, ignore_errors=True)
        assert lost is not None, "there is at least one attempt"
        return Evaluation(number, budget, 0.0, None, f"{lost.reason}: {lost.message}")

    def close(self, *, is_orderly: bool) -> None:
        """End the objective process; in order, if it has nothing to do."""
        if is_orderly:
            self._supervisor.end()
            give_up = self._clock.monotonic() + TEARDOWN_S
            while self._supervisor.is_running and not self._signals.n_received and self._clock.monotonic() < give_up:
                self._wait(give_up)
                self._supervisor.poll()
        self._supervisor.kill()
        self._waiting.close()

    def _job(self, number: int, budget: float, previous: float | None, attempt: int) -> Job:
        plan = self._plan
        return Job(
            lease=next(self._leases),
            trial=TrialId(number, plan.budgets.index(budget)),
            attempt=attempt,
            config=plan.configurations[number],
            budget=budget,
            previous_budget=previous,
            seed=evaluation_seed(plan.study.seed, number),
        )

    def _outcome(self, job: Job, directory: str) -> Outcome:
        self._supervisor.submit([(job, directory)])
        while True:
            if self._signals.n_received:
                raise StoppedError("terminated" if self._signals.was_terminated else "interrupted")
            if self._clock.monotonic() >= self._deadline:
                raise StoppedError("seconds")
            self._wait(self._deadline)
            outcome, is_lost = self._news()
            if outcome is not None:
                return outcome
            if is_lost:
                self._supervisor.submit([(job, directory)])

    def _news(self) -> tuple[Outcome | None, bool]:
        """The outcome of the job, if it has one, and whether it is to be submitted anew since `setup` failed."""
        outcome: Outcome | None = None
        is_lost = False
        for event in self._supervisor.poll():
            match event:
                case Finished():
                    outcome = event.outcome
                case SetupFailed():
                    is_lost = True
                case Broken(message):
                    raise WorkerSpecError(f"worker {self._plan.study.worker!r} cannot be used: {message}")
                case _:
                    pass
        return outcome, is_lost

    def _wait(self, until: float) -> None:
        now = self._clock.monotonic()
        self._waiting.wait(min(self._supervisor.deadline, until, now + _WAIT_S) - now)
        self._signals.drain()
