"""Messages of actions in a browser: confirmations leave, errors stay until they are dismissed."""

from __future__ import annotations

from tests.browsers import Seen, browsing, needs_browser
from tests.daemons import daemon_home

pytestmark = needs_browser


def say(seen: Seen, text: str, tone: str) -> None:
    """Let the page show a message, as an action's answer does."""
    news = {"text": text, "tone": tone, "undo": ""}
    seen.page.evaluate(
        "(detail) => document.body.dispatchEvent(new CustomEvent('auricle:toast', { detail }))",
        news,
    )


def test_errors_stay_until_they_are_dismissed(tmp_path) -> None:
    """A confirmation leaves after seconds; an error stays, is an alert, takes no focus, counts its
    repetitions, and is dismissed with the keyboard.  A few are shown at once, the newest ones; the
    others follow, and the focus goes on to the next one."""
    with browsing(daemon_home(tmp_path / "home")) as seen:
        page = seen.page
        page.clock.install()
        seen.goto("")
        page.locator(".brand").focus()
        say(seen, "Saved.", "good")
        for number in (1, 2, 3, 4, 4):
            say(seen, f"Failed {number}", "bad")
        page.clock.run_for(600_000)
        assert page.get_by_text("Saved.").count() == 0
        assert page.evaluate("document.activeElement.className") == "brand"
        alerts = page.locator("#errors").get_by_role("alert")
        assert alerts.all_inner_texts() == [
            f"{text}\nDismiss" for text in ("Failed 2", "Failed 3", "Failed 4 (2 times)")
        ]
        assert page.get_by_text("Dismiss these to see 1 older").is_visible()
        alerts.last.get_by_role("button").focus()
        for left in (3, 2, 1):
            page.keyboard.press("Enter")
            assert alerts.count() == left
            assert page.evaluate("document.activeElement.textContent") == "Dismiss"
        page.keyboard.press("Enter")
        assert alerts.count() == 0
        assert page.evaluate("document.activeElement.id") == "main"


def test_errors_are_bounded(tmp_path) -> None:
    """However many errors there are, the page keeps twenty."""
    with browsing(daemon_home(tmp_path / "home")) as seen:
        for number in range(50):
            say(seen, f"Failed {number}", "bad")
        assert seen.page.locator("#errors .toast").count() == 20
        assert seen.page.locator("#errors .toast:visible").count() == 3
        assert seen.page.locator("#errors .toast").last.inner_text().startswith("Failed 49")
