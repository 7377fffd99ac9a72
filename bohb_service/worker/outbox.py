"""What the master has not confirmed yet."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from bohb_service.rpc.messages import Report, Request
from bohb_service.scheduler.outcomes import Outcome

MAX_RESULT_BYTES = 1 << 20
"""Outcomes in one request, packed, unless a single one is larger; below the transport's limit of 2 MiB."""

MAX_REPORTS = 500
"""Curve points in one request."""

_MAX_WAITING_REPORTS = 2000


@dataclass(frozen=True, slots=True)
class _Entry:
    outcome: Outcome
    n_bytes: int


class Outbox:
    """Keeps outcomes until they are acknowledged and makes requests of them.

    A request stays *pending* until it is answered: after a fault of the network the same one is repeated,
    which the master recognises by its number.

    Attributes:
        pending: The request without an answer, or None.
        place: Of each request.
    """

    def __init__(self) -> None:
        self.pending: Request | None = None
        self.place = ""
        self._news: dict[int, _Entry] = {}
        self._sent: dict[int, _Entry] = {}
        self._reports: deque[Report] = deque(maxlen=_MAX_WAITING_REPORTS)
        self._seq = 0

    @property
    def leases(self) -> tuple[int, ...]:
        """Leases whose outcomes are not acknowledged."""
        return (*self._sent, *self._news)

    @property
    def has_news(self) -> bool:
        """Whether an outcome has not been in any answered request."""
        return bool(self._news)

    @property
    def has_reports(self) -> bool:
        """Whether curve points wait."""
        return bool(self._reports)

    def add(self, lease: int, outcome: Outcome, n_bytes: int = 1000) -> None:
        """Keep the outcome of a lease; the first one stays.

        Args:
            lease: The lease.
            outcome: How it ended.
            n_bytes: About its size, packed.
        """
        if lease not in self._sent:
            self._news.setdefault(lease, _Entry(outcome, n_bytes))

    def report(self, report: Report) -> None:
        """Queue a curve point; the oldest ones give way where nobody takes them."""
        self._reports.append(report)

    def forget(self, lease: int) -> None:
        """Drop the outcome of a lease: the master has it, or never granted the lease."""
        self._news.pop(lease, None)
        self._sent.pop(lease, None)

    def request(self, running: tuple[int, ...], max_jobs: int, wait_s: float, turnaround_s: float = 0.0) -> Request:
        """The pending request, or else a new one.

        Args:
            running: Leases held without an outcome.
            max_jobs: How many jobs can be taken.
            wait_s: How long to wait for one.
            turnaround_s: How long the last exchange took that did not wait.
        """
        if self.pending is None:
            self._seq += 1
            reports = tuple(self._reports.popleft() for _ in range(min(len(self._reports), MAX_REPORTS)))
            results = self._results()
            self.pending = Request(self._seq, results, reports, running, max_jobs, wait_s, turnaround_s, self.place)
        return self.pending

    def answered(self, acks: Iterable[int]) -> None:
        """Note that the pending request was answered, and forget the outcomes that are safe."""
        if self.pending is not None:
            for lease, _ in self.pending.results:
                if (entry := self._news.pop(lease, None)) is not None:
                    self._sent[lease] = entry
        self.pending = None
        for lease in acks:
            self.forget(lease)

    def clear(self) -> None:
        """Forget everything: it belongs to another study."""
        self.pending = None
        self._news.clear()
        self._sent.clear()
        self._reports.clear()

    def _results(self) -> tuple[tuple[int, Outcome], ...]:
        results: list[tuple[int, Outcome]] = []
        n_bytes = 0
        # The ones never sent come first, so that one which the master does not acknowledge blocks nobody.
        for lease, entry in chain(self._news.items(), self._sent.items()):
            if results and n_bytes + entry.n_bytes > MAX_RESULT_BYTES:
                break
            results.append((lease, entry.outcome))
            n_bytes += entry.n_bytes
        return tuple(results)
