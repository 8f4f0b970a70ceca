"""The screen Label as a person uses it: a real browser, a live daemon, real pictures."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from edge.commands import send_to_daemon
from edge.commands.requests import GalleryCommand
from tests.browsers import Seen, browsing, needs_browser, until
from tests.daemons import Process
from tests.galleries import needs_pictures, picture_home, waiting_home

pytestmark = needs_browser

HOSTILE = (
    "<script>document.title='x'</script>",
    '"><img src=x onerror=document.title="x">',
    "مرحبا\u202eabc",
    "🧨" * 40,
    "a/../b?c=d&e#f%00",
    "x" * 200,
)

IN_VIEW = """[...document.querySelectorAll(".shot")].some((one) => {
    const box = one.getBoundingClientRect();
    return box.top < innerHeight && box.bottom > 0;
})"""
"""Whether a tile is in view."""

PICTURES_SHOWN = """(() => {
    const found = [...document.querySelectorAll(".shot img")];
    return found.length >= 50 && found.slice(0, 7).every((one) => one.naturalWidth);
})()"""
"""Whether fifty pictures are there, and the first row is decoded."""


def waiting(folder: Path, state: str = "waiting", **more: Any) -> Any:
    """A page of the daemon's gallery."""
    answer = send_to_daemon(folder, GalleryCommand(id="t", state=state, limit=500, **more))
    assert answer["done"], answer
    return answer["body"]


def open_label(seen: Seen, path: str = "label") -> Any:
    """Open the screen, and return its page."""
    seen.goto(path)
    seen.page.wait_for_selector("[data-script=yes]")
    return seen.page


def label_as(page: Any, name: str) -> None:
    """Type a label and press Enter."""
    page.get_by_role("textbox", name="Label", exact=True).fill(name)
    page.keyboard.press("Enter")


def result(page: Any, text: str) -> str:
    """Wait for a result that contains a text, and return it whole."""
    found = page.locator("#label-result", has_text=text)
    found.wait_for()
    return str(found.inner_text())


def selected(page: Any) -> int:
    """How many observations the page says are selected."""
    text = page.locator("#label-count").inner_text()
    return 0 if text == "None selected" else int(re.sub(r"\D", "", text))


def test_select_label_and_undo_by_mouse(tmp_path):
    """Clicked observations get the typed label, the page says so, and undo brings them back."""
    with browsing(waiting_home(tmp_path / "h")) as seen:
        page = open_label(seen)
        for box in page.locator(".shot-pick").all()[:3]:
            box.click()
        assert selected(page) == 3
        label_as(page, "worn")
        assert "3 labelled worn" in result(page, "labelled worn")
        assert selected(page) == 0
        assert len(waiting(seen.folder)["items"]) == 21
        assert page.locator(".shot").count() == 21
        page.get_by_role("button", name="Undo").click()
        result(page, "Undone")
        until(lambda: page.locator(".shot").count() == 24)
        assert waiting(seen.folder)["total"] == 24


def test_the_keyboard_is_enough(tmp_path):
    """Arrows, Space, Shift, a, numbers, Enter, Escape and u do everything without a mouse."""
    with browsing(waiting_home(tmp_path / "h")) as seen:
        page = open_label(seen, "label?order=newest")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Space")
        for _ in range(3):
            page.keyboard.press("Shift+ArrowRight")
        until(lambda: selected(page) == 4)
        page.keyboard.press("Escape")
        assert selected(page) == 0
        page.keyboard.press("Enter")
        page.get_by_role("dialog").get_by_role("heading", level=2).wait_for()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Escape")
        page.get_by_role("dialog").wait_for(state="hidden")
        page.keyboard.press("1")
        assert "1 labelled a" in result(page, "1 labelled")
        until(lambda: waiting(seen.folder)["total"] == 23)
        page.keyboard.press("u")
        result(page, "Undone")
        until(lambda: waiting(seen.folder)["total"] == 24)


def test_a_group_and_a_range_over_pages(tmp_path):
    """`a` selects the whole group, and Shift a range that reaches into parts not loaded yet."""
    with browsing(waiting_home(tmp_path / "h", 400)) as seen:
        page = open_label(seen)
        group = page.locator("[data-select-group]").first
        group.wait_for(timeout=20_000)
        items = waiting(seen.folder, order="similar")["items"]
        first = [one["id"] for one in items if one["group"] == items[0]["group"]]
        group.click()
        until(lambda: selected(page) == len(first))
        page.get_by_role("button", name="Clear").click()
        page.goto(page.url + "?order=newest")
        page.locator(".shot-pick").first.click()
        page.keyboard.press("End")
        last = page.locator(".shot-page").last.locator(".shot-pick").last
        until(lambda: page.locator(".shot-page").last.locator(".shot").count() > 0)
        last.click(modifiers=["Shift"])
        until(lambda: selected(page) == 400)
        label_as(page, "everything")
        result(page, "400 labelled")
        assert waiting(seen.folder)["total"] == 0
        page.get_by_text("Nothing waits for a label").wait_for()


def test_a_probable_typo_is_asked_about(tmp_path):
    """A new name close to a known one labels nothing before the question is answered."""
    with browsing(waiting_home(tmp_path / "h")) as seen:
        page = open_label(seen)
        page.locator(".shot-pick").first.click()
        label_as(page, "worn out")
        result(page, "labelled worn out")
        page.locator(".shot-pick").first.click()
        label_as(page, "wron out")
        assert "Did you mean worn out?" in result(page, "is a new label")
        assert waiting(seen.folder)["total"] == 23
        page.get_by_role("button", name="Use worn out").click()
        result(page, "1 labelled worn out")
        assert "wron out" not in waiting(seen.folder)["labels"]
        page.locator(".shot-pick").first.click()
        label_as(page, "wron out")
        page.get_by_role("button", name="Add wron out").click()
        result(page, "1 labelled wron out")


def test_two_people_label_at_once(tmp_path):
    """What another person labels leaves the list and the selection."""
    with browsing(waiting_home(tmp_path / "h", 6)) as seen:
        page, other = open_label(seen), seen.new_page("labeller")
        other.goto(seen.console.address + "label")
        for one in (page, other):
            one.locator(".shot-pick").first.wait_for()
            one.locator(".shot-pick").nth(0).click()
            one.locator(".shot-pick").nth(1).click()
        label_as(other, "theirs")
        result(other, "2 labelled theirs")
        assert "no longer selected" in result(page, "left the list")
        until(lambda: selected(page) == 0 and page.locator(".shot").count() == 4)


def test_a_late_label_does_not_overwrite(tmp_path):
    """A label for an observation that was labelled meanwhile is refused, and said to be."""
    with browsing(waiting_home(tmp_path / "h", 6)) as seen:
        page, other = open_label(seen), seen.new_page("labeller")
        other.goto(seen.console.address + "label")
        # The first person's page hears nothing until the label is sent.
        page.route("**/label-ids?*", lambda route: route.abort())
        for one in (page, other):
            one.locator(".shot-pick").nth(0).click()
        page.locator(".shot-pick").nth(1).click()
        label_as(other, "theirs")
        result(other, "1 labelled theirs")
        label_as(page, "mine")
        text = result(page, "labelled mine")
        assert "1 labelled mine" in text
        assert "1 observation not labelled" in text
        found = {one["id"]: one["label"] for one in waiting(seen.folder, "labelled")["items"]}
        assert sorted(found.values()).count("theirs") == 1


def test_a_daemon_that_dies_loses_no_label(tmp_path):
    """The selection and the text stay, and the action takes effect once when a daemon is back."""
    with browsing(waiting_home(tmp_path / "h", 6)) as seen:
        assert seen.daemon is not None
        page = open_label(seen)
        for at in range(2):
            page.locator(".shot-pick").nth(at).click()
        seen.daemon.process.kill()
        seen.daemon.process.wait()
        label_as(page, "late")
        assert "kept" in result(page, "Send again")
        assert selected(page) == 2
        page.reload()
        page.wait_for_selector("nav")
        seen.daemon = Process(seen.folder)
        open_label(seen)
        assert selected(page) == 2
        result(page, "The answer to your last action did not arrive")
        page.get_by_role("button", name="Send again").click()
        result(page, "2 labelled late")
        assert waiting(seen.folder)["total"] == 4
        page.reload()
        page.wait_for_selector("[data-script=yes]")
        assert page.locator("#label-result").inner_text() == ""


def test_an_answer_that_is_lost_takes_effect_once(tmp_path):
    """An action whose answer does not arrive is sent again with its id, and not done twice."""
    with browsing(waiting_home(tmp_path / "h", 6)) as seen:
        page = open_label(seen)
        page.locator(".shot-pick").nth(0).click()

        def lose(route: Any) -> None:
            route.fetch()
            route.abort()

        page.route("**/label-apply", lose)
        label_as(page, "once")
        result(page, "does not answer")
        until(lambda: waiting(seen.folder)["total"] == 5)
        page.unroute("**/label-apply")
        page.get_by_role("button", name="Send again").click()
        result(page, "1 labelled once")
        assert waiting(seen.folder)["total"] == 5


def test_nothing_typed_is_lost(tmp_path):
    """A reload and an ended session keep the selection, the label and the domain."""
    with browsing(waiting_home(tmp_path / "h", 6)) as seen:
        page = open_label(seen)
        page.locator(".shot-pick").nth(2).click()
        page.get_by_role("textbox", name="Label", exact=True).fill("half a wo")
        page.get_by_role("textbox", name="Domain").fill("cellar")
        page.reload()
        page.wait_for_selector("[data-script=yes]")
        assert selected(page) == 1
        page.context.clear_cookies()
        page.get_by_role("textbox", name="Label", exact=True).press("Enter")
        assert "session" in result(page, "ended")
        page.goto(seen.console.link("labeller"))
        page.wait_for_selector("nav")
        open_label(seen)
        assert selected(page) == 1
        assert page.get_by_role("textbox", name="Label", exact=True).input_value() == "half a wo"
        assert page.get_by_role("textbox", name="Domain").input_value() == "cellar"


def test_hostile_names_are_text(tmp_path):
    """Ids and labels with markup, direction marks, emoji and paths are shown and sent as text."""
    with browsing(waiting_home(tmp_path / "h", 12, ids=HOSTILE)) as seen:
        page = open_label(seen, "label?order=value")
        for name in HOSTILE:
            page.locator(".shot-pick").first.click()
            label_as(page, name)
            result(page, "1 labelled")
        assert set(HOSTILE) <= set(waiting(seen.folder)["labels"])
        done = {one["id"]: one["label"] for one in waiting(seen.folder, "labelled")["items"]}
        assert [done[name] for name in HOSTILE] == list(HOSTILE)
        open_label(seen)
        assert page.title() == "Label · Auricle"
        for name in HOSTILE:
            page.goto(seen.console.address + "label?state=labelled")
            box = page.locator(f"input[name=id][value={quoted(name)}]")
            box.focus()
            page.keyboard.press("Enter")
            page.get_by_role("dialog").get_by_role("heading", level=2).wait_for()
            assert page.locator(".why-id").inner_text().strip() == name.strip()


def quoted(text: str) -> str:
    """A text as a string of CSS."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def test_a_form_without_scripts(tmp_path):
    """Without scripts the page is a form: it labels, asks about typos, and undoes."""
    with browsing(waiting_home(tmp_path / "h", 6)) as seen:
        context = seen.browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(seen.console.link("labeller"))
        page.get_by_role("button").first.click()
        page.goto(seen.console.address + "label")
        for box in page.locator("input[name=id]").all()[:2]:
            box.check()
        page.fill("#label-name", "plain words")
        page.click("#label-go")
        page.get_by_text("2 labelled").wait_for()
        page.get_by_role("button", name="Undo").click()
        page.get_by_text("Undone").wait_for()
        assert waiting(seen.folder)["total"] == 6


def test_ten_thousand_observations(tmp_path, record_property):
    """The page opens and scrolls quickly with 10,000 waiting, and holds few of them at a time."""
    with browsing(waiting_home(tmp_path / "h", 10_000)) as seen:
        begun = time.perf_counter()
        page = open_label(seen, "label?order=value")
        page.locator(".shot-pick").first.wait_for()
        opened = time.perf_counter() - begun
        begun = time.perf_counter()
        page.evaluate("scrollTo(0, document.body.scrollHeight / 2)")
        until(lambda: page.evaluate(IN_VIEW))
        scrolled = time.perf_counter() - begun
        page.wait_for_timeout(500)
        assert page.locator(".shot").count() <= 600
        assert page.locator(".shot-page").count() == 167
        record_property("open_10000_ms", round(1_000 * opened))
        record_property("scroll_10000_ms", round(1_000 * scrolled))
        assert opened < 5
        assert scrolled < 5


def test_viewers_do_not_label(tmp_path):
    """A viewer has no such screen, and its actions are refused."""
    with browsing(waiting_home(tmp_path / "h", 4), role="viewer") as seen:
        assert seen.page.get_by_role("link", name="Label").count() == 0
        seen.goto("label")
        seen.page.get_by_text("this needs the role labeller").wait_for()
        assert seen.page.request.get(seen.console.address + "label-ids").status == 403


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"label": "x"}, "Select observations first."),
        ({"label": " ", "id": "w-00000"}, "Type a label"),
        ({"label": "y" * 201, "id": "w-00000"}, "at most 200 are possible"),
        ({"label": "x", "id": "never"}, "0 labelled"),
    ],
)
def test_bad_forms_say_what_is_wrong(tmp_path, fields, text):
    """A form that cannot be used changes nothing and says why."""
    with browsing(waiting_home(tmp_path / "h", 4)) as seen:
        open_label(seen)
        token = seen.page.locator("meta[name=csrf]").get_attribute("content")
        answer = seen.page.request.post(
            seen.console.address + "label-apply",
            form=fields | {"csrf": token},
            headers={"Accept": "application/json", "Origin": seen.console.address.rstrip("/")},
        )
        assert text in answer.json()["html"]
        assert waiting(seen.folder)["total"] == 4


@needs_pictures
def test_fifty_real_pictures_take_effect_at_once(tmp_path, record_property):
    """Fifty sketches that were all new are labelled by keyboard; within a second the daemon has
    them, and other waiting sketches agree."""
    with browsing(picture_home(tmp_path / "h", arriving=30)) as seen:
        page = open_label(seen, "label?order=newest")
        drain(seen)
        until(lambda: waiting(seen.folder)["counts"]["recent"] >= 60, 60)
        page = open_label(seen, "label?state=recent&order=newest")
        until(lambda: page.evaluate(PICTURES_SHOWN))
        page.locator(".shot-pick").first.click()
        page.locator(".shot-pick").nth(49).click(modifiers=["Shift"])
        until(lambda: selected(page) == 50)
        page.get_by_role("textbox", name="Label", exact=True).fill("person")
        page.get_by_role("textbox", name="Domain").fill("sketch")
        begun = time.perf_counter()
        page.keyboard.press("Enter")
        text = result(page, "labelled person")
        took_ms = 1_000 * (time.perf_counter() - begun)
        record_property("label_50_to_effect_ms", round(took_ms))
        assert "50 labelled person" in text
        assert took_ms < 5_000


def drain(seen: Seen) -> None:
    """Read what the daemon prints, so that it goes on."""
    import threading

    assert seen.daemon is not None
    output = seen.daemon.process.stdout
    assert output is not None

    def read() -> None:
        for _line in output:
            continue

    threading.Thread(target=read, daemon=True).start()
