"""A machine is told from all others by its boot and its table of processes, not by its name."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bohb_service.machine import machine_id

ASK = [sys.executable, "-c", "from bohb_service.machine import machine_id; print(machine_id())"]


def test_all_processes_of_a_machine_are_told_the_same(monkeypatch):
    told = subprocess.run(ASK, capture_output=True, text=True, check=True).stdout.strip()
    assert told == machine_id()
    monkeypatch.setattr(socket, "gethostname", lambda: "renamed")
    assert machine_id() == told


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="only root can make a table of processes"
)
def test_a_container_of_the_same_name_and_boot_is_another_machine():
    container = ["unshare", "--pid", "--fork"]
    if subprocess.run([*container, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let us make a table of processes")
    told = subprocess.run([*container, *ASK], capture_output=True, text=True, check=True).stdout.strip()
    assert told != machine_id()
    assert told.rpartition("-")[0] == machine_id().rpartition("-")[0]


def test_where_the_system_tells_neither_it_is_the_host_name(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda *_: (_ for _ in ()).throw(FileNotFoundError))
    assert machine_id() == socket.gethostname()
