"""What commands are told of a run, and that they never reach the master of another one."""

import json
import os
import socket

import pytest

from bohb_service.api.status import check_health, run_status, stop_run
from bohb_service.errors import JournalError, MasterUnreachableError
from bohb_service.journal.run_directory import MasterAddress, RunDirectory
from bohb_service.master.opening import open_run
from bohb_service.study import Study
from bohb_service.testing.clock import ManualClock
from bohb_service.worker.describe import Description
from tests.house import houses
from tests.peers import serving

STUDY = Study.from_json(
    json.dumps(
        {"name": "small", "worker": "module:Class", "space": {"x": [0.0, 1.0]}, "fidelity": {"min": 1, "max": 9}}
    )
)


@pytest.fixture
def directory(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    directory.prepare()
    open_run(STUDY, directory, lambda: Description(None, refit=False), ManualClock()).journal.close()
    return directory


@pytest.fixture
def master():
    with houses() as make:
        yield make().master


@pytest.fixture
def server(master):
    with serving(master) as server:
        yield server


def tell(directory, port, study_id):
    address = MasterAddress("127.0.0.1", port, "study", study_id, os.getpid(), socket.gethostname(), "127.0.0.1")
    directory.write_address(address)


def test_a_master_that_serves_the_run_is_asked(directory, master, server):
    tell(directory, server.port, "id")
    told = run_status(directory.path)
    assert told.pop("master") == {
        "host": "127.0.0.1",
        "port": server.port,
        "pid": os.getpid(),
        "hostname": socket.gethostname(),
    }
    refused = told.pop("refused")
    assert told == master.status() | {"security": "loopback", "connections": 1, "certificate_days": None}
    assert refused == {}
    stop_run(directory.path)
    assert master.end == "interrupted"


def test_the_master_of_another_run_on_the_same_port_is_left_alone(directory, master, server):
    tell(directory, server.port, "another")
    told = run_status(directory.path)
    assert (told["master"], told["study"]) == (None, "small")
    with pytest.raises(MasterUnreachableError, match="belongs to another"):
        stop_run(directory.path)
    assert not master.is_draining


def test_where_no_master_answers_the_journal_tells(directory, server):
    port = server.port
    server.close()
    tell(directory, port, "id")
    told = run_status(directory.path)
    assert (told["master"], told["study"], told["evaluations"]["started"]) == (None, "small", 0)
    with pytest.raises(MasterUnreachableError, match="nobody answers at"):
        stop_run(directory.path)


def test_without_a_master_there_is_nothing_to_stop(directory):
    assert run_status(directory.path)["master"] is None
    with pytest.raises(MasterUnreachableError, match="there is nothing to stop"):
        check_health(directory.path)
    with pytest.raises(MasterUnreachableError, match="there is nothing to stop"):
        stop_run(directory.path)


@pytest.mark.parametrize("call", [run_status, stop_run])
def test_where_there_is_no_run_that_is_said(tmp_path, call):
    with pytest.raises(JournalError, match="there is no journal at"):
        call(tmp_path)
    assert list(tmp_path.iterdir()) == []
