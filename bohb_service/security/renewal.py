"""TLS of a client that goes on for longer than its certificate is valid."""

import contextlib
import ssl

from bohb_service.errors import CredentialsError
from bohb_service.security.credentials import Credentials, client_context, load_credentials


class ClientTls:
    """Makes the TLS context of a client, and a new one when its certificate was renewed.

    Args:
        credentials: What the client was started with.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._seen = self._stamp()
        self._context = client_context(credentials)

    @property
    def context(self) -> ssl.SSLContext:
        """TLS for the next connection."""
        if (seen := self._stamp()) != self._seen:
            # What is not whole yet, because it is being copied, is left for the next connection.
            with contextlib.suppress(CredentialsError):
                held = load_credentials(self._credentials.directory, self._credentials.kind)
                self._context = client_context(held)
                self._seen = seen
        return self._context

    def _stamp(self) -> tuple[int, int] | None:
        """What changes with the certificate; None while it is not there."""
        try:
            status = self._credentials.certificate.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino
