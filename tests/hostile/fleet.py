"""A small well-behaved fleet in a process of its own: eight light workers that count what they get done.

    python fleet.py HOST:PORT STUDY CREDENTIALS COUNTERS

Each takes a job, says ten times that it is alive, and completes it, with a short pause after each exchange. Counters
are doubles in a file that the parent maps: of each worker exchanges, their seconds, jobs, failures, and the longest
exchange since the parent last set it to zero.
"""

import mmap
import os
import socket
import sys
import threading
import time
from pathlib import Path

from bohb_service._version import VERSION
from bohb_service.errors import BohbError
from bohb_service.rpc.access import Access
from bohb_service.rpc.client import MasterClient
from bohb_service.rpc.locate import ByNameServer
from bohb_service.rpc.messages import Request, WorkerInfo
from bohb_service.scheduler.outcomes import Completed
from bohb_service.security.credentials import load_credentials

WORKERS = 8
COLUMNS = 5
HEARTBEATS = 10
PAUSE_S = 0.01


def work(number: int, connect: ByNameServer, row: "memoryview[float]") -> None:
    """One worker, until the process is killed."""
    client = MasterClient(connect)
    info = WorkerInfo(f"good-{number}", socket.gethostname(), os.getpid(), time.time(), VERSION)
    seq = 0

    def exchange(**request):
        nonlocal seq
        seq += 1
        began = time.perf_counter()
        answer = client.exchange(Request(seq, **request))
        seconds = time.perf_counter() - began
        if not request.get("wait_s"):  # nothing but the master's and the network's time
            row[0] += 1
            row[1] += seconds
            row[4] = max(row[4], seconds)
        time.sleep(PAUSE_S)
        return answer

    is_registered = False
    while True:
        try:
            if not is_registered:
                client.register(info)
                is_registered = True
            for job in exchange(max_jobs=1, wait_s=1.0).jobs:
                for _ in range(HEARTBEATS):
                    exchange(running=(job.lease,))
                exchange(results=((job.lease, Completed(job.config["x"], {"worker": number}, 0.1)),))
                row[2] += 1
        except BohbError as error:
            row[3] += 1
            is_registered = False
            print(error, file=sys.stderr, flush=True)
            time.sleep(0.05)


def main() -> None:
    """Work until killed."""
    address, study, credentials, counters = sys.argv[1:]
    access = Access("worker", load_credentials(Path(credentials), "worker"))
    with Path(counters).open("r+b") as file:
        table = memoryview(mmap.mmap(file.fileno(), 8 * WORKERS * COLUMNS)).cast("d")
    for number in range(WORKERS):
        row = table[number * COLUMNS : (number + 1) * COLUMNS]
        threading.Thread(target=work, args=(number, ByNameServer(address, study, access), row)).start()


if __name__ == "__main__":
    main()
