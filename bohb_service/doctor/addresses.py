"""Which addresses this machine has, and which one workers will be told."""

import ipaddress
import socket
from collections.abc import Iterable, Mapping

import psutil

from bohb_service.doctor.finding import Finding

_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def own_addresses() -> dict[str, str]:
    """The addresses of this machine, each with its network interface; those of links alone are left out."""
    return {
        address.address: interface
        for interface, addresses in psutil.net_if_addrs().items()
        for address in addresses
        if address.family in _FAMILIES and not _is_link_local(address.address)
    }


def resolve(host: str) -> tuple[str, ...]:
    """The addresses of a name, without repetition.

    Raises:
        OSError: The name is not known.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def judge_own(own: Mapping[str, str]) -> Finding:
    """What this machine's addresses are.

    Args:
        own: What `own_addresses` returned.
    """
    outer = outer_of(own)
    if not outer:
        return Finding.warn(
            "addresses",
            "this machine has no address beside loopback, so no other machine can connect to it",
            "bring a network interface up, or let all workers run on this machine",
        )
    return Finding.ok("addresses", ", ".join(f"{address} ({own[address]})" for address in outer))


def outer_of(own: Iterable[str]) -> list[str]:
    """Those addresses that other machines may be able to connect to."""
    return [address for address in own if not ipaddress.ip_address(address).is_loopback]


def judge_told(host: str, bind: str | None, resolved: tuple[str, ...], own: Mapping[str, str]) -> Finding:
    """Whether workers can do something with what they will be told.

    Args:
        host: Address or name that workers are told.
        bind: Address to listen on; None: that of ``host``.
        resolved: Addresses of ``host`` as this machine knows them; empty where it knows none.
        own: Addresses of this machine.
    """
    check = "what workers are told"
    try_instead = f"give --host one of this machine's addresses ({', '.join(outer_of(own)) or 'there is none'})"
    if not resolved:
        return Finding.fail(
            check, f"{host}, which this machine cannot resolve", f"{try_instead}, or mend DNS or /etc/hosts"
        )
    where = ", ".join(
        f"{address} on {own[address]}" if address in own else f"{address}, not of this machine" for address in resolved
    )
    told = host if (host,) == resolved else f"{host} ({where})"
    addresses = [ipaddress.ip_address(address) for address in resolved]
    if any(address.is_unspecified for address in addresses):
        return Finding.fail(check, f"{host}, which nobody can connect to", f"{try_instead}, and --bind {host}")
    if all(address.is_loopback for address in addresses):
        if host == "localhost" or host in resolved:
            return Finding.ok(check, f"{told}: only workers of this machine can connect")
        return Finding.warn(
            check,
            f"{told}: this machine takes its name for loopback, so it would listen where no other machine can connect",
            f"{try_instead}, or --bind 0.0.0.0 beside the name, or mend /etc/hosts",
        )
    if any(address in own for address in resolved):
        return Finding.ok(check, told if "(" in told else f"{host} on {own[host]}")
    if bind is None:
        return Finding.fail(
            check,
            f"{told}: it is an address of another machine, and a master listens on its own only",
            f"{try_instead}; where {host} is forwarded to this machine, add --bind 0.0.0.0",
        )
    return Finding.ok(check, f"{told}: forwarded to this machine, which listens on {bind}")


def _is_link_local(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_link_local
