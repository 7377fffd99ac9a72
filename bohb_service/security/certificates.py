"""X.509 certificates as strict verification wants them. Imports `cryptography`, so it is itself imported late."""

import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bohb_service.errors import CredentialsError
from bohb_service.security.bundle import Kind
from bohb_service.security.hosts import Host, parse_hosts

_AUTHORITY_DAYS = 7300
_SKEW = timedelta(minutes=5)
"""By how much the clock of another machine may be behind when it is shown a certificate made just now."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A private authority.

    Attributes:
        certificate: Its own certificate.
        key: What it signs with.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def new(cls, now: float) -> "Authority":
        """A new one, valid for twenty years.

        Args:
            now: Seconds since the Unix epoch.
        """
        key = new_key()
        begins = datetime.fromtimestamp(now, UTC) - _SKEW
        # Names differ, so that a certificate of another authority is recognised as such by its issuer.
        name = _name(f"authority {secrets.token_hex(4)}")
        usage = _key_usage(signs_certificates=True)
        builder = (
            _certificate(name, key.public_key(), begins, begins + timedelta(days=_AUTHORITY_DAYS))
            .issuer_name(name)
            .add_extension(_authority_id(key), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def read(cls, pem: bytes, key_pem: bytes) -> "Authority":
        """The authority in these files.

        Raises:
            ValueError: They are damaged or do not belong together.
        """
        certificate, key = x509.load_pem_x509_certificate(pem), read_key(key_pem)
        if certificate.public_key() != key.public_key():
            raise ValueError("the authority's key is not that of its certificate")
        return cls(certificate, key)

    @property
    def pem(self) -> bytes:
        """Its certificate as a file."""
        return _pem(self.certificate)

    @property
    def key_pem(self) -> bytes:
        """Its key as a file."""
        return pem_of_key(self.key)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of its certificate, in hexadecimal with colons."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    def certify(
        self, public_key: ec.EllipticCurvePublicKey, kind: Kind, hosts: Sequence[Host], days: int, now: float
    ) -> bytes:
        """A certificate for one side of connections and no other use, as a file.

        Args:
            public_key: Of whom it is.
            kind: Whom it is made for.
            hosts: What a master is called; clients are not asked for a name.
            days: How long it is valid.
            now: Seconds since the Unix epoch.

        Raises:
            CredentialsError: The authority itself is not valid for so long.
        """
        at = datetime.fromtimestamp(now, UTC)
        begins, ends = at - _SKEW, at + timedelta(days=days)
        last = self.certificate.not_valid_after_utc
        if ends > last:
            raise CredentialsError(
                f"certificates cannot be valid longer than their authority, which ends on {last:%Y-%m-%d}; "
                "give fewer --days, or make new credentials in another directory"
            )
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if kind == "master" else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            _certificate(_name(kind), public_key, begins, ends)
            .issuer_name(self.certificate.subject)
            .add_extension(_authority_id(self.key), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        )
        if kind == "master":
            builder = builder.add_extension(x509.SubjectAlternativeName(map(_general_name, hosts)), critical=False)
        return _pem(builder.sign(self.key, hashes.SHA256()))


def new_key() -> ec.EllipticCurvePrivateKey:
    """A new key on the curve P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A key as a file, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """The key in a file.

    Raises:
        ValueError: It is damaged, encrypted, or of another kind.
    """
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise ValueError("a key is encrypted") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("a key is not one of an elliptic curve")  # noqa: TRY004  (the content is wrong)
    return key


def hosts_of(pem: bytes) -> tuple[Host, ...]:
    """Names and addresses in the certificate of a master, in their order.

    Raises:
        ValueError: It is damaged, or has none.
    """
    extensions = x509.load_pem_x509_certificate(pem).extensions
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound as error:
        raise ValueError("the master's certificate has no names") from error
    return parse_hosts(str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress))


def validity_of(pem: bytes) -> tuple[datetime, datetime]:
    """First and last moment at which a certificate is valid, in UTC."""
    certificate = x509.load_pem_x509_certificate(pem)
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def _certificate(
    subject: x509.Name, public_key: ec.EllipticCurvePublicKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    """What all certificates have in common."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _authority_id(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "bohb-service"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _general_name(host: Host) -> x509.GeneralName:
    if isinstance(host, ipaddress.IPv4Address | ipaddress.IPv6Address):
        return x509.IPAddress(host)
    return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
