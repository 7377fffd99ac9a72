"""What master and workers say to each other, as types.

The one hot call is ``exchange(Request) -> Answer``: it delivers outcomes, renews leases, carries
learning-curve points and leases new jobs in one round trip. A repeated ``seq`` gets the same answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bohb_service.scheduler.needs import Labels
from bohb_service.scheduler.outcomes import Outcome
from bohb_service.scheduler.replies import Job

PROTOCOL_VERSION = 3
"""Raised with every change that an older peer would misunderstand.

Since 2 leases have epochs; since 3 workers tell what they have and where they keep directories, outcomes how much of
their budget was not spent again, and answers which checkpoints can go.
"""

FAULT = "fault: "
"""Begins the reason of a goodbye that tells of a failure of the worker; all other goodbyes are orderly."""

LeaseKey = tuple[int, str]
"""A lease and the epoch in which it was granted, which is the same study's in one history only."""


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """How a worker introduces itself.

    Attributes:
        worker: Its name, unique in the study; the same name again is the same worker reconnecting.
        host: Name of its machine, for people.
        pid: Process id there.
        started: Start time of that process, seconds after its machine was booted (tells a reused pid apart).
        version: Version of this package.
        protocol: `PROTOCOL_VERSION` of the worker.
        spec: Worker class it was told to run, or empty to take the study's.
        running: Leases that it still holds or holds outcomes for, from before a reconnect.
        machine: What `bohb_service.machine.machine_id` says there: who is told the same sees its process.
        labels: What it has of that which trials may need.
    """

    worker: str
    host: str
    pid: int
    started: float
    version: str
    protocol: int = PROTOCOL_VERSION
    spec: str = ""
    running: tuple[LeaseKey, ...] = ()
    machine: str = ""
    labels: Labels = field(default_factory=dict)

    @property
    def process(self) -> tuple[str, str, int, float]:
        """What tells its process from all others."""
        return self.host, self.machine, self.pid, self.started


@dataclass(frozen=True, slots=True)
class Registration:
    """What a worker needs to know of the study.

    Attributes:
        session: Key of all further calls.
        study: Name of the study.
        worker_spec: Entry point, ``package.module:Class`` or ``path/to/file.py:Class``.
        worker_options: Keyword arguments of its constructor.
        configurations: Folder of the per-configuration directories on the master's file system.
        study_id: Content of the file ``id`` in that folder, by which a worker sees that it shares it.
        limit_seconds: Wall time allowed to one evaluation, or None.
        limit_memory_mb: Resident memory allowed to one evaluation and its children, in MiB, or None.
        lease_s: Term of a lease; it must be renewed within it.
        heartbeat_s: How often to renew.
        wait_s: Longest time the master parks an exchange.
        epoch: Epoch of all leases that are granted in this session.
        foreign: Leases among ``running`` that this master never granted, nor any before it as far as its journal
            goes: their outcomes are not wanted, and their numbers will be given to other leases.
    """

    session: str
    study: str
    worker_spec: str
    worker_options: Mapping[str, Any]
    configurations: str
    study_id: str
    limit_seconds: float | None
    limit_memory_mb: int | None
    lease_s: float
    heartbeat_s: float
    wait_s: float
    epoch: str = ""
    foreign: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """One learning-curve point of a running job.

    Attributes:
        lease: The job.
        step: Position on the curve, e.g. the epoch.
        loss: Value there; may be non-finite.
    """

    lease: int
    step: float
    loss: float


@dataclass(frozen=True, slots=True)
class Request:
    """One exchange, from the worker's side.

    Attributes:
        seq: Counts the worker's exchanges; the answer to the last one is kept and repeated.
        results: Outcomes by lease, kept by the worker until acknowledged.
        reports: Curve points since the last exchange.
        running: Leases it holds, started or not: they are renewed.
        max_jobs: How many new jobs it can take.
        wait_s: How long it is willing to wait for one.
        turnaround_s: How long the last exchange took that did not wait for a job; 0 before the first.
        place: Equal for workers that keep the directories of configurations in the same folder; empty where that is
            the master's.
    """

    seq: int
    results: tuple[tuple[int, Outcome], ...] = ()
    reports: tuple[Report, ...] = ()
    running: tuple[int, ...] = ()
    max_jobs: int = 0
    wait_s: float = 0.0
    turnaround_s: float = 0.0
    place: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One exchange, from the master's side.

    Attributes:
        acks: Leases whose outcomes are durable, or were known already.
        jobs: New leases.
        lost: Leases among ``running`` that are no longer this worker's: end them.
        prefetch: How many jobs the worker may hold at once (1: only the running one).
        stop: Why the worker shall end, or None to go on.
        over: Configurations that cannot be promoted any more; their checkpoints can go.
    """

    acks: tuple[int, ...] = ()
    jobs: tuple[Job, ...] = field(default=())
    lost: tuple[int, ...] = ()
    prefetch: int = 1
    stop: str | None = None
    over: tuple[int, ...] = ()
