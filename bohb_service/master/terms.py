"""What a master is told at its start."""

from dataclasses import dataclass
from typing import Any, Self

from bohb_service._version import VERSION
from bohb_service.rpc.about import About
from bohb_service.rpc.messages import PROTOCOL_VERSION, Registration


@dataclass(frozen=True, slots=True)
class Terms:
    """Times of the protocol, in seconds.

    Attributes:
        lease_s: Term of a lease. A worker that is silent for three terms is forgotten; one that was there before a
            restart is given up when it does not come back within one.
        heartbeat_s: How often workers renew.
        wait_s: Longest time an exchange is parked.
        grace_s: How long a worker whose connection broke may take to come back.
        hold_s: How long a trial that can be continued waits for a worker that holds its directory.
    """

    lease_s: float = 60.0
    heartbeat_s: float = 15.0
    wait_s: float = 20.0
    grace_s: float = 5.0
    hold_s: float = 10.0

    @property
    def silent_s(self) -> float:
        """After so long without a sign of life a worker, or any other peer, is given up."""
        return 3.0 * self.lease_s

    @classmethod
    def of(cls, lease_s: float, grace_s: float, hold_s: float) -> Self:
        """The times that go with a term and a grace period, in the proportions of the defaults.

        Args:
            lease_s: Term of a lease, positive.
            grace_s: As the attribute.
            hold_s: As the attribute.
        """
        return cls(lease_s=lease_s, heartbeat_s=lease_s / 4, wait_s=lease_s / 3, grace_s=grace_s, hold_s=hold_s)


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What the master tells workers of the study; see `Registration`.

    Attributes:
        seconds_limit: Working time after which the search ends, or None.
        seconds_before: Working time spent by earlier masters of this run.
    """

    study: str
    study_id: str
    worker_spec: str
    worker_options: dict[str, Any]
    configurations: str
    limit_seconds: float | None
    limit_memory_mb: int | None
    seconds_limit: float | None = None
    seconds_before: float = 0.0


def registration_of(
    session: str, facts: StudyFacts, terms: Terms, epoch: str, foreign: tuple[int, ...]
) -> Registration:
    """What a worker is told when it registers."""
    return Registration(
        session=session,
        study=facts.study,
        worker_spec=facts.worker_spec,
        worker_options=facts.worker_options,
        configurations=facts.configurations,
        study_id=facts.study_id,
        limit_seconds=facts.limit_seconds,
        limit_memory_mb=facts.limit_memory_mb,
        lease_s=terms.lease_s,
        heartbeat_s=terms.heartbeat_s,
        wait_s=terms.wait_s,
        epoch=epoch,
        foreign=foreign,
    )


def about_of(facts: StudyFacts, now: float, peer: str) -> About:
    """What a machine is told that wants to know whether a worker could work there.

    Args:
        facts: What workers are told.
        now: The master's clock, seconds since the Unix epoch.
        peer: Address of that machine.
    """
    return About(
        version=VERSION,
        protocol=PROTOCOL_VERSION,
        now=now,
        study=facts.study,
        study_id=facts.study_id,
        worker_spec=facts.worker_spec,
        worker_options=facts.worker_options,
        configurations=facts.configurations,
        limit_memory_mb=facts.limit_memory_mb,
        peer=peer,
    )
