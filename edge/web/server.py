"""Connections of the console: reads a request within its limits, hands it to the application, and
writes the response within its limits.

microdot routes and dispatches; its own server has no deadlines, so that one slow client could hold
it.  Every connection here has a deadline for the head, the body and each write, and their number is
bounded.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, cast

from microdot import Microdot, Request, Response

HEAD_BYTES_MAX: Final = 16 << 10
"""Longest head of a request: cookies of other services on the same host fit (nginx takes 32 KiB).
"""

HEAD_S: Final = 10.0
"""Seconds for a request's head: sending byte by byte does not extend it (slowloris)."""

BODY_S: Final = 30.0
"""Seconds for a request's body: 256 KiB over a slow link.  Chosen by hand; effect not measured."""

WRITE_S: Final = 20.0
"""Seconds in which a client must take the next 64 KiB of a response.  Chosen by hand; effect not
measured."""

CONNECTIONS_MAX: Final = 128
"""Connections at once: ten pages that each load thumbnails over six.  Chosen by hand; effect not
measured."""

CLIENT_MAX: Final = 96
"""Connections of one address: a browser opens six for each page, and a proxy is one address."""

BODY_BYTES_MAX: Final = 256 << 10
"""Longest body of a request, unless its route allows more: 1,000 ids of 200 characters."""

CHUNK_BYTES: Final = 64 << 10
"""Bytes that are written before the client must have taken them."""


@dataclass(frozen=True)
class BadRequest:
    """Why a request is not handed to the application."""

    status: int
    reason: str


@dataclass(frozen=True)
class RequestHead:
    """What of a request's head decides how it is read.  length: bytes of the body."""

    method: str
    path: str
    length: int


class ConsoleServer:
    """Serves an application.  body_limit: bytes of body that a method and path may have."""

    def __init__(self, app: Microdot, body_limit: Callable[[str, str], int]) -> None:
        self._app, self._body_limit = app, body_limit
        self._clients: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return self._clients.total()

    async def start(self, host: str, port: int) -> asyncio.Server:
        """Start listening; raises OSError."""
        return await asyncio.start_server(self._serve, host, port, limit=HEAD_BYTES_MAX)

    async def stop(self) -> None:
        """Disconnect every client."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        peer = writer.get_extra_info("peername")
        address = peer[0] if isinstance(peer, tuple) else ""
        full = self._clients.total() >= CONNECTIONS_MAX or self._clients[address] >= CLIENT_MAX
        self._tasks.add(task)
        self._clients[address] += 1
        try:
            with suppress(OSError, TimeoutError, asyncio.CancelledError):
                if full:
                    await _refuse(writer, BadRequest(503, "too many connections; try again soon"))
                else:
                    await self._respond(reader, writer, peer)
        finally:
            self._tasks.discard(task)
            self._clients[address] -= 1
            if not self._clients[address]:
                del self._clients[address]
            writer.close()

    async def _respond(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Any
    ) -> None:
        request = await self._read(reader, peer)
        if isinstance(request, BadRequest):
            await _refuse(writer, request)
            return
        if request is None:
            return
        response = await self._app.dispatch_request(request)
        if hasattr(response.body, "__anext__"):
            await _stream(reader, writer, response)
        else:
            await _write(writer, response, is_head=request.method == "HEAD")

    async def _read(self, reader: asyncio.StreamReader, peer: Any) -> Request | BadRequest | None:
        """Return a request, or why it is refused; None from a client that sent none."""
        try:
            async with asyncio.timeout(HEAD_S):
                head = await reader.readuntil(b"\r\n\r\n")
        except TimeoutError:
            return BadRequest(408, f"the request did not arrive within {HEAD_S:g} s")
        except asyncio.LimitOverrunError:
            return BadRequest(431, f"the head is longer than {HEAD_BYTES_MAX} bytes")
        except asyncio.IncompleteReadError:
            return None
        found = _check_head(head)
        if isinstance(found, BadRequest):
            return found
        length, most = found.length, self._body_limit(found.method, found.path)
        if length > most:
            return BadRequest(413, f"the body has {length} bytes, at most {most} are accepted")
        try:
            async with asyncio.timeout(BODY_S):
                body = await reader.readexactly(length)
        except TimeoutError:
            return BadRequest(408, f"the body did not arrive within {BODY_S:g} s")
        except asyncio.IncompleteReadError:
            return None
        return await _parse(self._app, head + body, peer, most)


def _check_head(head: bytes) -> RequestHead | BadRequest:
    """Return what a head asks for, or why it is refused: two programs could read it in two ways
    (request smuggling), or it is not HTTP/1."""
    try:
        first, *lines = head.decode("ascii").removesuffix("\r\n\r\n").split("\r\n")
    except UnicodeDecodeError:
        return BadRequest(400, "the head has bytes that are not ASCII")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[1].startswith("/") or parts[2] not in {"HTTP/1.0", "HTTP/1.1"}:
        return BadRequest(400, "the request line is not one of HTTP/1.1")
    if any(
        char < " " or char == "\x7f" for line in (first, *lines) for char in line if char != "\t"
    ):
        return BadRequest(400, "the head has control characters")
    lengths, seen = [], Counter[str]()
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            return BadRequest(400, "a header has no valid name")
        seen[name.lower()] += 1
        if name.lower() == "content-length":
            lengths.append(value.strip())
    if seen["transfer-encoding"]:
        return BadRequest(411, "send the body with Content-Length, not in chunks")
    if any(
        seen[name] > 1 for name in ("host", "cookie", "origin", "content-length", "x-ingress-path")
    ):
        return BadRequest(400, "a header stands twice")
    if lengths and not (lengths[0].isdigit() and len(lengths[0]) < 12):
        return BadRequest(400, "Content-Length is not a number")
    path = parts[1].partition("?")[0]
    return RequestHead(parts[0], path, int(lengths[0]) if lengths else 0)


async def _parse(app: Microdot, raw: bytes, peer: Any, body_bytes_max: int) -> Request | BadRequest:
    """Let microdot parse a complete request, or return that it cannot."""
    Request.max_readline = HEAD_BYTES_MAX
    Request.max_body_length = Request.max_content_length = max(
        Request.max_content_length, body_bytes_max
    )
    feed = asyncio.StreamReader(limit=HEAD_BYTES_MAX)
    feed.feed_data(raw)
    feed.feed_eof()
    try:
        # microdot only keeps the writer, for WebSockets.
        request = await Request.create(app, feed, cast("asyncio.StreamWriter", None), peer)
        if request.method == "POST":
            # Parsed and kept by microdot: a form that cannot be read is refused here.
            _ = request.form
    except (ValueError, IndexError, EOFError):
        return BadRequest(400, "the request could not be read")
    return request


async def _refuse(writer: asyncio.StreamWriter, refused: BadRequest) -> None:
    response = Response(
        refused.reason + "\n", refused.status, {"Content-Type": "text/plain; charset=UTF-8"}
    )
    await _write(writer, response, is_head=False)


def _head(response: Response) -> bytes:
    """Return a response's head.  A header with a line break would start another one."""
    phrase = HTTPStatus(response.status_code).phrase
    lines = [f"HTTP/1.1 {response.status_code} {phrase}", "Connection: close"]
    for name, given in response.headers.items():
        for value in given if isinstance(given, list) else [given]:
            if any(char in f"{name}{value}" for char in "\r\n\0"):
                raise ValueError(f"the header {name} has a line break")
            lines.append(f"{name}: {value}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


async def _write(writer: asyncio.StreamWriter, response: Response, *, is_head: bool) -> None:
    """Write a response with a known body."""
    response.complete()
    body = b"" if is_head else bytes(response.body)
    whole = memoryview(_head(response) + body)
    for start in range(0, len(whole), CHUNK_BYTES):
        await _send(writer, whole[start : start + CHUNK_BYTES])


async def _stream(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, response: Response
) -> None:
    """Write a response whose parts come over time, until it ends or the client leaves."""
    left = asyncio.ensure_future(reader.read(1))
    parts = cast("AsyncGenerator[bytes]", response.body)
    try:
        await _send(writer, _head(response))
        while True:
            part = asyncio.ensure_future(anext(parts, b""))
            await asyncio.wait({left, part}, return_when=asyncio.FIRST_COMPLETED)
            if left.done() or not part.result():
                part.cancel()
                with suppress(asyncio.CancelledError):
                    await part
                return
            await _send(writer, part.result())
    finally:
        left.cancel()
        await parts.aclose()


async def _send(writer: asyncio.StreamWriter, part: bytes | memoryview) -> None:
    async with asyncio.timeout(WRITE_S):
        writer.write(part)
        await writer.drain()
