"""The test bed itself: hosts reach each other, faults are what they are called, nothing stays behind."""

import signal
import subprocess
import sys

import psutil
import pytest

from tests.network.hosts import Network
from tests.polling import wait_until

pytestmark = pytest.mark.netns

_LISTEN = """
import selectors, socket
ready = selectors.DefaultSelector()
for port in (9090, 9091):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    ready.register(listener, selectors.EVENT_READ)
while True:
    for key, _ in ready.select():
        key.fileobj.accept()
"""
_CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3]))
except OSError as error:
    print(type(error).__name__)
else:
    print("connected")
"""


def _connect(host, address, port=9090, seconds=5.0):
    """What becomes of an attempt to connect from a host."""
    return host.run(sys.executable, "-S", "-c", _CONNECT, address, port, seconds).strip()


@pytest.fixture
def listening(network, run_cli):
    """The network; its hosts take connections at ports 9090 and 9091."""
    for host in (network.head, *network.nodes):
        run_cli.start(*host.command(sys.executable, "-S", "-c", _LISTEN))
        wait_until(lambda host=host: _connect(host, "127.0.0.1", 9091) == "connected")
    return network


@pytest.mark.parametrize("family", ["address", "address6"])
def test_faults_come_and_go(listening, family):
    head, (node, other) = listening.head, listening.nodes
    address = getattr(head, family)
    assert _connect(node, address) == _connect(other, address) == "connected"
    for fail in (node.vanish, node.go_deaf, lambda: node.lose(1.0)):
        fail()
        assert _connect(node, address, seconds=0.2) == "TimeoutError"
        assert _connect(other, address) == "connected"
        node.heal()
        assert _connect(node, address) == "connected"
    node.link(up=False)
    assert _connect(node, address) == "OSError"  # no route
    node.link(up=True)
    assert _connect(node, address) == "connected"


@pytest.mark.parametrize("family", ["address", "address6"])
def test_only_the_allowed_port_is_open(listening, family):
    head, (node, other) = listening.head, listening.nodes
    assert _connect(node, getattr(head, family), 9091) == "connected"
    assert _connect(other, getattr(node, family), 9090) == "connected"
    head.allow_only(9090)
    node.allow_only_outgoing()
    assert _connect(node, getattr(head, family), 9090) == "connected"
    assert _connect(node, getattr(head, family), 9091) == "ConnectionRefusedError"
    assert _connect(other, getattr(node, family), 9090) == "ConnectionRefusedError"


def test_each_host_has_its_name_and_nothing_of_this_machine(network):
    assert [host.run("hostname").strip() for host in (network.head, *network.nodes)] == ["head", "node1", "node2"]
    assert _connect(network.nodes[0], "192.0.2.1") == "OSError"


def test_a_killed_process_leaves_a_network_that_the_next_one_removes(network):
    code = (
        "import subprocess, sys, time\n"
        "from tests.network.hosts import Network\n"
        "with Network.create() as made:\n"
        "    sleeper = subprocess.Popen(made.nodes[0].command('sleep', '300'))\n"
        "    while not made.nodes[0].pids(): pass\n"
        "    print(sleeper.pid, flush=True)\n"
        "    time.sleep(300)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as owner:
        sleeper = psutil.Process(int(owner.stdout.readline()))
        owner.kill()
    mark = f"bohb-{owner.pid}-"
    assert mark in subprocess.check_output(["ip", "netns", "list"], text=True)
    with Network.create() as made:
        present = subprocess.check_output(["ip", "netns", "list"], text=True)
        assert mark not in present
        assert network.head.namespace in present
        assert made.head.namespace in present
    assert made.head.namespace not in subprocess.check_output(["ip", "netns", "list"], text=True)
    psutil.wait_procs([sleeper], timeout=10)
    assert not sleeper.is_running() or sleeper.status() == psutil.STATUS_ZOMBIE


def test_processes_on_a_host_end_with_the_network():
    with Network.create(1) as made:
        process = subprocess.Popen(made.head.command("sleep", "300"))
        wait_until(lambda: process.pid in made.head.pids())
    assert process.wait(10) == -signal.SIGKILL
