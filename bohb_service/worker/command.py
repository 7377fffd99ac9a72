"""A worker process from its options: what the command `bohb-worker` does."""

import os
import secrets
import socket
from pathlib import Path

import psutil

from bohb_service import log_context
from bohb_service._version import VERSION
from bohb_service.clock import seconds_after_boot
from bohb_service.machine import machine_id
from bohb_service.rpc.client import MasterClient
from bohb_service.rpc.locate import Connect
from bohb_service.rpc.messages import WorkerInfo
from bohb_service.worker.runner import WorkerRunner


def run_worker(
    connect: Connect,
    *,
    spec: str = "",
    name: str | None = None,
    scratch: Path | None = None,
    orphan_timeout_s: float = 3600.0,
    logs: Path | None = None,
) -> int:
    """Work for a master until the study ends; the exit code.

    Args:
        connect: Finds the master and connects to it.
        spec: Worker class; empty for the study's.
        name: Unique name; by default host, process id and a few letters.
        scratch: Parent of the directories of configurations where the master's folder is not visible.
        orphan_timeout_s: How long to go on without a master, be it lost or not there yet.
        logs: Folder for the output of objectives; by default beside the directories of configurations.
    """
    host = socket.gethostname()
    info = WorkerInfo(
        worker=name or f"{host}-{os.getpid()}-{secrets.token_hex(2)}",
        host=host,
        pid=os.getpid(),
        started=seconds_after_boot(psutil.Process()),
        version=VERSION,
        spec=spec,
        machine=machine_id(),
    )
    log_context.bind(worker=info.worker)
    runner = WorkerRunner(MasterClient(connect), info, scratch=scratch, logs=logs, orphan_timeout_s=orphan_timeout_s)
    return runner.run()
