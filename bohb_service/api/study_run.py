"""One master with its run directory, port, local workers and threads, put together and taken apart in order."""

import contextlib
import logging
import os
import queue
import socket
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from bohb_service.api.describe_study import describe_study
from bohb_service.api.listening import open_server
from bohb_service.api.metering import Metering, snapshot_of
from bohb_service.clock import AwakeClock, Clock, SystemClock
from bohb_service.errors import JournalWriteError, StudyError, TransportError
from bohb_service.fleet.choice import check_fleet, elastic_fleet, size_of
from bohb_service.fleet.fleet import Demand, Employer, Fleet, Place
from bohb_service.fleet.local import LocalFleet, local_prefix
from bohb_service.journal.run_directory import MasterAddress, RunDirectory
from bohb_service.master.committer import Entry
from bohb_service.master.demand import idle_workers, most_work, waiting_work
from bohb_service.master.master import End, Master
from bohb_service.master.opening import Description, OpenRun, open_run
from bohb_service.master.plan import sampler_for
from bohb_service.master.terms import StudyFacts, Terms
from bohb_service.metrics.snapshot import Snapshot
from bohb_service.results.run import Run, load_run
from bohb_service.rpc.endpoint import Endpoint
from bohb_service.rpc.pyro import format_address
from bohb_service.rpc.server import Server
from bohb_service.scheduler.state import StudyState
from bohb_service.security.credentials import load_credentials
from bohb_service.study import Study

T = TypeVar("T")

log = logging.getLogger("bohb_service.api")

_FAREWELL_S = 2.0
_PATIENCE_S = 5.0
_CALL_S = 30.0
_POLL_S = 0.1
_TEARDOWN_S = 12.0
_SWITCH_S = 0.0005


@contextlib.contextmanager
def _quick_switches() -> Iterator[None]:
    """Let the event loop wait less for threads that compute: the default of 5 ms is ten exchanges."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _try_to(write: Callable[[], None]) -> None:
    """Write what only spares others some time: the result does not depend on it."""
    try:
        write()
    except JournalWriteError as error:
        log.warning("%s", error)


class StudyRun:
    """A master that serves one study; use it as a context manager.

    Args:
        study: The study.
        directory: Its run directory; made if absent, resumed if it holds this study.
        workers: Number of local workers to start; of another fleet the most, 0 leaves it to the study.
        min_workers: Begin only when so many workers, from wherever, have joined.
        endpoint: Where and how the master listens; by default on loopback, at the port of the run's last master if that
            is free.
        terms: Times of the protocol.
        description: What the worker class says of itself; by default it is asked, in a process of its own.
        listen: Called with the state of the study before it goes on; what it returns hears of events once they are
            durable, on the thread of the master that changes the state.
        fleet: What starts workers, one of `bohb_service.fleet.choice.FLEETS`.
        clock: Time.
        metrics: Host and port at which to show figures of the master, or None.

    Raises:
        StudyError: The fleet is not known, or nothing says how large it may be. On entering: the study, its worker or
            its space is wrong, the endpoint would be unguarded, or the fleet takes no workers with these options.
        JournalError: On entering: the run directory cannot be used, e.g. because another master serves it.
        TransportError: On entering: the address cannot be listened on.
    """

    def __init__(
        self,
        study: Study,
        directory: Path,
        *,
        workers: int = 0,
        min_workers: int = 0,
        endpoint: Endpoint | None = None,
        terms: Terms | None = None,
        description: Description | None = None,
        listen: Callable[[StudyState], Callable[[Sequence[Entry]], None]] = lambda _: lambda _: None,
        fleet: str = "local",
        clock: Clock | None = None,
        metrics: tuple[str, int] | None = None,
    ) -> None:
        check_fleet(fleet)
        if fleet != "local":
            size_of(study.fleet, workers)
        self.study = study
        self.directory = RunDirectory(directory)
        self.is_resumed = False
        self.was_finished = False
        self._n_workers, self._min_workers, self._fleet_name = workers, min_workers, fleet
        self.endpoint = endpoint or Endpoint()
        self._terms = terms or Terms()
        self._description = description
        self.listen = listen
        self._clock: Clock = clock or SystemClock()
        self._metering = None if metrics is None else Metering(metrics, self._snapshot)
        self._stack = contextlib.ExitStack()
        self._master: Master | None = None
        self._server: Server | None = None
        self._fleet: Fleet | None = None

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.endpoint.check()
            self._check_fleet_can_connect()
            stack.enter_context(_quick_switches())
            self.directory.prepare()
            stack.enter_context(self.directory.locked())
            self.directory.remove_ended()
            run = open_run(self.study, self.directory, self._describe, self._clock, min_workers=self._min_workers)
            stack.callback(run.journal.close)
            self.is_resumed = run.is_resumed
            if run.scheduler.is_finished:
                self.was_finished = True
                _try_to(self.directory.write_ended)
                self._stack = stack.pop_all()
                return self
            terms = self._terms
            metering = self._metering
            observe = None if metering is None else metering.meter.called
            server = open_server(
                self.endpoint,
                self.directory,
                lambda at: Server(at, self.study.name, self._clock, idle_s=terms.silent_s, observe=observe),
                is_looked_for=self.has_fleet or bool(run.scheduler.state.workers),
            )
            stack.callback(lambda: self._master.close() if self._master else None)
            stack.callback(server.close)
            master = Master(
                run.scheduler,
                run.journal if metering is None else metering.timed(run.journal),
                self._facts(run),
                AwakeClock(self._clock, max(1.0, terms.lease_s / 4)),
                server.loop.post,
                lambda: sampler_for(self.study, run.space_json, run.initial),
                terms=terms,
                on_events=self._listener(run.scheduler.state),
                min_workers=self._min_workers,
            )
            self._server, self._master = server, master
            server.start(master)
            if metering is not None:
                stack.enter_context(metering.page())
            self.directory.write_address(self._address(server, run.study_id))
            stack.callback(_try_to, self.directory.remove_address)
            self._fleet = self._make_fleet()
            stack.callback(self._let_others_leave)
            stack.callback(self._fleet.stop, _PATIENCE_S)
            self._fleet.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._master is not None:
                if self._master.end is None:
                    self.abort()
                if self._master.end != "failed":
                    self._let_workers_leave(self._master)
                if self._master.end == "finished":
                    _try_to(self.directory.write_ended)
        finally:
            self._stack.close()

    @property
    def is_started(self) -> bool:
        """Whether the master serves, or there is nothing left to serve."""
        return self._master is not None or self.was_finished

    @property
    def has_fleet(self) -> bool:
        """Whether something else than this machine starts workers for it."""
        return self._fleet_name != "local"

    @property
    def address(self) -> str:
        """Where the master listens, as ``host:port``."""
        if self._server is None:
            raise RuntimeError("the run has not been entered")
        return format_address(self._server.host, self._server.port)

    def wait(self, timeout_s: float) -> bool:
        """Whether the study has ended, after waiting for that a while; also looks after the local workers.

        Raises:
            WorkerSpecError: The worker class cannot be used, and there is no other worker.
            BohbError: The journal or the sampler failed, or local workers keep dying.
        """
        if self.was_finished:
            return True
        master = self._running_master
        ended = master.ended.wait(timeout_s)
        if master.error is not None:
            raise master.error
        if not ended and self._fleet is not None:
            self._fleet.watch()
            if self._fleet.error is not None and not len(master.sessions):
                raise self._fleet.error
        return ended

    @property
    def end(self) -> End | None:
        """How the study ended, or None while it goes on."""
        return "finished" if self.was_finished else self._running_master.end

    def status(self) -> dict[str, Any]:
        """What is going on; see `bohb_service.master.status.status_of`."""
        server = self._server
        assert server is not None
        return self._call(lambda: {**self._running_master.status(), **server.status()})

    def drain(self) -> None:
        """Hand out nothing more; the study ends when nothing runs, and can go on later."""
        if self._master is not None:
            self._post(self._master.drain)

    def abort(self) -> None:
        """End now; what runs is done again when the study goes on."""
        if self._master is not None:
            self._post(self._master.abort)

    def results(self) -> Run:
        """What was found so far."""
        return load_run(self.directory.path)

    @property
    def _running_master(self) -> Master:
        if self._master is None:
            raise RuntimeError("the run has not been entered")
        return self._master

    def _post(self, work: Callable[[], None]) -> None:
        if self._server is not None:
            self._server.loop.post(work)

    def _call(self, work: Callable[[], T]) -> T:
        """The result of a function run on the event loop's thread."""
        results: queue.SimpleQueue[T] = queue.SimpleQueue()
        self._post(lambda: results.put(work()))
        try:
            return results.get(timeout=_CALL_S)
        except queue.Empty:
            raise TransportError(f"the master did not answer within {_CALL_S:g} s; look at its load") from None

    @property
    def _credentials(self) -> Path | None:
        """Where the credentials of all sides are, or None."""
        return None if self.endpoint.credentials is None else self.endpoint.credentials.source

    def _check_fleet_can_connect(self) -> None:
        """Find out now whether the workers that are started will be able to connect."""
        if self._fleet_name != "local" and self.endpoint.security == "loopback":
            raise StudyError(
                f"--fleet {self._fleet_name}: workers on other machines cannot connect to {self.endpoint.host}; give "
                "--host a name of this machine that they can reach, and --credentials (or --insecure)"
            )
        if self._credentials is not None and (self._n_workers or self._fleet_name != "local"):
            load_credentials(self._credentials, "worker")

    def _make_fleet(self) -> Fleet:
        if self._fleet_name == "local":
            return LocalFleet(
                self.directory,
                self._n_workers,
                self._clock,
                self._workers_survived,
                self._worker_died,
                credentials=self._credentials,
            )
        place = Place(self.directory, self.study.name, self.address, self._credentials, insecure=self.endpoint.insecure)
        employer = Employer(self._demand, self._dismiss)
        return elastic_fleet(self._fleet_name, place, self.study.fleet, self._n_workers, employer, self._clock)

    def _demand(self, at_most: int) -> Demand:
        def count() -> Demand:
            master = self._running_master
            return Demand(
                work=waiting_work(master, at_most + len(master.sessions)),
                needs=master.scheduler.settings.needs,
                workers={session.name: session.info.labels for session in master.sessions},
                idle=idle_workers(master),
                most=most_work(master),
                awaited=master.min_workers,
            )

        return self._call(count)

    def _dismiss(self, groups: Collection[frozenset[str]]) -> None:
        self._post(lambda: self._running_master.dismiss(groups, "there is nothing more to do for this worker"))

    def _address(self, server: Server, study_id: str) -> MasterAddress:
        return MasterAddress(
            host=server.host,
            port=server.port,
            study=self.study.name,
            study_id=study_id,
            pid=os.getpid(),
            hostname=socket.gethostname(),
            local_host=self.endpoint.local_host,
            credentials=None if self._credentials is None else str(self._credentials),
            insecure=server.security == "insecure",
        )

    def _listener(self, state: StudyState) -> Callable[[Sequence[Entry]], None]:
        listener = self.listen(state)
        return listener if self._metering is None else self._metering.beside(listener, state)

    def _snapshot(self) -> Snapshot:
        server = self._server
        assert server is not None
        return self._call(lambda: snapshot_of(self._running_master, server))

    def _describe(self) -> Description:
        return self._description or describe_study(self.study)

    def _facts(self, run: OpenRun) -> StudyFacts:
        return StudyFacts(
            study=self.study.name,
            study_id=run.study_id,
            worker_spec=self.study.worker,
            worker_options=self.study.worker_options,
            configurations=str(self.directory.configurations.absolute()),
            limit_seconds=self.study.limits.seconds,
            limit_memory_mb=self.study.limits.memory_mb,
            seconds_limit=self.study.stop.seconds,
            seconds_before=run.seconds_before,
        )

    def _workers_survived(self, names: frozenset[str]) -> None:
        def is_dead(name: str) -> bool:
            return name.startswith(local_prefix()) and name not in names

        self._post(lambda: self._running_master.release(is_dead, "its process died while no master was there"))

    def _worker_died(self, name: str, reason: str) -> None:
        self._post(lambda: self._running_master.release(lambda other: other == name, reason))

    def _let_workers_leave(self, master: Master) -> None:
        """Give workers a moment to hear that it is over, and idle ones, if they have heard it, time to tear down."""
        began = self._clock.monotonic()
        # Nobody is told to leave for good when what runs is given up.
        is_told = master.end == "finished" or not master.scheduler.state.running
        while not master.left.wait(_POLL_S):
            waited = self._clock.monotonic() - began
            is_anyone_leaving = is_told and any(not session.running for session in master.sessions)
            if waited > _TEARDOWN_S or (waited > _FAREWELL_S and not is_anyone_leaving):
                break

    def _let_others_leave(self) -> None:
        """Stay until workers elsewhere, still busy with what is not wanted any more, have heard that it is over."""
        master = self._running_master
        if master.end == "finished" and len(master.sessions):
            master.left.wait(master.terms.heartbeat_s + _FAREWELL_S)
