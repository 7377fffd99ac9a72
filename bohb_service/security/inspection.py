"""What is in a certificate, by means of the standard library alone.

The `ssl` module shows the content of a certificate only to the peer of a connection. So a certificate is shown
to ourselves, in memory: that also proves that it was signed by the authority, that it may be used on its side of
a connection, and that the key belongs to it. Importing a library for certificates would cost a worker megabytes.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bohb_service.security.bundle import KINDS, Kind

_NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which `ssl` has no name for: dates are judged by the caller, with a message."""

_OTHER_HOST = {62, 64}
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a certificate says.

    Attributes:
        kind: Whom it was made for; None when it is none of ours.
        begins: First second at which it is valid, since the Unix epoch.
        ends: Last such second.
    """

    kind: Kind | None
    begins: float
    ends: float


def inspect(ca: Path, certificate: Path, key: Path, *, of_server: bool) -> CertificateFacts:
    """The content of a certificate that is sound in everything but its dates.

    Args:
        ca: Certificate of the authority.
        certificate: The certificate.
        key: Its private key.
        of_server: Which side of a connection it is used on.

    Raises:
        ssl.SSLCertVerificationError: The authority did not sign it, or for the other side.
        ssl.SSLError: A file is damaged, or the key is another certificate's.
    """
    shown = _shown(ssl.PROTOCOL_TLS_SERVER if of_server else ssl.PROTOCOL_TLS_CLIENT, certificate, key)
    looking = _looking(ssl.PROTOCOL_TLS_CLIENT if of_server else ssl.PROTOCOL_TLS_SERVER, ca)
    if not of_server:
        # TLS wants a certificate of the server; nobody looks at this one.
        looking.load_cert_chain(certificate, key, password="")
    content = _shown_to(looking, shown)
    return CertificateFacts(
        kind_of(content), ssl.cert_time_to_seconds(content["notBefore"]), ssl.cert_time_to_seconds(content["notAfter"])
    )


def is_for_host(ca: Path, certificate: Path, key: Path, host: str) -> bool:
    """Whether a client would take a sound certificate of a server for that of this host.

    Args:
        ca: Certificate of the authority.
        certificate: The certificate.
        key: Its private key.
        host: Name or address.

    Raises:
        ssl.SSLError: The certificate is not sound, or a file is damaged.
    """
    looking = _looking(ssl.PROTOCOL_TLS_CLIENT, ca)
    looking.check_hostname = True
    try:
        _shown_to(looking, _shown(ssl.PROTOCOL_TLS_SERVER, certificate, key), host)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code not in _OTHER_HOST:
            raise
        return False
    except ValueError:  # it cannot be a name at all
        return False
    return True


def kind_of(content: Any) -> Kind | None:
    """Whom a certificate was made for, or None when it is none of ours.

    Args:
        content: What `ssl.SSLSocket.getpeercert` returned for a peer that was verified.
    """
    names = [value for part in content.get("subject", ()) for key, value in part if key == "commonName"]
    return next((kind for kind in KINDS if names == [kind]), None)


def _shown(protocol: int, certificate: Path, key: Path) -> ssl.SSLContext:
    context = _context(protocol)
    # With a password given, nobody is asked for that of an encrypted key.
    context.load_cert_chain(certificate, key, password="")
    return context


def _looking(protocol: int, ca: Path) -> ssl.SSLContext:
    context = _context(protocol)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VerifyFlags(_NO_CHECK_TIME)
    return context


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _shown_to(looking: ssl.SSLContext, shown: ssl.SSLContext, host: str | None = None) -> Any:
    """What one end of a connection in memory sees of the other."""
    forth, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    is_server = looking.protocol == ssl.PROTOCOL_TLS_SERVER
    viewer = looking.wrap_bio(forth, back, server_side=is_server, server_hostname=host)
    viewed = shown.wrap_bio(back, forth, server_side=not is_server)
    ends = [viewed, viewer] if is_server else [viewer, viewed]
    while ends:
        end = ends.pop(0)
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            ends.append(end)
    return viewer.getpeercert()
