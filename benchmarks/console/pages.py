"""Open pages: sessions that ask as often as the script of a page does, or pages of a browser.

A browser takes processor time of its own, on the machine of the person.  So the cost of open pages
is measured without one, and ten pages of a real one are measured beside it.  The process of all of
them stands for other machines: it runs at the lowest priority, while the console and the daemon run
as they are installed.
"""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from ..daemon.fixture import AURICLE, PYTHON, ROOT

REFRESH_S = 2.0
"""Seconds between two refreshes of a page: `throttle:2s` in edge/web/templates/now.html and
health.html, `WATCH_MS` in edge/web/static/label.js."""

OTHER_MACHINE = 19
"""Niceness of the pages' process, the largest: people's browsers run on other machines."""

REFRESHED = ("now-cards", "health-state", "label-ids?limit=100", "now-cards", "")
"""What the pages refresh, in turn: two of five are on the screen Now, and one on one that follows
live data without a refresh (Knowledge, History)."""

SHOWN = ("", "", "health", "label", "knowledge", "", "", "health", "label", "history")
"""The screens of the pages in a browser: as many of each as in `REFRESHED`."""

Kind = Literal["live", "pages", "browser"]
"""Pages that only follow live data, that refresh what they show too, or of a browser."""

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


def stay(session: PageSession, address: str, until: threading.Event) -> None:
    """Refresh what a page shows until an event is set.  address: empty for none."""
    while address and not until.wait(REFRESH_S):
        status, _, body = session.ask("GET", address)
        assert status == http.client.OK, body[:500]


def main(home: str, count: int, kind: Kind) -> None:
    """Keep pages open until standard input ends; a process of its own, so that its threads take no
    time from the program that measures."""
    console = ConsoleProcess(Path(home))
    os.nice(OTHER_MACHINE)
    if kind == "browser":
        from .browser import chromium, logged_in

        with chromium() as browser:
            for number in range(count):
                page = logged_in(browser, console)
                page.goto(console.address + SHOWN[number % len(SHOWN)])
            _wait(console)
    else:
        ended = threading.Event()
        for number in range(count):
            session = PageSession(console)
            threading.Thread(target=session.listen, args=(ended,), daemon=True).start()
            address = REFRESHED[number % len(REFRESHED)] if kind == "pages" else ""
            threading.Thread(target=stay, args=(session, address, ended), daemon=True).start()
        _wait(console)
        ended.set()
    console.stop()


def _wait(console: ConsoleProcess) -> None:
    print(console.process.pid, flush=True)
    sys.stdin.read()


@contextmanager
def open_pages(home: Path, count: int, kind: Kind = "pages") -> Iterator[int]:
    """Keep a console with open pages; yields the console's process id."""
    code = f"from benchmarks.console.pages import main; main({str(home)!r}, {count}, {kind!r})"
    with subprocess.Popen(
        [*PYTHON, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.stdin.close()
