"""Names and addresses by which a master is reached."""

import ipaddress
import re
from collections.abc import Iterable
from typing import TypeAlias

from bohb_service.errors import CredentialsError

Host: TypeAlias = str | ipaddress.IPv4Address | ipaddress.IPv6Address
"""A name, or an address: a certificate tells the two apart."""

LOOPBACK: tuple[Host, ...] = ("localhost", ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1"))

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_LONGEST = 253


def parse_hosts(texts: Iterable[str]) -> tuple[Host, ...]:
    """Names and addresses without repetition, in their order.

    Raises:
        CredentialsError: One of them is neither; the message says why.
    """
    return tuple(dict.fromkeys(_parse(text) for text in texts))


def _parse(text: str) -> Host:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return _parse_name(text)
    if address.is_unspecified or address.is_multicast:
        raise _no_host(text, "nobody can connect to it; give an address of the head node")
    if "%" in text:
        raise _no_host(text, "certificates know no interfaces; give an address without %")
    return address


def _parse_name(text: str) -> str:
    name = text.lower()
    if not text:
        raise _no_host(text, "it is empty")
    if len(text) > _LONGEST:
        raise _no_host(f"{text[:20]}...", f"it has {len(text)} characters, and at most {_LONGEST} are possible")
    if "*" in text:
        raise _no_host(text, "wildcards are not used; give each name with its own --host")
    if text.startswith("["):
        raise _no_host(text, "write an IPv6 address without brackets and without a port")
    if "://" in text or "/" in text:
        raise _no_host(text, "give the name alone, without protocol and path")
    if re.search(r":\d*$", text):
        raise _no_host(text, "give the name alone, without a port")
    if not text.isascii():
        raise _no_host(text, "write it as DNS does, with xn--")
    labels = name.split(".")
    if not all(map(_LABEL.fullmatch, labels)):
        raise _no_host(text, "a name has letters, digits and dashes, with dots between its parts")
    if labels[-1].isdigit():
        raise _no_host(text, "an IPv4 address has four numbers from 0 to 255")
    return name


def _no_host(text: str, why: str) -> CredentialsError:
    return CredentialsError(f"--host {text!r} is no name or address of a machine: {why}")
