"""Makes a private authority, and the certificates and tokens of one master, its workers and its commands.

The authority signs with a key that stays on the head node. Whoever has a certificate that it signed was given
credentials by the owner of the run; it signs nothing else, and nobody else's authority is trusted beside it.
`cryptography` is imported by this module and `certificates` alone: a worker never needs it.
"""

import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bohb_service.clock import Clock
from bohb_service.errors import CredentialsError
from bohb_service.security.bundle import (
    AUTHORITY_FOLDER,
    CA_FILE,
    CA_KEY_FILE,
    CERTIFICATE_FILE,
    KEY_FILE,
    KINDS,
    roles_of,
    token_file,
)
from bohb_service.security.guarded import GuardedFolder
from bohb_service.security.hosts import LOOPBACK, Host, parse_hosts
from bohb_service.security.private_files import complete_folder, replace_private, write_private
from bohb_service.security.tokens import ROLES, TOKEN_BYTES

if TYPE_CHECKING:
    from bohb_service.security.certificates import Authority

DAYS = 365
MOST_DAYS = 3650


@dataclass(frozen=True, slots=True)
class MadeCredentials:
    """What was made.

    Attributes:
        directory: Where it is, absolute.
        hosts: Names and addresses in the master's certificate, those of loopback last.
        fingerprint: SHA-256 of the authority's certificate, in hexadecimal with colons.
        begins: First moment at which the certificates are valid, in UTC.
        expires: Last such moment.
        renewed: Whether authority and tokens were there before.
    """

    directory: Path
    hosts: tuple[str, ...]
    fingerprint: str
    begins: datetime
    expires: datetime
    renewed: bool

    def to_dict(self) -> dict[str, Any]:
        """The same in plain values; moments as ISO 8601."""
        return {
            "directory": str(self.directory),
            "hosts": list(self.hosts),
            "authority_sha256": self.fingerprint,
            "valid_from": self.begins.isoformat(),
            "valid_until": self.expires.isoformat(),
            "renewed": self.renewed,
        }


def make_credentials(
    directory: Path, hosts: Sequence[str], *, days: int = DAYS, renew: bool = False, clock: Clock
) -> MadeCredentials:
    """Make the folders ``authority``, ``master``, ``worker`` and ``admin``, all of them or none.

    With `renew` only the certificates are new. Each is replaced at once and fits the key, the authority and the
    tokens that are there, so bundles copied before stay good until their certificates expire.

    Args:
        directory: Where; must not exist, unless `renew`.
        hosts: Names and addresses by which workers and commands reach the master; loopback is always added, and
            with `renew` what the old certificate has.
        days: How long the certificates are valid, 1 to `MOST_DAYS`.
        renew: Whether to make new certificates in an existing directory.
        clock: Tells when the validity begins.

    Raises:
        CredentialsError: A host, `days` or the directory cannot be used.
    """
    directory = directory.absolute()
    if not 1 <= days <= MOST_DAYS:
        raise CredentialsError(f"--days {days} is not possible; certificates can be valid for 1 to {MOST_DAYS} days")
    named = parse_hosts(hosts)
    if renew:
        return _renew(directory, named, days, clock)
    if not named:
        raise CredentialsError(
            "--host is missing: give each name and address by which workers reach this machine, "
            f"e.g. `bohb-master credentials {shlex.quote(str(directory))} --host head.example.org --host 10.0.0.5`"
        )
    _check_free(directory)
    return _make(directory, named, days, clock)


def _make(directory: Path, named: Sequence[Host], days: int, clock: Clock) -> MadeCredentials:
    from bohb_service.security.certificates import Authority, new_key, pem_of_key

    authority = Authority.new(clock.now())
    hosts = _with_loopback(named)
    tokens = {role: f"{secrets.token_hex(TOKEN_BYTES)}\n".encode() for role in ROLES}
    files = {Path(AUTHORITY_FOLDER, CA_FILE): authority.pem, Path(AUTHORITY_FOLDER, CA_KEY_FILE): authority.key_pem}
    for kind in KINDS:
        key = new_key()
        files |= {
            Path(kind, CA_FILE): authority.pem,
            Path(kind, CERTIFICATE_FILE): authority.certify(key.public_key(), kind, hosts, days, clock.now()),
            Path(kind, KEY_FILE): pem_of_key(key),
            **{Path(kind, token_file(role)): tokens[role] for role in roles_of(kind)},
        }
    try:
        with complete_folder(directory) as draft:
            for folder in (AUTHORITY_FOLDER, *KINDS):
                (draft / folder).mkdir(mode=0o700)
            for name, content in files.items():
                write_private(draft / name, content)
    except OSError as error:
        raise _unwritten(directory, error) from error
    return _made(directory, authority, hosts, files[Path("master", CERTIFICATE_FILE)], renewed=False)


def _renew(directory: Path, named: Sequence[Host], days: int, clock: Clock) -> MadeCredentials:
    from bohb_service.security.certificates import Authority, hosts_of, read_key

    folder = directory / AUTHORITY_FOLDER
    if not folder.is_dir():
        raise CredentialsError(
            f"{directory} has no folder {AUTHORITY_FOLDER!r}, so there is nothing to renew; give the directory that "
            "`bohb-master credentials` made on the head node, or leave --renew out to make a new one"
        )
    try:
        authority = Authority.read(_read(folder, CA_FILE), _read(folder, CA_KEY_FILE))
        keys = {kind: read_key(_read(directory / kind, KEY_FILE)) for kind in KINDS}
        old = hosts_of(_read(directory / "master", CERTIFICATE_FILE))
    except ValueError as error:
        raise CredentialsError(
            f"a file in {directory} is damaged ({error}); make new credentials in another directory"
        ) from error
    hosts = _with_loopback([*old, *named])
    certificates = {
        kind: authority.certify(key.public_key(), kind, hosts, days, clock.now()) for kind, key in keys.items()
    }
    try:
        for kind, certificate in certificates.items():
            replace_private(directory / kind / CERTIFICATE_FILE, certificate)
    except OSError as error:
        raise _unwritten(directory, error) from error
    return _made(directory, authority, hosts, certificates["master"], renewed=True)


def _made(
    directory: Path, authority: "Authority", hosts: Sequence[Host], certificate: bytes, *, renewed: bool
) -> MadeCredentials:
    from bohb_service.security.certificates import validity_of

    begins, expires = validity_of(certificate)
    return MadeCredentials(directory, tuple(map(str, hosts)), authority.fingerprint, begins, expires, renewed)


def _with_loopback(hosts: Sequence[Host]) -> tuple[Host, ...]:
    """The head node's own workers and commands connect to loopback."""
    return (*dict.fromkeys(host for host in hosts if host not in LOOPBACK), *LOOPBACK)


def _check_free(directory: Path) -> None:
    if (directory / AUTHORITY_FOLDER).is_dir():
        raise CredentialsError(
            f"{directory} has credentials already; --renew makes new certificates there, "
            "another directory gets new tokens too"
        )
    if directory.exists() or directory.is_symlink():
        raise CredentialsError(f"{directory} exists; give a directory that can be made new")


def _read(folder: Path, name: str) -> bytes:
    try:
        with GuardedFolder(folder) as opened:
            return opened.read(name)
    except OSError as error:
        raise CredentialsError(
            f"cannot read {folder / name}: {error.strerror or error}; to renew certificates, the whole directory that "
            "`bohb-master credentials` made is needed"
        ) from error


def _unwritten(directory: Path, error: OSError) -> CredentialsError:
    return CredentialsError(
        f"cannot write {directory}: {error.strerror or error}; "
        "free some space, mend permissions or give another directory"
    )
