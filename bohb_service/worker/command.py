"""A worker process from its options: what the command `bohb-worker` does."""

import os
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path

import psutil

from bohb_service import log_context
from bohb_service._version import VERSION
from bohb_service.clock import seconds_after_boot
from bohb_service.machine import machine_id
from bohb_service.rpc.client import MasterClient
from bohb_service.rpc.locate import Connect
from bohb_service.rpc.messages import WorkerInfo
from bohb_service.scheduler.needs import Label
from bohb_service.worker.labels import own_labels
from bohb_service.worker.runner import GRACE_S, WorkerRunner


def default_name() -> str:
    """A name that no other worker has: host, process id and a few letters."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"


def run_worker(
    connect: Connect,
    *,
    spec: str = "",
    name: str | None = None,
    scratch: Path | None = None,
    orphan_timeout_s: float = 3600.0,
    grace_s: float = GRACE_S,
    logs: Path | None = None,
    labels: Mapping[str, Label] | None = None,
) -> int:
    """Work for a master until the study ends; the exit code.

    Args:
        connect: Finds the master and connects to it.
        spec: Worker class; empty for the study's.
        name: Unique name; by default host, process id and a few letters.
        scratch: Parent of the directories of configurations where the master's folder is not visible.
        orphan_timeout_s: How long to go on without a master, be it lost or not there yet.
        grace_s: How long the running evaluation may go on after SIGTERM or SIGUSR1.
        logs: Folder for the output of objectives; by default beside the directories of configurations.
        labels: What it has of that which trials may need, beside what is found.
    """
    info = WorkerInfo(
        worker=name or default_name(),
        host=socket.gethostname(),
        pid=os.getpid(),
        started=seconds_after_boot(psutil.Process()),
        version=VERSION,
        spec=spec,
        machine=machine_id(),
        labels=own_labels(labels or {}),
    )
    log_context.bind(worker=info.worker)
    return WorkerRunner(
        MasterClient(connect), info, scratch=scratch, logs=logs, orphan_timeout_s=orphan_timeout_s, grace_s=grace_s
    ).run()
