"""The screens Knowledge and Why as a person uses them: a real browser and a live daemon."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.console.browser import DESKTOP
from edge.commands import send_to_daemon
from edge.commands.requests import KnowledgeCommand
from edge.core.events import Enrol
from edge.core.facts import Fact
from edge.home.home import Home
from tests.browsers import Seen, browsing, drain, needs_browser, until
from tests.daemons import Process, daemon_home
from tests.worlds import clouds

pytestmark = needs_browser

HOSTILE = "<b>x</b>\"'&/مرحبا"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A home with two labels in two domains, one fact of which has the wrong label."""
    folder = daemon_home(tmp_path_factory.mktemp("knowledge") / "h", facts=0)
    facts = []
    for place, domain in enumerate(("hall", HOSTILE)):
        rows = clouds((3 + place, 7 + place), 20, spread=5)
        for at, row in enumerate(rows):
            label = "ok" if at < 20 else "worn"
            wrong = place == 0 and at == 4
            name = f"f-{place}-{at}"
            features = row.tobytes()
            given = "worn" if wrong else label
            facts.append(
                Fact(
                    id=name,
                    stream="s",
                    domain=domain,
                    label=given,
                    captured_at_ns=1 + at,
                    features=features,
                )
            )
    with Home(folder) as home:
        home.feed(Enrol(tuple(facts)))
    with browsing(folder) as found:
        yield found
    assert found.daemon is not None
    if found.daemon.process.poll() is None:  # a test has started another one
        found.daemon.kill()


@pytest.fixture
def seen(running):
    """The page of Knowledge."""
    running.goto("knowledge")
    return running


def concepts(seen: Seen) -> dict[tuple[str, str], int]:
    """The number of facts of each concept."""
    body: Any = send_to_daemon(seen.folder, KnowledgeCommand(id="t"))["body"]
    return {(one["domain"], one["label"]): one["facts"] for one in body["concepts"]}


def test_the_table_counts_and_opens_prototypes(seen):
    """Each cell counts a concept and opens its most typical examples."""
    page = seen.page
    page.get_by_role("link", name="19 examples of ok in hall").click()
    page.get_by_role("heading", name="ok in hall").wait_for()
    page.locator(".prototypes li").first.wait_for(timeout=60_000)
    assert page.locator(".prototypes li").count() == 6
    assert page.locator(".prototypes .thumb-bars").count() == 6
    assert page.title() == "Knowledge · Auricle"
    page.locator(".prototypes a").first.click()
    page.get_by_text("labelled ok").wait_for()
    assert page.locator(".ranges tbody tr").count() == 8


def test_a_suspicious_label_is_corrected_and_undone(seen):
    """The wrong label is found, shown with its values, corrected in one click, and restored by
    undo."""
    page = seen.page
    change = page.get_by_role("button", name="Change to ok: f-0-4")
    change.wait_for(timeout=60_000)
    assert page.locator(".suspicious .thumb-bars rect").count() == 8
    change.click()
    page.get_by_text("1 observation is now ok.").wait_for()
    assert concepts(seen)["hall", "ok"] == 20
    page.locator("#toasts").get_by_role("button", name="Undo").click()
    until(lambda: concepts(seen)["hall", "ok"] == 19)


def test_it_is_no_wider_than_a_phone(seen):
    """Tables scroll within their frame: the page itself does not."""
    seen.page.set_viewport_size({"width": 360, "height": 740})
    try:
        seen.page.get_by_role("button", name="Grow").first.wait_for()
        assert seen.page.evaluate("document.documentElement.scrollWidth") == 360
    finally:
        seen.page.set_viewport_size(DESKTOP)


KEEP = "Keep f-0-4 as worn"
NONE = "None: every label agrees"


def test_a_live_update_leaves_what_is_pressed_or_focused(seen):
    """An update of the page that arrives between press and release takes no effect on the press;
    one that arrives while a button has the focus leaves it there; one that arrives while a name is
    typed leaves the text."""
    page = seen.page
    keep = page.get_by_role("button", name=KEEP)
    keep.wait_for(timeout=60_000)
    update = "document.body.dispatchEvent(new CustomEvent('auricle:changed'))"
    keep.focus()
    with page.expect_response("**/knowledge-suspicious*"):
        page.evaluate(update)
    page.wait_for_timeout(500)
    assert page.evaluate("document.activeElement.ariaLabel") == KEEP
    page.get_by_label("Old name").fill("wor")
    with page.expect_response("**/knowledge?*"):
        page.evaluate(update)
    page.wait_for_timeout(500)
    assert page.get_by_label("Old name").input_value() == "wor"
    assert page.evaluate("document.activeElement.id") == "rename-old"
    page.get_by_label("Old name").fill("")
    keep.scroll_into_view_if_needed()
    box = keep.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    with page.expect_response("**/knowledge-suspicious*"):
        page.evaluate(update)
    page.wait_for_timeout(500)
    page.mouse.up()
    page.get_by_text("Kept as worn.").wait_for()
    page.locator("#toasts").get_by_role("button", name="Undo").click()
    keep.wait_for(timeout=60_000)


def test_a_kept_label_survives_restarts_and_is_taken_back(seen):
    """A label that a person keeps is not shown again, also after the console and the daemon have
    started again, until it is taken back: at once with Undo, or later from the list of those that
    are kept."""
    page = seen.page
    page.get_by_role("button", name=KEEP).click(timeout=60_000)
    page.locator("#toasts").get_by_role("button", name="Undo").click()
    page.get_by_role("button", name=KEEP).click(timeout=60_000)
    page.get_by_text(NONE).wait_for(timeout=60_000)
    port = seen.console.address.rpartition(":")[2].strip("/")
    page.goto("about:blank")
    seen.console.process.terminate()
    seen.console = seen.console.again(port)
    seen.daemon.stop()
    seen.daemon = Process(seen.folder)
    drain(seen)
    page.goto(seen.console.link())
    page.locator("nav").wait_for()
    seen.goto("knowledge")
    page.get_by_text(NONE).wait_for(timeout=60_000)
    page.get_by_text("1 checked and kept").click()
    page.get_by_role("button", name="Check f-0-4 again").click()
    page.get_by_role("button", name=KEEP).wait_for(timeout=60_000)
    assert page.get_by_text("checked and kept").count() == 0


def test_a_label_that_has_changed_is_not_kept(seen):
    """Keeping a label that the observation has no more is refused, and nothing is recorded."""
    body: Any = {"verb": "keep-label", "id": "k", "observation_id": "f-0-4", "label": "ok"}
    answer = send_to_daemon(seen.folder, body)
    assert not answer["done"]
    assert "another label by now" in answer["reason"]
    given = [{"observation_id": "f-0-4", "label": name} for name in ("ok", "worn")]
    asked = {"verb": "kept-labels", "id": "l", "labels": given}
    assert send_to_daemon(seen.folder, asked)["body"]["labels"] == []


def test_a_merge_is_previewed_and_undone(seen):
    """A name in use merges two labels: the preview counts, the action does it, undo separates."""
    page, before = seen.page, concepts(seen)
    page.fill("#rename-old", "worn")
    page.fill("#rename-new", "ok")
    page.get_by_role("button", name="Preview").click()
    page.locator("#rename-preview").get_by_text("41 examples").wait_for()
    page.locator("#rename-preview").get_by_text("39 examples are there already").wait_for()
    page.get_by_role("button", name="Merge").click()
    page.get_by_text("41 observations changed from worn to ok.").wait_for()
    assert set(concepts(seen)) == {("hall", "ok"), (HOSTILE, "ok")}
    page.get_by_role("button", name="Undo: corrected 41 observations to ok").click()
    until(lambda: concepts(seen) == before)


def test_a_domain_with_a_hostile_name_is_renamed(seen):
    """Names are text on the page and in the action."""
    page = seen.page
    page.select_option("#rename-kind", "domain")
    page.fill("#rename-old", HOSTILE)
    page.fill("#rename-new", "yard")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Rename").click()
    page.get_by_text("40 observations changed from").wait_for()
    assert ("yard", "ok") in concepts(seen)
    page.fill("#rename-old", "nothing")
    page.get_by_role("button", name="Preview").click()
    page.get_by_text("There is no domain nothing.").wait_for()


def test_enough_is_answered(seen):
    """The question whether enough is labelled names each concept, and what the next labels of each
    domain gain."""
    seen.goto("label")
    seen.page.get_by_role("link", name="Have I labelled enough?").click()
    row = seen.page.get_by_role("row", name="hall/ok")
    row.wait_for(timeout=60_000)
    assert "examples" in row.inner_text()
    gains = seen.page.get_by_role("list", name="Expected gain of more labels").inner_text()
    assert "hall: " in gains
