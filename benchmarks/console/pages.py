"""Pages without a browser: sessions that ask as often as the script of a page does.

A browser takes processor time of its own, on the machine of the person.  So the cost of open pages
is measured with these, and the browser measures paint and accessibility.
"""

from __future__ import annotations

import http.client
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..daemon.fixture import PYTHON, ROOT

REFRESH_S = 2.0
"""Seconds between two refreshes of the cards, as in edge/web/templates/now.html."""

READY_S = 60.0
"""Generous, so that a slow machine does not fail."""


class ConsoleProcess:
    """`auricle web` of a home.  start_s: seconds from its start to the printed link."""

    def __init__(self, home: Path, log: Path) -> None:
        code = "from edge.cli.entry import main; main()"
        begun = time.perf_counter()
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [*PYTHON, "-c", code, "web", "--home", str(home), "--port", "0"],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.start_s = time.perf_counter() - begun
        link = next((word for word in line.split() if word.startswith("http://")), "")
        assert link, f"the console printed {line!r}: {log.read_text('utf-8')}"
        self.home, self.link = home, link
        self.address = link.partition("open?")[0]

    def another_link(self) -> str:
        """Return another one-time link of an owner."""
        from edge.web import make_link

        return f"{self.address}open?token={make_link(self.home, 'owner')}"

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(READY_S)


class PageSession:
    """A session of the console over HTTP, as a browser has it."""

    def __init__(self, console: ConsoleProcess) -> None:
        split = urllib.parse.urlsplit(console.address)
        assert split.port is not None
        self._host, self._port = str(split.hostname), split.port
        token = console.another_link().partition("token=")[2]
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


def stay_on_now(session: PageSession, until: threading.Event) -> None:
    """Refresh the cards of the screen Now until an event is set."""
    while not until.wait(REFRESH_S):
        session.ask("GET", "now-cards")


def main(home: str, count: int) -> None:
    """Keep pages open until standard input ends; a process of its own, so that its threads take no
    time from the program that measures."""
    import sys

    console = ConsoleProcess(Path(home), Path(home) / "console.log")
    ended = threading.Event()
    sessions = [PageSession(console) for _ in range(count)]
    threads = [
        threading.Thread(target=work, args=(session, ended), daemon=True)
        for session in sessions
        for work in (PageSession.listen, stay_on_now)
    ]
    for thread in threads:
        thread.start()
    print(console.process.pid, flush=True)
    sys.stdin.read()
    ended.set()
    console.stop()


@contextmanager
def open_pages(home: Path, count: int) -> Iterator[int]:
    """Keep a console with open pages; yields the console's process id."""
    code = f"from benchmarks.console.pages import main; main({str(home)!r}, {count})"
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
