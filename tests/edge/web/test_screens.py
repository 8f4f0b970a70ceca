"""Every screen at once: accessibility by axe-core, a slow network, an end of the session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.console.browser import DESKTOP
from edge.web.screens import SCREENS
from tests.browsers import (
    Seen,
    axe_findings,
    browsing,
    in_every_view,
    needs_axe,
    needs_browser,
    until,
)
from tests.daemons import daemon_home
from tests.worlds import WIDTH

LATE = {"knowledge": "#suspicious li"}
"""What a screen fetches after it has loaded."""
SETTLED = """document.getElementById("live-state").textContent === "live"
    && !document.querySelector(".htmx-request")"""
"""Whether the live data has arrived, and no part is on its way."""
SETTINGS = '[streams.press]\nsource = "stdin"\n[streams.load]\nsource = "stdin"\nkind = "series"\n'
LATENCY_MS, SLOW_BYTES_S = 400, 50_000
"""A mobile network at its worst: latency, and bytes a second."""

SLOW_SCREENS = [one for one in SCREENS if one.name in {"now", "label", "forecast"}]
"""The first one, that of pictures, and the largest."""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """A console over a home with facts and a stream that left the known domains."""
    home = daemon_home(tmp_path_factory.mktemp("screens") / "home", SETTINGS, facts=40)
    with browsing(home) as made:
        assert made.daemon is not None
        for number in range(40):
            values = [float((number * 7 + column) % 23) for column in range(WIDTH)]
            made.daemon.say(str(values))
        yield made


@needs_browser
@needs_axe
@in_every_view
def test_axe_finds_nothing_serious(seen: Seen, scheme: str, size: dict[str, int]) -> None:
    """No screen has a serious or critical finding of axe-core, in any view."""
    page = seen.viewed(scheme, size)
    found = []
    for screen in SCREENS:
        page.goto(seen.console.address + screen.path)
        page.locator(LATE.get(screen.name, "main h1")).first.wait_for(state="attached")
        page.wait_for_function(SETTLED)
        found += axe_findings(page, screen.title)
    page.context.close()
    assert found == []


@needs_browser
@pytest.mark.parametrize("screen", SLOW_SCREENS, ids=lambda one: one.name)
def test_a_screen_opens_on_a_slow_network(seen: Seen, screen) -> None:
    """A screen shows its heading and its live state over 50 kB/s with 400 ms of latency."""
    page = seen.new_page()
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    slow = {"downloadThroughput": SLOW_BYTES_S, "uploadThroughput": SLOW_BYTES_S}
    session.send(
        "Network.emulateNetworkConditions", {"offline": False, "latency": LATENCY_MS, **slow}
    )
    page.goto(seen.console.address + screen.path)
    assert page.get_by_role("heading").count() > 0
    until(lambda: page.locator("#live-state").inner_text() == "live")
    page.context.close()


@needs_browser
@pytest.mark.parametrize("screen", SCREENS, ids=lambda one: one.name)
def test_an_ended_session_leads_to_the_login(seen: Seen, screen) -> None:
    """Once the session has ended, a screen shows the form for a link and nothing of the device."""
    page = seen.new_page()
    # An open screen that loses its session opens the login by itself, which may abort a later step.
    page.goto("about:blank")
    page.context.clear_cookies()
    page.goto(seen.console.address + screen.path)
    assert page.get_by_label("Token").or_(page.locator("input[name=token]")).count() == 1
    assert "press" not in page.content()
    page.context.close()


@needs_browser
def test_another_site_cannot_frame_a_screen(seen: Seen, tmp_path: Path) -> None:
    """A page of another origin that frames the console shows nothing of it (clickjacking)."""
    trap = tmp_path / "trap.html"
    trap.write_text(f'<iframe src="{seen.console.address}" width=800 height=600></iframe>', "utf-8")
    page = seen.browser.new_context(viewport=DESKTOP).new_page()
    page.goto(trap.as_uri())
    shown = [frame for frame in page.frames if frame.url.startswith(seen.console.address)]
    assert shown == []
    page.context.close()
