"""The worker's side of the protocol: who it is to the master, and what each of them owes the other."""

import logging
from dataclasses import replace

from bohb_service import log_context
from bohb_service.clock import Clock
from bohb_service.errors import TransportError, UnknownSessionError
from bohb_service.rpc.messages import Answer, Registration, WorkerInfo
from bohb_service.worker.link import Link
from bohb_service.worker.outbox import Outbox

REPORT_INTERVAL_S = 1.0
"""Curve points alone cause at most one exchange in this time."""

COALESCE_S = 0.02
"""Outcomes wait so long for more of them, at most, while more than half of what may be held is left to do."""

_REST_S = 0.25

_LATE = 1.1
"""By how much jobs take longer than expected, so that the last one that is waited for has ended too."""

log = logging.getLogger("bohb_service.worker")


class Conversation:
    """Registers, exchanges, says goodbye, and knows when the next exchange is due.

    Attributes:
        outbox: What the master has not confirmed.
        registration: What the master last said of the study, or None before the first time.
        needs_registration: The next call is a registration.

    Args:
        link: The line to the master.
        info: How the worker introduces itself.
        clock: For due times.
    """

    def __init__(self, link: Link, info: WorkerInfo, clock: Clock) -> None:
        self.outbox = Outbox()
        self.registration: Registration | None = None
        self.needs_registration = True
        self._link = link
        self._info = info
        self._clock = clock
        self._last_exchange = clock.monotonic()
        self._rest_until = 0.0
        self._must_renew = False
        self._gather_until: float | None = None
        self._prefetch = 1
        self._turnaround_s = 0.0
        self._epochs: dict[int, str] = {}

    @property
    def is_gathering(self) -> bool:
        """Whether outcomes wait for more of them, which need not be looked at before `next_call` is due."""
        return self._gather_until is not None

    def next_call(self, *, n_held: int, wants_jobs: bool, job_s: float) -> float:
        """Monotonic time at which the master is to be called.

        Args:
            n_held: Number of leases to renew.
            wants_jobs: Nothing is held, and a job would be run at once.
            job_s: How long the last job took, in seconds; the next ones are expected to take as long.
        """
        registration, retry_at = self.registration, self._link.retry_at
        if registration is None or self.needs_registration or self.outbox.pending is not None:
            return retry_at
        if self._must_renew and n_held:
            return retry_at
        due = self._link.last_contact + registration.heartbeat_s
        if self.outbox.has_news:
            n_spare = n_held - self._prefetch // 2
            if n_spare <= 0:
                return retry_at
            if self._gather_until is None:
                self._gather_until = self._clock.monotonic() + min(COALESCE_S, n_spare * job_s * _LATE)
            due = min(due, self._gather_until)
        if wants_jobs:
            due = min(due, max(retry_at, self._rest_until))
        if self.outbox.has_reports:
            due = min(due, self._last_exchange + REPORT_INTERVAL_S)
        return max(due, retry_at)

    def register(self, held: tuple[int, ...]) -> Registration | None:
        """What the master says of the study, or None if it did not answer.

        Args:
            held: Leases without an outcome.

        Raises:
            ProtocolError: The master refuses this worker.
        """
        running = tuple((lease, self._epochs.get(lease, "")) for lease in (*held, *self.outbox.leases))
        self._epochs = dict(running)
        info = replace(self._info, running=running)
        registration = self._link.call(self._link.master.register, info)
        if registration is not None:
            self.registration = registration
            log_context.bind(study=registration.study)
            self.needs_registration = False
            self.outbox.pending = None
            for lease in registration.foreign:
                self.outbox.forget(lease)
                self._epochs.pop(lease, None)
            self._must_renew = True
            log.info("registered", extra={"worker": info.worker, "study": registration.study})
        return registration

    def exchange(self, held: tuple[int, ...], max_jobs: int) -> Answer | None:
        """What the master says, or None if it did not answer: it is to be called again, maybe to register.

        Args:
            held: Leases without an outcome.
            max_jobs: How many jobs can be taken; with nothing held, the master is given time to find one.

        Raises:
            ProtocolError: The master refuses the request.
        """
        assert self.registration is not None
        self._gather_until = None
        started = self._clock.monotonic()
        wait_s = self.registration.wait_s if max_jobs and not held else 0.0
        request = self.outbox.request(held, max_jobs, wait_s, self._turnaround_s)
        try:
            answer = self._link.call(self._link.master.exchange, request)
        except UnknownSessionError:
            log.warning("the master does not know this worker any more", extra={"worker": self._info.worker})
            self.outbox.pending = None
            self.needs_registration = True
            return None
        if answer is None:
            if self._link.was_interrupted and request.wait_s > 0.0:
                # Repeated, it would wait again. The next one delivers the same outcomes, and what the
                # master has leased to this one goes back with the goodbye.
                self.outbox.pending = None
            return None
        self.outbox.answered(answer.acks)
        self._note(answer, held)
        self._last_exchange = self._clock.monotonic()
        took = self._last_exchange - started
        has_waited = request.wait_s > 0.0 and (not answer.jobs or took > _REST_S)
        if not has_waited and not self._link.has_recovered:
            self._turnaround_s = took
        # An answer after an outage may be an old one, repeated: it has renewed nothing lately.
        self._must_renew = self._link.has_recovered
        if request.wait_s > 0.0 and not answer.jobs and took < _REST_S:
            self._rest_until = self._last_exchange + _REST_S
        return answer

    def _note(self, answer: Answer, held: tuple[int, ...]) -> None:
        assert self.registration is not None
        self._prefetch = answer.prefetch
        owed = {*held, *self.outbox.leases}
        self._epochs = {lease: epoch for lease, epoch in self._epochs.items() if lease in owed}
        self._epochs.update((job.lease, self.registration.epoch) for job in answer.jobs)

    def say_goodbye(self, unstarted: tuple[int, ...], reason: str) -> None:
        """Leave; a master that does not hear it finds out by itself.

        Args:
            unstarted: Leases that go back.
            reason: One line for people.
        """
        try:
            self._link.call(lambda why: self._link.master.goodbye(unstarted, why), reason)
        except TransportError as error:
            log.warning("goodbye was not taken", extra={"error": str(error)})
