"""Several hosts, and what happens between them: nothing acknowledged is lost, nothing is counted twice."""

import sys
import time
from pathlib import Path

import pytest

from bohb_service.results.run import load_run
from bohb_service.rpc.pyro import format_address
from bohb_service.scheduler.events import TrialLeased
from tests.acceptance.study_files import events_of, outcomes, requeues
from tests.network.cluster import PORT
from tests.polling import wait_until

pytestmark = pytest.mark.netns

PLAN = 9 + 3 + 1 + 5 + 1 + 3
DELAY_S = 0.05


def _check_each_once(cluster, n_trials):
    """Every trial of the plan is completed, by one result."""
    found = outcomes(cluster.run)
    assert len({trial for trial, _ in found}) == len(found) == n_trials
    assert {str(trial.state) for trial in load_run(cluster.run).trials} == {"completed"}


def _check_all_ended_well(*commands):
    for command in commands:
        result = command.wait()
        assert result.returncode == 0, result.stderr


def _first_trial_on(cluster, node):
    """The trial and the lease that a held node was given first."""
    trial = cluster.wait_for("begin", node.name).trial
    leased = [e for e in events_of(cluster.run, TrialLeased) if str(e.trial) == trial and e.worker == node.name]
    return trial, leased[0].lease


def _start_held(cluster, n_trials, *held, **terms):
    """A study of so many trials with both nodes at work on their first ones, which are held.

    Args:
        cluster: Where.
        n_trials: How many.
        held: Trials that are held later.
        terms: Of the master.

    Returns:
        Trial and lease of each node, the master, and the workers.
    """
    cluster.write_plain_study(n_trials)
    cluster.hold(*(node.name for node in cluster.nodes), *held)
    master = cluster.start_master("--min-workers", 2, **terms)
    workers = [cluster.start_worker(node) for node in cluster.nodes]
    return [_first_trial_on(cluster, node) for node in cluster.nodes], master, workers


def _wait_for_expiry(cluster, trial, node, lease_s):
    """Wait until the lease of a silent worker has expired, with the reason told."""
    expected = (trial, "lost", f"no sign of life from worker {node.name} for {lease_s:g} s")
    wait_until(lambda: _losses(cluster) == [expected], seconds=30)


def _losses(cluster):
    """Trial, reason and message of each lost lease; what was fetched ahead and given back is no loss."""
    return [(str(e.trial), e.reason, e.message) for e in requeues(cluster.run) if e.reason != "unstarted"]


def _wait_for_log(command, message):
    wait_until(lambda: f'"{message}"' in command.stderr, seconds=30)


def _break_and_heal(cluster, node, worker):
    """Have a worker that sends into the void lose its connection, which it would only notice after half a minute."""
    node.break_connections()
    _wait_for_log(worker, "waiting for the master")
    healed_at = time.monotonic()
    node.heal()
    cluster.wait_until_heard(node, healed_at)


@pytest.mark.parametrize("family", ["address", "address6"])
def test_one_open_port_on_the_head_is_enough(cluster, family):
    cluster.write_study()
    cluster.head.allow_only(PORT)
    for node in cluster.nodes:
        node.allow_only_outgoing()
    host = getattr(cluster.head, family)
    master = cluster.start_master("--min-workers", 2, host=host)
    workers = [cluster.start_worker(node, name_server=format_address(host, PORT)) for node in cluster.nodes]
    _check_all_ended_well(master, *workers)
    _check_each_once(cluster, PLAN)
    assert {entry.host for entry in cluster.entries("end")} == {"node1", "node2"}
    assert not _losses(cluster)


def test_a_host_vanishes_in_a_job_which_is_done_again_elsewhere_and_dropped_when_the_host_is_back(cluster):
    node, other = cluster.nodes
    ((trial, _), _), master, workers = _start_held(cluster, 9, "6.0", "7.0", lease=3.0)
    cluster.release(other.name)
    node.vanish()
    _wait_for_expiry(cluster, trial, node, 3.0)
    cluster.release("6.0")
    assert cluster.wait_for("end", other.name, trial).attempt == 2
    cluster.wait_for("begin", other.name, "7.0")
    node.heal()
    _wait_for_log(workers[0], "job dropped")
    cluster.release(node.name)
    cluster.wait_for("end", node.name, "8.0")
    cluster.release("7.0")
    _check_all_ended_well(master, *workers)
    _check_each_once(cluster, 9)
    assert [entry.host for entry in cluster.entries("end", trial=trial)] == [other.name]


@pytest.mark.parametrize("first", ["late", "repeated"])
def test_a_host_vanishes_while_it_delivers_and_the_first_result_wins(cluster, first):
    """The result that is late for its lease, or that of the attempt that was made elsewhere meanwhile."""
    node, other = cluster.nodes
    ((trial, lease), _), master, workers = _start_held(cluster, 5, "3.0", "4.0", lease=3.0)
    cluster.release(other.name)
    if first == "late":
        cluster.hold(f"{trial}-2")
    node.vanish()
    cluster.release(node.name)
    cluster.wait_for("end", node.name, trial)
    _wait_for_expiry(cluster, trial, node, 3.0)
    cluster.release("3.0")
    cluster.wait_for("begin", other.name, trial)
    if first == "late":
        _break_and_heal(cluster, node, workers[0])
        wait_until(lambda: (trial, lease) in outcomes(cluster.run))
        _wait_for_log(workers[1], "lease lost")
    else:
        wait_until(lambda: trial in dict(outcomes(cluster.run)))
        _break_and_heal(cluster, node, workers[0])
    cluster.release("4.0")
    _check_all_ended_well(master, *workers)
    _check_each_once(cluster, 5)
    assert (dict(outcomes(cluster.run))[trial] == lease) == (first == "late")
    assert not any("not delivered" in each.stderr for each in workers)


def test_an_answer_is_lost_and_neither_the_result_nor_the_new_lease_that_it_told_of(cluster):
    node, other = cluster.nodes
    (held, _), master, workers = _start_held(cluster, 3)
    # The first heartbeat is far, so no answer is under way.
    node.go_deaf()
    cluster.release(node.name)
    wait_until(lambda: len(events_of(cluster.run, TrialLeased)) == 3)
    assert held in outcomes(cluster.run)
    node.break_connections()
    _wait_for_log(workers[0], "waiting for the master")
    assert not cluster.entries("begin", trial="2.0")
    node.heal()
    cluster.wait_for("end", node.name, "2.0")
    cluster.release(other.name)
    _check_all_ended_well(master, *workers)
    _check_each_once(cluster, 3)
    assert len(cluster.entries("begin")) == 3
    assert not _losses(cluster)


def test_a_host_vanishes_while_idle_and_the_job_sent_to_it_is_done_elsewhere(cluster):
    """Keepalive notices it within half a minute, long before the lease expires."""
    node, other = cluster.nodes
    cluster.write_plain_study(6)
    cluster.hold("5.0")
    master = cluster.start_master("--min-workers", 3, grace=1.0)
    cluster.start_worker(node)
    workers = [cluster.start_worker(other)]
    wait_until(lambda: len(cluster.status()["workers"]) == 2, seconds=30)
    node.vanish()
    workers.append(cluster.start_worker(cluster.head))
    wait_until(lambda: _losses(cluster), seconds=50)
    reason = "its connection broke and it did not return within 1 s"
    assert cluster.status()["lost_workers"] == [{"name": node.name, "reason": reason}]
    cluster.release("5.0")
    _check_all_ended_well(master, *workers)
    _check_each_once(cluster, 6)
    assert not cluster.entries("begin", node.name)
    assert [message for _, _, message in _losses(cluster)] == [f"worker {node.name}: {reason}"]


def test_what_arrives_late_over_an_old_connection_does_not_make_a_worker_lost(cluster):
    """As after a break of the line: the kernel sends the old request again after the worker has reconnected."""
    node = cluster.nodes[0]
    cluster.write_plain_study(1)
    cluster.hold(node.name)
    master = cluster.start_master(lease=12.0, grace=0.5)
    worker = cluster.start_worker(node)
    cluster.wait_for("begin")
    (old,) = node.connections()
    node.silence(old)
    _wait_for_log(worker, "waiting for the master")
    _wait_for_log(worker, "master reached")
    assert old in node.connections()
    node.heal()
    wait_until(lambda: old not in node.connections(), seconds=20)
    cluster.wait_until_heard(node, time.monotonic())
    assert not cluster.status()["lost_workers"]
    cluster.release(node.name)
    _check_all_ended_well(master, worker)
    assert not _losses(cluster)
    assert len(cluster.entries("begin")) == 1


def test_a_link_is_down_for_ten_seconds_and_the_job_goes_on(cluster):
    node, other = cluster.nodes
    ((trial, lease), _), master, workers = _start_held(cluster, 4, "3.0", lease=24.0)
    cluster.release(other.name)
    node.link(up=False)
    time.sleep(10.0)  # the fault itself
    up_at = time.monotonic()
    node.link(up=True)
    cluster.wait_until_heard(node, up_at)
    cluster.release(node.name, "3.0")
    _check_all_ended_well(master, *workers)
    _check_each_once(cluster, 4)
    assert (trial, lease) in outcomes(cluster.run)
    assert len(cluster.entries("begin")) == 4
    assert not _losses(cluster)


def test_the_master_is_killed_and_back_while_the_workers_hold_their_results(cluster):
    held, first, workers = _start_held(cluster, 6)
    first.process.kill()
    first.process.wait()
    cluster.release("node1", "node2")
    for node, (trial, _) in zip(cluster.nodes, held, strict=True):
        cluster.wait_for("end", node.name, trial)
    assert not outcomes(cluster.run)
    master = cluster.start_master()
    _check_all_ended_well(master, *workers)
    _check_each_once(cluster, 6)
    assert set(held) <= set(outcomes(cluster.run))
    assert len(cluster.entries("begin")) == 6
    assert not _losses(cluster)


def test_a_study_ends_well_over_a_line_that_loses_packets(cluster):
    cluster.write_study()
    master = cluster.start_master("--min-workers", 2)
    workers = [cluster.start_worker(node) for node in cluster.nodes]
    for node in cluster.nodes:
        node.lose(0.15)
    _check_all_ended_well(master, *workers)
    _check_each_once(cluster, PLAN)
    assert {entry.host for entry in cluster.entries("end")} == {"node1", "node2"}


_SECONDS_TO_REFUSAL = """
import socket, sys, time
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as connection:
    began = time.monotonic()
    connection.sendall(b"GET / HTTP/1.1\\r\\nHost: head\\r\\nAccept: everything\\r\\n\\r\\n")
    connection.recv(1)
print(time.monotonic() - began)
"""


def test_a_study_ends_well_over_a_long_line(cluster):
    cluster.write_study()
    delay = (sys.executable, Path(__file__).with_name("delay.py"), PORT + 1, cluster.head.address, PORT, DELAY_S)
    cluster.start(cluster.head, *delay)
    cluster.head.redirect(PORT, PORT + 1)
    master = cluster.start_master("--min-workers", 2)
    workers = [cluster.start_worker(node) for node in cluster.nodes]
    probe = cluster.nodes[0].run(sys.executable, "-S", "-c", _SECONDS_TO_REFUSAL, cluster.head.address, PORT)
    assert float(probe) > 2 * DELAY_S
    _check_all_ended_well(master, *workers)
    _check_each_once(cluster, PLAN)
    assert not _losses(cluster)


def test_an_external_name_server_may_die_once_the_workers_are_connected(cluster):
    cluster.write_plain_study(6)
    cluster.hold("node1", "node2")
    cluster.head.allow_only(PORT, PORT + 1)
    name_server = format_address(cluster.head.address, PORT + 1)
    stock = (sys.executable, "-m", "Pyro5.nameserver", "-n", cluster.head.address, "-p", PORT + 1, "-x")
    names = cluster.start(cluster.head, *stock)
    wait_until(lambda: "NS running on" in names.stdout)
    master = cluster.start_master("--nameserver", name_server)
    workers = [cluster.start_worker(node, name_server=name_server) for node in cluster.nodes]
    for node in cluster.nodes:
        cluster.wait_for("begin", node.name)
    names.process.kill()
    names.process.wait()
    cluster.release("node1", "node2")
    _check_all_ended_well(master, *workers)
    _check_each_once(cluster, 6)
    assert len(cluster.entries("begin")) == 6
    assert not _losses(cluster)
