"""Whether the master can listen on its port, and be reached there under the name that workers are told."""

import contextlib
import errno
import secrets
import socket
import time

import psutil

from bohb_service.doctor.finding import Finding
from bohb_service.rpc.pyro import format_address

_CONNECT_S = 3.0


def check_port(host: str, address: str, port: int, *, own_pid: int | None = None) -> Finding:
    """Listen there for a moment, and connect.

    Args:
        host: Address or name that workers are told.
        address: Address to listen on.
        port: TCP port; 0 stands for a free one.
        own_pid: Process id of a master whose port it may be; None: there is none.
    """
    check = "port"
    try:
        family, kind, number, _, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        return Finding.fail(check, f"cannot listen on {address}: {error.strerror or error}", "give another --bind")
    with socket.socket(family, kind, number) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(where)
            listener.listen(1)
        except OSError as error:
            return _not_listening(address, port, error, own_pid)
        real = int(listener.getsockname()[1])
        place = format_address(host, real)
        try:
            leads_here = _leads_to(listener, host, real)
        except OSError as error:
            return Finding.warn(
                check,
                f"{real} can be listened on, but {place} cannot be reached from here: {error.strerror or error}",
                "let the port pass the firewall; behind NAT, look from another machine with `bohb-worker doctor`",
            )
    if not leads_here:
        return Finding.warn(
            check,
            f"{real} can be listened on, but {place} leads to something else that listens there",
            "give --host a name that leads to this machine; behind NAT, forward the port to it",
        )
    if port == 0:
        return Finding.ok(check, "a free one is taken; a firewall needs a fixed one: --port N")
    return Finding.ok(check, f"{port} is free, and {place} leads to it")


def _leads_to(listener: socket.socket, host: str, port: int) -> bool:
    """Whether what connects there arrives here.

    Raises:
        OSError: It cannot be connected to.
    """
    token, give_up = secrets.token_bytes(16), time.monotonic() + _CONNECT_S
    with socket.create_connection((host, port), _CONNECT_S) as caller:
        caller.sendall(token)
        while (left := give_up - time.monotonic()) > 0.0:
            listener.settimeout(left)
            try:
                arrived, _ = listener.accept()
                with arrived:
                    arrived.settimeout(left)
                    if arrived.recv(len(token), socket.MSG_WAITALL) == token:
                        return True
            except OSError:  # nobody came in time, or somebody else who does not speak
                continue
    return False


def _not_listening(address: str, port: int, error: OSError, own_pid: int | None) -> Finding:
    check = "port"
    if error.errno == errno.EADDRINUSE:
        holder = _holder_of(port)
        if own_pid is not None and holder is not None and holder.pid == own_pid:
            return Finding.ok(check, f"{port} is that of this run's master, pid {own_pid}")
        who = "another process" if holder is None else f"pid {holder.pid} ({_name_of(holder)})"
        return Finding.fail(check, f"{port} is taken by {who}", "give another --port, or 0 for a free one")
    if error.errno == errno.EACCES:
        return Finding.fail(check, f"{port} is for administrators only", "give a --port from 1024 on")
    why = error.strerror or str(error)
    return Finding.fail(
        check, f"cannot listen on {format_address(address, port)}: {why}", "give --bind an address of this machine"
    )


def _holder_of(port: int) -> psutil.Process | None:
    """The process that listens on a port, as far as this user may see it."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            is_it = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
            if is_it and connection.pid is not None:
                return psutil.Process(connection.pid)
    return None


def _name_of(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return "its name cannot be seen"
