"""The screen Fleet in a browser: names, numbers, times and reasons, and nobody's facts."""

from __future__ import annotations

import time

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
