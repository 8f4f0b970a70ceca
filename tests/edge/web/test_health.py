"""The screen Health in a browser, in front of a live daemon."""

from __future__ import annotations

from pathlib import Path

from tests.browsers import Seen, browsing, needs_browser, until
from tests.daemons import daemon_home

pytestmark = needs_browser

SAVE_MS = 120_000
"""Longest check of settings, which starts a program, on a busy machine."""
SAVED = "#settings .message-good"
"""The message after a save; its text alone would match the help below the field."""
STREAM = '[streams.gate]\nsource = "stdin"\n'


def text_of(home: Path) -> str:
    """The settings on the disk."""
    return (home / "auricle.toml").read_text("utf-8")


def press(seen: Seen, name: str) -> None:
    """Press a button by its whole name."""
    seen.page.get_by_role("button", name=name, exact=True).click()


def test_a_mistake_is_shown_at_its_line_and_saved_nowhere(tmp_path) -> None:
    """A text with a mistake is refused with its line, which is selected; the file, the text in the
    field and the daemon stay; the corrected text is saved, and the daemon reads it."""
    home = daemon_home(tmp_path / "home", STREAM)
    before = text_of(home)
    with browsing(home) as seen:
        seen.goto("health")
        field = seen.page.get_by_label("auricle.toml")
        field.fill(before.replace('"stdin"', '"stdni"'))
        press(seen, "Save")
        seen.page.get_by_text("did you mean stdin?").wait_for(timeout=SAVE_MS)
        line = before.splitlines().index('source = "stdin"') + 1
        seen.page.get_by_role("link", name=f"line {line}").wait_for()
        chosen = field.evaluate("t => t.value.slice(t.selectionStart, t.selectionEnd)")
        assert chosen == 'source = "stdni"'
        assert text_of(home) == before
        field = seen.page.get_by_label("auricle.toml")
        field.fill(f'{before}\n[streams.more]\nsource = "folder"\npath = "{tmp_path}"\n')
        press(seen, "Save")
        seen.page.locator(SAVED).wait_for(timeout=SAVE_MS)
        seen.page.get_by_text("streams: changed").wait_for()
        assert (home / "auricle.toml.backup").read_text("utf-8") == before
        seen.page.locator("#health").get_by_text("more").first.wait_for()
        press(seen, "Show the backup")
        until(lambda: seen.page.get_by_label("auricle.toml").input_value() == before)
        assert "streams.more" in text_of(home)


def test_two_owners_do_not_overwrite_each_other(tmp_path) -> None:
    """The second of two who save gets a message, keeps what was typed, and changes nothing."""
    home = daemon_home(tmp_path / "home", STREAM)
    with browsing(home) as seen:
        other = seen.new_page()
        for page in (seen.page, other):
            page.goto(seen.console.address + "health")
        seen.page.get_by_label("auricle.toml").fill(text_of(home) + "\n# mine\n")
        press(seen, "Save")
        seen.page.locator(SAVED).wait_for(timeout=SAVE_MS)
        other.get_by_label("auricle.toml").fill(text_of(home) + "\n# yours\n")
        other.get_by_role("button", name="Save", exact=True).click()
        other.get_by_text("changed meanwhile").wait_for()
        assert "# yours" in other.get_by_label("auricle.toml").input_value()
        assert "# mine" in text_of(home)
        assert "# yours" not in text_of(home)


def test_a_live_update_does_not_move_a_pressed_button(tmp_path) -> None:
    """Save takes effect also when the part above it grows between press and release; the part is
    updated once the button is released."""
    home = daemon_home(tmp_path / "home", STREAM)
    with browsing(home) as seen:
        page, grown = seen.page, []

        def grow(route) -> None:
            grown.append("<p>Something new</p>")
            route.fulfill(body="".join(grown) * 5 + route.fetch().text())

        page.set_viewport_size({"width": 1280, "height": 2_400})
        seen.goto("health")
        page.get_by_label("auricle.toml").fill(text_of(home) + "\n# mine\n")
        box = page.get_by_role("button", name="Save", exact=True).bounding_box()
        page.mouse.move(box["x"] + 5, box["y"] + box["height"] / 2)
        page.route("**/health-state", grow)
        page.mouse.down()
        for _ in range(2):
            with page.expect_response("**/health-state"):
                page.evaluate("document.body.dispatchEvent(new Event('auricle:changed'))")
        page.wait_for_timeout(500)
        assert page.get_by_text("Something new").count() == 0
        page.mouse.up()
        page.locator(SAVED).wait_for(timeout=SAVE_MS)
        page.get_by_text("Something new").first.wait_for()
        assert "# mine" in text_of(home)


def test_pause_resume_and_the_machine(tmp_path) -> None:
    """Decisions pause after a question and go on; the machine's checks are those of `doctor`."""
    home = daemon_home(tmp_path / "home", STREAM)
    with browsing(home) as seen:
        seen.goto("health")
        seen.page.once("dialog", lambda dialog: dialog.accept())
        press(seen, "Pause decisions")
        seen.page.get_by_text("Decisions are paused.").wait_for()
        seen.page.locator("#health .badge", has_text="paused").wait_for()
        press(seen, "Resume decisions")
        seen.page.get_by_text("Decisions have resumed.").wait_for()
        press(seen, "Check this machine")
        seen.page.locator("#doctor").get_by_text("decisions are computed in").wait_for(
            timeout=60_000
        )


def test_who_may_not_change_settings_does_not_see_them(tmp_path) -> None:
    """A labeller sees how the daemon is, and neither the settings nor the actions of owners."""
    home = daemon_home(tmp_path / "home", STREAM)
    with browsing(home, role="labeller") as seen:
        seen.goto("health")
        seen.page.get_by_text("No problems.").wait_for()
        assert seen.page.get_by_label("auricle.toml").count() == 0
        assert seen.page.get_by_role("button", name="Pause decisions").count() == 0


def test_broken_settings_are_repaired_without_a_daemon(tmp_path) -> None:
    """With settings that no daemon can start with, an owner corrects them on the page, and starts
    it."""
    home = daemon_home(tmp_path / "home", STREAM)
    good = text_of(home)
    (home / "auricle.toml").write_text(good.replace('"stdin"', '"stdni"'), "utf-8")
    with browsing(home, daemon=False) as seen:
        seen.goto("health")
        mended = good.replace('"stdin"', f'"folder"\npath = "{tmp_path}"')
        seen.page.get_by_label("auricle.toml").fill(mended)
        press(seen, "Save")
        seen.page.get_by_text("the settings apply at its next start").wait_for(timeout=60_000)
        seen.goto("health")
        press(seen, "Start the daemon")
        seen.page.locator("article", has_text="gate").wait_for(timeout=60_000)
