"""Keeps an objective process at work: hands it jobs, enforces limits, replaces it when it dies."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from bohb_service.clock import Clock, SystemClock
from bohb_service.scheduler.outcomes import Completed, Failed, FailureReason, Outcome, Released
from bohb_service.scheduler.replies import Job
from bohb_service.worker import protocol
from bohb_service.worker.channel import ChannelError
from bohb_service.worker.curve import MAX_POINTS
from bohb_service.worker.deaths import Verdict, explain_death
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
from bohb_service.worker.process import ChildProcess, Launch
from bohb_service.worker.waiting import Waiting
from bohb_service.worker.workload import NEVER, HeldJob, Workload

MAX_SETUP_FAILURES = 3
"""After so many failures of `setup` in a row the worker is given up."""

MAX_IDLE_DEATHS = 3
"""After so many deaths without a job in a row the worker is given up."""

_DROP_GRACE_S = 0.25
_KILL_GRACE_S = 10.0
_SILENCE_GRACE_S = 1.0
_HOUSEKEEPING_S = 1.0


class Supervisor:
    """Runs submitted jobs one after another in an objective process.

    Jobs are handed over ahead of time, so the process never waits for this one. After a death the job at
    the head is judged and the others go, in order, to a fresh process. Only `kill` waits for anything.

    Attributes:
        limits: What one evaluation may use; may be changed at any time.

    Args:
        launch: What the process runs.
        limits: What one evaluation may use.
        waiting: Is told what to wait for before the next `poll`.
        clock: For limits.
    """

    def __init__(self, launch: Launch, limits: Limits, waiting: Waiting, clock: Clock | None = None) -> None:
        self.limits = limits
        self._launch = launch
        self._waiting = waiting
        self._clock = clock or SystemClock()
        self._jobs = Workload()
        self._events: list[SupervisorEvent] = []
        self._process: ChildProcess | None = None
        self._verdict: Verdict | None = None
        self._bury_by = NEVER
        self._next_housekeeping = NEVER
        self._n_setup_failures = 0
        self._n_idle_deaths = 0
        self._preemption = ""
        self._is_ending = False

    @property
    def is_ready(self) -> bool:
        """Whether the class is loaded and constructed, so that a job would be run at once."""
        return self._process is not None and self._process.is_loaded and self._verdict is None

    @property
    def is_running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    @property
    def is_ending(self) -> bool:
        """Whether it takes no more jobs: it was told to end, or has given up."""
        return self._is_ending

    @property
    def pid(self) -> int | None:
        """Process id of the objective process, or None."""
        return None if self._process is None else self._process.pid

    @property
    def held(self) -> tuple[int, ...]:
        """Leases of all jobs without an outcome, in order; the first may be running."""
        return self._jobs.leases

    @property
    def deadline(self) -> float:
        """Monotonic time at which `poll` is due even if no descriptor became ready."""
        process, head = self._process, self._jobs.head
        if self._events:
            return self._clock.monotonic()
        if process is None:
            return NEVER
        if self._verdict is not None:
            return self._bury_by
        due = min(self._next_housekeeping, process.silent_since + _SILENCE_GRACE_S)
        if not process.is_loaded:
            return min(due, process.started + self.limits.setup_s)
        if head is None:
            return due
        if self.limits.memory_mib is not None:
            due = min(due, process.gauge.next_sample)
        return min(due, head.drop_by, self._time_limit(process, head))

    def start(self) -> None:
        """Start the process ahead of the first job, unless there is one."""
        if self._process is not None or self._is_ending:
            return
        try:
            self._process = ChildProcess(self._launch, self._waiting, self._clock)
        except OSError as error:
            self._give_up(Broken(f"the objective's process cannot be started: {error}"))
        self._next_housekeeping = self._clock.monotonic() + _HOUSEKEEPING_S

    def submit(self, jobs: Iterable[tuple[Job, str]]) -> None:
        """Queue jobs, each with its directory; they are handed over now if the process is ready."""
        for job, directory in jobs:
            self._jobs.add(job, directory)
        self.start()
        self._feed()

    def drop(self, lease: int) -> None:
        """End a job without an outcome; `Dropped` follows, or `Finished` if it ends by itself meanwhile."""
        sent = self._jobs.find_sent(lease)
        if sent is None:
            held = self._jobs.remove(lease)
            if held is not None:
                self._events.append(Dropped(held.job))
        elif sent.is_wanted and self._process is not None:
            # A process that has begun with it does not listen, and is killed when the grace is over.
            sent.drop_by = self._clock.monotonic() + _DROP_GRACE_S
            self._process.send([protocol.DROP, lease])

    def preempt(self, message: str) -> bool:
        """Tell the evaluation that it shall save what it has and end; whether there is one that can hear it.

        `Finished` follows with a release if it was told before it ended, else with its own outcome.

        Args:
            message: Why, for that release.
        """
        process = self._process
        if process is None or not process.is_up or self._verdict is not None or self._jobs.head is None:
            return False
        self._preemption = message
        process.send([protocol.PREEMPT])
        return True

    def poll(self) -> list[SupervisorEvent]:
        """What has happened since the last call; due when a descriptor is ready, and at `deadline`."""
        process = self._process
        if process is not None:
            # Asked before reading: all that a dead process has sent is read before it is judged.
            has_exited = process.has_exited()
            self._read(process)
            now = self._clock.monotonic()
            if has_exited or now >= self._bury_by:
                self._bury(process, now)
            else:
                self._enforce(process, now)
        self._feed()
        events, self._events = self._events, []
        return events

    def end(self) -> None:
        """Ask the process to clean up and leave: poll until `is_running` is false, or `kill`."""
        self._is_ending = True
        if self._process is not None:
            self._process.send([protocol.END])

    def kill(self) -> tuple[int | None, tuple[int, ...]]:
        """End the process now and forget all jobs; the lease that was running, and those not started.

        Outcomes that were on their way are in the next `poll`.
        """
        self._is_ending = True
        process, is_up = self._process, False
        if process is not None:
            process.kill()
            give_up = self._clock.monotonic() + _KILL_GRACE_S
            while not process.has_exited() and self._clock.monotonic() < give_up:
                self._waiting.wait(_DROP_GRACE_S)
            self._read(process)
            is_up = process.is_up
            self._forget(process)
        head = self._jobs.head
        running = head.job.lease if head is not None and is_up else None
        others = tuple(lease for lease in self.held if lease != running)
        self._jobs.clear()
        return running, others

    def _feed(self) -> None:
        if not self._jobs.has_waiting or self._process is None or not self.is_ready:
            return
        was_idle, now = self._jobs.head is None, self._clock.monotonic()
        frames = self._jobs.hand_over(self._process.channel.pack, self._process.log.size())
        if was_idle:
            self._begin_head(self._process, now)
        self._process.send_frames(frames)

    def _begin_head(self, process: ChildProcess, now: float) -> None:
        head = self._jobs.head
        if head is None:
            return
        head.since = now
        process.gauge.reset()
        if head.is_wanted:
            self._events.append(Started(head.job))
        else:
            head.drop_by = now + _DROP_GRACE_S  # only now does the process hear that nobody wants it

    def _read(self, process: ChildProcess) -> None:
        try:
            messages = process.channel.receive_ready()
        except ChannelError as error:
            self._kill(self._blame("crash", f"the objective wrote into the worker's own connection: {error}"))
            return
        for message, n_bytes in messages:
            self._handle(process, message, n_bytes)
        if process.channel.is_closed and process.silent_since == NEVER:
            process.stop_listening()
            process.silent_since = self._clock.monotonic()

    def _handle(self, process: ChildProcess, message: list[Any], n_bytes: int) -> None:
        match message:
            case [protocol.DONE, lease, at, encoded]:
                self._end_job(process, lease, at, protocol.decode_outcome(encoded), n_bytes)
            case [protocol.REPORT, lease, step, loss]:
                self._add_point(lease, step, loss)
            case [protocol.DROPPED, lease]:
                self._end_job(process, lease, self._clock.monotonic(), None, 0)
            case [protocol.PREEMPTED, lease, at]:
                self._end_job(process, lease, at, Released("preempted", self._preemption), 0)
            case [protocol.READY]:
                process.is_loaded = True
            case [protocol.UP, at]:
                process.is_up = True
                self._n_setup_failures = 0
                if (head := self._jobs.head) is not None:
                    head.since = head.instant(at, self._clock.monotonic())
            case [protocol.SETUP_FAILED, lease, text, detail, is_final]:
                self._fail_setup(self._jobs.remove(lease), text, detail, is_final=is_final)
                # The process has stopped; the jobs behind are not to be blamed for its end.
                self._kill(Verdict())
            case [protocol.BROKEN, text, detail]:
                self._kill(Verdict(broken=Broken(text, detail)))

    def _add_point(self, lease: int, step: float, loss: float) -> None:
        head = self._jobs.head
        if head is not None and lease == head.job.lease:
            if len(head.points) < MAX_POINTS:
                head.points.append((step, loss))
            self._events.append(Reported(lease, step, loss))

    def _end_job(self, process: ChildProcess, lease: int, at: float, outcome: Outcome | None, n_bytes: int) -> None:
        held = self._jobs.remove(lease)
        if held is None:
            return
        at = held.instant(at, self._clock.monotonic())
        if isinstance(outcome, Completed | Failed) and not 0.0 <= outcome.seconds <= at - held.since:
            outcome = replace(outcome, seconds=at - held.since)
        self._tell(held, outcome, n_bytes)
        self._begin_head(process, at)

    def _tell(self, held: HeldJob, outcome: Outcome | None, n_bytes: int = 1000) -> None:
        if outcome is None:
            self._events.append(Dropped(held.job))
            return
        self._n_idle_deaths = 0
        self._events.append(Finished(held.job, outcome, n_bytes))

    def _fail_setup(self, held: HeldJob | None, message: str, detail: str, *, is_final: bool = False) -> None:
        """Let go of the first job, which has not begun; give up after `MAX_SETUP_FAILURES` in a row, or a final one."""
        if held is None:
            return
        self._n_setup_failures += 1
        self._events.append(SetupFailed(held.job, message))
        if is_final:
            self._give_up(Broken(f"setup failed: {message}"))
        elif self._n_setup_failures >= MAX_SETUP_FAILURES:
            text = f"setup failed {MAX_SETUP_FAILURES} times in a row; the last time: {message}"
            self._give_up(Broken(text, detail))

    def _give_up(self, broken: Broken) -> None:
        self._is_ending = True
        self._events.append(broken)

    def _time_limit(self, process: ChildProcess, head: HeldJob) -> float:
        limit = self.limits.seconds if process.is_up else self.limits.setup_s
        return NEVER if limit is None else head.since + limit

    def _enforce(self, process: ChildProcess, now: float) -> None:
        """Kill the process if it has passed a limit; keep its log small."""
        limits, head = self.limits, self._jobs.head
        if self._verdict is not None:
            return
        if now >= self._next_housekeeping:
            self._next_housekeeping = now + _HOUSEKEEPING_S
            process.log.cap()
        if now >= process.silent_since + _SILENCE_GRACE_S:
            text = "the objective closed the worker's own connection; close only files that you opened"
            self._kill(self._blame("exit", text))
        elif not process.is_loaded and now >= process.started + limits.setup_s:
            text = f"loading the worker took longer than {limits.setup_s:g} s"
            self._kill(Verdict(broken=Broken(text, process.log.tail())))
        elif head is None:
            return
        elif now >= head.drop_by:
            self._kill(Verdict(head.job.lease))
        elif now >= self._time_limit(process, head):
            limit = limits.seconds if process.is_up else limits.setup_s
            self._kill(self._blame("timeout", f"passed the limit of {limit:g} s"))
        elif (
            limits.memory_mib is not None
            and now >= process.gauge.next_sample
            and process.gauge.sample(limits.memory_mib)
        ):
            size = f"{process.gauge.peak_mib:.0f} MiB resident"
            self._kill(self._blame("memory", f"passed the limit of {limits.memory_mib:g} MiB with {size}"))

    def _blame(self, reason: FailureReason, message: str) -> Verdict:
        """The verdict that the job at the head failed."""
        head = self._jobs.head
        if head is None:
            return Verdict()
        seconds = self._clock.monotonic() - head.since
        detail = self._launch.log.tail(head.log_offset)
        return Verdict(head.job.lease, Failed(reason, message, detail, seconds, tuple(head.points)))

    def _kill(self, verdict: Verdict) -> None:
        if self._process is not None and self._verdict is None:
            self._verdict = verdict
            self._bury_by = self._clock.monotonic() + _KILL_GRACE_S
            self._process.kill()

    def _bury(self, process: ChildProcess, now: float) -> None:
        """Judge the head of a dead process, and pass the other jobs on to a fresh one."""
        verdict = self._verdict
        oom_struck = process.oom.has_struck()
        code = self._forget(process)
        if verdict is None and not self._is_ending:
            verdict = self._judge_death(process, code, now, oom_struck=oom_struck)
        if verdict is not None and verdict.lease is not None:
            self._end_blamed(process, verdict.lease, verdict.outcome)
        self._events += [Dropped(held.job) for held in self._jobs.take_back()]
        if verdict is not None and verdict.broken is not None:
            self._give_up(verdict.broken)
        self.start()

    def _judge_death(self, process: ChildProcess, code: int, now: float, *, oom_struck: bool) -> Verdict:
        head = self._jobs.head
        cause = explain_death(
            code,
            oom_struck=oom_struck,
            peak_mib=process.gauge.peak_mib,
            output=process.log.tail(head.log_offset if head is not None else process.log_offset),
            seconds=now - head.since if head is not None else 0.0,
            curve=tuple(head.points) if head is not None else (),
        )
        if head is not None:
            return Verdict(head.job.lease, cause)
        self._n_idle_deaths += 1
        if process.is_loaded or isinstance(cause, Released):
            text = f"the objective's process died {MAX_IDLE_DEATHS} times without a job: {cause.message}"
            is_final = self._n_idle_deaths >= MAX_IDLE_DEATHS
        else:
            text, is_final = f"the process ended while it loaded the worker: {cause.message}", True
        return (
            Verdict(broken=Broken(text, cause.detail if isinstance(cause, Failed) else "")) if is_final else Verdict()
        )

    def _end_blamed(self, process: ChildProcess, lease: int, outcome: Failed | Released | None) -> None:
        """Tell the outcome of the job that a verdict names, unless it told one itself before its process died."""
        held = self._jobs.remove(lease)
        if held is None:
            return
        if not held.is_wanted or outcome is None:
            self._tell(held, None)
        elif process.is_up:
            self._tell(held, outcome)
        else:
            # Whatever ended the process: its first job had not begun.
            self._fail_setup(held, outcome.message, outcome.detail if isinstance(outcome, Failed) else "")

    def _forget(self, process: ChildProcess) -> int:
        self._process = None
        self._verdict = None
        self._bury_by = NEVER
        return process.bury()
