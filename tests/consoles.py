"""A console in this process, and a client without a browser."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from edge.config import WebSettings
from edge.web.app import Application
from edge.web.links import make_link

FORM = "application/x-www-form-urlencoded"
ANSWER_S = 20.0


class Answer:
    """A response.  cookie: what it sets, as a browser sends it back."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self) -> str:
        """The body."""
        return self.body.decode()

    @property
    def cookie(self) -> str:
        """The cookie that it sets, empty for none."""
        return self.headers.get("Set-Cookie", "").partition(";")[0]


class Console:
    """A console that serves a folder in a thread of its own."""

    def __init__(self, folder: Path, settings: WebSettings) -> None:
        self.folder = folder
        self.application = Application(folder, settings, ThreadPoolExecutor(1))
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(ANSWER_S)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = await self.application.server.start("127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.application.cookie = f"auricle_{self.port}"
        live = asyncio.create_task(self.application.parts.live.run())
        self._ready.set()
        await self._stop.wait()
        live.cancel()
        server.close()
        await self.application.server.stop()

    def close(self) -> None:
        """Stop it."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def ask(
        self,
        method: str,
        path: str,
        body: str | bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send a request; a body is a form."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_S)
        kind = {"Content-Type": FORM} if body is not None else {}
        connection.request(method, path, body, kind | (headers or {}))
        try:
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def raw(self, content: bytes) -> bytes:
        """Send bytes as they are; return everything that comes back."""
        with socket.create_connection(("127.0.0.1", self.port), ANSWER_S) as connection:
            connection.sendall(content)
            found = b""
            while block := connection.recv(1 << 16):
                found += block
            return found

    def open(self, token: str, headers: dict[str, str] | None = None) -> Answer:
        """Redeem a token."""
        return self.ask("POST", "/open", urlencode({"token": token}), headers)

    def log_in(self, role: str = "owner") -> dict[str, str]:
        """The headers of a new session's actions."""
        answer = self.open(make_link(self.folder, role))  # type: ignore[arg-type]
        assert answer.status == 303, answer.text
        secret = answer.cookie.partition("=")[2]
        session = self.application.parts.sessions.find(secret)
        assert session is not None
        return {"Cookie": answer.cookie, "X-CSRF-Token": session.csrf}


@contextmanager
def console(folder: Path, settings: WebSettings | None = None) -> Iterator[Console]:
    """Yield a console."""
    made = Console(folder, settings or WebSettings())
    try:
        yield made
    finally:
        made.close()
