"""Pyro5, set up once for this process, and the names under which our objects are known."""

import logging
import socket

from Pyro5 import config

MASTER_OBJECT = "bohb.master"
ADMIN_OBJECT = "bohb.admin"
NAME_SERVER_OBJECT = "Pyro.NameServer"

SERIALIZER = "msgpack"

_KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}

config.SERIALIZER = SERIALIZER
config.SOCK_NODELAY = True
config.MAX_RETRIES = 0
config.COMPRESSION = False
# Pyro5 logs refused connections as errors; waiting for a master is normal here and is logged by us.
logging.getLogger("Pyro5").setLevel(logging.CRITICAL)


def master_name(study: str) -> str:
    """The name under which the master of a study is registered at a name server."""
    return f"bohb.{study}.master"


def tune_socket(sock: socket.socket) -> None:
    """Send small messages at once and notice a vanished peer within about half a minute."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE.items():
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def format_address(host: str, port: int) -> str:
    """``host:port``, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
