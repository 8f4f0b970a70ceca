"""What a person's browser sees: first paint, bytes of the first load, accessibility (axe-core)."""

from __future__ import annotations

import os
import shutil
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .pages import ConsoleProcess

AXE = "AURICLE_AXE"
"""Environment variable: path of axe.min.js, from the npm package axe-core."""

SERIOUS = ("serious", "critical")
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
VIEWS = {"desktop": DESKTOP, "phone": PHONE}
SCHEMES = ("light", "dark")
LOADS = 7
"""First loads; the median counts.  Chosen by hand; the first ones also warm the disk's cache."""


_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser")
"""Of Debian; the first has no windows, and costs a quarter of the processor time of the others."""
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), "")
"""Path of Chromium, empty without one."""


@contextmanager
def chromium() -> Iterator[Any]:
    """Yield Debian's Chromium without a window."""
    from playwright.sync_api import sync_playwright

    if not CHROMIUM:
        raise FileNotFoundError("chromium: install it (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def logged_in(browser: Any, console: ConsoleProcess, **options: Any) -> Any:
    """Return a page of a new session, on the first screen."""
    page = browser.new_context(**options).new_page()
    page.goto(console.link())
    page.wait_for_selector("nav")
    return page


def first_loads(browser: Any, console: ConsoleProcess) -> dict[str, float]:
    """Return the time to the first paint and the bytes of the first load, without a cache."""
    paints: list[float] = []
    sizes: list[float] = []
    for _ in range(LOADS):
        page = logged_in(browser, console)
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        received: list[float] = []
        session.on(
            "Network.loadingFinished",
            lambda one, into=received: into.append(one["encodedDataLength"]),
        )
        page.reload(wait_until="load")
        page.wait_for_timeout(500)
        paints.append(
            page.evaluate(
                "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Infinity"
            )
        )
        sizes.append(sum(received))
        page.context.close()
    return {"first_paint_ms": statistics.median(paints), "bytes_first_load": max(sizes)}


def count_violations(
    browser: Any, console: ConsoleProcess, paths: dict[str, str]
) -> dict[tuple[str, str], list[str]]:
    """Return the serious findings of axe-core by screen and view, as ids with their first place.

    paths: address of each screen.
    """
    script = Path(os.environ[AXE]).read_text("utf-8")
    found: dict[tuple[str, str], list[str]] = {}
    for scheme in SCHEMES:
        for view, size in VIEWS.items():
            # The policy of the console forbids scripts of others; this page alone may run one.
            page = logged_in(browser, console, viewport=size, color_scheme=scheme, bypass_csp=True)
            for name, path in paths.items():
                page.goto(console.address + path, wait_until="load")
                page.wait_for_timeout(700)
                page.evaluate(script)
                violations = page.evaluate("axe.run()")["violations"]
                found[name, f"{view} {scheme}"] = [
                    f"{one['id']}: {one['nodes'][0]['target']}"
                    for one in violations
                    if one["impact"] in SERIOUS
                ]
            page.context.close()
    return found
