"""The process of a console, and sessions over HTTP without a browser."""

from __future__ import annotations

import http.client
import re
import subprocess
import threading
import time
import urllib.parse
from pathlib import Path
from typing import Any

from ..daemon.fixture import AURICLE, ROOT

READY_S = 60.0
"""Generous, so that a slow machine does not fail."""


class ConsoleProcess:
    """`auricle web` of a home, listening once created.

    start_s: seconds from its start to the printed link.  address, token: of that link.  options: of
    `subprocess.Popen`.
    """

    def __init__(self, home: Path, port: str = "0", **options: Any) -> None:
        self.home, self.log = home, home / "console.log"
        begun = time.perf_counter()
        with self.log.open("ab") as errors:
            self.process = subprocess.Popen(
                [*AURICLE, "web", "--home", str(home), "--port", port],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                **options,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.start_s = time.perf_counter() - begun
        found = re.search(r"open (http://\S+/)open\?token=(\S+)", line)
        assert found, f"the console printed {line!r}: {self.log.read_text('utf-8')}"
        self.address, self.token = found.groups()

    def link(self, role: str = "owner") -> str:
        """Return a new one-time link."""
        from edge.web import make_link

        return f"{self.address}open?token={make_link(self.home, role)}"  # type: ignore[arg-type]

    def stop(self) -> int:
        """Terminate it; return its exit status."""
        self.process.terminate()
        return self.process.wait(READY_S)


class PageSession:
    """A session of the console over HTTP, as a browser has it."""

    def __init__(self, console: ConsoleProcess) -> None:
        split = urllib.parse.urlsplit(console.address)
        assert split.port is not None
        self._host, self._port = str(split.hostname), split.port
        token = console.link().partition("token=")[2]
        status, headers, _ = self.ask("POST", "open", {"token": token})
        assert status == http.client.SEE_OTHER, status
        self._cookie = headers["Set-Cookie"].partition(";")[0]
        page = self.ask("GET", "")[2].decode()
        self.csrf = page.partition('name="csrf" content="')[2].partition('"')[0]

    _cookie = ""
    csrf = ""

    def ask(
        self, method: str, path: str, form: dict[str, str | list[str]] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Return status, headers and body of a response."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=READY_S)
        body = (
            urllib.parse.urlencode({"csrf": self.csrf, **form}, doseq=True)
            if form is not None
            else None
        )
        headers = {"Cookie": self._cookie, "Origin": f"http://{self._host}:{self._port}"}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, f"/{path}", body, headers)
        response = connection.getresponse()
        found = response.read()
        connection.close()
        return response.status, response.headers, found

    def listen(self, until: threading.Event) -> None:
        """Read live data until an event is set."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=READY_S)
        connection.request("GET", "/live", headers={"Cookie": self._cookie})
        response = connection.getresponse()
        while not until.is_set() and response.readline():
            continue
        connection.close()
