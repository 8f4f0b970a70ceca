"""The screen Fleet in a browser: names, numbers, times and reasons, and nobody's facts."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.console.browser import PHONE
from edge.pages import number
from edge.storage.aggregate_file import AggregateFile, ChildRow, ChildState, OutlierRow, RefusalRow
from tests.aggregates import aggregating, empty, raw, sent
from tests.browsers import browsing, needs_browser
from tests.daemons import daemon_home

pytestmark = needs_browser

STREAM = '[streams.press]\nsource = "stdin"\n'
ROLES = """
[fleet]
name = "hall"
devices = ["north"]

[aggregate]
name = "site-1"
fleet = "hall"
parent = "region"
"""


def test_the_fleet_is_shown_with_its_children_and_reasons(tmp_path) -> None:
    """Who contributed, what waits, what was refused and why; a filter shows one state alone."""
    home = daemon_home(tmp_path / "home", STREAM + ROLES, facts=20)
    now_ns = time.time_ns()
    with aggregating(home / "aggregate.db", messages_per_hour=1.0) as one:
        one.receive([raw(sent(f"press-{n}")) for n in range(3)], now_ns)
        one.receive([empty("press-0", 5), raw(sent("old"), card="0" * 64)], now_ns)
        one.receive([raw(sent("hasty"), revision=2 + n) for n in range(12)], now_ns)
        one.drop("press-1", now_ns)
        one.contribution(now_ns)
    with browsing(home) as seen:
        seen.goto("fleet")
        table = seen.page.get_by_role("region", name="Children", exact=True)
        assert table.get_by_role("row").count() == 1 + 5
        assert "withdrawn" in table.get_by_role("row", name="press-0").inner_text()
        assert "dropped" in table.get_by_role("row", name="press-1").inner_text()
        refused = seen.page.get_by_role("region", name="Refused").inner_text()
        assert "old" in refused
        assert "encoder card" in refused
        assert "hasty" in seen.page.get_by_role("region", name="Waiting").inner_text()
        members = seen.page.get_by_role("region", name="Members").inner_text()
        assert "north" in members
        assert "not heard of" in members
        seen.page.get_by_role("link", name="dropped 1").click()
        seen.page.get_by_role("row", name="press-1").wait_for()
        assert seen.page.get_by_role("row", name="press-2").count() == 0


def test_a_device_in_no_fleet_says_how_to_join_one(tmp_path) -> None:
    """Without [fleet] and [aggregate] the screen explains both."""
    with browsing(daemon_home(tmp_path / "home", STREAM)) as seen:
        seen.goto("fleet")
        seen.page.get_by_text("This device is in no fleet").wait_for()


MANY = 10_000
STATES: tuple[ChildState, ...] = ("summed",) * 17 + ("withdrawn", "refused", "dropped")
"""Of twenty children each."""


def fill(path: Path) -> None:
    """Ten thousand children in all states; some wait, are refused or far from the others."""
    now_ns = time.time_ns()
    with AggregateFile(path, writable=True) as file, file.change("filling"):
        for at in range(MANY):
            name, state = f"press-{at:05}", STATES[at % len(STATES)]
            held = state == "summed"
            file.put_child(
                ChildRow(
                    device=name,
                    state=state,
                    revision=1_700_000_000 + at,
                    samples=20 * held,
                    devices=int(held),
                    at_ns=now_ns - at * 10**10,
                )
            )
            if at % 40 == 0:
                file.wait(name, now_ns, b"x")
            if state == "refused":
                file.refuse(RefusalRow(name, now_ns, "they are of the encoder card 000000000000"))
        file.put_outliers(OutlierRow(f"press-{n:05}", "hall", "a", 9.0, 0.1) for n in range(300))


def test_ten_thousand_children_are_paged_and_found(tmp_path: Path) -> None:
    """A page shows a hundred; the next, the last and a name are a click away, and a page comes
    in seconds; nothing is wider than a phone."""
    home = daemon_home(tmp_path / "home", STREAM + ROLES, facts=20)
    fill(home / "aggregate.db")
    with browsing(home) as seen:
        began = time.monotonic()
        seen.goto("fleet")
        page = seen.page
        table = page.get_by_role("region", name="Children", exact=True)
        assert table.get_by_role("row").count() == 1 + 100
        assert time.monotonic() - began < 15
        page.get_by_text(f"1 to 100 of {number(MANY)}").wait_for()
        page.get_by_role("link", name="Later").click()
        page.get_by_text(f"101 to 200 of {number(MANY)}").wait_for()
        page.get_by_role("link", name="Last").click()
        page.get_by_text(f"{number(9_901)} to {number(MANY)}").wait_for()
        assert page.get_by_role("link", name="Later").count() == 0
        page.get_by_role("searchbox").fill("PRESS-0777")
        page.get_by_role("button", name="Find").click()
        table.get_by_role("row", name="press-07777").wait_for()
        assert table.get_by_role("row").count() == 1 + 10
        page.get_by_role("link", name="dropped 500").click()
        table.get_by_role("row", name="press-07779").wait_for()
        assert table.get_by_role("row").count() == 1 + 1
        page.get_by_role("link", name="All").click()
        table.get_by_role("row", name="press-00000").wait_for()
        page.set_viewport_size(PHONE)
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wide) <= 0
