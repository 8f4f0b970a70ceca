"""Forget requests that a live daemon gets at a bad time: during growth, during another one, on a
full disk, with a wrong key."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from edge.core.events import Enrol, FitGeometry
from edge.core.facts import Selector
from edge.home.home import Home
from tests.daemons import HELD, WAIT_S, Process, daemon_home, until
from tests.disks import small_disk
from tests.edge.daemon.test_pending_forgets import ask
from tests.worlds import fact

FACTS = 400
GONE = 60


def home_of(folder: Path) -> Path:
    """A home with facts of a subject and of others."""
    daemon_home(folder, facts=0)
    with (folder / "auricle.toml").open("a", encoding="utf-8") as file:
        file.write('\n[streams.door]\nsource = "stdin"\n')
    with Home(folder) as home:
        rows = (
            fact(f"f{n:03}", "ab"[n % 2], "xy"[n % 3 % 2], n + 1, subject="Zaphod" * (n < GONE))
            for n in range(FACTS)
        )
        home.feed(Enrol(tuple(rows)))
        home.feed(FitGeometry())
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home that every test copies."""
    return home_of(tmp_path_factory.mktemp("made") / "home")


@pytest.fixture
def folder(tmp_path: Path, made: Path) -> Path:
    """A copy of the home."""
    return Path(shutil.copytree(made, tmp_path / "home"))


def receipts(folder: Path) -> dict[str, Any]:
    """The receipts, the pending requests and why these do not go on; while the home is closed,
    since its disk is full, that is all."""
    answer = ask(folder, "receipts", id=secrets.token_hex(8))
    closed: dict[str, Any] = {"receipts": [], "pending": [], "problem": answer.get("reason")}
    return dict(answer.get("body") or closed)


def decided(folder: Path) -> int:
    """The decisions of the stream so far."""
    body = ask(folder, "status", id=secrets.token_hex(8))["body"]
    return int(body["streams"][0]["decided"])


def completed(folder: Path, count: int) -> list[dict[str, Any]]:
    """Wait for so many receipts; the newest first."""

    def complete() -> list[dict[str, Any]]:
        body = receipts(folder)
        found = list(body["receipts"])
        return found if len(found) == count and not body["pending"] else []

    return list(until(complete))


def ids(folder: Path, **select: Any) -> tuple[str, ...]:
    """The facts in the file of a home whose daemon has ended."""
    with Home(folder, writable=False) as home:
        return home.store.select(Selector(**select))


def test_requests_that_share_facts_each_get_their_receipt(folder: Path) -> None:
    """A request that arrives while another is erasing waits for that, one that arrives while
    another is deriving is accepted at once; a fact is counted by the request that erased it."""
    for name in ("erasing", "deriving"):
        (folder / name).touch()
    daemon = Process(folder, HELD)
    first = ask(folder, "forget", id="one", select={"subject": "Zaphod"})
    assert (first["body"]["state"], first["body"]["facts"]) == ("excluded", GONE)
    with ThreadPoolExecutor() as pool:
        second = pool.submit(ask, folder, "forget", id="two", select={"ids": ["f001", "f100"]})
        time.sleep(0.5)
        assert not second.done()
        (folder / "erasing").unlink()
        answer = second.result(WAIT_S)
    assert (answer["body"]["pending"], answer["body"]["facts"]) == (True, 1)
    third = ask(folder, "forget", id="three", select={"ids": ["f001", "f002"]})
    assert "nothing matches the selection" in third["reason"]
    again = ask(folder, "forget", id="one", select={"subject": "Zaphod"})
    assert (again["body"]["state"], again["body"]["facts"]) == ("deriving", GONE)
    other = ask(folder, "forget", id="one", select={"ids": ["f200"]})
    assert "its id was used for another command" in other["reason"]
    assert [one["request_id"] for one in receipts(folder)["pending"]] == ["one", "two"]
    (folder / "deriving").unlink()
    found = {one["request_id"]: one["facts_forgotten"] for one in completed(folder, 2)}
    assert found == {"one": GONE, "two": 1}
    daemon.stop()
    assert len(ids(folder)) == FACTS - GONE - 1


@pytest.mark.parametrize("phase", ["request", "erasing", "deriving"])
def test_a_disk_that_fills_during_a_request_only_delays_it(
    made: Path, tmp_path: Path, phase: str
) -> None:
    """Full before the request: it is refused, nothing changes, the same id succeeds later.  Full
    while facts are erased, or before the receipt: it stays pending.  Decisions go on each time."""
    with small_disk(tmp_path / "disk") as disk:
        folder = Path(shutil.copytree(made, disk.folder / "home"))
        for name in ("erasing", "deriving"):
            (folder / name).touch()
        daemon = Process(folder, HELD)
        if phase == "request":
            disk.fill()
            refused = ask(folder, "forget", id="one", select={"subject": "Zaphod"})
            assert not refused["done"]
            assert "No space left" in refused["reason"] or "full" in refused["reason"]
            assert "free space on the disk" in refused["hint"]
            assert "with the same id" in refused["hint"]
            assert receipts(folder)["pending"] == []
            disk.free()
        assert ask(folder, "forget", id="one", select={"subject": "Zaphod"})["done"]
        if phase == "deriving":
            (folder / "erasing").unlink()
            until(lambda: receipts(folder)["pending"][0]["state"] == "deriving")
        disk.fill()
        for name in ("erasing", "deriving"):
            (folder / name).unlink(missing_ok=True)
        # What the log of the file has room for needs no disk, so the receipt may be written.
        seen = until(lambda: (body := receipts(folder))["problem"] or body["receipts"])
        if phase != "deriving":
            assert re.search("full|No space left|disk I/O error", seen), seen
        daemon.say("[1, 2, 3, 4, 5, 6, 7, 8]")
        until(lambda: decided(folder))
        disk.free()
        (receipt,) = completed(folder, 1)
        assert receipt["facts_forgotten"] == GONE
        assert not receipts(folder)["problem"]
        daemon.stop()
        assert len(ids(folder)) == FACTS - GONE
        assert ids(folder, subject="Zaphod") == ()


def test_a_wrong_key_refuses_requests_and_stops_no_decision(folder: Path) -> None:
    """The answer says what was expected and found, and what to do; the daemon starts and decides,
    and with the key restored the same request succeeds."""
    with Home(folder) as home:
        home.stamp()
    key = folder / "knowledge.db.key"
    secret = key.read_bytes()
    key.write_bytes(secrets.token_bytes(32))
    daemon = Process(folder)
    refused = ask(folder, "forget", id="one", select={"subject": "Zaphod"})
    assert not refused["done"]
    assert "expected the key that earlier receipts were stated under" in refused["reason"]
    assert "restore it from where it was kept" in refused["hint"]
    daemon.say("[1, 2, 3, 4, 5, 6, 7, 8]")
    decided = daemon.hear()
    while decided["schema"] != "auricle/v1/decision":
        decided = daemon.hear()
    assert decided["stream"] == "door"
    key.write_bytes(secret)
    assert ask(folder, "forget", id="one", select={"subject": "Zaphod"})["done"]
    assert completed(folder, 1)[0]["facts_forgotten"] == GONE
    daemon.stop()
    assert ids(folder, subject="Zaphod") == ()


def children(process: int) -> set[int]:
    """The processes that a process has started and that run."""
    found = Path(f"/proc/{process}/task/{process}/children").read_text("ascii")
    return set(map(int, found.split()))


def test_growth_that_holds_forgotten_facts_ends_without_an_adaptor(folder: Path) -> None:
    """A worker at work on facts that are forgotten is killed before the answer; nothing that it
    has made is installed, and growth can be requested again."""
    pytest.importorskip("torch")
    daemon = Process(folder)
    before = children(daemon.process.pid)
    started = ask(folder, "grow", id="g", domain="x")
    assert started["done"], started
    (worker,) = until(lambda: children(daemon.process.pid) - before)
    assert ask(folder, "forget", id="one", select={"subject": "Zaphod"})["done"]
    until(lambda: not _runs(worker))
    assert completed(folder, 1)[0]["facts_forgotten"] == GONE
    assert [one["version"] for one in ask(folder, "adaptors", id="a")["body"]["adaptors"]] == [0, 0]
    # Growth that is due has started again by itself.
    again = ask(folder, "grow", id="g2", domain="x")
    assert again["done"] or "is being grown" in again["reason"], again
    (second,) = until(lambda: children(daemon.process.pid) - before)
    assert second != worker
    daemon.stop()
    with Home(folder, writable=False) as home:
        assert home.store.adaptors() == {}


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
