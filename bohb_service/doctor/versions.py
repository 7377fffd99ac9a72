"""Whether both sides speak the same language."""

import platform
from collections import Counter
from collections.abc import Iterable

from bohb_service._version import VERSION
from bohb_service.doctor.finding import Finding
from bohb_service.rpc.messages import PROTOCOL_VERSION


def judge_own() -> Finding:
    """What is installed here."""
    python = platform.python_version()
    return Finding.ok(
        "version",
        f"bohb-service {VERSION}, protocol {PROTOCOL_VERSION}, Python {python}, {platform.system()} "
        f"{platform.release()} {platform.machine()}",
    )


def judge_other(who: str, version: str, protocol: int) -> Finding:
    """Whether another side can talk to this one.

    Args:
        who: Which side it is, e.g. ``the master``.
        version: Its version of this package.
        protocol: Its version of the protocol.
    """
    check = f"version of {who}"
    found = f"{version}, protocol {protocol}; here {VERSION}, protocol {PROTOCOL_VERSION}"
    if protocol != PROTOCOL_VERSION:
        return Finding.fail(check, found, "install the same version of bohb-service on both machines")
    if version != VERSION:
        return Finding.warn(check, f"{found}: they understand each other", "install the same version on all machines")
    return Finding.ok(check, f"{version}, as here")


def judge_workers(master: str, versions: Iterable[str]) -> Finding:
    """Whether the workers of a master have its version.

    Args:
        master: The master's version.
        versions: The version of each worker that is there; they speak its protocol, or it would have refused them.
    """
    counts = Counter(versions)
    total, others = counts.total(), {name: count for name, count in counts.items() if name != master}
    if not others:
        return Finding.ok("versions of the workers", f"{total} there, all {master}" if total else "no worker is there")
    listed = ", ".join(f"{count} of {name}" for name, count in sorted(others.items()))
    return Finding.warn(
        "versions of the workers",
        f"{total} there, {listed}; the master's is {master}",
        "install the same version on all machines",
    )
