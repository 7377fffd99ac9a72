"""The worker `ppo`: tunes agents, one trial per unit of budget."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bohb_service.errors import StudyError
from bohb_service.worker.base import EvaluationContext, Worker
from bohb_service.worker.plain import to_plain
from bohb_service.workers.common.checkpoint import fingerprint
from bohb_service.workers.common.draws import derived_seed
from bohb_service.workers.common.folders import check_folder_option
from bohb_service.workers.common.progress import Preempted, Progress
from bohb_service.workers.common.shown import shown
from bohb_service.workers.common.unfinished import Unfinished
from bohb_service.workers.common.whole import whole_number

from .hyperparameters import Hyperparameters
from .options import TARGET, PPOOptions
from .spaces import build_space

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

    from .course import Trial
    from .task import Task

_FRESH = 1_000_000
"""Trials from this number on are those of the final judgement: a study never sees their seeds."""

_JUDGED = 2 * _FRESH
"""Number of the seed of the episodes that a saved agent is judged in."""


class PPO(Worker):
    """Agents for an environment; the loss is the mean over independent trials, each with a fresh agent.

    The budget is the number of trials. Trial t of a configuration always has the same seed, so that a configuration
    that gets a larger budget keeps the trials that are done, and runs only those that are missing. A trial that was
    preempted goes on after its last update.

    Args:
        **options: `PPOOptions`.

    Raises:
        StudyError: An option is wrong.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.ppo_options = PPOOptions.parse(options)

    @staticmethod
    def configuration_space(**options: Any) -> "ConfigurationSpace":
        """The search space that the option ``space`` names, without what ``fixed`` has.

        Args:
            **options: As for the class.

        Raises:
            StudyError: An option is wrong, or there is no environment of that name.
        """
        from .environments import check_registered

        parsed = PPOOptions.parse(options)
        check_registered(parsed.env)
        return build_space(parsed.space, parsed.update_unit, parsed.fixed)

    @cached_property
    def task(self) -> "Task":
        """What an agent has to do."""
        from .task import Task

        return Task.of(self.ppo_options)

    def check_trial(self, config: Mapping[str, Any], budget: float) -> None:
        """Refuse a budget or a hyperparameter that no evaluation can have.

        Raises:
            StudyError: The budget is no number of trials.
            SpaceError: A hyperparameter is unknown, has no effect, is fixed too, or its value is impossible.
        """
        self._parameters(config)
        _whole_trials(budget)

    def setup(self) -> None:
        """Make the environment once, and load PyTorch.

        Raises:
            StudyError: The environment cannot be used, or the agent could not be written where the options say.
        """
        from . import trial  # noqa: F401
        from .agent import AGENT

        check_folder_option("model", self.ppo_options.model, AGENT.facts)
        _ = self.task

    def train(
        self,
        parameters: Hyperparameters,
        seed: int,
        *,
        progress: Progress | None = None,
        unfinished: Unfinished | None = None,
    ) -> "Trial":
        """One trial.

        Args:
            parameters: Of the agent.
            seed: Of all that is random.
            progress: As for `run_trial`.
            unfinished: As for `run_trial`.

        Raises:
            StudyError: The environment cannot be used, or no episode ends.
            FloatingPointError: The training diverged.
            Preempted: It had to end early; the trial is kept as it is.
        """
        from .trial import run_trial

        return run_trial(parameters, self.task, seed, progress=progress, unfinished=unfinished)

    def compute(self, config: Mapping[str, Any], budget: float, context: EvaluationContext) -> Mapping[str, Any]:
        """The mean loss of as many trials as the budget says.

        The learning curve has the mean of the trials so far, after each of them.

        Args:
            config: A configuration of one of the spaces, or part of one.
            budget: Number of trials in total.
            context: Seed, directory, learning curve.

        Returns:
            The loss; as info the loss of each trial, its environment steps, how many were solved, how many were run
            now, why one of these could not be kept, and seconds.

        Raises:
            StudyError: The budget is no number of trials, or the environment cannot be used.
            SpaceError: A hyperparameter is wrong.
            FloatingPointError: A training diverged.
            Preempted: The machine is to be taken away; what was done is kept in the directory.
        """
        began = time.perf_counter()
        parameters = self._parameters(config)
        trials, n_run, spared = [], 0, 0.0
        kept: dict[str, Any] = {}
        count = _whole_trials(budget)
        for number in range(count):
            progress = Progress(lambda: context.preempted)
            trial, told = self._trial(parameters, number, context, progress)
            trials.append(trial)
            n_run += told is not None
            kept |= told or {}
            context.report(number + 1, _mean_loss(trials))
            spared += progress.spared(1.0)
            if number + 1 < count and progress.must_leave():
                raise Preempted(f"the machine is to be taken away after {number + 1} of {count} trials")
        context.continued_from = spared
        info = {
            "all_runs": [trial.loss for trial in trials],
            "solved": sum(trial.is_solved for trial in trials),
            "steps": [trial.n_steps for trial in trials],
            "trials_run": n_run,
            **kept,
            "seconds": time.perf_counter() - began,
        }
        return {"loss": _mean_loss(trials), "info": info}

    def refit(self, config: Mapping[str, Any], budget: float, context: EvaluationContext) -> Mapping[str, Any]:
        """Judge the incumbent by trials with seeds that the study never saw, and save an agent.

        The agent is that of the best of these trials: of the smallest loss, the first of several. It acts without
        randomness in as many episodes as the option ``window`` says, again with new seeds. The baseline is the default
        configuration, with the same seeds.

        Args:
            config: The incumbent.
            budget: The largest of the study: number of these trials.
            context: Seed and directory.

        Returns:
            ``model``, the folder that `load` reads; the losses; ``agent_return``, the mean return of that agent.

        Raises:
            Preempted: The machine is to be taken away; what was done is kept in the directory.
        """
        from .play import mean_return

        parameters, count = self._parameters(config), _whole_trials(budget)
        fresh = [
            self._trial(parameters, _FRESH + number, context, Progress(lambda: context.preempted))[0]
            for number in range(count)
        ]
        best = min(fresh, key=lambda trial: trial.loss)
        path = Path(self.ppo_options.model or context.directory / "model").absolute()
        best.agent.save(path, {"config": to_plain(config, "config"), "env": self.ppo_options.env, "loss": best.loss})
        return {
            "model": str(path),
            "env": self.ppo_options.env,
            "agent_return": mean_return(best.agent, self.task, derived_seed(context.seed, _JUDGED)),
            "test_loss": _mean_loss(fresh),
            "test_solved": sum(trial.is_solved for trial in fresh),
            "test_runs": [trial.loss for trial in fresh],
            "baseline": {"name": "the default configuration", **self._baseline(count, context)},
        }

    def _baseline(self, count: int, context: EvaluationContext) -> Mapping[str, Any]:
        """What fresh trials of the default configuration come to; nothing if one of them diverges."""
        try:
            trials = [
                self.train(self._parameters({}), derived_seed(context.seed, _FRESH + number)) for number in range(count)
            ]
        except FloatingPointError:
            return {}
        return {"test_loss": _mean_loss(trials), "test_solved": sum(trial.is_solved for trial in trials)}

    def _parameters(self, config: Mapping[str, Any]) -> Hyperparameters:
        return self.ppo_options.parameters(to_plain(config, "config"))

    def _trial(
        self, parameters: Hyperparameters, number: int, context: EvaluationContext, progress: Progress
    ) -> "tuple[Trial, Mapping[str, Any] | None]":
        """A trial of the configuration; and what `keep_trial` tells of it, or None if it had been kept before."""
        from .kept import keep_trial, load_trial

        seed = derived_seed(context.seed, number)
        mark = fingerprint(target=TARGET, agent=asdict(parameters), task=self.task.facts, seed=seed)
        path = context.directory / f"trial-{number}.bin"
        activations = (parameters.activation_1, parameters.activation_2)
        trial = load_trial(path, mark, activations, self.task.interface)
        if trial is not None:
            progress.took_over(1, 1)
            return trial, None
        unfinished = Unfinished(context.directory / f"unfinished-{number}.bin", mark)
        trial = self.train(parameters, seed, progress=progress, unfinished=unfinished)
        return trial, keep_trial(path, mark, trial)


def _mean_loss(trials: "Sequence[Trial]") -> float:
    return float(np.mean([trial.loss for trial in trials]))


def _whole_trials(budget: float) -> int:
    """The budget as a number of trials."""
    count = whole_number(budget)
    if count is None or not 1 <= count < _FRESH:
        raise StudyError(
            f"budget {shown(budget)} is not a whole number of trials; declare the fidelity of the study as "
            "integer, from 1"
        )
    return count
