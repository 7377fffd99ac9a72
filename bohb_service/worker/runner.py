"""The worker process: leases jobs, has them evaluated, delivers the outcomes, until the study ends."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import assert_never

from bohb_service.clock import Clock, SystemClock
from bohb_service.errors import AuthenticationError, ProtocolError, StudyError
from bohb_service.exit_codes import ExitCode
from bohb_service.rpc.messages import FAULT, Answer, Registration, Report, WorkerInfo
from bohb_service.scheduler.outcomes import Released
from bohb_service.scheduler.replies import Job
from bohb_service.worker.conversation import Conversation
from bohb_service.worker.deaths import excuse_preempted
from bohb_service.worker.events import (
    Broken,
    Dropped,
    Finished,
    Limits,
    Reported,
    SetupFailed,
    Started,
    SupervisorEvent,
)
from bohb_service.worker.farewell import Farewell
from bohb_service.worker.folders import Folders, find_folders
from bohb_service.worker.head import Head
from bohb_service.worker.job_lines import JobLines
from bohb_service.worker.link import Link, Master
from bohb_service.worker.process import Launch
from bohb_service.worker.signals import StopLevel, StopSignals
from bohb_service.worker.supervisor import Supervisor
from bohb_service.worker.waiting import Waiting
from bohb_service.worker.workload import NEVER

TEARDOWN_S = 10.0
"""How long the user's `teardown` may take."""

GRACE_S = 20.0
"""How long a preempted evaluation may take to save; batch systems kill after 30 s by default."""

log = logging.getLogger("bohb_service.worker")


class WorkerRunner:
    """Runs one worker; `run` once.

    One thread does everything: it waits for the objective process, for signals and for the next heartbeat
    at once. Only an idle worker asks the master to wait until there is a job. While a job is held, a call
    asks for no waiting, and a master that does not answer delays the enforcement of limits by no more than
    the client's time-out of such a call, which is a few seconds.

    Args:
        master: The master, or how to reach it; owned by the runner from now on.
        info: How the worker introduces itself.
        scratch: Parent of the directories of configurations where the master's folder is not visible.
        logs: Folder for the output of objectives; by default beside the directories of configurations.
        orphan_timeout_s: How long to go on without a master, be it lost or not there yet, counted from the
            first call that failed.
        grace_s: How long the running evaluation may go on after SIGTERM or SIGUSR1.
    """

    def __init__(
        self,
        master: Master,
        info: WorkerInfo,
        *,
        scratch: Path | None = None,
        logs: Path | None = None,
        orphan_timeout_s: float = 3600.0,
        grace_s: float = GRACE_S,
    ) -> None:
        self._info = info
        self._scratch = scratch
        self._logs = logs
        self._orphan_timeout_s = orphan_timeout_s
        self._grace_s = grace_s
        self._clock: Clock = SystemClock()
        self._lines = JobLines(self._clock)
        self._signals = StopSignals()
        self._link = Link(master, self._signals, self._clock)
        self._conversation = Conversation(self._link, info, self._clock)
        self._outbox = self._conversation.outbox
        self._waiting = Waiting()
        self._farewell = Farewell(self._conversation, self._link, self._signals, self._waiting, self._lines)
        self._folders: Folders | None = None
        self._study_id = ""
        self._supervisor: Supervisor | None = None
        self._prefetch = 1
        self._giving_back: set[int] = set()
        self._disowned: set[int] = set()
        self._head = Head(self._clock)
        self._job_s = 0.0
        self._is_draining = False
        self._save_by = NEVER
        self._stop: str | None = None
        self._broken: Broken | None = None

    def run(self) -> int:
        """Work until the study ends or something else ends it; the exit code, one of `ExitCode`."""
        with self._signals:
            self._waiting.add_alarm(self._signals)
            try:
                code = self._work()
            finally:
                if self._supervisor is not None:
                    self._supervisor.kill()
                self._link.master.close()
                self._waiting.close()
        log.info("worker ended", extra={"worker": self._info.worker, "code": int(code)})
        return int(code)

    # -- the loop --------------------------------------------------------------------------------------------

    def _work(self) -> ExitCode:
        try:
            while (code := self._step()) is None:
                pass
        except StudyError as error:
            return self._end_broken(Broken(str(error)))
        except AuthenticationError as error:
            log.error("%s", error)  # noqa: TRY400 - the message is the whole story
            return ExitCode.USAGE
        except ProtocolError as error:
            log.error("the master refuses this worker: %s", error)  # noqa: TRY400 - the message is the whole story
            if self._conversation.registration is not None:
                self._conversation.say_goodbye((), f"{FAULT}the master refused its request: {error}")
            return ExitCode.UNREACHABLE
        return code

    def _step(self) -> ExitCode | None:
        """Do one thing; the exit code when it was the last."""
        level = self._signals.level()
        if level is StopLevel.NOW or (level is StopLevel.PREEMPT and self._preempt()):
            return self._end_preempted()
        if level is StopLevel.DRAIN and self._drain():
            return self._end_drained()
        if self._broken is not None:
            return self._end_broken(self._broken)
        if self._stop is not None:
            return self._end_stopped(self._stop)
        if self._link.is_hopeless(self._orphan_timeout_s):
            return self._end_orphaned()
        if self._is_slow:
            self._give_back_ahead()
        due = self._next_call()
        if self._clock.monotonic() < due:
            self._wait(min(due, self._save_by), alarms_only=self._conversation.is_gathering)
        elif self._conversation.needs_registration:
            if (registration := self._conversation.register(self._held)) is not None:
                self._adopt(registration)
        else:
            self._exchange()
        return None

    def _next_call(self) -> float:
        supervisor, held = self._supervisor, self._held
        is_busy = held or self._disowned or self._is_draining
        wants_jobs = supervisor is not None and supervisor.is_ready and not is_busy
        return self._conversation.next_call(n_held=len(held), wants_jobs=wants_jobs, job_s=self._job_s)

    @property
    def _held(self) -> tuple[int, ...]:
        """Leases of all jobs whose outcome is wanted, in order."""
        held = self._supervisor.held if self._supervisor is not None else ()
        return tuple(lease for lease in held if lease not in self._disowned) if self._disowned else held

    @property
    def _is_slow(self) -> bool:
        return self._head.is_slow and bool(self._held)

    def _give_back_ahead(self) -> None:
        """Let others do what was fetched ahead: this is not the short job that was expected."""
        if self._supervisor is not None and self._held[1:]:
            # While the worker was in a call, or asleep, the process may have turned to the next one.
            self._take_events(self._supervisor.poll())
        for lease in self._held[1:] if self._is_slow else ():
            self._outbox.add(lease, Released("unstarted", f"worker {self._info.worker} is at a long job"))
            self._disown(lease)

    def _disown(self, lease: int) -> None:
        """End a job whose outcome is of no interest any more, whatever it will be."""
        if self._supervisor is not None and lease in self._supervisor.held:
            self._disowned.add(lease)
            self._supervisor.drop(lease)

    def _wait(self, until: float, *, alarms_only: bool = False) -> None:
        """Wait for a time, a signal, and words or only the death of the objective process; then take in the news."""
        supervisor = self._supervisor
        deadline = until if supervisor is None else min(until, supervisor.deadline)
        self._waiting.wait(deadline - self._clock.monotonic(), alarms_only=alarms_only)
        self._signals.drain()
        if supervisor is not None:
            self._take_events(supervisor.poll())

    def _wait_while(self, condition: Callable[[], bool], until: float) -> None:
        """Wait for the objective process until a condition ends, a signal comes, or the time is over."""
        n_signals = self._signals.n_received
        while condition() and self._signals.n_received == n_signals and self._clock.monotonic() < until:
            self._wait(until)

    # -- the master ------------------------------------------------------------------------------------------

    def _adopt(self, registration: Registration) -> None:
        """Start the objective process for this study; keep the one of the same study."""
        limits = Limits(registration.limit_seconds, registration.limit_memory_mb)
        if self._supervisor is not None and self._study_id == registration.study_id:
            self._supervisor.limits = limits
            for lease in registration.foreign:
                self._disown(lease)
            return
        if self._supervisor is not None:
            log.warning("the master serves another study now", extra={"study": registration.study})
            self._supervisor.kill()
            self._outbox.clear()
            self._giving_back.clear()
            self._disowned.clear()
        self._study_id = registration.study_id
        self._folders = find_folders(registration, self._scratch, self._logs)
        self._outbox.place = self._folders.place
        spec = self._info.spec or registration.worker_spec
        output = self._folders.log(self._info.worker)
        launch = Launch(spec, registration.worker_options, output)
        self._supervisor = Supervisor(launch, limits, self._waiting, self._clock)
        self._supervisor.start()

    def _exchange(self) -> None:
        """One exchange with the master."""
        supervisor = self._supervisor
        assert supervisor is not None
        # The number of a disowned job may be given anew: no others before it has ended.
        wants_jobs = supervisor.is_ready and not (self._is_draining or self._disowned or self._is_slow)
        held = self._held
        answer = self._conversation.exchange(held, max(0, self._prefetch - len(held)) if wants_jobs else 0)
        if answer is not None:
            self._take_answer(supervisor, answer)

    def _take_answer(self, supervisor: Supervisor, answer: Answer) -> None:
        self._prefetch = max(1, answer.prefetch)
        self._lines.acknowledged(answer.acks)
        self._lines.lost(answer.lost)
        if answer.over and self._folders is not None:
            self._folders.discard_checkpoints(answer.over)
        for lease in answer.lost:
            supervisor.drop(lease)
        known = {*supervisor.held, *self._outbox.leases}
        jobs = [job for job in answer.jobs if job.lease not in known]
        if self._is_draining or answer.stop is not None or supervisor.is_ending:
            for job in jobs:
                self._give_back(job)
        elif jobs:
            self._submit(supervisor, jobs)
        if answer.stop is not None:
            self._stop = answer.stop

    def _submit(self, supervisor: Supervisor, jobs: list[Job]) -> None:
        assert self._folders is not None
        try:
            directories = self._folders.directories([job.trial.configuration for job in jobs])
        except StudyError as error:
            for job in jobs:
                self._give_back(job)
            self._broken = Broken(str(error))
        else:
            if not supervisor.held:
                self._head.restart()
            self._lines.taken(jobs)
            supervisor.submit(zip(jobs, directories, strict=True))

    def _give_back(self, job: Job) -> None:
        self._outbox.add(job.lease, Released("unstarted", f"worker {self._info.worker} takes no more jobs"))

    # -- the objective process -------------------------------------------------------------------------------

    def _take_events(self, events: list[SupervisorEvent]) -> None:
        for event in events:
            if self._is_unwanted(event):
                continue
            match event:
                case Started(job):
                    self._lines.started(job)
                case Reported(lease, step, loss):
                    self._outbox.report(Report(lease, step, loss))
                case Finished(job, outcome, n_bytes):
                    outcome = excuse_preempted(outcome, self._preemption) if self._signals.was_terminated else outcome
                    self._giving_back.discard(job.lease)
                    self._outbox.add(job.lease, outcome, n_bytes)
                    self._job_s = 0.0 if isinstance(outcome, Released) else outcome.seconds
                    self._lines.ended(job, outcome)
                case SetupFailed(job, message):
                    self._giving_back.discard(job.lease)
                    released = Released("unstarted", f"{self._info.worker}: setup failed: {message}")
                    self._outbox.add(job.lease, released)
                    self._lines.ended(job, released)
                case Dropped(job):
                    if job.lease in self._giving_back:
                        self._giving_back.discard(job.lease)
                        self._give_back(job)
                    self._lines.dropped(job)
                case Broken():
                    self._broken = event
                case _:
                    assert_never(event)

    def _is_unwanted(self, event: SupervisorEvent) -> bool:
        """Whether this is the end of a disowned job; also note that the process has turned to another one."""
        if isinstance(event, Reported | Broken):
            return False
        assert self._supervisor is not None
        self._head.see(next(iter(self._supervisor.held), None), is_start=isinstance(event, Started))
        lease = event.job.lease
        if isinstance(event, Started) or lease not in self._disowned:
            return False
        self._disowned.discard(lease)
        self._giving_back.discard(lease)
        self._lines.dropped(event.job)
        return True

    def _drain(self) -> bool:
        """Take no more jobs and give back those not begun; whether nothing is left to do."""
        if not self._is_draining:
            log.warning("draining: finishing the running job; interrupt again to give it back")
            self._take_no_more()
        return self._supervisor is None or not (self._supervisor.held or self._outbox.leases)

    def _preempt(self) -> bool:
        """Let the running evaluation save what it has; whether there is nothing to wait for any more."""
        supervisor, now = self._supervisor, self._clock.monotonic()
        if self._save_by == NEVER:
            self._take_no_more()
            grace_s = self._grace_s if supervisor is not None and supervisor.preempt(self._preemption) else 0.0
            self._save_by, told = now + grace_s, f"has {grace_s:g} s to save; interrupt to end it now"
            log.warning("preempted%s", f": the running evaluation {told}" if grace_s else "")
        return supervisor is None or not supervisor.held or now >= self._save_by

    def _take_no_more(self) -> None:
        self._is_draining = True
        if self._supervisor is not None:
            ahead = self._supervisor.held[1:]
            self._giving_back.update(ahead)
            for lease in ahead:
                self._supervisor.drop(lease)
            self._take_events(self._supervisor.poll())

    @property
    def _preemption(self) -> str:
        cause = "SIGTERM or SIGUSR1" if self._signals.was_terminated else "SIGINT"
        return f"worker {self._info.worker} got {cause}"

    # -- ends ------------------------------------------------------------------------------------------------

    def _end_stopped(self, reason: str) -> ExitCode:
        log.info("stopping: %s", reason)
        unstarted = self._end_process(is_orderly=True)
        self._farewell.leave(self._study_id, unstarted, reason)
        return ExitCode.OK

    def _end_drained(self) -> ExitCode:
        self._end_process(is_orderly=True)
        self._farewell.leave(self._study_id, (), "drained")
        return ExitCode.INTERRUPTED

    def _end_preempted(self) -> ExitCode:
        if self._supervisor is not None:
            self._take_events(self._supervisor.poll())
            running, unstarted = self._supervisor.kill()
            self._take_events(self._supervisor.poll())
            if running is not None:
                self._outbox.add(running, Released("preempted", self._preemption))
            self._farewell.leave(self._study_id, unstarted, "preempted")
        return ExitCode.TRY_AGAIN if self._signals.was_terminated else ExitCode.INTERRUPTED

    def _end_broken(self, broken: Broken) -> ExitCode:
        log.error("worker cannot be used: %s%s", broken.message, f"\n{broken.detail}" if broken.detail else "")
        self._farewell.leave(
            self._study_id, self._end_process(is_orderly=False), f"{FAULT}worker cannot be used: {broken.message}"
        )
        return ExitCode.USAGE

    def _end_orphaned(self) -> ExitCode:
        self._end_process(is_orderly=False)
        n_results = len(self._outbox.leases)
        if self._link.study_has_ended:
            log.info("the study has ended (results not delivered: %d)", n_results)
            return ExitCode.OK
        log.error("no master for %g s; giving up (results not delivered: %d)", self._orphan_timeout_s, n_results)
        return ExitCode.UNREACHABLE

    def _end_process(self, *, is_orderly: bool) -> tuple[int, ...]:
        """End the objective process; the leases that go back."""
        supervisor = self._supervisor
        if supervisor is None:
            return ()
        if is_orderly and not supervisor.held:
            supervisor.end()
            self._wait_while(lambda: supervisor.is_running, self._clock.monotonic() + TEARDOWN_S)
        running, unstarted = supervisor.kill()
        self._take_events(supervisor.poll())
        return unstarted if running is None else (running, *unstarted)
