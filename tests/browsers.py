"""A browser in front of the console: a live daemon, `auricle web` in its own process, Chromium.

    with browsing(folder) as seen:              # a home as tests.daemons.daemon_home makes it
        seen.page.get_by_role("link", name="Label").click()
        seen.daemon.say("[1, 2, 3]")

The page is logged in with a one-time link, like a person's.  `seen.problems` lists errors of the
page's scripts and violations of its policy; a test that ends with one fails.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error as PlaywrightError

from benchmarks.console import pages
from benchmarks.console.browser import CHROMIUM, DESKTOP, PHONE, chromium
from tests.daemons import DIE_WITH_PARENT, START, WAIT_S, Process

PAGE_MS = 60_000
"""Longest wait of a browser's step, on a busy machine."""

AXE = os.environ.get("AURICLE_AXE", "")
SERIOUS = {"serious", "critical"}

needs_browser = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")

needs_axe = pytest.mark.skipif(
    not AXE, reason="AURICLE_AXE names no axe.min.js of the npm package axe-core"
)


def in_every_view(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test on a desktop and a phone, in light and dark."""
    sizes = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
    schemes = pytest.mark.parametrize("scheme", ["light", "dark"])
    made: Callable[..., None] = schemes(sizes(test))
    return made


def axe_findings(page: Any, name: str) -> list[str]:
    """Return the serious and critical findings of axe-core on the page that is open."""
    page.evaluate(Path(AXE).read_text("utf-8"))
    return [
        f"{name}: {one['id']} at {one['nodes'][0]['target']}"
        for one in page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        if one["impact"] in SERIOUS
    ]


class ConsoleProcess(pages.ConsoleProcess):
    """`auricle web` of a home, which ends with the tests."""

    def __init__(self, home: Path, port: str = "0") -> None:
        super().__init__(home, port, preexec_fn=DIE_WITH_PARENT)

    def again(self, port: str) -> ConsoleProcess:
        """Another console of the home, after this one has ended."""
        self.process.wait(WAIT_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return ConsoleProcess(self.home, port)


@dataclass
class Seen:
    """What a test of the console works with.  new_page: opens another session."""

    folder: Path
    page: Any
    console: ConsoleProcess
    daemon: Process | None
    browser: Any
    problems: list[str] = field(default_factory=list)

    def new_page(self, role: str = "owner", **options: Any) -> Any:
        """A page of another session."""
        page = self.browser.new_context(viewport=DESKTOP, **options).new_page()
        page.set_default_timeout(PAGE_MS)
        page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        page.on("console", self._heard)
        page.goto(self.console.link(role))
        page.wait_for_selector("nav", timeout=PAGE_MS)
        return page

    def viewed(self, scheme: str, size: dict[str, int]) -> Any:
        """A page of another session in a view, for axe-core: it alone may run other scripts."""
        page = self.new_page(color_scheme=scheme, bypass_csp=True)
        page.set_viewport_size(size)
        return page

    def _heard(self, message: Any) -> None:
        # A status of 4xx or 5xx, or no answer at all, is what some tests ask for.
        expected = ("Failed to load resource", "Failed to fetch")
        if message.type == "error" and not any(one in message.text for one in expected):
            self.problems.append(message.text)

    def goto(self, path: str) -> None:
        """Open a screen.  A page that waits for the daemon reloads once it is back, which may abort
        a navigation: it is then repeated."""
        try:
            self.page.goto(self.console.address + path)
        except PlaywrightError as error:
            if "ERR_ABORTED" not in str(error):
                raise
            self.page.goto(self.console.address + path)

    def screenshots(self, name: str, folder: Path) -> list[Path]:
        """Save the page on a desktop and a phone, in light and dark."""
        made = []
        for size, shown in ((DESKTOP, "desktop"), (PHONE, "phone")):
            self.page.set_viewport_size(size)
            for scheme in ("light", "dark"):
                self.page.emulate_media(color_scheme=scheme)
                path = folder / f"{name}-{shown}-{scheme}.png"
                self.page.screenshot(path=path, caret="initial")
                made.append(path)
        self.page.set_viewport_size(DESKTOP)
        self.page.emulate_media(color_scheme="light")
        return made


@contextmanager
def browsing(
    folder: Path, *, daemon: bool = True, role: str = "owner", start: str = START
) -> Iterator[Seen]:
    """Yield a page that is logged in to the console of a home, whose daemon runs.

    daemon: False: no daemon is started, and the folder may be empty.  start: code that runs it.
    """
    folder.mkdir(exist_ok=True)
    running = Process(folder, start) if daemon else None
    seen = Seen(folder, None, ConsoleProcess(folder), running, None)
    if running is not None:
        drain(seen)
    try:
        with chromium() as seen.browser:
            seen.page = seen.new_page(role) if daemon else _first_page(seen, role)
            yield seen
            assert seen.problems == [], seen.problems
    finally:
        _end(seen.console)
        if running is not None and running.process.poll() is None:
            running.kill()


def _end(console: ConsoleProcess) -> None:
    """In order, so that a daemon that the console started ends with it."""
    console.process.terminate()
    try:
        console.process.wait(3 * WAIT_S)
    except subprocess.TimeoutExpired:
        console.process.kill()
        console.process.wait()


def _first_page(seen: Seen, role: str) -> Any:
    page = seen.browser.new_context(viewport=DESKTOP).new_page()
    page.set_default_timeout(PAGE_MS)
    page.goto(seen.console.link(role))
    page.wait_for_selector("nav")
    return page


def drain(seen: Seen) -> None:
    """Read what the daemon prints from now on: a full pipe would stop it."""
    assert seen.daemon is not None
    threading.Thread(target=_read_all, args=(seen.daemon.process.stdout,), daemon=True).start()


def _read_all(pipe: Any) -> None:
    while pipe.read1(1 << 16):
        continue


def until(holds: Any, wait_s: float = 3 * WAIT_S) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + wait_s
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
