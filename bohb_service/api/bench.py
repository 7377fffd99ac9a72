"""Runs a bench: evaluates configurations at several budgets and says whether the fidelity is worth using."""

import itertools
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from bohb_service.api.bench_plan import BenchPlan
from bohb_service.clock import Clock, SystemClock
from bohb_service.errors import WorkerSpecError
from bohb_service.results.fidelity import Continuation, Evaluation, FidelityFacts, fidelity_facts
from bohb_service.results.fidelity_verdict import verdict
from bohb_service.results.plain import strict
from bohb_service.scheduler.outcomes import Completed, Failed, Outcome, Released
from bohb_service.scheduler.replies import Job
from bohb_service.scheduler.trial import TrialId, evaluation_seed
from bohb_service.worker.events import Broken, Finished, Limits, SetupFailed
from bohb_service.worker.logs import LogFile
from bohb_service.worker.process import Launch
from bohb_service.worker.signals import StopSignals
from bohb_service.worker.supervisor import Supervisor
from bohb_service.worker.waiting import Waiting

N_CONTINUED = 3
"""So many configurations are evaluated a second time, from budget to budget in one directory."""

TEARDOWN_S = 10.0
"""How long the user's `teardown` may take."""

_WAIT_S = 1.0

End = Literal["finished", "seconds", "interrupted", "terminated"]
Kind = Literal["warm-up", "fresh", "continued"]


@dataclass(frozen=True, slots=True)
class Step:
    """One evaluation of a bench has ended.

    Attributes:
        number: Which one, from 1.
        total: How many there will be at most.
        kind: What it was for.
        evaluation: How it ended.
    """

    number: int
    total: int
    kind: Kind
    evaluation: Evaluation


@dataclass(slots=True)
class BenchResult:
    """What a bench has found so far.

    Attributes:
        plan: What was to be evaluated.
        evaluations: The fresh ones, in the order in which they were made.
        continuations: The continued ones.
        end: Why it ended.
    """

    plan: BenchPlan
    evaluations: list[Evaluation] = field(default_factory=list)
    continuations: list[Continuation] = field(default_factory=list)
    end: End = "finished"

    @property
    def facts(self) -> FidelityFacts:
        """The statistics of what was evaluated."""
        return fidelity_facts(self.evaluations, self.plan.budgets, self.continuations)

    @property
    def has_loss(self) -> bool:
        """Whether any evaluation was completed."""
        return any(evaluation.loss is not None for evaluation in self.evaluations)

    def verdict(self) -> tuple[str, ...]:
        """What that means, in a sentence or two."""
        return verdict(self.facts, self.plan.study.fidelity.name)

    def to_dict(self) -> dict[str, Any]:
        """Plain values as strict JSON allows them; always the same keys, null for what is not known."""
        study, facts = self.plan.study, self.facts
        return {
            "worker": study.worker,
            "worker_options": strict(study.worker_options),
            "fidelity": study.fidelity.name,
            "seed": study.seed,
            "end": self.end,
            "verdict": list(self.verdict()),
            "budgets": [asdict(budget) for budget in facts.budgets],
            "cost_exponent": facts.exponent,
            "correlations": [asdict(pair) for pair in facts.correlations],
            "continuations": [
                {
                    "configuration": each.fresh.configuration,
                    "budget": each.fresh.budget,
                    "is_first": each.is_first,
                    "is_equal": each.is_equal,
                    "fresh": _outcome(each.fresh),
                    "continued": _outcome(each.continued),
                }
                for each in facts.continuations
            ],
            "configurations": [strict(dict(configuration)) for configuration in self.plan.configurations],
            "evaluations": [asdict(evaluation) for evaluation in self.evaluations],
        }


def _outcome(evaluation: Evaluation) -> dict[str, Any]:
    return {"loss": evaluation.loss, "seconds": evaluation.seconds, "failure": evaluation.failure}


def run_bench(
    plan: BenchPlan,
    *,
    seconds: float | None = None,
    on_step: Callable[[Step], None] = lambda _step: None,
    clock: Clock | None = None,
) -> BenchResult:
    """The result of a bench, which is partial when the time is over or a signal came; in the main thread only.

    Configuration after configuration is evaluated at each budget, smallest first, each time in an empty directory. The
    first `N_CONTINUED` of those that completed everywhere are then evaluated again in one directory. Before all that,
    one evaluation at the smallest budget, which is not counted, has the objective load what it loads at first use.

    Args:
        plan: What to evaluate.
        seconds: After that time no evaluation goes on.
        on_step: Is told each evaluation.
        clock: For the time limits.

    Raises:
        WorkerSpecError: The worker cannot be constructed or set up.
    """
    result = BenchResult(plan)
    clock = clock or SystemClock()
    with (
        tempfile.TemporaryDirectory(prefix="bohb-bench-", ignore_cleanup_errors=True) as folder,
        StopSignals() as signals,
    ):
        deadline = clock.monotonic() + (float("inf") if seconds is None else seconds)
        machine = _Machine(plan, Path(folder), signals, deadline, clock)
        try:
            _evaluate_all(plan, result, machine, on_step)
        except _StoppedError as stopped:
            result.end = stopped.end
        finally:
            machine.close(is_orderly=result.end == "finished")
    return result


def _evaluate_all(plan: BenchPlan, result: BenchResult, machine: "_Machine", on_step: Callable[[Step], None]) -> None:
    n, budgets = len(plan.configurations), plan.budgets
    total = 1 + (n + min(n, N_CONTINUED)) * len(budgets)
    numbers = itertools.count(1)

    def step(kind: Kind, evaluation: Evaluation) -> Evaluation:
        on_step(Step(next(numbers), total, kind, evaluation))
        return evaluation

    with machine.directory() as directory:
        step("warm-up", machine.evaluate(0, budgets[0], None, directory))
    n_continued = 0
    for number in range(n):
        fresh = []
        for budget in budgets:
            with machine.directory() as directory:
                fresh.append(step("fresh", machine.evaluate(number, budget, None, directory)))
            result.evaluations.append(fresh[-1])
        if n_continued == N_CONTINUED or any(evaluation.loss is None for evaluation in fresh):
            continue
        n_continued += 1
        previous: float | None = None
        with machine.directory() as directory:
            for before in fresh:
                again = step("continued", machine.evaluate(number, before.budget, previous, directory))
                result.continuations.append(Continuation(before, again, is_first=previous is None))
                previous = before.budget if again.loss is not None else previous


class _StoppedError(Exception):
    """The bench is to end now."""

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


class _Machine:
    """Evaluates one job after another in an objective process, under the limits of the study, as a worker does."""

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
        """One configuration at one budget; after a loss that is nobody's fault, again."""
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
                raise _StoppedError("terminated" if self._signals.was_terminated else "interrupted")
            if self._clock.monotonic() >= self._deadline:
                raise _StoppedError("seconds")
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
