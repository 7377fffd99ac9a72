"""Evaluations that are preempted at random but seeded points, again and again, until one comes to its end."""

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bohb_service.worker.base import EvaluationContext, Worker
from bohb_service.workers.common import progress
from bohb_service.workers.common.progress import Preempted


class Preemption:
    """Says yes from one question on.

    Args:
        after: How many questions it says no to.
    """

    def __init__(self, after: float) -> None:
        self.left = after
        self.was_told = False

    def __call__(self) -> bool:
        """The answer."""
        self.left -= 1
        self.was_told = self.left < 0
        return self.was_told


def context(
    folder: Path, budget: float, is_preempted: Callable[[], bool] = progress.never, seed: int = 7
) -> EvaluationContext:
    """What an evaluation gets."""
    return EvaluationContext("0.0", 0, budget, None, seed, folder, is_preempted=is_preempted)


def preempted(make: Callable[[], Worker], config: Mapping[str, Any], budget: float, folder: Path, after: int) -> None:
    """Evaluate up to a question, and see that the evaluation ends there.

    Args:
        make: Gives a worker as a new process has it.
        config: Of the evaluation.
        budget: Of the evaluation.
        folder: Of the configuration.
        after: Number of questions before.
    """
    with pytest.raises(Preempted, match="the machine is to be taken away"):
        make().compute(config, budget, context(folder, budget, Preemption(after)))


def stormy(
    make: Callable[[], Worker],
    config: Mapping[str, Any],
    budget: float,
    folder: Path,
    *,
    draw: random.Random,
    most: int,
) -> tuple[Any, float, int]:
    """The result of an evaluation, what it need not spend again, and how often it was preempted before.

    Args:
        make: Gives a worker as a new process has it.
        config: Of the evaluation.
        budget: Of the evaluation.
        folder: Of the configuration.
        draw: Of the number of questions before each preemption.
        most: Of these questions.
    """
    for count in range(1000):
        preemption = Preemption(draw.randint(1, most))
        here = context(folder, budget, preemption)
        try:
            result = make().compute(config, budget, here)
        except Preempted:
            assert preemption.was_told
            continue
        # After a yes nothing counts any more, so that it must not be a result.
        assert not preemption.was_told
        return result, here.continued_from, count
    raise AssertionError("it never ends")
