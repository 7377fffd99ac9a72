"""What one side holds to prove itself: loaded, checked, and made into TLS contexts.

A bundle is a folder with the authority's certificate, the side's own certificate with its key, and its tokens.
"""

import re
import shlex
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bohb_service.clock import Clock, SystemClock
from bohb_service.errors import CredentialsError
from bohb_service.security.bundle import CA_FILE, CERTIFICATE_FILE, KEY_FILE, Kind, roles_of, token_file
from bohb_service.security.guarded import GuardedFolder
from bohb_service.security.inspection import CertificateFacts, inspect, is_for_host
from bohb_service.security.tokens import TOKEN_BYTES, Role

_TOKEN = re.compile(rf"[0-9a-f]{{{2 * TOKEN_BYTES}}}")
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one side holds.

    Attributes:
        source: Where they were asked for: the folder of the bundle, or the one that holds the bundles of all sides.
        directory: The folder of the bundle.
        kind: Whose it is.
        ca: Certificate of the only authority that is trusted.
        certificate: The own certificate.
        key: Its private key.
        tokens: Secret of each role; a master has all, a client its own.
        expires: Last moment at which the certificate is valid, in UTC.
    """

    source: Path
    directory: Path
    kind: Kind
    ca: Path
    certificate: Path
    key: Path
    tokens: Mapping[Role, bytes] = field(repr=False)
    expires: datetime


def load_credentials(path: Path, kind: Kind, clock: Clock | None = None) -> Credentials:
    """The credentials of one side, after every check that can be made without a peer.

    Args:
        path: What `bohb-master credentials` made, or the folder of one bundle, maybe copied from elsewhere.
        kind: Whose credentials are needed.
        clock: Tells whether the certificate is valid now; by default that of the system.

    Raises:
        CredentialsError: A file is missing, damaged, open to other users or theirs, the files do not belong together or
            are another side's, or the certificate is not valid now; the message says what to do.
    """
    directory = path / kind if (path / kind).is_dir() else path
    ca, certificate, key = (directory / name for name in (CA_FILE, CERTIFICATE_FILE, KEY_FILE))
    content = _read_all(directory, kind, (CA_FILE, CERTIFICATE_FILE, KEY_FILE, *map(token_file, roles_of(kind))))
    facts = _inspected(ca, certificate, key, kind)
    if facts.kind != kind:
        raise CredentialsError(
            f"{certificate} is the certificate of {_called(facts.kind)}, and {_called(kind)} is needed; "
            f"give the folder {kind!r} that `bohb-master credentials` made"
        )
    _check_dates(certificate, facts, (clock or SystemClock()).now())
    return Credentials(
        path.absolute(),
        directory,
        kind,
        ca,
        certificate,
        key,
        {role: _token(directory / token_file(role), content[token_file(role)]) for role in roles_of(kind)},
        datetime.fromtimestamp(facts.ends, UTC),
    )


def days_left(credentials: Credentials, now: float) -> float:
    """For how many days the certificate stays valid; negative when it has expired.

    Args:
        credentials: What was loaded.
        now: Seconds since the Unix epoch.
    """
    return (credentials.expires.timestamp() - now) / _DAY_S


def check_host(credentials: Credentials, host: str) -> None:
    """Refuse a name for a master that its certificate does not have: no client would accept it there.

    Args:
        credentials: Of the master.
        host: Name or address that clients will connect to.

    Raises:
        CredentialsError: The certificate has other names; the message has the command that adds this one. Or the
            files cannot be used any more.
    """
    try:
        is_for = is_for_host(credentials.ca, credentials.certificate, credentials.key, host)
    except OSError as error:
        raise _unusable(credentials.directory, error) from error
    if is_for:
        return
    source = credentials.source
    directory = shlex.quote(str(source)) if (source / credentials.kind).is_dir() else "DIRECTORY"
    raise CredentialsError(
        f"--host {host} is not among the names of the master's certificate {credentials.certificate}, so no worker "
        f"would accept the master there; type: bohb-master credentials {directory} --renew --host {shlex.quote(host)}"
    )


def server_context(credentials: Credentials) -> ssl.SSLContext:
    """TLS for a master: version 1.3 only, and only with clients whose certificate the run's authority signed.

    Raises:
        CredentialsError: The files cannot be used any more.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, credentials)
    context.verify_mode = ssl.CERT_REQUIRED
    # A resumed session would save little and outlive the certificate that it was begun with.
    context.num_tickets = 0
    return context


def client_context(credentials: Credentials) -> ssl.SSLContext:
    """TLS for a worker or a command: version 1.3 only, host name checked, and no authority trusted but the run's.

    Raises:
        CredentialsError: The files cannot be used any more.
    """
    return _context(ssl.PROTOCOL_TLS_CLIENT, credentials)


def _context(protocol: int, credentials: Credentials) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_COMPRESSION
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        context.load_verify_locations(credentials.ca)
        # With a password given, nobody is asked for that of an encrypted key.
        context.load_cert_chain(credentials.certificate, credentials.key, password="")
    except OSError as error:
        raise _unusable(credentials.directory, error) from error
    return context


def _read_all(directory: Path, kind: Kind, names: Iterable[str]) -> dict[str, bytes]:
    """The content of all files of a bundle, each of them guarded."""
    try:
        folder = GuardedFolder(directory)
    except OSError as error:
        raise CredentialsError(
            f"there is no folder {directory} with credentials ({error.strerror or error}); make them on the head node "
            f"with `bohb-master credentials DIRECTORY --host NAME` and copy DIRECTORY/{kind} to where it is needed"
        ) from error
    with folder:
        return {name: _read(folder, name, kind) for name in names}


def _read(folder: GuardedFolder, name: str, kind: Kind) -> bytes:
    try:
        return folder.read(name)
    except FileNotFoundError as error:
        raise CredentialsError(
            f"{folder.path} has no {name}, so it holds no credentials of {_called(kind)}; "
            f"copy the folder {kind!r} that `bohb-master credentials` made on the head node"
        ) from error
    except OSError as error:
        raise CredentialsError(
            f"cannot read {folder.path / name}: {error.strerror or error}; mend its owner and permissions"
        ) from error


def _inspected(ca: Path, certificate: Path, key: Path, kind: Kind) -> CertificateFacts:
    try:
        return inspect(ca, certificate, key, of_server=kind == "master")
    except ssl.SSLCertVerificationError as error:
        raise CredentialsError(
            f"{certificate} is not a certificate of {_called(kind)} that the authority in {ca} made "
            f"({error.verify_message}); copy the folder {kind!r} from the head node again, all files together"
        ) from error
    except OSError as error:
        raise _unusable(ca.parent, error) from error


def _unusable(directory: Path, error: OSError) -> CredentialsError:
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    if reason == "KEY_VALUES_MISMATCH":
        what = f"{KEY_FILE} is not the key of {CERTIFICATE_FILE}"
    else:
        what = f"{CA_FILE}, {CERTIFICATE_FILE} or {KEY_FILE} is damaged ({reason or error})"
    return CredentialsError(
        f"the credentials in {directory} cannot be used: {what}; copy the folder from the head node again"
    )


def _check_dates(certificate: Path, facts: CertificateFacts, now: float) -> None:
    if now > facts.ends:
        raise CredentialsError(
            f"{certificate} has expired on {_date(facts.ends)}; make new ones on the head node with "
            "`bohb-master credentials DIRECTORY --renew`, and copy them to where they are needed"
        )
    if now < facts.begins:
        raise CredentialsError(
            f"{certificate} is valid only from {_date(facts.begins)} on, and this machine's clock says {_date(now)}; "
            "set the clocks of this machine and of the head node right (compare `date -u` on both)"
        )


def _token(file: Path, content: bytes) -> bytes:
    text = content.decode("ascii", "replace").strip()
    if not _TOKEN.fullmatch(text):
        raise CredentialsError(
            f"{file} is no token: {2 * TOKEN_BYTES} digits of 0-9 and a-f are expected, {len(text)} characters are "
            "there; copy the file from the head node again"
        )
    return bytes.fromhex(text)


def _called(kind: Kind | None) -> str:
    return {"master": "a master", "worker": "a worker", "admin": "an admin", None: "somebody else"}[kind]


def _date(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
