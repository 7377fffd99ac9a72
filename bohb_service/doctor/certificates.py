"""Whether credentials can be used, for whom they are, and until when."""

from pathlib import Path

from bohb_service.clock import Clock
from bohb_service.doctor.finding import Finding
from bohb_service.errors import CredentialsError
from bohb_service.security.bundle import Kind
from bohb_service.security.credentials import check_host, days_left, load_credentials

WARN_DAYS = 30.0
"""A certificate that ends sooner is told."""


def check_credentials(path: Path, kind: Kind, clock: Clock, *, host: str | None = None) -> list[Finding]:
    """What is to be said of one side's credentials.

    Args:
        path: What `bohb-master credentials` made, or the folder of one bundle.
        kind: Whose credentials are needed.
        clock: Tells whether they are valid now.
        host: Name by which workers will be told to reach the master, if it is the master's; None: it is not asked.
    """
    check = f"credentials of {'an admin' if kind == 'admin' else f'a {kind}'}"
    try:
        held = load_credentials(path, kind, clock)
    except CredentialsError as error:
        return [Finding.of_error(check, error)]
    left = days_left(held, clock.now())
    valid = f"valid until {held.expires:%Y-%m-%d %H:%M} UTC, {left:.0f} days"
    renewal = (
        "`bohb-master credentials DIRECTORY --renew` on the head node makes new ones: start the master again, and copy "
        "worker/cert.pem to the nodes"
    )
    findings = [Finding.ok(check, valid) if left >= WARN_DAYS else Finding.warn(check, valid, renewal)]
    if host is not None:
        try:
            check_host(held, host)
        except CredentialsError as error:
            findings.append(Finding.of_error("names of the certificate", error))
        else:
            findings.append(Finding.ok("names of the certificate", f"{host} is among them"))
    return findings


def check_bundles(path: Path, clock: Clock, *, host: str) -> list[Finding]:
    """The same for all sides whose credentials are there; those of a master must be.

    Args:
        path: What `bohb-master credentials` made, or a master's bundle.
        clock: Tells whether they are valid now.
        host: Name by which workers will be told to reach the master.
    """
    others: list[Kind] = [kind for kind in ("worker", "admin") if (path / kind).is_dir()]
    findings = check_credentials(path, "master", clock, host=host)
    for kind in others:
        findings += check_credentials(path, kind, clock)
    return findings
