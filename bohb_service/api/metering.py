"""Connects a running master with its meter."""

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from bohb_service._version import VERSION
from bohb_service.errors import StudyError
from bohb_service.journal.journal import Journal, Record
from bohb_service.master.committer import Entry
from bohb_service.master.master import Master
from bohb_service.master.status import phase_of, share_done
from bohb_service.metrics.snapshot import Snapshot
from bohb_service.rpc.server import Server
from bohb_service.scheduler.events import Event
from bohb_service.scheduler.state import StudyState

log = logging.getLogger("bohb_service.api")


def snapshot_of(master: Master, server: Server) -> Snapshot:
    """The present figures of a master; called on its event loop, and quick.

    Args:
        master: The master.
        server: Its port.
    """
    state, port = master.scheduler.state, server.status()
    workers = Counter(busy=0, idle=0, lost=0)
    for session in master.sessions:
        doing = "busy" if session.running else "idle"
        workers["lost" if session.lost_since is not None else doing] += 1
    best = state.incumbent
    return Snapshot(
        study=master.facts.study,
        study_id=master.facts.study_id,
        version=VERSION,
        state=phase_of(master),
        workers=workers,
        waiting=master.sessions.n_waiting,
        lost_workers=state.n_lost_workers,
        running=state.running,
        queued=sum(len(state.brackets[index].queued) for index in state.with_work),
        abandoned=state.n_abandoned,
        configurations=len(state.configurations),
        from_model=state.n_from_model,
        incumbent_loss=None if best is None else best.loss,
        incumbent_budget=None if best is None else best.budget,
        spent=state.spent,
        elapsed_s=master.elapsed_s,
        share_done=share_done(master.scheduler, master.elapsed_s, master.facts.seconds_limit),
        connections=port["connections"],
        refused=port["refused"],
        certificate_days=port["certificate_days"],
    )


class Metering:
    """The meter of a master and its page, put together.

    Attributes:
        meter: What is measured.
        address: Where the page is, as ``host:port``; empty before `page`.

    Args:
        place: Host and port at which the page is to be.
        ask: Returns the master's present figures.

    Raises:
        StudyError: The library for it is not installed.
    """

    def __init__(self, place: tuple[str, int], ask: Callable[[], Snapshot]) -> None:
        try:
            from bohb_service.metrics.meter import Meter
        except ImportError as error:
            raise StudyError(
                f"--metrics needs a library that is not installed ({error}): pip install 'bohb-service[metrics]'"
            ) from error
        self.meter = Meter(ask)
        self.address = ""
        self._place = place

    def timed(self, journal: Journal) -> "TimedJournal":
        """The journal, with its commits measured."""
        return TimedJournal(journal, self.meter.committed)

    def beside(
        self, listener: Callable[[Sequence[Entry]], None], state: StudyState
    ) -> Callable[[Sequence[Entry]], None]:
        """A listener that counts events, and passes them on."""
        tally = self.meter.follow(state)

        def both(entries: Sequence[Entry]) -> None:
            tally(entries)
            listener(entries)

        return both

    @contextlib.contextmanager
    def page(self) -> Iterator[None]:
        """Show the figures until the end of the block.

        Raises:
            TransportError: The address cannot be listened on.
        """
        from bohb_service.metrics.page import MetricsPage

        with MetricsPage(*self._place, self.meter.registry) as page:
            self.address = page.address
            log.info("metrics", extra={"url": f"http://{page.address}/metrics"})
            yield


class TimedJournal:
    """A journal whose commits are timed.

    Args:
        journal: Does the work.
        observe: Hears how many seconds each commit took, on the thread that made it.
    """

    def __init__(self, journal: Journal, observe: Callable[[float], None]) -> None:
        self._journal = journal
        self._observe = observe

    def append(self, entries: Sequence[tuple[float, Event]]) -> None:
        """Make events durable, all or none."""
        began = time.perf_counter()
        self._journal.append(entries)
        self._observe(time.perf_counter() - began)

    def read(self, after: int = 0) -> Iterator[Record]:
        """All records behind a position, in order."""
        return self._journal.read(after)

    def close(self) -> None:
        """Release what it holds."""
        self._journal.close()
