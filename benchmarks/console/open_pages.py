"""Keeps pages open while something else is measured, in a process of its own: sessions that ask as
often as the script of a page does, or pages of a browser.

A browser takes processor time of its own, on the machine of the person.  So the cost of open pages
is measured without one, and ten pages of a real one are measured beside it.  The process of all of
them stands for other machines: it runs at the lowest priority, while the console and the daemon run
as they are installed.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from ..daemon.fixture import PYTHON, ROOT
from .browser import chromium, logged_in
from .pages import ConsoleProcess, PageSession

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
    code = f"from benchmarks.console.open_pages import main; main({str(home)!r}, {count}, {kind!r})"
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
