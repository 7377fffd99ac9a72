"""What the master does when something of its own, or of a peer, is not as it should be."""

import contextlib
import json
import math

import pytest

from bohb_service.api.status import run_status, stop_run
from bohb_service.errors import MasterUnreachableError, UnknownSessionError
from bohb_service.journal.run_directory import MasterAddress, RunDirectory
from bohb_service.journal.sqlite import SqliteJournal
from bohb_service.optimizer.brackets import FullBudgetSchedule
from bohb_service.rpc import wire
from bohb_service.rpc.messages import Request
from bohb_service.scheduler.events import TrialCompleted, TrialRequeued
from bohb_service.scheduler.outcomes import Completed, Released
from tests.house import Peer
from tests.peers import registered_worker, stock_proxy
from tests.polling import wait_until


def test_a_lease_that_its_worker_never_got_goes_back_when_the_worker_does(house):
    here = house()
    job = Peer(here).ask().jobs[0]
    back = Peer(here, running=())
    assert not here.scheduler.state.holds(job.lease, "w")
    again = back.ask().jobs[0]
    assert (again.trial, again.attempt) == (job.trial, 1)
    assert here.events(TrialRequeued)[0].reason == "unstarted"


def test_after_an_error_nothing_more_is_acknowledged(house):
    here = house()
    one, other = Peer(here, "one"), Peer(here, "other")
    jobs = [peer.ask().jobs[0] for peer in (one, other)]
    here.master.fail(RuntimeError("a bug"))
    answers = one.say(results=((jobs[0].lease, Completed(0.5)),), max_jobs=1, wait_s=0.0)
    answers += other.say(results=((jobs[1].lease, Completed(0.5)),), max_jobs=0, wait_s=0.0)
    here.master.disconnected(one.session)
    here.master.goodbye(other.session, (), "bye")
    here.clock.advance(1000)
    here.master.tick()
    here.pump()
    assert not answers
    assert not here.events(TrialCompleted)
    assert not here.events(TrialRequeued)
    assert isinstance(here.master.error, RuntimeError)


def test_an_outcome_of_somebody_elses_lease_is_not_taken(house):
    here = house()
    one, other = Peer(here, "one"), Peer(here, "other")
    job = one.ask().jobs[0]
    other.ask(results=((job.lease, Completed(0.0)),))
    assert not here.events(TrialCompleted)
    one.ask(results=((job.lease, Completed(0.5)),))
    assert [event.loss for event in here.events(TrialCompleted)] == [0.5]


def test_no_job_is_given_to_a_worker_whose_connection_is_broken(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=1)
    busy, broken, idle = Peer(here, "busy"), Peer(here, "broken"), Peer(here, "idle")
    job = busy.ask().jobs[0]
    broken.say(max_jobs=1, wait_s=20.0)
    waiting = idle.say(max_jobs=1, wait_s=20.0)
    here.master.disconnected(broken.session)
    busy.ask(results=((job.lease, Released("preempted", "evicted")),), max_jobs=0, wait_s=0.0)
    here.pump(lambda: waiting)
    assert waiting[0].jobs[0].trial == job.trial


def test_the_end_of_an_old_connection_does_not_evict_a_worker_that_has_a_new_one(server, service):
    old, new = registered_worker(server), registered_worker(server)
    new.exchange(Request(1))
    old.close()
    wait_until(lambda: server.loop.n_connections == 1)
    assert not service.gone
    new.close()
    wait_until(lambda: service.gone == ["s1"])


def test_a_connection_stands_for_one_session_only(server, service):
    client = registered_worker(server)
    for session in ("unheard", "of", "s1"):
        client._session = session
        with contextlib.suppress(UnknownSessionError):
            client.exchange(Request(1))
    known = server._daemon.objectsById["bohb.master"]._connections
    assert (list(known), service.gone) == (["s1"], ["s1", "unheard", "of"])
    client.close()
    wait_until(lambda: service.gone == ["s1", "unheard", "of", "s1"])  # each lost it to the next
    assert not known


@pytest.mark.parametrize(
    "outcome",
    [
        ["completed", math.nan, {}, 1.0, [], 0.0],
        ["completed", math.inf, {}, 1.0, [], 0.0],
        ["completed", True, {}, "x", [], 0.0],
        ["completed", 0.5, {"a": b"bytes"}, 1.0, [], 0.0],
        ["completed", 0.5, {"a": [{"b": {1: 2}}]}, 1.0, [], 0.0],
        ["completed", 0.5, {}, math.nan, [], 0.0],
        ["completed", 0.5, {}, -1.0, [], 0.0],
        ["completed", 0.5, {}, 1.0, [[1.0]], 0.0],
        ["failed", "no such reason", "", "", 1.0, []],
        ["released", "bored", ""],
    ],
)
def test_a_malformed_outcome_is_refused_and_harms_nobody(server, service, outcome):
    with stock_proxy(server) as proxy:
        reply = wire.unpack(proxy.exchange(wire.pack(["s1", 1, [[0, outcome]], [], [], 0, 0.0])))
    assert reply[:2] == ["error", "protocol"]
    assert not service.failed
    assert not service.requests


@pytest.mark.parametrize("pid", [0, -1, 2**40])
def test_an_impossible_process_id_is_refused(server, pid):
    with stock_proxy(server) as proxy:
        reply = wire.unpack(proxy.register(wire.pack(["w", "h", pid, 0.0, "0", 1, "", []])))
    assert reply[:2] == ["error", "protocol"]


@pytest.mark.parametrize("argument", ["text", 5, None, [1, 2]])
def test_an_argument_that_is_no_bytes_is_refused(server, service, argument):
    with stock_proxy(server) as proxy:
        assert wire.unpack(proxy.exchange(argument))[:2] == ["error", "protocol"]
    assert not service.failed


def test_a_bug_in_the_service_ends_the_run_and_is_no_hang(server, service):
    service.exchange = lambda *_: 1 / 0
    client = registered_worker(server)
    with pytest.raises(MasterUnreachableError, match="ZeroDivisionError"):
        client.exchange(Request(1))
    client.close()
    assert isinstance(service.failed[0], ZeroDivisionError)
    server.loop.post(lambda: 1 / 0)
    wait_until(lambda: len(service.failed) == 2)


def test_a_port_that_belongs_to_another_run_by_now_is_not_taken_for_this_run(server, service, tmp_path):
    directory = RunDirectory(tmp_path / "run")
    directory.prepare()
    study = {"name": "old", "worker": "m:C", "fidelity": {"min": 1, "max": 3}}
    meta = {"study": json.dumps(study), "study_id": "old", "space": "{}", "refit": "false"}
    SqliteJournal.create(directory.journal, meta).close()
    directory.write_address(MasterAddress("127.0.0.1", server.port, "old", "old", 1, "head", "127.0.0.1"))
    service.status = lambda: {"study": "new", "study_id": "new", "state": "running"}
    assert run_status(directory.path)["study"] == "old"
    with pytest.raises(MasterUnreachableError, match="belongs to another"):
        stop_run(directory.path)
    assert not service.drained.is_set()
