"""The names under which our objects are known, addresses, and what every socket needs."""

import ipaddress
import resource
import socket

MASTER_OBJECT = "bohb.master"
ADMIN_OBJECT = "bohb.admin"
NAME_SERVER_OBJECT = "Pyro.NameServer"
GATE_OBJECT = "bohb.gate"

_MOST_DESCRIPTORS = 1 << 16

_KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}


def master_name(study: str) -> str:
    """The name under which the master of a study is registered at a name server."""
    return f"bohb.{study}.master"


def study_of(name: str) -> str | None:
    """The study whose master is registered under a name, or None if it is another name."""
    study = name.removeprefix("bohb.").removesuffix(".master")
    return study if name == master_name(study) else None


def tune_socket(sock: socket.socket) -> None:
    """Send small messages at once and notice a vanished peer within about half a minute."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE.items():
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def is_loopback(host: str) -> bool:
    """Whether all addresses of a host are of this machine alone; False for a name that is not known."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError):  # ValueError: no name that the encoding of host names allows
        return False
    return all(ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)


def raise_descriptor_limit() -> int:
    """Allow this process as many open files as the system lets it have; how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(hard, _MOST_DESCRIPTORS) if hard != resource.RLIM_INFINITY else _MOST_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(soft, most)


def split_address(address: str) -> tuple[str, int]:
    """Host, without brackets, and port of ``host:port``."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_address(text: str) -> bool:
    """Whether a text from somebody else is a ``host:port`` that one could try to connect to."""
    try:
        host, port = split_address(text)
        host.encode("idna")
    except ValueError:
        return False
    return bool(host) and 0 < port < 65536


def format_address(host: str, port: int) -> str:
    """``host:port``, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
