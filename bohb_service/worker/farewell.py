"""How a worker leaves its master: what it holds is delivered as far as that is possible in a short time."""

import logging

from bohb_service.clock import Clock, SystemClock
from bohb_service.errors import ProtocolError
from bohb_service.scheduler.outcomes import Released
from bohb_service.worker.conversation import Conversation
from bohb_service.worker.job_lines import JobLines
from bohb_service.worker.link import Link
from bohb_service.worker.signals import StopSignals
from bohb_service.worker.waiting import Waiting

FAREWELL_S = 5.0
"""How long a leaving worker tries to deliver what it holds."""

log = logging.getLogger("bohb_service.worker")


class Farewell:
    """Delivers and says goodbye, once the objective process has ended.

    Args:
        conversation: With the master.
        link: The line to it.
        signals: One that asks for more than before ends the attempt.
        waiting: Wakes for signals.
        lines: Tell what could not be delivered.
    """

    def __init__(
        self, conversation: Conversation, link: Link, signals: StopSignals, waiting: Waiting, lines: JobLines
    ) -> None:
        self._conversation = conversation
        self._link = link
        self._signals = signals
        self._waiting = waiting
        self._lines = lines
        self._clock: Clock = SystemClock()

    def leave(self, study_id: str, unstarted: tuple[int, ...], reason: str) -> None:
        """Deliver what is left, and say goodbye.

        Args:
            study_id: The study that the outcomes belong to.
            unstarted: Leases that go back.
            reason: One line for people.
        """
        if self._conversation.registration is None:
            return
        outbox = self._conversation.outbox
        try:
            self._deliver(study_id)
        except ProtocolError as error:
            log.warning("outcomes refused", extra={"error": str(error)})
        self._lines.undelivered(outbox.leases)
        self._conversation.say_goodbye(unstarted, reason)

    def _deliver(self, study_id: str) -> None:
        outbox = self._conversation.outbox
        give_up = self._clock.monotonic() + FAREWELL_S
        n_signals = self._signals.n_received
        while outbox.leases and (now := self._clock.monotonic()) < give_up and self._signals.n_received == n_signals:
            if now < self._link.retry_at:
                self._waiting.wait(min(give_up, self._link.retry_at) - now)
                self._signals.drain()
            elif self._conversation.needs_registration:
                registration = self._conversation.register(())
                if registration is not None and registration.study_id != study_id:
                    outbox.clear()
            elif (answer := self._conversation.exchange((), 0)) is not None:
                for job in answer.jobs:
                    outbox.add(job.lease, Released("unstarted", "the worker is leaving"))
                if not outbox.has_news:
                    break
