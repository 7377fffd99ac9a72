"""Hosts for tests: network namespaces with addresses, links and faults of their own, joined by a switch.

Nothing here touches the machine's own network: interfaces are made inside the namespaces. Their names begin with the
id of the process that made them, so that the leftovers of a process that was killed are known for what they are.
"""

import contextlib
import functools
import itertools
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

_DEVICE = "eth0"
_BRIDGE = "switch0"
_IP = shutil.which("ip") or "ip"
_FILTERS = ("iptables", "ip6tables")
_numbers = itertools.count()


def _run(*command: object) -> str:
    """The output of a system command.

    Raises:
        OSError: It failed, with its own message, or did not end within a minute.
    """
    try:
        result = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, timeout=60)
    except subprocess.TimeoutExpired as error:
        raise OSError(str(error)) from error
    if result.returncode != 0:
        raise OSError(f"{' '.join(map(str, command))}: {result.stderr.strip() or result.returncode}")
    return result.stdout


@dataclass(frozen=True, slots=True)
class Host:
    """One machine of a test network.

    Attributes:
        name: Its host name, unique in the network.
        namespace: Its network namespace.
        address: Its IPv4 address.
        address6: Its IPv6 address.
    """

    name: str
    namespace: str
    address: str
    address6: str

    def command(self, *command: object) -> list[str]:
        """The command line that runs a command on this host; it replaces itself by the command, same process id."""
        # A machine of its own to the master too, which would see its processes end.
        booted = f"f=$(mktemp) && echo {self.name} >$f && mount --bind $f /proc/sys/kernel/random/boot_id && rm $f"
        as_host = ["unshare", "--uts", "sh", "-c", f'hostname {self.name} && {booted} && exec "$@"', "sh"]
        return [_IP, "netns", "exec", self.namespace, *as_host, *map(str, command)]

    def run(self, *command: object) -> str:
        """The output of a command run on this host.

        Raises:
            OSError: It failed.
        """
        return _run(*self.command(*command))

    def pids(self) -> list[int]:
        """Processes that run on this host."""
        return [int(pid) for pid in _run(_IP, "netns", "pids", self.namespace).split()]

    def connections(self) -> set[int]:
        """Ports of this host's ends of TCP connections, without those that are closed and only waited for."""
        lines = self._in_namespace("ss", "-Hnt", "exclude", "time-wait").splitlines()
        return {int(line.split()[3].rpartition(":")[2]) for line in lines}

    # -- faults, all of which `heal` mends -------------------------------------------------------------------

    def vanish(self) -> None:
        """Neither answer nor ask any more, without a word: what a power cut looks like from outside."""
        self.go_deaf()
        self._filter("-A", "OUTPUT", "-o", _DEVICE, "-j", "DROP")

    def go_deaf(self) -> None:
        """Hear nothing any more, while what is sent still arrives."""
        self._filter("-A", "INPUT", "-i", _DEVICE, "-j", "DROP")

    def silence(self, port: int) -> None:
        """Lose all packets of connections from this local TCP port, and no others."""
        self._filter("-A", "INPUT", "-i", _DEVICE, "-p", "tcp", "--dport", port, "-j", "DROP")
        self._filter("-A", "OUTPUT", "-o", _DEVICE, "-p", "tcp", "--sport", port, "-j", "DROP")

    def break_connections(self) -> None:
        """Reset each connection of this host when it sends something, and refuse new ones; no word of it gets out."""
        self._filter("-I", "OUTPUT", "-o", _DEVICE, "-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset")

    def lose(self, share: float) -> None:
        """Lose this share of the packets, in each direction, at random."""
        at_random = ("-m", "statistic", "--mode", "random", "--probability", share, "-j", "DROP")
        self._filter("-A", "INPUT", "-i", _DEVICE, *at_random)
        self._filter("-A", "OUTPUT", "-o", _DEVICE, *at_random)

    def allow_only(self, *ports: int) -> None:
        """Reject all packets from outside but those to these TCP ports, so that this host cannot connect either."""
        for port in ports:
            self._filter("-A", "INPUT", "-i", _DEVICE, "-p", "tcp", "--dport", port, "-j", "ACCEPT")
        self._reject_others()

    def allow_only_outgoing(self) -> None:
        """Reject every connection from outside, as a host behind NAT does."""
        self._filter("-A", "INPUT", "-i", _DEVICE, "-p", "tcp", "!", "--syn", "-j", "ACCEPT")
        self._reject_others()

    def redirect(self, port: int, to_port: int) -> None:
        """Lead connections from outside to an IPv4 port of this host to another one."""
        rule = ("-i", _DEVICE, "-p", "tcp", "--dport", port, "-j", "REDIRECT", "--to-ports", to_port)
        self._in_namespace("iptables", "-t", "nat", "-A", "PREROUTING", *rule)

    def link(self, *, up: bool) -> None:
        """Plug the cable in or out; the routes go with it."""
        _run(_IP, "-n", self.namespace, "link", "set", "dev", _DEVICE, "up" if up else "down")
        if up:
            # The kernel takes an IPv6 address away with the link.
            _run(_IP, "-n", self.namespace, "addr", "replace", f"{self.address6}/64", "dev", _DEVICE, "nodad")

    def heal(self) -> None:
        """Undo all faults and rules."""
        self._filter("-F")
        self._in_namespace("iptables", "-t", "nat", "-F")
        self.link(up=True)

    def _reject_others(self) -> None:
        # IPv6 finds its neighbours by ICMP.
        self._in_namespace("ip6tables", "-A", "INPUT", "-i", _DEVICE, "-p", "ipv6-icmp", "-j", "ACCEPT")
        self._filter("-A", "INPUT", "-i", _DEVICE, "-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset")
        self._filter("-A", "INPUT", "-i", _DEVICE, "-j", "REJECT")

    def _filter(self, *rule: object) -> None:
        for program in _FILTERS:
            self._in_namespace(program, *rule)

    def _in_namespace(self, *command: object) -> str:
        return _run(_IP, "netns", "exec", self.namespace, *command)


@dataclass(frozen=True, slots=True)
class Network:
    """A head and some nodes; each reaches each other one.

    Attributes:
        head: Where the master belongs.
        nodes: Where the workers belong.
    """

    head: Host
    nodes: list[Host]

    @classmethod
    @contextlib.contextmanager
    def create(cls, n_nodes: int = 2) -> Iterator[Self]:
        """A network that exists until the end of the block, as do the processes on its hosts.

        Raises:
            OSError: This machine or this user cannot make one.
        """
        remove_leftovers()
        prefix = f"bohb-{os.getpid()}-{next(_numbers)}"
        switch = f"{prefix}-switch"
        names = ["head", *(f"node{number}" for number in range(1, n_nodes + 1))]
        hosts = [Host(name, f"{prefix}-{name}", f"10.77.0.{n}", f"fd77::{n}") for n, name in enumerate(names, 1)]
        try:
            _add_namespace(switch)
            _run(_IP, "-n", switch, "link", "add", "name", _BRIDGE, "type", "bridge")
            _run(_IP, "-n", switch, "link", "set", "dev", _BRIDGE, "up")
            for host in hosts:
                _add_host(host, switch)
            yield cls(hosts[0], hosts[1:])
        finally:
            for namespace in (*(host.namespace for host in hosts), switch):
                _remove(namespace)


def _add_namespace(name: str) -> None:
    _run(_IP, "netns", "add", name)
    _run(_IP, "-n", name, "link", "set", "dev", "lo", "up")


def _add_host(host: Host, switch: str) -> None:
    _add_namespace(host.namespace)
    cable = ("type", "veth", "peer", "name", host.name, "netns", switch)
    _run(_IP, "-n", host.namespace, "link", "add", "name", _DEVICE, *cable)
    _run(_IP, "-n", switch, "link", "set", "dev", host.name, "master", _BRIDGE, "up")
    _run(_IP, "-n", host.namespace, "addr", "add", f"{host.address}/24", "dev", _DEVICE)
    host.link(up=True)


def _remove(namespace: str) -> None:
    """Kill what runs in a namespace and remove it; another process may be doing the same."""
    with contextlib.suppress(OSError):
        for pid in _run(_IP, "netns", "pids", namespace).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        _run(_IP, "netns", "del", namespace)


def remove_leftovers() -> None:
    """Remove what processes left behind that were killed before they could clean up."""
    for namespace in re.findall(r"^bohb-\d+-\S+", _run(_IP, "netns", "list"), flags=re.MULTILINE):
        try:
            os.kill(int(namespace.split("-")[1]), 0)
        except ProcessLookupError:
            _remove(namespace)


@functools.cache
def obstacle() -> str | None:
    """Why there can be no network of namespaces here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [program for program in ("ip", "ss", "unshare", *_FILTERS) if shutil.which(program) is None]
    if missing:
        return f"network namespaces need {', '.join(missing)}: install iproute2, util-linux and iptables"
    try:
        with Network.create(1) as network:
            network.head.lose(0.5)
            network.head.allow_only(1)
            network.head.redirect(1, 2)
            network.head.run("true")
    except OSError as error:
        return f"no network namespaces with packet filters on this machine: {error}"
    return None
