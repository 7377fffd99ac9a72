"""The page ``/metrics``, served by threads of its own."""

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import Any, Self

from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics import exposition as openmetrics

from bohb_service.errors import TransportError
from bohb_service.rpc.pyro import format_address

PATH = "/metrics"
MAX_READERS = 8
"""So many may read at once; for one more, whoever has been silent for longest is sent away."""

_ROOM_S = 1.0

READER_S = 5.0
"""A reader that is silent for so long is sent away."""


class MetricsPage:
    """Serves the figures of a registry; use it as a context manager.

    Attributes:
        address: Where it listens, as ``host:port``.

    Args:
        host: Address to listen on.
        port: TCP port; 0 takes a free one.
        registry: What is shown.

    Raises:
        TransportError: It cannot be listened on.
    """

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        try:
            self._server = _Server(host, port, registry)
        except OSError as error:
            raise TransportError(
                f"cannot show metrics at {format_address(host, port)}: {error.strerror or error}; "
                "give another --metrics"
            ) from error
        self.address = format_address(host, self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="bohb-metrics", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingMixIn, HTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.registry = registry
        self._room = threading.BoundedSemaphore(MAX_READERS)
        self._silent: dict[int, socket.socket] = {}
        self._lock = threading.Lock()
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind, without asking DNS for a name as the base class does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()[:2]
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, if there is or can be made room for one more."""
        if self._room.acquire(blocking=False) or (self._send_one_away() and self._room.acquire(timeout=_ROOM_S)):
            with self._lock:
                self._silent[id(request)] = request
            try:
                super().process_request(request, client_address)
            except BaseException:  # there was no thread for it
                self._leave(request)
                raise
        else:
            self.shutdown_request(request)

    def heard(self, request: socket.socket) -> None:
        """Note that a reader has said what it wants, or has gone."""
        with self._lock:
            self._silent.pop(id(request), None)

    def _leave(self, request: socket.socket) -> None:
        self.heard(request)
        self._room.release()

    def _send_one_away(self) -> bool:
        """End the wait for the reader that has been silent for longest; whether there was one."""
        with self._lock:
            if not self._silent:
                return False
            request = self._silent.pop(next(iter(self._silent)))
            with contextlib.suppress(OSError):  # it has gone meanwhile
                request.shutdown(socket.SHUT_RDWR)
            return True

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._leave(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Leave it at that: a reader that breaks off is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = READER_S
    server_version = "bohb"
    sys_version = ""

    def do_GET(self) -> None:
        """Send the page."""
        self.server.heard(self.connection)
        if self.path.partition("?")[0] != PATH:
            self._send(404, "text/plain; charset=utf-8", f"see {PATH}\n".encode())
            return
        try:
            page = openmetrics.generate_latest(self.server.registry)
        except TransportError as error:
            self._send(503, "text/plain; charset=utf-8", f"{error}\n".encode())
        else:
            self._send(200, openmetrics.CONTENT_TYPE_LATEST, page)

    def _send(self, code: int, kind: str, content: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (named by the base class)
        """Nothing: readers come every few seconds."""
