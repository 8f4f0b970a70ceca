"""What people open on the screens, judged by axe-core: clusters, explanations, receipts, errors."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from edge.commands import response_body, send_to_daemon
from tests.browsers import (
    Seen,
    axe_findings,
    browsing,
    in_every_view,
    needs_axe,
    needs_browser,
    until,
)
from tests.drifts import SECOND_NS, samples, timed_home

pytestmark = [needs_browser, needs_axe]


def ask(seen: Seen, verb: str, **fields: Any) -> dict[str, Any]:
    """The daemon's answer to a request."""
    request = {"verb": verb, "id": secrets.token_hex(8), **fields}
    return response_body(send_to_daemon(seen.folder, request))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """A console over a home whose stream opened a domain with two clusters, after a forget."""
    with browsing(timed_home(tmp_path_factory.mktemp("filled") / "home")) as made:
        assert made.daemon is not None
        pairs = zip(samples(80, 90, 2), samples(80, 150, 3), strict=True)
        mixed = [row for pair in pairs for row in pair]
        for number, row in enumerate([*samples(32, 0, 1), *mixed]):
            values = [int(value) for value in row]
            at_ns = (1_001 + number) * SECOND_NS
            body = {"values": values, "captured_at_ns": at_ns, "id": f"o{number}"}
            made.daemon.say(json.dumps(body))
        until(lambda: sum(one["count"] for one in ask(made, "candidates")["columns"]) > 60)
        ask(made, "forget", select={"ids": ["learned-0001"]})
        until(lambda: ask(made, "receipts")["receipts"])
        yield made


def clusters(page: Any) -> None:
    """Open the clusters that wait for a name."""
    page.get_by_role("region", name="Clusters to name").wait_for()


def selected(page: Any) -> None:
    """Select observations."""
    page.locator(".shot-pick").first.click()


def examples(page: Any) -> None:
    """Open the typical examples of a concept."""
    page.locator("[hx-get^=knowledge-concept]").first.click()
    page.locator("[href^=why]").first.wait_for()


def previewed(page: Any) -> None:
    """Ask what a forget request would forget."""
    page.fill("#forget-label", "a")
    page.get_by_role("button", name="Preview").click()
    page.wait_for_selector("#preview h2")


def verified(page: Any) -> None:
    """Open a receipt, and verify it."""
    page.get_by_role("button", name="Verify").click()
    page.wait_for_load_state()


def shown(_page: Any) -> None:
    """Leave the page as it is."""


STATES: dict[str, tuple[str, Callable[[Any], None]]] = {
    "clusters": ("label", clusters),
    "a selection": ("label", selected),
    "Why, new": ("why?id=o100", shown),
    "Why, known": ("why?id=o3", shown),
    "Why, labelled": ("why?id=learned-0002", shown),
    "Why, nothing": ("why?id=gone", shown),
    "a concept": ("knowledge", examples),
    "a preview": ("forget", previewed),
    "a receipt": ("forget-receipt?id={receipt}", shown),
    "a verified receipt": ("forget-receipt?id={receipt}", verified),
    "no such page": ("nothing", shown),
}
"""Addresses of what no screen shows by itself, and what a person does there."""


@in_every_view
def test_axe_finds_nothing_serious_in_what_people_open(
    filled: Seen, scheme: str, size: dict[str, int]
) -> None:
    """Clusters, selections, explanations, previews, receipts and errors have none either."""
    page = filled.viewed(scheme, size)
    (receipt,) = ask(filled, "receipts")["receipts"]
    found = []
    for name, (path, act) in STATES.items():
        page.goto(filled.console.address + path.format(receipt=quote(receipt["request_id"])))
        page.locator("main h1").first.wait_for(state="attached")
        act(page)
        page.wait_for_function("!document.querySelector('.htmx-request')")
        found += axe_findings(page, name)
    page.goto(filled.console.address + "open")
    found += axe_findings(page, "the login")
    page.context.close()
    assert found == []
