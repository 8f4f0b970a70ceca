"""The screen Forget: an owner forgets with a live daemon, in a real browser."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from benchmarks.console.browser import PHONE
from edge.commands import send_to_daemon
from edge.core.events import EraseFacts
from edge.core.receipt import (
    AdaptorOutcome,
    DeviceOrder,
    EvictedConcept,
    FileFound,
    PlacedDomain,
    SeriesForgotten,
)
from edge.home.home import Home
from tests.browsers import Seen, browsing, drain, needs_browser
from tests.daemons import Process, daemon_home
from tests.homes import RECEIPT

FACTS = 24
SLOW_MS = 60_000


def command(folder: Path, verb: str, **fields: Any) -> dict[str, Any]:
    """Send a command to the daemon; it must be carried out."""
    answer = send_to_daemon(folder, {"verb": verb, "id": secrets.token_hex(8), **fields})
    assert answer["done"], answer
    return dict(answer["body"])


def labels(folder: Path) -> dict[str, int]:
    """Facts by label."""
    concepts = command(folder, "knowledge")["concepts"]
    return {one["label"]: one["facts"] for one in concepts}


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[Seen]:
    """A console whose daemon knows `FACTS` facts of the labels a and b."""
    with browsing(daemon_home(tmp_path / "home", facts=FACTS)) as made:
        drain(made)
        yield made
        assert made.daemon is not None
        made.daemon.process.kill()


def preview(seen: Seen, **fields: str) -> None:
    """Open the screen, fill in the form and ask for a preview."""
    seen.goto("forget")
    for name, text in fields.items():
        seen.page.fill(f"#forget-{name}", text)
    seen.page.get_by_role("button", name="Preview").click()
    seen.page.wait_for_selector("#preview h2, #preview .message")


def confirm(seen: Seen, count: int) -> None:
    """Type the count and confirm."""
    seen.page.fill("#forget-count", str(count))
    seen.page.get_by_role("button", name=f"Forget {count} examples").click()


@needs_browser
def test_a_person_forgets_a_label_and_holds_its_receipt(seen: Seen, tmp_path: Path) -> None:
    """A typo is pointed out, the preview is exact, the button waits for the count, and afterwards
    the facts are gone, the receipt is that of the ledger, and verification agrees."""
    preview(seen, label="bb")
    assert "There is no label “bb”" in seen.page.locator("#preview").inner_text()
    seen.page.get_by_role("button", name="b", exact=True).click()
    seen.page.wait_for_selector("#forget-count")
    row = seen.page.get_by_role("region", name="By concept").locator("tbody td").all_inner_texts()
    assert row == ["home", "b", "12", "none (concept removed)"]
    button = seen.page.get_by_role("button", name="Forget 12 examples")
    seen.page.fill("#forget-count", "11")
    assert button.is_disabled()
    confirm(seen, 12)
    seen.page.wait_for_selector("text=12 facts forgotten", timeout=SLOW_MS)
    assert labels(seen.folder) == {"a": 12}
    (receipt,) = command(seen.folder, "receipts")["receipts"]
    shown = seen.page.locator("main").inner_text()
    assert receipt["digest_before"] in shown
    assert receipt["digest_after"] in shown
    assert all(one in shown for one in receipt["not_covered"])
    with seen.page.expect_download() as download:
        seen.page.get_by_role("link", name="Download as JSON").click()
    download.value.save_as(tmp_path / "receipt.json")
    assert json.loads((tmp_path / "receipt.json").read_text("utf-8")) == receipt
    with seen.page.expect_download(timeout=SLOW_MS) as audited:
        seen.page.get_by_role("button", name="Audit and download the page").click()
    audited.value.save_as(tmp_path / "audit.html")
    assert receipt["request_id"] in (tmp_path / "audit.html").read_text("utf-8")
    seen.page.get_by_role("button", name="Verify now").click()
    seen.page.wait_for_selector("text=no forgotten fact is in the file", timeout=SLOW_MS)
    assert "still has the digest of this receipt" in seen.page.locator("main").inner_text()
    assert receipt["digest_after"] in seen.page.locator("main").inner_text()


PARTS = replace(
    RECEIPT,
    request_id="parts",
    series=(SeriesForgotten("boiler", 360, "restarted", 4_810),),
    evictions=(EvictedConcept("home", "b", 10),),
    placed=(PlacedDomain("home", 40, "placed again", ""),),
    files=(FileFound("export.npz", "export", "kept", "delete the file"),),
    devices=(
        DeviceOrder("south", "contribution", "91b2", sent=True),
        DeviceOrder("any other device", "bundle", "91b2", sent=False),
    ),
    adaptors=(AdaptorOutcome("home", 3, "trained again", 4),),
    duplicates="near",
    accepted_at_ns=10**18,
    excluded_at_ns=10**18 + 4 * 10**6,
    completed_at_ns=10**18 + 83 * 10**7,
)


@needs_browser
def test_a_receipt_shows_all_that_it_lists(tmp_path: Path) -> None:
    """Devices with their orders, files, adaptors, series, placed domains, evicted facts, and how
    long the request took are on its page."""
    folder = daemon_home(tmp_path / "home")
    with Home(folder) as home:
        home.store.apply(EraseFacts((), PARTS))
    with browsing(folder) as made:
        made.goto("forget-receipt?id=parts")
        shown = made.page.locator("main").inner_text()
        for row in (
            "south\tthe sums\ton its way\t91b2",
            "any other device\ta bundle\tremove it there by hand\t91b2",
            "export.npz\texport\tkept\tdelete the file",
            "home\t3\ttrained again\tversion 4",
            "boiler\t360\trestarted\t4 810",
            "home\t40\tplaced again\tthe same",
            "home\tb\t10",
        ):
            assert row.split("\t") in [
                line.replace("\u202f", " ").replace("\xa0", " ").split("\t")
                for line in shown.splitlines()
            ]
        assert "0.83" in shown
        assert "also nearly the same content" in shown


@needs_browser
def test_a_wrong_or_outdated_count_forgets_nothing(seen: Seen) -> None:
    """A count that is wrong, and one that was right when it was shown, change nothing; the page
    shows the new count."""
    preview(seen, label="b")
    seen.page.wait_for_selector("#forget-count")
    command(seen.folder, "forget", select={"ids": ["f1"]})
    confirm(seen, 12)
    seen.page.wait_for_selector("text=the count changed from 12 to 11")
    assert labels(seen.folder) == {"a": 12, "b": 11}
    seen.page.evaluate("document.querySelector('.forget-confirm button').disabled = false")
    seen.page.fill("#forget-count", "7")
    seen.page.evaluate("document.querySelector('.forget-confirm button').disabled = false")
    seen.page.locator(".forget-confirm button").click()
    seen.page.wait_for_selector("text=type 11 to confirm; you typed 7")
    assert labels(seen.folder) == {"a": 12, "b": 11}


@needs_browser
def test_a_form_that_selects_nothing_is_explained(seen: Seen) -> None:
    """An empty form and a wrong time range are problems on the page, and nothing is sent."""
    seen.goto("forget")
    seen.page.get_by_role("button", name="Preview").click()
    seen.page.wait_for_selector("text=An empty form would select every example")
    preview(seen, **{"from": "2026-01-02T00:00:00", "until": "2026-01-01T00:00:00"})
    assert "The end must be after the start" in seen.page.locator("#preview").inner_text()
    preview(seen, label="<img src=x onerror=alert(1)>" + "ü" * 100)
    assert "and no similar one" in seen.page.locator("#preview").inner_text()
    assert labels(seen.folder) == {"a": 12, "b": 12}
    seen.page.set_viewport_size(PHONE)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@needs_browser
def test_only_an_owner_may_forget(seen: Seen) -> None:
    """A labeller neither sees the screen nor reaches it by its address."""
    page = seen.new_page("labeller")
    assert page.get_by_role("link", name="Forget").count() == 0
    assert page.goto(seen.console.address + "forget").status == 403


@needs_browser
def test_a_daemon_that_dies_on_the_way_is_asked_again(seen: Seen) -> None:
    """Whenever the daemon is killed, the page leads to the one receipt after it is back."""
    assert seen.daemon is not None
    preview(seen, label="a")
    seen.page.wait_for_selector("#forget-count")
    confirm(seen, 12)
    seen.page.wait_for_url("**/forget-receipt*")
    seen.daemon.process.kill()
    seen.daemon.process.wait()
    seen.daemon = Process(seen.folder)
    drain(seen)
    seen.page.reload()
    again = seen.page.get_by_role("button", name="Send again")
    done = seen.page.get_by_text("12 facts forgotten")
    again.or_(done).first.wait_for(timeout=SLOW_MS)
    if again.count():
        again.click()
    done.wait_for(timeout=SLOW_MS)
    assert len(command(seen.folder, "receipts")["receipts"]) == 1
    assert labels(seen.folder) == {"b": 12}
