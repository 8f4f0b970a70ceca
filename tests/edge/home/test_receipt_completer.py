"""What a receipt says of files and of the card does not depend on the run that completes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.core import forgetting
from edge.core.events import ForgetRequest
from edge.core.facts import Selector
from edge.core.knowledge import knowledge as place
from edge.core.pending_forgets import AdvanceForget
from edge.home.home import Home
from tests.homes import run, run_json

PEAKS = {"load": 777.25, "y": -55.5}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a backup, and an extreme of the card in two columns, each of another subject;
    facts may wait, and are erased four at a time."""
    monkeypatch.setattr(place, "WAITING_FACTS_MIN", 4)
    monkeypatch.setattr(forgetting, "SLICE_FACTS", 4)
    rows = np.round(np.random.default_rng(5).uniform(1, 9, (60, 3)), 3)
    rows[7, 1], rows[8, 2] = PEAKS.values()
    lines = ["label,subject,x,load,y"]
    for number, row in enumerate(rows):
        lines.append(",".join(["ab"[number % 2], f"p{number % 6}", *map(str, row.tolist())]))
    table = tmp_path / "table.csv"
    table.write_text("\n".join(lines) + "\n", "utf-8")
    home = tmp_path / "home"
    run_json("init", home, "--vectors", table)
    run_json("learn", table, "--home", home, "--domain", "hall")
    assert run("backup", home / "monday.db", "--home", home).exit_code == 0
    return home


def request(name: str, subject: str) -> ForgetRequest:
    """A request that orders the removal of files."""
    chosen = Selector(subject=subject)
    return ForgetRequest(request_id=name, selector=chosen, requested_at_ns=3, remove_files=True)


def recoverable(receipt: dict[str, list[str]]) -> str:
    """What a receipt says about extremes in the card."""
    return "".join(one for one in receipt["not_covered"] if "recoverable" in one)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5])
def test_a_crash_loses_neither_the_order_nor_the_extremes(folder: Path, turns: int):
    """A daemon that is killed amid a request: the next start removes the files that the request
    ordered removed, and its receipt names the extremes that the erased facts had."""
    home = Home(folder, deferring=True)
    home.feed(request("r", "p1"))
    for _ in range(turns):
        if home.runtime.erasing:
            home.feed(AdvanceForget(7))
    home.store.close()  # nothing else is closed: it is as if it were killed
    with Home(folder) as again:
        (stored,) = again.store.receipts()
    assert not (folder / "monday.db").exists()
    assert [one["outcome"] for one in stored["files"]] == ["removed"]
    assert "load" in recoverable(stored)


def test_each_of_two_requests_names_its_own_extremes(folder: Path):
    """Requests that are completed together: each receipt has the columns of its own facts."""
    with Home(folder, deferring=True) as home:
        home.feed(request("one", "p1"))
        home.feed(request("two", "p2"))
    with Home(folder) as again:
        one, two = again.store.receipts()
    assert "load" in recoverable(one)
    assert "y" in recoverable(two).split("(")[1]
    assert "load" not in recoverable(two)
