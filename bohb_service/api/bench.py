"""Runs a bench: evaluates configurations at several budgets and says whether the fidelity is worth using."""

import itertools
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from bohb_service.api.bench_machine import BenchMachine, End, StoppedError
from bohb_service.api.bench_plan import BenchPlan
from bohb_service.clock import Clock, SystemClock
from bohb_service.results.fidelity import Continuation, Evaluation, FidelityFacts, fidelity_facts
from bohb_service.results.fidelity_verdict import verdict
from bohb_service.results.plain import strict
from bohb_service.worker.signals import StopSignals

N_CONTINUED = 3
"""So many configurations are evaluated a second time, from budget to budget in one directory."""

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
        machine = BenchMachine(plan, Path(folder), signals, deadline, clock)
        try:
            _evaluate_all(plan, result, machine, on_step)
        except StoppedError as stopped:
            result.end = stopped.end
        finally:
            machine.close(is_orderly=result.end == "finished")
    return result


def _evaluate_all(plan: BenchPlan, result: BenchResult, machine: BenchMachine, on_step: Callable[[Step], None]) -> None:
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
