"""The screen Now in a browser, in front of a live daemon."""

from __future__ import annotations

import json
import os
import signal

import pytest

from edge.web.live import StreamNews
from edge.web.screens.now import card_of
from tests.browsers import Seen, browsing, needs_browser, until
from tests.daemons import Process, daemon_home
from tests.drifts import SECOND_NS, SHIFT, samples, timed_home

pytestmark = needs_browser

HOSTILE = ('<img src=x onerror="alert(1)">', "مرحبا abc", "🐕" * 20, "n" * 200)
"""Names that a page must show as text: markup, right to left, emoji, as long as is allowed."""


def main(seen: Seen) -> str:
    """The text of the page."""
    return str(seen.page.inner_text("main"))


def test_a_card_follows_its_stream(tmp_path) -> None:
    """Without a reload a card shows the newest answer, its p-values, and that something is new; no
    picture is asked for of a vector."""
    home = daemon_home(tmp_path / "home", '[streams.gate]\nsource = "stdin"\n', facts=300)
    asked: list[str] = []
    with browsing(home) as seen:
        seen.page.on("request", lambda request: asked.append(request.url))
        card = seen.page.locator("article", has_text="gate")
        card.get_by_text("waiting").wait_for()
        assert seen.daemon is not None
        for _ in range(30):
            seen.daemon.say("[0, 0, 0, 255, 255, 0, 0, 0]")
        card.get_by_text("new", exact=True).wait_for()
        until(lambda: "30 answers" in card.inner_text())
        # Few p-values fill the width as many do.
        line = card.locator("polyline.spark")
        until(lambda: str(line.get_attribute("points")).startswith("0.0,"))
        seen.page.keyboard.press("x")
        assert "small means new" in card.inner_text()
    assert not [url for url in asked if "/picture" in url]


def test_names_are_shown_as_text(tmp_path) -> None:
    """Streams with hostile names have a card each; no script runs, and the page is not wider than
    a phone."""
    streams = "".join(
        f'[streams.{json.dumps(name, ensure_ascii=False)}]\nsource = "http"\n' for name in HOSTILE
    )
    with browsing(daemon_home(tmp_path / "home", streams)) as seen:
        seen.page.on("dialog", lambda _: seen.problems.append("a script ran"))
        seen.page.set_viewport_size({"width": 390, "height": 844})
        for name in HOSTILE:
            assert seen.page.get_by_role("heading", name=name, exact=True).count() == 1
        for path in ("", "health", "first-run", f"first-run?stream={HOSTILE[-1]}"):
            seen.goto(path)
            assert seen.page.evaluate("document.documentElement.scrollWidth") == 390, path


def test_trouble_is_said_where_it_is(tmp_path) -> None:
    """A source that cannot measure, and measurements that are rejected, are on the card with their
    reason."""
    more = '[streams.gone]\nsource = "folder"\npath = "nowhere"\n[streams.gate]\nsource = "stdin"\n'
    with browsing(daemon_home(tmp_path / "home", more)) as seen:
        gone = seen.page.locator("article", has_text="gone")
        gone.get_by_text("No such file or directory").wait_for()
        assert seen.daemon is not None
        for _ in range(3):
            seen.daemon.say("[1, 2]")
        gate = seen.page.locator("article", has_text="gate")
        gate.get_by_text("Measurements are rejected").wait_for()


def test_a_card_stays_that_of_its_stream(tmp_path) -> None:
    """When the order of the cards changes, each element still shows the stream that it showed: what
    has the focus or is pressed does not become that of another stream."""
    (tmp_path / "empty").mkdir()
    streams = f'[streams.aside]\nsource = "folder"\npath = "{tmp_path / "empty"}"\n'
    streams += '[streams.gate]\nsource = "stdin"\n'
    with browsing(daemon_home(tmp_path / "home", streams, facts=300)) as seen:
        cards = seen.page.locator("article.now-card")
        assert cards.locator("h2").all_inner_texts() == ["aside", "gate"]
        for card in cards.all():
            card.evaluate("(one) => { one.shown = one.dataset.stream; }")
        assert seen.daemon is not None
        for _ in range(30):
            seen.daemon.say("[0, 0, 0, 255, 255, 0, 0, 0]")
        until(lambda: cards.locator("h2").all_inner_texts() == ["gate", "aside"])
        for card in cards.all():
            assert card.evaluate("(one) => [one.shown, one.dataset.stream]") in (
                ["gate", "gate"],
                ["aside", "aside"],
            )


def ask_about_an_alarm(seen: Seen) -> None:
    """Let a stream change so that its alarm lasts and is asked about."""
    rows = [*samples(48, 0, 1), *samples(48, SHIFT, 2)]
    assert seen.daemon is not None
    for number, row in enumerate(rows, 1_001):
        body = {"values": [int(value) for value in row], "captured_at_ns": number * SECOND_NS}
        seen.daemon.say(json.dumps(body))


@pytest.mark.parametrize("harmless", [True, False])
def test_a_lasting_alarm_is_answered_in_one_click(tmp_path, harmless) -> None:
    """The card asks once; one click answers it and says what follows, and the question is gone."""
    with browsing(timed_home(tmp_path / "home"), role="labeller") as seen:
        ask_about_an_alarm(seen)
        button = "Harmless: this is normal now" if harmless else "Real: keep the alarm"
        seen.page.get_by_role("button", name=button).click()
        said = "counts as normal" if harmless else "the alarm stays"
        seen.page.locator("#toasts").get_by_text(said).wait_for()
        until(lambda: "This alarm persists" not in main(seen))


def test_a_domain_without_labels_shows_what_it_is_adapted_to(tmp_path) -> None:
    """The card of a stream in a domain without labels says how many of its observations the answers
    are adapted to, once that is computed beside serving."""
    with browsing(timed_home(tmp_path / "home")) as seen:
        rows = [*samples(32, 0, 1), *samples(120, 90, 2)]
        daemon = seen.daemon
        assert daemon is not None

        def say(number: int) -> None:
            values = [int(value) for value in rows[min(number, len(rows) - 1)]]
            at_ns = (1_001 + number) * SECOND_NS
            daemon.say(json.dumps({"values": values, "captured_at_ns": at_ns}))

        for number in range(len(rows)):
            say(number)
        seen.page.get_by_text("This domain has").wait_for()

        def adapted() -> bool:
            say(len(rows))
            return "its answers are adapted to" in main(seen)

        until(adapted)
        seen.goto("knowledge")
        seen.page.get_by_role("heading", name="Domains without labels").wait_for()
        assert "unlabelled observations" in main(seen)
        seen.goto("")
        seen.page.get_by_role("button", name="Stop adapting to domains without labels").click()
        seen.page.locator("#toasts").get_by_text("as they are").wait_for()
        assert 'policy = "off"' in (tmp_path / "home" / "auricle.toml").read_text("utf-8")
        again = seen.page.get_by_role("button", name="Adapt to domains without labels")

        def offered() -> bool:
            seen.goto("knowledge")
            return bool(again.count() == 1)

        until(offered)
        again.click()
        seen.page.locator("#toasts").get_by_text("adapt to domains without labels").wait_for()
        assert 'policy = "auto"' in (tmp_path / "home" / "auricle.toml").read_text("utf-8")


def test_a_viewer_sees_a_question_without_buttons(tmp_path) -> None:
    """Who may only look is not offered what would be refused; screens of owners are not listed."""
    with browsing(timed_home(tmp_path / "home"), role="viewer") as seen:
        ask_about_an_alarm(seen)
        seen.page.get_by_text("This alarm persists").wait_for()
        assert seen.page.get_by_role("button", name="Harmless").count() == 0
        assert seen.page.get_by_role("link", name="Forget").count() == 0
        seen.goto("first-run")
        seen.page.get_by_text("this needs the role owner").wait_for()


def test_a_killed_daemon_is_said_and_comes_back(tmp_path) -> None:
    """After kill -9 an open page reports that no daemon responds, and keeps its content; a page
    loaded meanwhile says so too; both continue by themselves when a daemon runs again."""
    home = daemon_home(tmp_path / "home", '[streams.gate]\nsource = "stdin"\n')
    with browsing(home) as seen:
        other = seen.new_page("viewer")
        seen.page.get_by_text("gate").wait_for()
        assert seen.daemon is not None
        seen.daemon.kill()
        seen.page.locator("#banner").get_by_text("The daemon is not responding").wait_for()
        assert "gate" in main(seen)
        other.reload()
        other.get_by_role("heading", name="The daemon is not responding").wait_for()
        assert other.get_by_role("button", name="Start the daemon").count() == 0
        seen.daemon = Process(home)
        other.locator("article", has_text="gate").wait_for()
        seen.page.locator("#banner").wait_for(state="hidden")
        until(lambda: seen.page.inner_text("#live-state") == "live")
        seen.daemon.kill()


def test_an_owner_starts_a_daemon_from_the_page(tmp_path) -> None:
    """Without a daemon an owner starts one by a click; it ends with the console, in order."""
    home = daemon_home(tmp_path / "home", '[streams.gate]\nsource = "http"\n')
    with browsing(home, daemon=False) as seen:
        seen.page.get_by_role("button", name="Start the daemon").click()
        seen.page.locator("article", has_text="gate").wait_for(timeout=60_000)
        assert seen.console.stop() == 0
        assert '"event": "stopped"' in (home / "console" / "daemon.log").read_text("utf-8")


def test_a_console_that_stops_and_comes_back_keeps_the_session(tmp_path) -> None:
    """A page survives a new console on the same port: it says so meanwhile, and stays logged in."""
    home = daemon_home(tmp_path / "home", '[streams.gate]\nsource = "stdin"\n')
    with browsing(home) as seen:
        port = seen.console.address.rpartition(":")[2].strip("/")
        os.kill(seen.console.process.pid, signal.SIGKILL)
        seen.page.locator("#banner").get_by_text("The console is not responding").wait_for()
        seen.console = seen.console.again(port)
        seen.page.locator("#banner").wait_for(state="hidden")
        seen.page.reload()
        seen.page.locator("article", has_text="gate").wait_for()


def test_keys_theme_and_explanations(tmp_path) -> None:
    """`g` and a letter open a screen, `?` shows the keys, `x` explains every number; the theme
    follows the system until it is chosen, and the choice survives a reload."""
    with browsing(daemon_home(tmp_path / "home")) as seen:
        page = seen.page
        page.keyboard.press("?")
        page.get_by_role("dialog", name="Keys").wait_for()
        page.keyboard.press("Escape")
        page.keyboard.press("g")
        page.keyboard.press("s")
        page.get_by_role("heading", name="Health", exact=True).wait_for()
        assert not page.get_by_text("Resident memory of the daemon.").is_visible()
        page.keyboard.press("x")
        page.get_by_text("Resident memory of the daemon.").wait_for()
        ground = "getComputedStyle(document.body).backgroundColor"
        page.emulate_media(color_scheme="dark")
        dark = page.evaluate(ground)
        page.emulate_media(color_scheme="light")
        light = page.evaluate(ground)
        assert dark != light
        for _ in range(2):
            page.get_by_role("button", name="Theme").click()
        assert page.evaluate(ground) == dark
        page.reload()
        assert page.evaluate(ground) == dark


@pytest.mark.parametrize(
    ("shortfall", "text"),
    [("99 samples are needed", "is not ready: too few"), ("", "became ready after")],
)
def test_a_card_says_when_detection_became_ready(shortfall: str, text: str) -> None:
    """The newest decision may be from before enough was labelled."""
    stream = {
        "name": "gate",
        "kind": "sample",
        "problem": "",
        "input_problem": "",
        "alarmed": False,
        "decided": 1,
        "dropped": 0,
        "degraded": False,
    }
    decision = {"observation_id": "o", "known": None, "reason": "too few", "p_value": 1.0}
    home = {"calibration": [{"domain": "yard", "shortfall": shortfall}]}
    (trouble,) = card_of(stream, StreamNews(decision), home).trouble
    assert text in trouble
