"""What is looked at where a master is to run, or runs."""

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bohb_service.api.find_master import access_of, reachable_host
from bohb_service.clock import Clock
from bohb_service.doctor import addresses, certificates, clocks, gpus, limits, ports, run_folder, versions
from bohb_service.doctor.finding import Check, Finding, examine
from bohb_service.errors import BohbError, CredentialsError, MasterUnreachableError
from bohb_service.journal.run_directory import MasterAddress, RunDirectory
from bohb_service.rpc.client import AdminClient
from bohb_service.rpc.endpoint import Endpoint
from bohb_service.rpc.line import Line
from bohb_service.rpc.locate import names_at
from bohb_service.rpc.pyro import NAME_SERVER_OBJECT, format_address, study_of
from bohb_service.rpc.serialisers import JSON
from bohb_service.security.credentials import load_credentials
from bohb_service.worker.devices import VISIBLE
from bohb_service.worker.nvml import read_gpus


@dataclass(frozen=True, slots=True)
class MasterPlace:
    """Where and how a master is to run: the options of ``bohb-master run``.

    Attributes:
        directory: Run directory, there already or not.
        host: Address or name of this machine that workers are told.
        bind: Address to listen on; None: that of ``host``.
        port: TCP port; 0 takes that of the run's last master, or else a free one.
        name_server: ``host:port`` of an external name server, or None.
        credentials: Folder with credentials, or None.
        insecure: Other machines may connect without them.
    """

    directory: Path
    host: str = "127.0.0.1"
    bind: str | None = None
    port: int = 0
    name_server: str | None = None
    credentials: Path | None = None
    insecure: bool = False


def examine_master(place: MasterPlace, clock: Clock) -> Iterator[Finding]:
    """All that is found on this machine, one finding after another.

    Args:
        place: Where and how a master is to run.
        clock: This machine's.
    """
    running = RunDirectory(place.directory).read_address()
    checks: list[tuple[str, Check]] = [
        ("version", lambda: [versions.judge_own()]),
        ("addresses", lambda: _check_addresses(place)),
        ("security", lambda: [_check_security(place)]),
        ("port", lambda: [_check_port(place, running)]),
    ]
    if place.name_server is not None:
        name_server = place.name_server
        checks.append(("external name server", lambda: [check_name_server(name_server)]))
    if place.credentials is not None:
        folder = place.credentials
        checks.append(("credentials", lambda: certificates.check_bundles(folder, clock, host=place.host)))
    checks += [
        ("clock", lambda: [clocks.judge_synchronised(synchronised=clocks.is_synchronised())]),
        ("run directory", lambda: run_folder.check_run_directory(place.directory, clock)),
        ("GPUs", lambda: gpus.judge_gpus(read_gpus(), os.environ.get(VISIBLE), gpus.torch_version())),
        ("limits", lambda: limits.check_limits(serves=True)),
        ("running master", lambda: _check_running(running, place)),
    ]
    return examine(checks)


def check_name_server(address: str) -> Finding:
    """Whether an external name server answers, and what it knows.

    Args:
        address: ``host:port``.
    """
    check = "external name server"
    try:
        with contextlib.closing(Line(address, NAME_SERVER_OBJECT, JSON, None)) as line:
            names = names_at(line)
    except BohbError as error:
        remedy = "start one with `pyro5-ns`, or leave --nameserver away: each master has one of its own on its port"
        return Finding.of_error(check, error, remedy)
    studies = sorted(filter(None, map(study_of, names)))
    return Finding.ok(check, f"{address} answers; studies that it knows: {', '.join(studies) or 'none'}")


def _check_addresses(place: MasterPlace) -> Iterator[Finding]:
    own = addresses.own_addresses()
    yield addresses.judge_own(own)
    try:
        resolved = addresses.resolve(place.host)
    except (OSError, ValueError):  # ValueError: no name that the encoding of host names allows
        resolved = ()
    yield addresses.judge_told(place.host, place.bind, resolved, own)


def _check_security(place: MasterPlace) -> Finding:
    check, endpoint = "security", Endpoint(place.host, place.port, place.bind, insecure=place.insecure)
    if place.credentials is not None:
        return Finding.ok(check, f"TLS 1.3 with the certificates and tokens in {place.credentials}, see below")
    if endpoint.security == "loopback":
        return Finding.ok(check, "loopback: only processes of this machine can connect")
    if not place.insecure:
        return Finding.of_error(check, endpoint.unguarded(endpoint.address))
    found = f"none: whoever can connect to {endpoint.address} may take jobs, report results and stop the run"
    return Finding.warn(check, found, f"`bohb-master credentials DIRECTORY --host {place.host}`, then --credentials")


def _check_port(place: MasterPlace, running: MasterAddress | None) -> Finding:
    is_here = running is not None and running.hostname == socket.gethostname()
    own_pid = running.pid if running is not None and is_here else None
    last = RunDirectory(place.directory).read_port() if place.port == 0 else None
    finding = ports.check_port(place.host, place.bind or place.host, last or place.port, own_pid=own_pid)
    if last is None or finding.status != "fail":
        return finding
    return Finding.warn(
        finding.check,
        f"{finding.found}: where this run's last master listened, so that the next one takes another port",
        "end what listens there if workers were told of that port when they were started; else this does no harm",
    )


def _check_running(running: MasterAddress | None, place: MasterPlace) -> Iterator[Finding]:
    """What the master says that serves the run directory, if there is one."""
    check = "running master"
    if running is None:
        yield Finding.ok(check, f"none serves {place.directory} now")
        return
    where = f"{format_address(running.host, running.port)}, pid {running.pid} on {running.hostname}"
    try:
        access = access_of(running, "admin", _admin_credentials(place))
        client = AdminClient(reachable_host(running), running.port, access)
        with contextlib.closing(client):
            status = client.status()
    except MasterUnreachableError as error:
        yield Finding.warn(
            check,
            f"{where} does not answer: {error}",
            "if it was killed, the same `bohb-master run` goes on; if it lives, look at the address and the firewall",
        )
        return
    if status.get("study_id") != running.study_id:
        yield Finding.warn(
            check, f"{where} was killed, and its port is another run's", "the same `bohb-master run` goes on"
        )
        return
    version = str(status.get("version", "unknown"))
    yield Finding.ok(check, f"{where}, version {version}, serves study {running.study!r}: {status['state']}")
    yield versions.judge_workers(version, [str(worker.get("version", "unknown")) for worker in status["workers"]])
    if refused := status.get("refused"):
        listed = ", ".join(f"{count} {reason}" for reason, count in sorted(refused.items()))
        yield Finding.warn(
            "refused peers", listed, "`bohb-worker doctor` on the machine of a worker that is refused says why"
        )


def _admin_credentials(place: MasterPlace) -> Path | None:
    """The folder given, if an admin's credentials are in it; else the run directory says where they are."""
    if place.credentials is None:
        return None
    try:
        load_credentials(place.credentials, "admin")
    except CredentialsError:
        return None
    return place.credentials
