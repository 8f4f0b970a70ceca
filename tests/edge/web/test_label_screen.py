"""The screen Label as a person uses it: a real browser, a live daemon, real pictures."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from edge.commands import send_to_daemon
from edge.commands.requests import GalleryCommand
from tests.browsers import Seen, browsing, needs_browser, until
from tests.daemons import Process
from tests.galleries import waiting_home

pytestmark = needs_browser

HOSTILE = (
    "<script>document.title='x'</script>",
    '"><img src=x onerror=document.title="x">',
    "مرحبا abc",
    "🧨" * 40,
    "a/../b?c=d&e#f%00",
    "x" * 200,
)

IN_VIEW = """[...document.querySelectorAll(".shot")].some((one) => {
    const box = one.getBoundingClientRect();
    return box.top < innerHeight && box.bottom > 0;
})"""
"""Whether a tile is in view."""

STREAMS = {
    "mouse": 24,
    "new": 4,
    "quick": 6,
    "keys": 24,
    "range": 400,
    "typo": 24,
    "two": 6,
    "late": 6,
    "dies": 6,
    "lost": 6,
    "typed": 6,
    "hostile": 12,
    "plain": 6,
    "bad": 4,
    "bulk": 9_466,
}
"""How many observations wait in the stream of each test: 10,000 together."""


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A daemon, a console and a browser for all tests of this file."""
    folder = tmp_path_factory.mktemp("label") / "h"
    with browsing(waiting_home(folder, STREAMS, HOSTILE)) as found:
        yield found


@pytest.fixture
def seen(running):
    """A page of an own session; nothing is kept in its browser."""
    running.page = running.new_page()
    yield running
    running.page.context.close()
    assert running.problems == []


def waiting(seen: Seen, stream: str, state: str = "waiting", **more: Any) -> Any:
    """A page of the daemon's gallery."""
    request = GalleryCommand(
        id="t",
        state=state,  # type: ignore[arg-type]  # the daemon checks it
        stream=stream,
        limit=500,
        **more,
    )
    answer = send_to_daemon(seen.folder, request)
    assert answer["done"], answer
    return answer["body"]


def total(stream: str, seen: Seen) -> int:
    """How many observations of a stream wait."""
    return int(waiting(seen, stream)["total"])


def open_label(seen: Seen, stream: str, more: str = "") -> Any:
    """Open the screen for one stream, and return its page."""
    seen.goto(f"label?stream={stream}{more}")
    seen.page.wait_for_selector("[data-script=yes]")
    return seen.page


def label_as(page: Any, name: str) -> None:
    """Type a label and press Enter."""
    page.locator("#label-name").fill(name)
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


def test_select_label_and_undo_by_mouse(seen):
    """Clicked observations get the typed label, the page says so, and undo brings them back."""
    page = open_label(seen, "mouse")
    for box in page.locator(".shot-pick").all()[:3]:
        box.click()
    assert selected(page) == 3
    label_as(page, "worn")
    assert "3 labelled worn" in result(page, "labelled worn")
    assert selected(page) == 0
    assert total("mouse", seen) == 21
    until(lambda: page.locator(".shot").count() == 21)
    page.get_by_role("button", name="Undo").click()
    result(page, "Undone")
    until(lambda: page.locator(".shot").count() == 24)
    assert total("mouse", seen) == 24


def test_a_new_label_has_a_key_at_once(seen):
    """A label that is given for the first time joins the labels with a key without a reload, in the
    tray and in the dialog, and its key labels the next observation."""
    page = open_label(seen, "new")
    page.locator(".shot-pick").first.click()
    label_as(page, "brand new")
    result(page, "1 labelled brand new")
    chip = page.locator("button[data-key]", has_text="brand new")
    key = chip.get_attribute("data-key")
    assert page.locator("dialog [data-label-it='brand new']").count() == 1
    assert page.locator("#label-names option[value='brand new']").count() == 1
    page.locator("input[name=id]").first.focus()
    page.keyboard.press(key)
    until(lambda: total("new", seen) == 2)
    assert page.locator("button[data-key]", has_text="brand new").count() == 1


def test_a_tile_that_is_pressed_stays(seen):
    """Tiles that arrive between press and release take no effect on the press."""
    page = open_label(seen, "mouse", "&order=newest")  # groups that are found later move tiles
    tile = page.locator(".shot").nth(2)
    name = tile.locator("input[name=id]").get_attribute("value")
    box = tile.locator(".shot-pick").bounding_box()
    until(lambda: not page.locator("[data-loading]").count())  # one that waits sends no other
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    with page.expect_response("**/label-tiles*"):
        page.evaluate("document.body.dispatchEvent(new CustomEvent('auricle:changed'))")
    page.wait_for_timeout(500)
    page.mouse.up()
    until(lambda: page.locator(f"input[name=id][value='{name}']").is_checked())


def test_tiles_near_the_view_come_back_after_an_action(seen):
    """An action empties the parts of the list that are out of view; those near it are filled again,
    so that who scrolls on sees tiles."""
    seen.page.set_viewport_size({"width": 1_280, "height": 1_600})  # also below titles of groups
    page = open_label(seen, "range")
    second = page.locator(".shot-page").nth(1)
    first = second.locator(".shot").first
    first.wait_for(state="attached")
    first.evaluate("(one) => { one.before = true; }")
    page.evaluate("document.body.dispatchEvent(new CustomEvent('auricle:changed'))")
    until(lambda: second.locator(".shot").count() and not first.evaluate("(one) => one.before"))


def test_the_keyboard_is_enough(seen):
    """Arrows, Space, Shift, a, numbers, Enter, Escape and u do everything without a mouse."""
    page = open_label(seen, "keys", "&order=newest")
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
    until(lambda: total("keys", seen) == 23)
    page.keyboard.press("u")
    result(page, "Undone")
    until(lambda: total("keys", seen) == 24)


def test_groups_that_come_later_appear_without_a_message(seen):
    """The page was made while groups were being computed, and the home is quiet: no observation,
    so no message, makes it load them.  The parts below it are loaded when they are there, which
    says nothing of the part in view."""
    page = seen.page

    def computed() -> bool:
        gallery = waiting(seen, "range", order="similar")
        return not gallery["pending"] and not gallery["grouping"]

    until(computed, wait_s=60.0)
    page.set_viewport_size({"width": 1_280, "height": 2_400})  # the second part is near the view

    def without_groups(route: Any) -> None:
        made = route.fetch()
        text = re.sub(r'<div class="shot-group">.*?</div>', "", made.text())
        route.fulfill(response=made, body=text.replace('data-busy="0"', 'data-busy="1"'))

    page.route("**/label?*", without_groups)
    page.route("**/live?*", lambda route: route.abort())
    open_label(seen, "range")
    page.locator(".shot-page").first.locator("[data-select-group]").first.wait_for(timeout=60_000)


def test_a_group_and_a_range_over_pages(seen):
    """`a` selects the whole group, and Shift a range that reaches into parts not loaded yet."""
    page = open_label(seen, "range")
    group = page.locator("[data-select-group]").first
    group.wait_for(timeout=60_000)
    items = waiting(seen, "range", order="similar")["items"]
    first = [one["id"] for one in items if one["group"] == items[0]["group"]]
    group.click()
    until(lambda: selected(page) == len(first))
    page.get_by_role("button", name="Clear").click()
    page.goto(page.url + "&order=newest")
    page.locator(".shot-pick").first.click()
    page.keyboard.press("End")
    last = page.locator(".shot-page").last.locator(".shot-pick").last
    until(lambda: page.locator(".shot-page").last.locator(".shot").count() > 0)
    last.click(modifiers=["Shift"])
    until(lambda: selected(page) == 400)
    label_as(page, "everything")
    result(page, "400 labelled")
    assert total("range", seen) == 0
    page.get_by_text("Nothing matches").wait_for()


def test_a_probable_typo_is_asked_about(seen):
    """A new name close to a known one labels nothing before the question is answered."""
    page = open_label(seen, "typo")
    page.locator(".shot-pick").first.click()
    label_as(page, "worn out")
    result(page, "labelled worn out")
    until(lambda: page.locator(".shot").count() == 23)
    page.locator(".shot-pick").first.click()
    label_as(page, "wron out")
    assert "Did you mean worn out?" in result(page, "is a new label")
    assert total("typo", seen) == 23
    page.get_by_role("button", name="Use worn out").click()
    result(page, "1 labelled worn out")
    assert "wron out" not in waiting(seen, "typo")["labels"]
    page.locator(".shot-pick").first.click()
    label_as(page, "wron out")
    page.get_by_role("button", name="Add wron out").click()
    result(page, "1 labelled wron out")


def test_two_people_label_at_once(seen):
    """What another person labels leaves the list and the selection."""
    page, other = open_label(seen, "two"), seen.new_page("labeller")
    other.goto(seen.console.address + "label?stream=two")
    for one in (page, other):
        one.locator(".shot-pick").first.wait_for()
        one.locator(".shot-pick").nth(0).click()
        one.locator(".shot-pick").nth(1).click()
    label_as(other, "theirs")
    result(other, "2 labelled theirs")
    assert "no longer selected" in result(page, "left the list")
    until(lambda: selected(page) == 0 and page.locator(".shot").count() == 4)


def test_a_late_label_does_not_overwrite(seen):
    """A label for an observation that was labelled meanwhile is refused, and said to be."""
    page, other = open_label(seen, "late"), seen.new_page("labeller")
    other.goto(seen.console.address + "label?stream=late")
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
    labels = [one["label"] for one in waiting(seen, "late", "labelled")["items"]]
    assert sorted(labels) == ["mine", "theirs"]


def test_the_next_label_may_be_typed_while_one_is_on_its_way(seen):
    """While an action waits for its answer, a second press does not repeat it, what is typed stays
    in the field with the focus, and the next action follows by itself."""
    page, held = open_label(seen, "quick"), []
    # The driver sets an attribute of the handler, which a built-in method does not have.
    page.route("**/label-apply", lambda route: held.append(route))  # noqa: PLW0108
    page.locator(".shot-pick").nth(0).click()
    label_as(page, "granite")
    until(lambda: page.locator("#label-form[aria-busy]").count() and held)
    page.keyboard.press("Enter")
    page.locator(".shot-pick").nth(1).click()
    page.locator("#label-name").fill("will")
    held.pop().continue_()
    result(page, "1 labelled granite")
    until(lambda: page.locator("#label-form[aria-busy]").count() == 0)
    assert selected(page) == 1
    page.keyboard.type("ow")
    assert page.locator("#label-name").input_value() == "willow"
    page.keyboard.press("Enter")
    until(lambda: page.locator("#label-form[aria-busy]").count() and held)
    page.locator(".shot-pick").nth(1).click()
    label_as(page, "comet")
    held.pop().continue_()
    page.unroute("**/label-apply")
    result(page, "1 labelled comet")
    labels = [one["label"] for one in waiting(seen, "quick", "labelled")["items"]]
    assert sorted(labels) == ["comet", "granite", "willow"]


def test_a_daemon_that_dies_loses_no_label(seen):
    """The selection and the text stay, and the action takes effect once when a daemon is back."""
    assert seen.daemon is not None
    page = open_label(seen, "dies")
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
    open_label(seen, "dies")
    assert selected(page) == 2
    result(page, "The answer to your last action did not arrive")
    page.get_by_role("button", name="Send again").click()
    result(page, "2 labelled late")
    assert total("dies", seen) == 4
    page.reload()
    page.wait_for_selector("[data-script=yes]")
    assert page.locator("#label-result").inner_text() == ""


def test_an_answer_that_is_lost_takes_effect_once(seen):
    """An action whose answer does not arrive is sent again with its id, and not done twice."""
    page = open_label(seen, "lost")
    page.locator(".shot-pick").nth(0).click()

    def lose(route: Any) -> None:
        route.fetch()
        route.abort()

    page.route("**/label-apply", lose)
    label_as(page, "once")
    result(page, "does not answer")
    until(lambda: total("lost", seen) == 5)
    page.unroute("**/label-apply")
    page.get_by_role("button", name="Send again").click()
    result(page, "1 labelled once")
    assert total("lost", seen) == 5


def test_nothing_typed_is_lost(seen):
    """A reload and an ended session keep the selection, the label and the domain."""
    page = open_label(seen, "typed")
    page.locator(".shot-pick").nth(2).click()
    page.locator("#label-name").fill("half a wo")
    page.locator("#label-domain").fill("cellar")
    page.reload()
    page.wait_for_selector("[data-script=yes]")
    assert selected(page) == 1
    page.context.clear_cookies()
    page.locator("#label-name").press("Enter")
    assert "session" in result(page, "ended")
    page.goto(seen.console.link("labeller"))
    page.wait_for_selector("nav")
    open_label(seen, "typed")
    assert selected(page) == 1
    assert page.locator("#label-name").input_value() == "half a wo"
    assert page.locator("#label-domain").input_value() == "cellar"


def test_hostile_names_are_text(seen):
    """Ids and labels with markup, direction marks, emoji and paths are shown and sent as text."""
    page = open_label(seen, "hostile", "&order=value")
    for name in HOSTILE:
        left = page.locator(".shot").count()
        page.locator(".shot-pick").first.click()
        label_as(page, name)
        result(page, f"1 labelled {name}")
        until(lambda left=left: page.locator(".shot").count() == left - 1)
    assert set(HOSTILE) <= set(waiting(seen, "hostile")["labels"])
    done = {one["id"]: one["label"] for one in waiting(seen, "hostile", "labelled")["items"]}
    assert [done[name] for name in HOSTILE] == list(HOSTILE)
    open_label(seen, "hostile")
    assert page.title() == "Label · Auricle"
    for path in ("label?state=labelled", "knowledge"):
        page.goto(seen.console.address + path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    for name in HOSTILE:
        page.goto(seen.console.address + "label?state=labelled&stream=hostile")
        box = page.locator(f"input[name=id][value={quoted(name)}]")
        box.focus()
        page.keyboard.press("Enter")
        page.get_by_role("dialog").get_by_role("heading", level=2).wait_for()
        assert page.locator(".why-id").inner_text().strip() == name.strip()


def quoted(text: str) -> str:
    """A text as a string of CSS."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def test_a_form_without_scripts(seen):
    """Without scripts the page is a form: it labels, asks about typos, and undoes."""
    context = seen.browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(seen.console.link("labeller"))
    page.get_by_role("button", name="Open").click()
    page.goto(seen.console.address + "label?stream=plain")
    for box in page.locator("input[name=id]").all()[:2]:
        box.check()
    page.fill("#label-name", "plain words")
    page.click("#label-go")
    page.get_by_text("2 labelled").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Undone").wait_for()
    assert total("plain", seen) == 6


def test_ten_thousand_observations(seen, record_property):
    """The page opens and scrolls quickly with 10,000 waiting, and holds few of them at a time."""
    begun = time.perf_counter()
    page = open_label(seen, "bulk", "&order=value")
    page.locator(".shot-pick").first.wait_for()
    opened = time.perf_counter() - begun
    begun = time.perf_counter()
    page.evaluate("scrollTo(0, document.body.scrollHeight / 2)")
    until(lambda: page.evaluate(IN_VIEW))
    scrolled = time.perf_counter() - begun
    until(lambda: page.locator(".shot").count() <= 600)
    assert page.locator(".shot-page").count() == -(-total("bulk", seen) // 60)
    record_property("open_10000_ms", round(1_000 * opened))
    record_property("scroll_10000_ms", round(1_000 * scrolled))


def test_viewers_do_not_label(seen):
    """A viewer has no such screen, and its actions are refused."""
    seen.page = seen.new_page("viewer")
    assert seen.page.get_by_role("link", name="Label").count() == 0
    seen.goto("label")
    seen.page.get_by_text("this needs the role labeller").wait_for()
    assert seen.page.request.get(seen.console.address + "label-ids").status == 403


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"label": "x"}, "Select observations first."),
        ({"label": " ", "id": "bad-00000"}, "Type a label"),
        ({"label": "y" * 201, "id": "bad-00000"}, "at most 200 are possible"),
        ({"label": "x", "id": "never"}, "Nothing was labelled"),
        ({"label": "abc\u202edef", "id": "bad-00000"}, "printable"),
    ],
)
def test_bad_forms_say_what_is_wrong(seen, fields, text):
    """A form that cannot be used changes nothing and says why."""
    open_label(seen, "bad")
    token = seen.page.locator("meta[name=csrf]").get_attribute("content")
    answer = seen.page.request.post(
        seen.console.address + "label-apply",
        form=fields | {"csrf": token},
        headers={"Accept": "application/json", "Origin": seen.console.address.rstrip("/")},
    )
    assert text in answer.json()["html"]
    assert total("bad", seen) == 4
