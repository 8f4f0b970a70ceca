"""The progress of a forget request on its page, with a live daemon in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.core.events import Enrol, FitGeometry
from edge.home.home import Home
from tests.browsers import Seen, browsing, needs_browser
from tests.daemons import HELD, daemon_home
from tests.worlds import fact

FACTS = 400
"""More than are derived on the spot."""

GONE = 60
"""More than are erased between two decisions."""

SLOW_MS = 60_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A home with facts of a subject, whose requests wait before each step."""
    made = daemon_home(tmp_path / "home", facts=0)
    names = ["Zaphod"] * GONE + [""] * (FACTS - GONE)
    with Home(made) as home:
        facts = (
            fact(f"f{n}", "ab"[n % 2], "xy"[n % 3 % 2], n + 1, subject=name)
            for n, name in enumerate(names)
        )
        home.feed(Enrol(tuple(facts)))
        home.feed(FitGeometry())
    for name in ("erasing", "deriving"):
        (made / name).touch()
    return made


def main(seen: Seen) -> str:
    """The text of the page."""
    return str(seen.page.locator("main").inner_text())


def step(seen: Seen) -> str:
    """The step that the page marks as current."""
    return str(seen.page.locator("[aria-current=step]").inner_text())


@needs_browser
def test_the_page_follows_a_request_through_its_steps(folder: Path) -> None:
    """Excluded while facts are being erased, then what is derived, then the receipt: the page never
    calls a request done that is not, and after a reload it shows the same."""
    with browsing(folder, start=HELD) as seen:
        seen.goto("forget")
        seen.page.fill("#forget-subject", "Zaphod")
        seen.page.get_by_role("button", name="Preview").click()
        seen.page.fill("#forget-count", str(GONE))
        seen.page.get_by_role("button", name=f"Forget {GONE} examples").click()
        seen.page.wait_for_selector(f"text={GONE} facts excluded", timeout=SLOW_MS)
        assert step(seen) == "Excluded"
        assert "being erased from the ledger" in main(seen)
        (folder / "erasing").unlink()
        seen.page.wait_for_selector("text=are erased from the ledger", timeout=SLOW_MS)
        seen.page.reload()
        assert step(seen) == "Derived again"
        assert "Digest after" not in main(seen)
        address = seen.page.url
        seen.goto("forget")
        assert f"{GONE} facts excluded; the receipt follows" in main(seen)
        (folder / "deriving").unlink()
        seen.page.goto(address)
        seen.page.wait_for_selector(f"text={GONE} facts forgotten", timeout=SLOW_MS)
        assert step(seen) == "Complete"
        assert "Digest after" in main(seen)
