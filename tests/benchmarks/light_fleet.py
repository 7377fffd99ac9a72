"""Many workers in one process, for measuring a master: real connections and messages, jobs that only wait.

    python tests/benchmarks/light_fleet.py ADDRESS [--credentials DIR] --workers N --job SECONDS

Each worker has a connection of its own, introduces itself, registers, and exchanges like `bohb-worker` does, lost
connections included; instead of running an objective it waits for the time of a job. One thread serves all of them.
Each line on stdin says for how many seconds to go on; for each a line of JSON says what was seen meanwhile.
"""

import argparse
import heapq
import json
import os
import random
import selectors
import ssl
import statistics
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bohb_service.errors import BohbError
from bohb_service.rpc import frames, wire
from bohb_service.rpc.access import Access
from bohb_service.rpc.line import Line
from bohb_service.rpc.messages import Request, WorkerInfo
from bohb_service.rpc.pyro import MASTER_OBJECT
from bohb_service.rpc.serialisers import MSGPACK
from bohb_service.scheduler.outcomes import Completed
from bohb_service.security.credentials import load_credentials

WAIT_S = 20.0
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@dataclass(slots=True, eq=False)
class Light:
    """One worker."""

    name: str
    line: Any = None
    session: str = ""
    epoch: str = ""
    epochs: dict[int, str] = field(default_factory=dict)
    turnaround: float = 0.0
    seq: int = 0
    incoming: bytearray = field(default_factory=bytearray)
    held: deque[Any] = field(default_factory=deque)
    results: list[Any] = field(default_factory=list)
    prefetch: int = 1
    job_s: float = 0.0
    asked: float = 0.0
    waiting: bool = False
    pause: float = 0.1
    busy_s: float = 0.0


class LightFleet:
    """All workers."""

    def __init__(self, address: str, credentials: Path | None, n_workers: int, job_s: float) -> None:
        held = None if credentials is None else load_credentials(credentials, "worker")
        self.access = Access("worker", held)
        self.address, self.job_s = address, job_s
        self.workers = [Light(f"light-{os.getpid()}-{number}") for number in range(n_workers)]
        self.selector = selectors.DefaultSelector()
        self.due: list[tuple[float, int, Light, str]] = []
        self.count = 0
        self.exchanges = 0
        self.finished = 0
        self.turnarounds: list[float] = []
        self.acknowledged: list[int] = []
        self.stopped = False
        self._since = (time.monotonic(), time.process_time())

    def connect_all(self) -> None:
        """Connect every worker, one after the other."""
        for worker in self.workers:
            self.connect(worker)

    def connect(self, worker: Light) -> None:
        """Connect and register one worker, and begin its first exchange."""
        line = Line(self.address, MASTER_OBJECT, MSGPACK, self.access)
        leases = [job.lease for job in worker.held] + [lease for lease, _ in worker.results]
        running = tuple((lease, worker.epochs[lease]) for lease in leases)
        info = WorkerInfo(worker.name, "light", os.getpid(), 1.0, "0", running=running)
        reply = wire.unpack(line.call(MASTER_OBJECT, "register", wire.pack_info(info), timeout_s=30.0))
        registration = wire.unpack_registration(reply[1])
        worker.session, worker.epoch = registration.session, registration.epoch
        worker.line, worker.pause, worker.waiting = line, 0.1, False
        worker.incoming.clear()
        line._sock.settimeout(0)
        self.selector.register(line._sock, selectors.EVENT_READ, worker)
        self.exchange(worker)

    def at(self, when: float, worker: Light, what: str) -> None:
        """Do something with a worker later."""
        self.count += 1
        heapq.heappush(self.due, (when, self.count, worker, what))

    def exchange(self, worker: Light) -> None:
        """Deliver what is done and ask for what can be held."""
        worker.seq += 1
        running = tuple(job.lease for job in worker.held)
        room = worker.prefetch - len(running)
        wait_s = 0.0 if running else WAIT_S
        request = Request(worker.seq, tuple(worker.results), (), running, room, wait_s, worker.turnaround)
        payload = wire.pack_request(worker.session, request)
        data = MSGPACK.dumps_call(MASTER_OBJECT, "exchange", (payload,), {})
        worker.waiting, worker.asked = True, time.monotonic()
        try:
            worker.line._sock.send(frames.build(frames.INVOKE, MSGPACK.number, worker.seq & 0xFFFF, data))
        except OSError:
            self.lose(worker)

    def lose(self, worker: Light) -> None:
        """Try again after a random pause."""
        if worker.line is not None:
            self.selector.unregister(worker.line._sock)
            worker.line.close()
            worker.line = None
        self.at(time.monotonic() + random.uniform(0.0, worker.pause), worker, "connect")
        worker.pause = min(5.0, 2 * worker.pause)

    def read(self, worker: Light) -> None:
        """Take what has arrived."""
        try:
            while True:
                data = worker.line._sock.recv(1 << 16)
                if not data:
                    self.lose(worker)
                    return
                worker.incoming += data
        except _WOULD_BLOCK:
            pass
        except OSError:
            self.lose(worker)
            return
        while len(worker.incoming) >= frames.HEADER_BYTES:
            head = frames.read_head(worker.incoming)
            if len(worker.incoming) < head.n_bytes:
                return
            body = bytes(worker.incoming[frames.HEADER_BYTES : head.n_bytes])
            del worker.incoming[: head.n_bytes]
            self.answered(worker, wire.unpack(MSGPACK.loads(body)))

    def answered(self, worker: Light, reply: Any) -> None:
        """Begin jobs, forget what is acknowledged."""
        now = time.monotonic()
        worker.waiting = False
        self.exchanges += 1
        if reply[0] != "ok":
            raise SystemExit(f"the master says {reply}")
        answer = wire.unpack_answer(reply[1])
        worker.epochs.update((job.lease, worker.epoch) for job in answer.jobs)
        if answer.jobs and worker.held:
            worker.turnaround = now - worker.asked
        if answer.jobs:
            self.turnarounds.append(now - worker.asked)
        acked = set(answer.acks)
        self.acknowledged += acked
        for lease in acked:
            worker.epochs.pop(lease, None)
        worker.results = [(lease, outcome) for lease, outcome in worker.results if lease not in acked]
        worker.prefetch = max(1, answer.prefetch)
        if answer.stop is not None:
            self.stopped = True
            return
        was_idle = not worker.held
        worker.held.extend(answer.jobs)
        if worker.held and was_idle:
            self.begin(worker, now)
        if not worker.held:
            self.exchange(worker)

    def begin(self, worker: Light, now: float) -> None:
        """Start the first held job; jobs differ a little, so that workers do not move in step."""
        worker.job_s = self.job_s * random.uniform(0.8, 1.2)
        self.at(now + worker.job_s, worker, "finish")

    def finish(self, worker: Light) -> None:
        """End the running job, begin the next one, and tell the master."""
        now = time.monotonic()
        job = worker.held.popleft()
        loss = sum(value for value in job.config.values() if isinstance(value, float)) + 1.0 / job.budget
        worker.results.append((job.lease, Completed(loss, {}, worker.job_s)))
        worker.busy_s += worker.job_s
        self.finished += 1
        if worker.held:
            self.begin(worker, now)
        if worker.line is not None and not worker.waiting and len(worker.held) <= worker.prefetch // 2:
            self.exchange(worker)

    def run(self, seconds: float) -> None:
        """Work for a while."""
        end = time.monotonic() + seconds
        while not self.stopped and (now := time.monotonic()) < end:
            while self.due and self.due[0][0] <= now:
                _, _, worker, what = heapq.heappop(self.due)
                if what == "finish":
                    self.finish(worker)
                elif worker.line is None:
                    try:
                        self.connect(worker)
                    except BohbError:
                        self.lose(worker)
            wait = (self.due[0][0] if self.due else end) - time.monotonic()
            for key, _ in self.selector.select(min(0.1, max(0.0, wait))):
                if key.data.line is not None:
                    self.read(key.data)

    def take_figures(self) -> dict[str, Any]:
        """What was seen since the last time."""
        now, cpu = time.monotonic(), time.process_time()
        wall = now - self._since[0]
        turnarounds = sorted(self.turnarounds) or [0.0]
        figures = {
            "wall_s": wall,
            "own_cpu_s": cpu - self._since[1],
            "connected": sum(worker.line is not None for worker in self.workers),
            "exchanges": self.exchanges,
            "jobs": self.finished,
            "busy": sum(worker.busy_s for worker in self.workers) / wall / len(self.workers),
            "turnaround_p50_ms": 1e3 * statistics.median(turnarounds),
            "turnaround_p99_ms": 1e3 * turnarounds[int(0.99 * (len(turnarounds) - 1))],
            "acknowledged": self.acknowledged,
        }
        self.exchanges = self.finished = 0
        self.turnarounds, self.acknowledged = [], []
        for worker in self.workers:
            worker.busy_s = 0.0
        self._since = (now, cpu)
        return figures


def main() -> None:
    """Connect, then work for so many seconds as each line of stdin says, and tell what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("--credentials", type=Path)
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--job", type=float, default=1.0, help="seconds of a job")
    arguments = parser.parse_args()
    fleet = LightFleet(arguments.address, arguments.credentials, arguments.workers, arguments.job)
    fleet.connect_all()
    print(json.dumps(fleet.take_figures()), flush=True)
    for line in sys.stdin:
        fleet.run(float(line))
        print(json.dumps(fleet.take_figures()), flush=True)


if __name__ == "__main__":
    main()
