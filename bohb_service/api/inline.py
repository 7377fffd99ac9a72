"""A study in this process: the same scheduler, sampler and journal, but no master, no worker process and no limits."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bohb_service.clock import Clock, SystemClock
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.master.opening import OpenRun, open_run
from bohb_service.master.plan import sampler_for
from bohb_service.results.run import Run, load_run
from bohb_service.scheduler.commands import Ask, Command, Halt, Suggest, Tell
from bohb_service.scheduler.outcomes import Outcome
from bohb_service.scheduler.replies import Job, Reply, Wait
from bohb_service.space.serial import dump_space
from bohb_service.study import Study
from bohb_service.worker.base import EvaluationContext, Worker
from bohb_service.worker.describe import Description
from bohb_service.worker.loader import load_worker
from bohb_service.worker.objective import overrides_refit, own_space, recommended
from bohb_service.worker.verdicts import judge_exception, judge_result

_NAME = "here"


def describe_here(spec: str, options: Mapping[str, Any]) -> Description:
    """What a worker class says of itself, asked in this process.

    Args:
        spec: As a study file names it.
        options: Of the worker.

    Raises:
        WorkerSpecError: The class cannot be loaded, or its space cannot be built.
    """
    worker = load_worker(spec)
    space = own_space(worker, options)
    form = None if space is None else json.loads(dump_space(space))
    return Description(form, overrides_refit(worker), recommended(worker, options))


def search_here(
    study: Study, directory: Path, description: Description, *, deadline: float, tidy: Callable[[], None]
) -> Run:
    """The results of a study whose evaluations are done here, one after another.

    The deadline is looked at between evaluations; one that has begun is done to its end. An interrupt ends the search
    and goes on to the caller.

    Args:
        study: The study; ``limits`` mean nothing here.
        directory: Its run directory.
        description: What its worker class says of itself.
        deadline: By `time.monotonic`.
        tidy: Called before each evaluation.

    Raises:
        BohbError: The run directory or the worker cannot be used.
    """
    files, clock = RunDirectory(directory), SystemClock()
    files.prepare()
    with files.locked():
        run = open_run(study, files, lambda: description, clock)
        try:
            _Search(study, files, run, clock).go_on(deadline, tidy)
        finally:
            run.journal.close()
    return load_run(directory)


class _Search:
    def __init__(self, study: Study, files: RunDirectory, run: OpenRun, clock: Clock) -> None:
        self._files, self._run, self._clock = files, run, clock
        self._worker: Worker = load_worker(study.worker)(**study.worker_options)
        self._sampler = sampler_for(study, run.space_json, run.initial)

    def go_on(self, deadline: float, tidy: Callable[[], None]) -> None:
        scheduler = self._run.scheduler
        if scheduler.is_finished:
            return
        self._worker.setup()
        try:
            while not scheduler.is_finished:
                if time.monotonic() >= deadline:
                    self._handle(Halt("seconds"))
                    return
                reply = self._handle(Ask(_NAME))
                if isinstance(reply, Wait) and reply.needs_suggestion:
                    self._suggest()
                elif isinstance(reply, Job):
                    tidy()
                    self._handle(Tell(reply.lease, self._evaluate(reply)))
                else:
                    return
        finally:
            self._worker.teardown()

    def _handle(self, command: Command) -> Reply:
        transition = self._run.scheduler.handle(command)
        if transition.events:
            at = self._clock.now()
            self._run.journal.append([(at, event) for event in transition.events])
        return transition.reply

    def _suggest(self) -> None:
        state = self._run.scheduler.state
        taken = [configuration.values for configuration in state.configurations]
        suggestion = self._sampler.suggest(len(taken), state.observations, taken)
        self._handle(Suggest(len(taken), suggestion.values, suggestion.origin))

    def _evaluate(self, job: Job) -> Outcome:
        curve: list[tuple[float, float]] = []
        context = EvaluationContext(
            str(job.trial),
            job.trial.configuration,
            job.budget,
            job.previous_budget,
            job.seed,
            self._files.configurations / str(job.trial.configuration),
            job.attempt,
            lambda step, loss: curve.append((float(step), float(loss))),
            config=job.config,
            lease=job.lease,
        )
        began = time.monotonic()
        try:
            value = self._worker.compute(job.config, job.budget, context)
        except Exception as error:  # noqa: BLE001 (whatever a model raises is its outcome)
            return judge_exception(error, time.monotonic() - began, tuple(curve))
        return judge_result(value, time.monotonic() - began, tuple(curve), context.continued_from)
