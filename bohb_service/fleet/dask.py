"""Workers inside an existing Dask cluster, whatever that runs on.

A unit is one long task that holds a `bohb-worker`; Dask places it, and adaptive clusters grow when tasks wait. Trials
are no tasks of Dask: it would do a lost one again from zero, and knows nothing of leases and checkpoints. Dask's
workers tell which units they hold, so a client that was disconnected, or a new master, sees what is there.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from bohb_service.clock import SystemClock
from bohb_service.errors import BohbError, StudyError
from bohb_service.fleet.dask_task import Order, end_units, held_units, hold_worker
from bohb_service.fleet.fleet import Place, remote_arguments
from bohb_service.fleet.staffing import Unit
from bohb_service.study import Dask

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")

_CONNECT_SECONDS = 10.0
_CALL_SECONDS = 15.0
_ANSWER_SECONDS = 3.0
_TALKATIVE = ("distributed", "distributed.client")
"""Loggers that show a traceback when the scheduler is gone, of which we tell ourselves."""

_NO_DASK = "--fleet dask needs Dask: pip install 'bohb-service[dask]', here and where Dask's workers are"


class DaskLauncher:
    """Starts workers as tasks of Dask.

    Args:
        place: For which run.
        dask: In which cluster.
        slots: Workers of each task.

    Raises:
        StudyError: The study file names no scheduler.
    """

    def __init__(self, place: Place, dask: Dask, slots: int = 1) -> None:
        if dask.scheduler is None and dask.scheduler_file is None:
            raise StudyError(
                "fleet.dask: the study file does not say which cluster; give scheduler, such as tcp://head:8786, "
                "or scheduler_file"
            )
        self._dask = dask
        digest = hashlib.sha256(os.fsencode(place.directory.path.resolve())).hexdigest()[:8]
        self._prefix = f"dask-{digest}-"
        self._arguments = tuple(remote_arguments(place, dask.credentials, slots))
        self._client: Client | None = None
        self._futures: dict[str, Future[Any]] = {}
        self._held: dict[str, list[str]] = {}
        self._has_silent = False
        self._words: dict[str, str] = {}

    def check(self) -> None:
        """Connect to Dask's scheduler.

        Raises:
            StudyError: Dask is not installed, or the scheduler does not answer.
        """
        try:
            import distributed  # noqa: F401
        except ImportError as error:
            raise StudyError(_NO_DASK) from error
        try:
            self._connected()
        except BohbError as error:
            raise StudyError(f"fleet.dask: {error}") from error

    def units(self) -> list[Unit]:
        """Units that Dask's workers hold, and then those that wait for a place, each oldest first.

        What a Dask worker holds that does not answer, is what it held when it did.

        Raises:
            BohbError: The scheduler does not answer.
        """
        ask = _ask_each if self._has_silent else _ask_all
        told = self._call(lambda client: client.sync(ask, client, callback_timeout=_CALL_SECONDS))
        self._has_silent = None in told.values()
        self._held = {worker: self._held.get(worker, []) if units is None else units for worker, units in told.items()}
        running = sorted({unit for units in self._held.values() for unit in units if unit.startswith(self._prefix)})
        for unit, future in list(self._futures.items()):
            if future.status == "error":
                with contextlib.suppress(Exception):
                    self._words[unit] = str(future.exception(timeout=_CALL_SECONDS))
            if future.status != "pending":
                del self._futures[unit]
        waiting = [unit for unit in self._futures if unit not in running]
        return [*(Unit(unit, is_running=True) for unit in running), *(Unit(unit, is_running=False) for unit in waiting)]

    def start(self, n: int) -> list[str]:
        """Submit so many tasks; the names of the units, which sort by age.

        Raises:
            BohbError: The scheduler does not answer.
        """
        moment = f"{int(SystemClock().now() * 1000):012x}"
        names = [f"{self._prefix}{moment}{number:04x}{secrets.token_hex(2)}" for number in range(n)]
        orders = [Order(name, self._arguments) for name in names]

        def submit(client: "Client") -> list["Future[Any]"]:
            resources = self._dask.resources or None
            return [
                client.submit(hold_worker, order, key=order.unit, pure=False, resources=resources) for order in orders
            ]

        for order, future in zip(orders, self._call(submit), strict=True):
            self._futures[order.unit] = future
        return [order.unit for order in orders]

    def cancel(self, names: Sequence[str]) -> None:
        """Withdraw what waits, and let what runs end.

        Raises:
            BohbError: The scheduler does not answer.
        """
        futures = [future for name in names if (future := self._futures.pop(name, None)) is not None]

        async def end(client: "Client") -> None:
            await client.cancel(futures)
            # Those that answer have got it; one that is silent reads it when it can.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(client.run(end_units, list(names), on_error="ignore"), _ANSWER_SECONDS)

        self._call(lambda client: client.sync(end, client, callback_timeout=_CALL_SECONDS))

    def last_words(self, name: str) -> str:
        """What the worker of a unit printed at last."""
        return self._words.pop(name, "") or "see the log of Dask's worker"

    def _call(self, work: Callable[["Client"], T]) -> T:
        """What the client is asked for.

        Raises:
            BohbError: The cluster does not answer.
        """
        client = self._connected()
        try:
            return work(client)
        except BohbError:
            raise
        except Exception as error:
            # Dask raises what it likes, and a client whose scheduler is gone never works again.
            self._forget()
            raise BohbError(f"Dask's scheduler {self._where} does not answer: {error}") from error

    @property
    def _where(self) -> str:
        return self._dask.scheduler or f"of {self._dask.scheduler_file}"

    def _connected(self) -> "Client":
        """A client that is connected.

        Raises:
            BohbError: Nobody answers.
        """
        from distributed import Client

        if self._client is not None and self._client.status != "running":
            self._forget()
        if self._client is None:
            for name in _TALKATIVE:
                logging.getLogger(name).setLevel(logging.CRITICAL)
            place: dict[str, Any] = {"address": self._dask.scheduler}
            if self._dask.scheduler_file is not None:
                place = {"scheduler_file": str(self._dask.scheduler_file)}
            try:
                self._client = Client(**place, timeout=_CONNECT_SECONDS, set_as_default=False)
            except Exception as error:
                raise BohbError(
                    f"nobody answers at Dask's scheduler {self._where} ({type(error).__name__}); is it up, and is the "
                    "address right?"
                ) from error
        return self._client

    def _forget(self) -> None:
        """Close a client that is of no use any more; the futures go with it, what runs does not."""
        client, self._client = self._client, None
        self._futures.clear()
        if client is not None:
            with contextlib.suppress(Exception):
                client.close(timeout=1)


async def _ask_all(client: "Client") -> dict[str, list[str] | None]:
    """What each of Dask's workers holds; None where it has not answered."""
    try:
        return dict(await asyncio.wait_for(client.run(held_units, on_error="ignore"), _ANSWER_SECONDS))
    except TimeoutError:
        # One that is silent, e.g. because its machine is, keeps back the answers of all.
        return await _ask_each(client)


async def _ask_each(client: "Client") -> dict[str, list[str] | None]:
    """The same, each asked by itself, which costs more."""

    async def ask(worker: str) -> list[str] | None:
        question = client.run(held_units, workers=[worker], on_error="ignore")
        try:
            answers: dict[str, list[str]] = await asyncio.wait_for(question, _ANSWER_SECONDS)
        except TimeoutError:
            return None
        return answers.get(worker, [])

    workers = list(await client.nthreads())
    return dict(zip(workers, await asyncio.gather(*map(ask, workers)), strict=True))
