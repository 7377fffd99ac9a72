"""The jobs of one supervisor, in order: some handed to the objective process, the rest waiting."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bohb_service.scheduler.replies import Job
from bohb_service.worker import protocol

NEVER = float("inf")

_MAX_BYTES_AHEAD = 1 << 16


@dataclass(slots=True)
class HeldJob:
    """A job without an outcome.

    Attributes:
        job: The job.
        directory: Its directory.
        n_bytes: Size of its message, once handed over.
        since: Monotonic time at which it came to the head of the process.
        log_offset: Size of the log when it was handed over.
        drop_by: Nobody wants it any more; its end must come by this monotonic time.
        points: Curve points that it reported.
    """

    job: Job
    directory: str
    n_bytes: int = 0
    since: float = 0.0
    log_offset: int = 0
    drop_by: float = NEVER
    points: list[tuple[float, float]] = field(default_factory=list)

    @property
    def is_wanted(self) -> bool:
        """Whether its outcome is of interest."""
        return self.drop_by == NEVER

    def instant(self, told: float, now: float) -> float:
        """The time that the process told, or now if that cannot be: user code may have changed its clock.

        Args:
            told: Monotonic time of something that happened to this job.
            now: Monotonic time.
        """
        return told if self.since <= told <= now else now


class Workload:
    """A queue in two parts. The first job of the sent part is the *head*: the process is at it."""

    def __init__(self) -> None:
        self._waiting: deque[HeldJob] = deque()
        self._sent: dict[int, HeldJob] = {}
        self._bytes_ahead = 0

    @property
    def head(self) -> HeldJob | None:
        """The job that the process is at."""
        return next(iter(self._sent.values()), None)

    @property
    def leases(self) -> tuple[int, ...]:
        """Leases of all jobs, in order."""
        return (*self._sent, *(held.job.lease for held in self._waiting))

    @property
    def has_waiting(self) -> bool:
        """Whether jobs wait to be handed over."""
        return bool(self._waiting)

    def add(self, job: Job, directory: str) -> None:
        """Append a job."""
        self._waiting.append(HeldJob(job, directory))

    def hand_over(self, pack: Callable[[list[Any]], bytes], log_offset: int) -> bytes:
        """The frames of the next jobs, as many as the buffer of a socket takes while nobody reads it.

        Args:
            pack: Makes the frame of a message.
            log_offset: Size of the log now.
        """
        frames = []
        while self._waiting and (not self._sent or self._bytes_ahead < _MAX_BYTES_AHEAD):
            held = self._waiting.popleft()
            frame = pack(protocol.encode_job(held.job, held.directory))
            held.n_bytes, held.log_offset = len(frame), log_offset
            self._bytes_ahead += held.n_bytes
            self._sent[held.job.lease] = held
            frames.append(frame)
        return b"".join(frames)

    def find_sent(self, lease: int) -> HeldJob | None:
        """The job under this lease, if it was handed over."""
        return self._sent.get(lease)

    def remove(self, lease: int) -> HeldJob | None:
        """Take a job out, wherever it is; None if it is not there."""
        held = self._sent.pop(lease, None)
        if held is not None:
            self._bytes_ahead -= held.n_bytes
            return held
        for waiting in self._waiting:
            if waiting.job.lease == lease:
                self._waiting.remove(waiting)
                return waiting
        return None

    def take_back(self) -> list[HeldJob]:
        """Put what was handed over before what waits, in order; returns the unwanted ones, which are out."""
        sent = list(self._sent.values())
        self._sent.clear()
        self._bytes_ahead = 0
        self._waiting.extendleft(HeldJob(held.job, held.directory) for held in reversed(sent) if held.is_wanted)
        return [held for held in sent if not held.is_wanted]

    def clear(self) -> None:
        """Forget all jobs."""
        self._waiting.clear()
        self._sent.clear()
        self._bytes_ahead = 0
