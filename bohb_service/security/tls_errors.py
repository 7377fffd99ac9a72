"""What is wrong when a TLS connection fails, and what to do about it."""

import ssl

_RENEW = (
    "renew the certificates on the head node with `bohb-master credentials DIRECTORY --renew`, restart the master, "
    "and copy the new certificates to the worker nodes"
)
_COPY_AGAIN = (
    "both sides need folders that the same `bohb-master credentials` made: copy the folder 'worker' or 'admin' "
    "from the head node again"
)
_CLOCKS = "set the clocks of both machines right (compare `date -u` on both)"

# The numbers are OpenSSL's X509_V_ERR_*.
_NOT_YET_VALID, _EXPIRED, _WRONG_PURPOSE = 9, 10, 26
_OTHER_AUTHORITY = {2, 6, 7, 18, 19, 20, 21, 24, 29, 30, 31, 32}
_WRONG_NAME = {62, 64}

# What the peer says when it refuses us; matched in the error's text, whose prefix differs among versions of OpenSSL.
_ALERTS = {
    "ALERT_CERTIFICATE_REQUIRED": (
        "wants a certificate and was shown none; give this side its credentials (--credentials DIR)"
    ),
    "ALERT_UNKNOWN_CA": f"does not know the authority of our certificate; {_COPY_AGAIN}",
    "ALERT_DECRYPT_ERROR": f"does not accept the signature of our certificate; {_COPY_AGAIN}",
    "ALERT_CERTIFICATE_EXPIRED": f"says that our certificate has expired; {_RENEW}; if it has not, {_CLOCKS}",
    "ALERT_BAD_CERTIFICATE": (
        "does not accept our certificate: it is damaged or, by the clock over there, not valid yet, or made for "
        f"another host; {_CLOCKS}, and connect by a name that `bohb-master credentials` was told of"
    ),
    "ALERT_UNSUPPORTED_CERTIFICATE": (
        "says that our certificate is made for another side of a connection; a master needs the folder 'master', "
        "a worker 'worker', a command 'admin'"
    ),
    "ALERT_CERTIFICATE_UNKNOWN": f"does not accept our certificate; {_COPY_AGAIN}",
    "ALERT_CERTIFICATE_REVOKED": f"does not accept our certificate any more; {_COPY_AGAIN}",
    "ALERT_ACCESS_DENIED": f"does not accept our certificate; {_COPY_AGAIN}",
}
_OLD_TLS = ("ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE", "NO_SHARED_CIPHER")
_NO_TLS = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "HTTPS_PROXY_REQUEST",
    "UNKNOWN_PROTOCOL",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
)


def explain_tls_error(error: Exception, address: str) -> str:
    """What is wrong with a connection and what to do; for either side, in words that do not depend on it.

    Args:
        error: What a handshake, or the first read after it, raised: an `ssl.SSLError` or another `OSError`.
        address: The peer, as the user knows it.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return _refused_by_us(error, address)
    text = f"{getattr(error, 'reason', None) or ''} {error}".upper().replace(" ", "_")
    for alert, what in _ALERTS.items():
        if alert in text:
            return f"{address} {what}"
    if "PEER_DID_NOT_RETURN_A_CERTIFICATE" in text:
        return f"{address} shows no certificate, and one is required; start it with its credentials (--credentials DIR)"
    if any(part in text for part in _OLD_TLS):
        return (
            f"{address} does not speak TLS 1.3, and nothing older is accepted; "
            "both sides need this program and OpenSSL 1.1.1 or newer"
        )
    if any(part in text for part in _NO_TLS):
        return f"{address} does not speak TLS; start it with credentials (--credentials DIR), or check the address"
    if isinstance(error, TimeoutError):
        return (
            f"{address} did not finish the TLS handshake in time; check the address, the network between the "
            "machines, and that both sides were given credentials"
        )
    if isinstance(error, ConnectionError | ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return (
            f"{address} closed the connection during the TLS handshake; check that both sides were given "
            "credentials, and see what the other side logs"
        )
    return f"no TLS connection with {address}: {error}; {_COPY_AGAIN}"


def _refused_by_us(error: ssl.SSLCertVerificationError, address: str) -> str:
    """We do not accept what the peer shows."""
    code, told = error.verify_code, error.verify_message.rstrip(".")
    if code == _EXPIRED:
        return f"the certificate of {address} has expired; {_RENEW}; if it has not, {_CLOCKS}"
    if code == _NOT_YET_VALID:
        return f"the certificate of {address} is not valid yet by this machine's clock; {_CLOCKS}"
    if code in _WRONG_NAME:
        return (
            f"the certificate of {address} is made for other names ({told}); connect by a name that "
            "`bohb-master credentials` was told of, or add one with `bohb-master credentials DIRECTORY --renew "
            "--host NAME` and restart the master"
        )
    if code == _WRONG_PURPOSE:
        return (
            f"{address} shows a certificate made for another side of a connection ({told}); a master needs the "
            "folder 'master', a worker 'worker', a command 'admin'"
        )
    if code in _OTHER_AUTHORITY:
        return f"the certificate of {address} was made by another authority ({told}); {_COPY_AGAIN}"
    return f"the certificate of {address} is not accepted: {told}; {_COPY_AGAIN}"
