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
    shown = _context(ssl.PROTOCOL_TLS_SERVER if of_server else ssl.PROTOCOL_TLS_CLIENT)
    # With a password given, nobody is asked for that of an encrypted key.
    shown.load_cert_chain(certificate, key, password="")
    looking = _context(ssl.PROTOCOL_TLS_CLIENT if of_server else ssl.PROTOCOL_TLS_SERVER)
    looking.load_verify_locations(ca)
    looking.verify_mode = ssl.CERT_REQUIRED
    looking.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VerifyFlags(_NO_CHECK_TIME)
    if not of_server:
        # TLS wants a certificate of the server; nobody looks at this one.
        looking.load_cert_chain(certificate, key, password="")
    content = _shown_to(looking, shown)
    return CertificateFacts(
        kind_of(content), ssl.cert_time_to_seconds(content["notBefore"]), ssl.cert_time_to_seconds(content["notAfter"])
    )


def kind_of(content: Any) -> Kind | None:
    """Whom a certificate was made for, or None when it is none of ours.

    Args:
        content: What `ssl.SSLSocket.getpeercert` returned for a peer that was verified.
    """
    names = [value for part in content.get("subject", ()) for key, value in part if key == "commonName"]
    return next((kind for kind in KINDS if names == [kind]), None)


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _shown_to(looking: ssl.SSLContext, shown: ssl.SSLContext) -> Any:
    """What one end of a connection in memory sees of the other."""
    forth, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    is_server = looking.protocol == ssl.PROTOCOL_TLS_SERVER
    viewer = looking.wrap_bio(forth, back, server_side=is_server)
    viewed = shown.wrap_bio(back, forth, server_side=not is_server)
    ends = [viewed, viewer] if is_server else [viewer, viewed]
    while ends:
        end = ends.pop(0)
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            ends.append(end)
    return viewer.getpeercert()
