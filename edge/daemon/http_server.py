"""The HTTP server: metrics, liveness, readiness, and measurements by POST.

It listens on loopback by default, and accepts measurements from this machine alone.  Its threads
only read a snapshot and fill the inbox; a request that is too large, too fast or of another type is
refused with a reason.
"""

import ipaddress
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader, RawIOBase
from socket import AF_INET6, SHUT_RDWR, SHUT_WR, socket
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from ..config import HttpSettings, HttpStream
from ..core import StateError
from ..logs import log
from ..mqtt import ALIVE_S, DaemonStatus
from ..sources import InvalidMeasurement, decode_payload, read_properties
from .metrics import CONTENT_TYPE, Metrics

if TYPE_CHECKING:
    from .loop import Loop

CLIENTS_MAX: Final = 8
"""Concurrent connections; each has a thread.  Chosen by hand; effect not measured."""

REQUEST_S: Final = 10.0
"""Seconds that a client has for a whole request: sending byte by byte does not extend it.  Chosen
by hand; effect not measured."""

PATIENCE_S: Final = 1.0
"""Seconds after which the slowest client is disconnected for a new one.  Chosen by hand; effect not
measured."""

BACKLOG: Final = 128
"""Pending connections of the socket: the limit that Linux applied by default before 5.4."""

BLOCK_BYTES: Final = 1 << 16
"""Bytes read at a time while a refused body is discarded.  Chosen by hand; effect not measured."""

BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    b"Content-Type: application/json\r\n\r\n"
    b'{"accepted":false,"reason":"too many concurrent requests","hint":"try again in a second"}\n'
)
FIELDS_MAX: Final = 16
"""Fields of a query that are parsed: four times as many as exist."""

JSON: Final = "application/json"
TYPES: Final = {
    "image": ("image/",),
    "json": (JSON,),
    "cbor": ("application/cbor",),
    "raw": ("application/octet-stream",),
}
"""Accepted content types by a stream's form."""


class HttpServer:
    """Serves HTTP in its own threads.  snapshot: returns the newest status."""

    def __init__(
        self,
        settings: HttpSettings,
        loop: "Loop",
        snapshot: Callable[[], DaemonStatus | None],
    ) -> None:
        self.settings, self.loop, self.snapshot = settings, loop, snapshot
        self.metrics = Metrics(snapshot)
        self._server: _ThreadingServer | None = None

    @property
    def port(self) -> int:
        """The port it listens on; 0 while it does not."""
        return int(self._server.server_address[1]) if self._server is not None else 0

    def start(self) -> None:
        """Start listening; raises StateError if it cannot."""
        address = self.settings.host, self.settings.port
        try:
            self._server = _ThreadingServer(address, self)
        except (OSError, OverflowError) as error:
            raise StateError(
                f"listening on {address[0]}, port {address[1]}: {error}",
                "choose another host or port in [http], or leave the section out",
            ) from error
        threading.Thread(target=self._server.serve_forever, name="http", daemon=True).start()
        log.info("listening", host=address[0], port=self.port)

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _ThreadingServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = BACKLOG

    def __init__(self, address: tuple[str, int], owner: HttpServer) -> None:
        self.owner = owner
        self.clients = threading.BoundedSemaphore(CLIENTS_MAX)
        self.begun: dict[Any, float] = {}
        if ":" in address[0]:
            self.address_family = AF_INET6
        super().__init__(address, _RequestHandler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not (self.clients.acquire(blocking=False) or self._make_room()):
            with suppress(OSError):
                request.settimeout(0.0)
                request.send(BUSY)
            self.shutdown_request(request)
            return
        self.begun[request] = time.monotonic()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.begun.pop(request, None)
            self.clients.release()

    def _make_room(self) -> bool:
        """Disconnect the client whose request takes longest, if that is long: a few silent clients
        must not block all others."""
        begun = list(self.begun.items())
        client, since = min(begun, key=lambda one: one[1], default=(None, 0.0))
        if client is None or time.monotonic() - since < PATIENCE_S:
            return False
        with suppress(OSError):
            client.shutdown(SHUT_RDWR)
        return self.clients.acquire(timeout=PATIENCE_S)

    def handle_error(self, _request: socket | tuple[bytes, socket], _client_address: Any) -> None:
        log.debug("http_client_left")


class _BodyReader(RawIOBase):
    """Reads from a client until a deadline, which a trickle of bytes does not extend."""

    def __init__(self, connection: socket) -> None:
        self._connection, self.until = connection, 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(max(self.until - time.monotonic(), 0.001))
        try:
            return self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(REQUEST_S)


class _RequestHandler(BaseHTTPRequestHandler):
    server: _ThreadingServer
    raw_requestline: bytes
    timeout = REQUEST_S
    protocol_version = "HTTP/1.1"
    server_version = "auricle"
    sys_version = ""

    def setup(self) -> None:
        """Read with a deadline."""
        super().setup()
        self._refused = False
        self.rfile.close()
        self._reading = _BodyReader(self.connection)
        self.rfile = BufferedReader(self._reading)

    def handle_one_request(self) -> None:
        """Start the deadline of a request."""
        now = time.monotonic()
        self._reading.until = now + REQUEST_S
        self.server.begun[self.connection] = now
        super().handle_one_request()

    def parse_request(self) -> bool:
        """Read the request's head.  Refuse an empty line, which the base class ignores, and
        HTTP/0.9, whose responses have no status."""
        if not self.raw_requestline.strip():
            self.requestline = self.command = ""
            self.send_error(400, "there is no request line")
            return False
        if not super().parse_request():
            return False
        if self.request_version == "HTTP/0.9":
            self.send_error(505, "the request line names no version", "send HTTP/1.1")
            return False
        return True

    def finish(self) -> None:
        """Close.  Discard the rest of a refused body for a moment: otherwise the kernel answers it
        by a reset, and the client never reads the reason."""
        with suppress(OSError):
            if self._refused:
                self.connection.shutdown(SHUT_WR)
                self._reading.until = time.monotonic() + PATIENCE_S
                while self.rfile.read1(BLOCK_BYTES) and time.monotonic() < self._reading.until:
                    continue
        super().finish()

    def do_HEAD(self) -> None:
        """Respond as to GET, without the body."""
        self.do_GET()

    def do_GET(self) -> None:
        """Respond with metrics, liveness or readiness."""
        # A body that is not read must not be taken for the next request.
        self.close_connection |= "Content-Length" in self.headers or self._in_chunks
        owner = self.server.owner
        match urlsplit(self.path).path:
            case "/metrics":
                self._respond(200, owner.metrics.text(), CONTENT_TYPE)
            case "/livez":
                still_s = time.monotonic() - owner.loop.turned_at
                state = {"turned_s_ago": round(still_s, 1)}
                self._respond_json(200 if still_s < ALIVE_S else 503, state)
            case "/readyz":
                now = owner.snapshot()
                ready = now is not None and now.state in {"serving", "degraded", "paused"}
                report = {"state": now.state, "problems": now.problems} if now else {}
                self._respond_json(200 if ready and now and _some_home(now) else 503, report)
            case _:
                self._refuse(404, "there is no such page", "see /metrics, /livez, /readyz")

    def do_POST(self) -> None:
        """Accept a measurement of a stream."""
        self.close_connection = True
        refused = self._refuse_remote() or self._refuse_length()
        if refused:
            self._refuse(*refused)
            return
        parts = urlsplit(self.path)
        name = unquote(parts.path.removeprefix("/observe/"))
        stream = self.server.owner.loop.inbox.streams.get(name)
        settings = stream.settings if stream is not None else None
        if not parts.path.startswith("/observe/") or not isinstance(settings, HttpStream):
            self._refuse(404, f"there is no stream {name!r} for requests", "see [streams]")
            return
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if not kind.startswith(TYPES[settings.format]):
            wanted = TYPES[settings.format][0]
            self._refuse(415, f"expected the type {wanted}, found {kind or 'none'}", "")
            return
        length = int(self.headers["Content-Length"])
        try:
            body = self.rfile.read(length)
        except TimeoutError:
            self._refuse(408, f"the body did not arrive within {REQUEST_S:g} s", "send it at once")
            return
        if len(body) < length:
            cut = f"the body ends after {len(body)} of {length} bytes"
            self._refuse(400, cut, "send as many bytes as Content-Length says")
            return
        self._enqueue(name, settings, body, parts.query)

    def _enqueue(self, name: str, settings: HttpStream, body: bytes, query: str) -> None:
        sink = self.server.owner.loop.inbox
        try:
            given = read_properties(parse_qsl(query, max_num_fields=FIELDS_MAX))
        except ValueError:
            given = InvalidMeasurement(
                "the query has too many fields", "send id, subject, sequence, captured_at_ns"
            )
        found = (
            given
            if isinstance(given, InvalidMeasurement)
            else decode_payload(name, settings, body, given)
        )
        if isinstance(found, InvalidMeasurement):
            sink.reject(name, found)
            self._refuse(400, found.reason, found.hint)
        elif sink.offer(found):
            self._respond_json(202, {"accepted": True})
        else:
            self._refuse(429, "it came too fast, or an older one was dropped for it", "send slower")

    def _refuse_remote(self) -> tuple[int, str, str] | None:
        """Return a refusal for a client on another machine or a web page's script, else None."""
        host = self.headers.get("Host", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if not _is_here(self.client_address[0]) or not (name == "localhost" or _is_here(name)):
            return 403, "measurements are accepted from this machine alone", "send them by MQTT"
        if "Origin" in self.headers:
            return 403, "the request is from a web page", "send it from a program"
        return None

    def _refuse_length(self) -> tuple[int, str, str] | None:
        given = self.headers.get_all("Content-Length", [])
        length = given[0] if len(given) == 1 and not self._in_chunks else ""
        if not (length.isascii() and length.isdigit() and len(length) < 12):
            return 411, "expected one Content-Length", "send one, and no chunks"
        most = self.server.owner.settings.payload_bytes_max
        if int(length) > most:
            return (
                413,
                f"the body has {length} bytes, at most {most} are accepted",
                "see http.payload_bytes_max",
            )
        return None

    @property
    def _in_chunks(self) -> bool:
        return "Transfer-Encoding" in self.headers

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse an invalid request in the format of all other refusals."""
        self.close_connection = True
        self.request_version = self.protocol_version
        self._refuse(
            code, message or HTTPStatus(code).phrase, explain or "see docs/howto/daemon.md"
        )

    def _refuse(self, code: int, reason: str, hint: str) -> None:
        self._refused = self.close_connection
        self._respond_json(code, {"accepted": False, "reason": reason, "hint": hint})

    def _respond_json(self, code: int, content: dict[str, Any]) -> None:
        self._respond(code, msgspec.json.encode(content) + b"\n", JSON)

    def _respond(self, code: int, body: bytes, kind: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Do not log requests."""


def _some_home(now: DaemonStatus) -> bool:
    return any(home.encoder for home in now.homes)


def _is_here(address: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    return False
