"""The objective process: loads the user's class and evaluates one job after another.

Started by `ChildProcess` as ``python -m bohb_service.worker.child CONNECTION LIFELINE PARENT``: two inherited
descriptors and the process id of the parent. It knows nothing of the network.
"""

import contextlib
import faulthandler
import fcntl
import io
import os
import signal
import socket
import sys
import threading
import traceback
from collections import deque
from typing import Any

from bohb_service.clock import Clock, SystemClock
from bohb_service.errors import BohbError, WorkerSpecError
from bohb_service.parent import follow_parent
from bohb_service.scheduler.outcomes import Failed, Outcome
from bohb_service.scheduler.replies import Job
from bohb_service.scheduler.trial import REFIT_RUNG
from bohb_service.worker import protocol
from bohb_service.worker.base import EvaluationContext
from bohb_service.worker.channel import Channel
from bohb_service.worker.child_signals import leave_signals_to_parent
from bohb_service.worker.curve import CurveRecorder
from bohb_service.worker.loader import load_worker
from bohb_service.worker.objective import Objective
from bohb_service.worker.own_output import OwnOutput
from bohb_service.worker.verdicts import message_of, trace_of

_FIRST_PRIVATE_DESCRIPTOR = 512


class ObjectiveProcess:
    """The loop of the child: jobs in, outcomes out, in the same order.

    Args:
        channel: The connection to the parent.
        clock: Gives the times of messages.
    """

    def __init__(self, channel: Channel, clock: Clock) -> None:
        self._channel = channel
        self._clock = clock
        self._lock = threading.Lock()
        self._listening = threading.Lock()
        self._output = OwnOutput()
        self._recorder = CurveRecorder(self._send_point, clock)
        self._jobs: deque[tuple[Job, str]] = deque()
        self._dropped: set[int] = set()
        self._is_up = False
        self._is_evaluating = False
        self._is_preempted = False
        self._knows_of_preemption = False
        self._has_ended = False

    def run(self) -> int:
        """Serve until the parent ends it; the exit code."""
        (start, _), *others = self._channel.receive() or [([protocol.END], 0)]
        if start[0] != protocol.START:
            return 0
        _, spec, options = start
        sys.argv = [spec]
        try:
            objective = Objective(load_worker(spec), options, self._clock)
        except WorkerSpecError as error:
            self._send([protocol.BROKEN, str(error), trace_of(error.__cause__ or error)])
            return 2
        self._send([protocol.READY])
        self._take(message for message, _ in others)
        while self._next_job(objective):
            pass
        if self._is_up and self._has_ended:
            try:
                objective.tear_down()
            except BaseException:  # noqa: BLE001 - user code; nobody is left to tell but the log
                traceback.print_exc()
        return 0

    def _next_job(self, objective: Objective) -> bool:
        """Do at most one job; whether to go on."""
        idle = not self._jobs
        if idle and self._has_ended:
            return False
        self._take(message for message, _ in (self._channel.receive() if idle else self._channel.receive_ready()))
        if self._channel.is_closed:
            return False
        if not self._jobs:
            return True
        job, directory = self._jobs.popleft()
        if job.lease in self._dropped:
            self._dropped.discard(job.lease)
            self._send([protocol.DROPPED, job.lease])
            return True
        if not self._is_up and not self._set_up(objective, job.lease):
            return False
        outcome = None if self._is_preempted else self._evaluate(objective, job, directory)
        if outcome is None or self._knows_of_preemption:
            self._send([protocol.PREEMPTED, job.lease, self._clock.monotonic()])
        else:
            self._send([protocol.DONE, job.lease, self._clock.monotonic(), protocol.encode_outcome(outcome)])
        return True

    def _take(self, messages: Any) -> None:
        for message in messages:
            if message[0] == protocol.JOB:
                self._jobs.append(protocol.decode_job(message))
            elif message[0] == protocol.DROP:
                self._dropped.update({message[1]} & {job.lease for job, _ in self._jobs})
            elif message[0] == protocol.PREEMPT:
                self._is_preempted = True
            else:
                self._has_ended = True

    def _set_up(self, objective: Objective, lease: int) -> bool:
        """Prepare for the first job; whether that went well."""
        try:
            objective.set_up()
        except BohbError as error:
            self._send([protocol.SETUP_FAILED, lease, str(error), trace_of(error), True])
            return False
        except BaseException as error:  # noqa: BLE001 - whatever user code raises is told
            self._send([protocol.SETUP_FAILED, lease, message_of(error), trace_of(error), False])
            return False
        self._is_up = True
        self._send([protocol.UP, self._clock.monotonic()])
        return True

    def _evaluate(self, objective: Objective, job: Job, directory: str) -> Outcome:
        context = EvaluationContext(
            trial_id=str(job.trial),
            configuration_id=job.trial.configuration,
            budget=job.budget,
            previous_budget=job.previous_budget,
            seed=job.seed,
            directory=directory,
            attempt=job.attempt,
            report=self._recorder.begin(job.lease),
            is_preempted=self._look_for_preemption,
            config=job.config,
            lease=job.lease,
        )
        self._is_evaluating = True
        self._output.mark()
        refit = job.trial.rung == REFIT_RUNG
        outcome = objective.evaluate(job.config, context, self._recorder.points, refit=refit)
        with self._listening:
            self._is_evaluating = False
        return self._output.add_to(outcome) if isinstance(outcome, Failed) else outcome

    def _look_for_preemption(self) -> bool:
        """Whether the parent has said that the evaluation shall end.

        Looked for when the objective asks: a thread that waits for it would compete for the interpreter lock, and
        make `os.fork` unsafe.
        """
        with self._listening:
            # A thread that user code has left behind must not read what the loop reads.
            if self._is_evaluating and not self._is_preempted:
                self._take(message for message, _ in self._channel.receive_ready())
            if self._is_evaluating and self._is_preempted:
                self._knows_of_preemption = True
        return self._is_preempted

    def _send_point(self, lease: int, step: float, loss: float) -> None:
        self._send([protocol.REPORT, lease, step, loss])

    def _send(self, message: list[Any]) -> None:
        # A parent that is gone takes this process with it; there is nothing to do about it here.
        with self._lock, contextlib.suppress(OSError):
            self._channel.send(self._channel.pack(message))


def _die_with_parent(lifeline: int, parent: int) -> None:
    """Have the kernel kill this process and its descendants as soon as the parent is gone.

    The parent alone holds the write end of the lifeline. When that closes, the kernel signals the owner
    of the read end, here the process group, even while user code holds the interpreter lock; a watching
    thread would have to wait for the lock, and its existence makes `os.fork` unsafe. Where the kernel
    cannot do it, the thread is the second choice.
    """
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    else:
        threading.Thread(target=_watch_lifeline, args=(lifeline,), daemon=True).start()
    follow_parent(parent, signal.SIGKILL)


def _watch_lifeline(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)


def _out_of_reach(descriptor: int) -> int:
    """The same file under a number that user code does not hit by closing all the small ones."""
    try:
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_PRIVATE_DESCRIPTOR)
    except OSError:
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    return moved


def main(arguments: list[str]) -> int:
    """Run as the objective process; the exit code.

    Args:
        arguments: Descriptor of the connection, descriptor of the lifeline, process id of the parent.
    """
    connection, lifeline, parent = (int(argument) for argument in arguments)
    connection, lifeline = _out_of_reach(connection), _out_of_reach(lifeline)
    _die_with_parent(lifeline, parent)
    leave_signals_to_parent()
    faulthandler.enable(all_threads=False)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    channel = Channel(socket.socket(fileno=connection))
    # A forked grandchild must not keep the connection open after this process has died.
    os.register_at_fork(after_in_child=channel.close)
    return ObjectiveProcess(channel, SystemClock()).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
