"""The screen History: what a live daemon has recorded, in a real browser."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.console.browser import PHONE
from edge.commands import send_to_daemon
from edge.web.screens import history
from tests.browsers import Seen, browsing, drain, needs_browser, until
from tests.daemons import Process, daemon_home
from tests.worlds import vector

NASTY = "<script>document.title = 'broken'</script>"
STREAM = '[streams.gate]\nsource = "stdin"\n'
PAUSES = 60


def command(folder: Path, verb: str, **fields: Any) -> dict[str, Any]:
    """Send a command to the daemon; it must be carried out."""
    answer = send_to_daemon(folder, {"verb": verb, "id": secrets.token_hex(8), **fields})
    assert answer["done"], answer
    return dict(answer["body"])


def test_each_day_is_shown_once() -> None:
    """A series may report a change of yesterday after an event of today: each day has one
    heading, and its newest event is first."""
    hour_ns = 3_600 * 10**9
    events = [{"at_ns": at * hour_ns, "number": at} for at in (50, 30, 60)]
    found = [(day, [one["number"] for one in group]) for day, group in history.by_day(events)]
    assert found == [("Saturday 3 January 1970", [60, 50]), ("Friday 2 January 1970", [30])]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """A console whose daemon was killed after a label, a forget and many commands, and is back."""
    with browsing(daemon_home(tmp_path_factory.mktemp("home"), STREAM)) as made:
        drain(made)
        assert made.daemon is not None
        made.daemon.say(str(vector(1).tolist()))
        until(lambda: command(made.folder, "gallery", state="recent")["total"] == 1)
        (item,) = command(made.folder, "gallery", state="recent")["items"]
        command(made.folder, "label", observation_id=item["id"], label=NASTY, domain="hall")
        command(made.folder, "forget", select={"label": "a"})
        for _ in range(PAUSES):
            command(made.folder, "pause")
            command(made.folder, "resume")
        command(made.folder, "history")
        made.daemon.kill()
        made.daemon = Process(made.folder)
        drain(made)
        until(lambda: command(made.folder, "history", kinds=["gap"])["events"])
        yield made
        made.daemon.process.kill()


def texts(seen: Seen) -> list[str]:
    """The sentences on the page."""
    return list(seen.page.locator(".event-text bdi").all_inner_texts())


@needs_browser
def test_the_history_survives_a_killed_daemon_and_has_pages(seen: Seen) -> None:
    """The newest page begins after the restart; older pages hold all the rest, once each."""
    seen.goto("history")
    found = texts(seen)
    assert found[0].startswith("at most ")
    assert "had ended without stopping in order" in found[1]
    assert len(found) == 100
    seen.page.get_by_role("link", name="Older").click()
    seen.page.wait_for_url("**before=*")
    older = texts(seen)
    assert len(found + older) == 2 * PAUSES + 5
    assert "The daemon started" in older[-1]
    seen.page.get_by_role("link", name="Newest").click()
    seen.page.wait_for_url("**/history")
    assert texts(seen) == found


@needs_browser
def test_filters_leave_what_they_name_and_names_are_text(seen: Seen) -> None:
    """With two groups shown there are only their events; a label that is markup stays text."""
    seen.goto("history")
    for name in ("Labels", "Forgets"):
        with seen.page.expect_navigation():
            seen.page.get_by_role("checkbox", name=name).check(force=True)
    kinds = seen.page.locator(".event-kind").all_inner_texts()
    assert kinds == ["forget", "label"]
    assert texts(seen)[1] == f"1 observation was labelled {NASTY} in hall"
    assert "broken" not in seen.page.title()
    seen.page.get_by_role("link", name="Receipt").click()
    seen.page.wait_for_selector("text=Digest before")
    seen.goto("history?show=bundles")
    assert "No matching events" in seen.page.locator("main").inner_text()


@needs_browser
def test_what_is_new_waits_behind_a_button(seen: Seen) -> None:
    """While the page is read its list stays; a button offers the new events and shows them."""
    seen.goto("history?show=forgets")
    assert len(texts(seen)) == 1
    feed = "() => new Promise((done) => document.body.addEventListener('auricle:feed', done))"
    seen.page.evaluate(f"({feed})().then(() => true)")
    command(seen.folder, "forget", select={"label": "b"})
    button = seen.page.locator("#history-news")
    button.wait_for(state="visible")
    assert len(texts(seen)) == 1
    button.click()
    seen.page.wait_for_function("document.querySelectorAll('.event').length === 2")


@needs_browser
@pytest.mark.parametrize(
    "query", ["before=-1", "before=x", "show=none&stream=%00", "before=" + "9" * 400, "before="]
)
def test_a_wrong_address_shows_a_page(seen: Seen, query: str) -> None:
    """Unknown filters and numbers are left out, or show that nothing matches."""
    response = seen.page.goto(seen.console.address + "history?" + query)
    assert response.status == 200


@needs_browser
def test_the_history_fits_a_phone(seen: Seen) -> None:
    """Nothing is wider than the screen."""
    seen.page.set_viewport_size(PHONE)
    seen.goto("history")
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
