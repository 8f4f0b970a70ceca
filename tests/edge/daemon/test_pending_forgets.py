"""Forget requests to a live daemon that serves while it derives, and that is killed meanwhile."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from edge.commands import send_to_daemon
from edge.core.events import Enrol, FitGeometry
from edge.core.facts import Selector
from edge.home.home import Home
from tests.daemons import WAIT_S, Process, daemon_home
from tests.homes import run
from tests.worlds import fact

FACTS = 400
"""More than are derived on the spot."""

GONE = 60
"""More than are erased between two decisions."""


def subject(number: int) -> str:
    """The subject of a fact."""
    return "Zaphod" if number < GONE else ""


def home_of(folder: Path, without: bool = False) -> Path:
    """A home with facts of a subject, or one that never saw them."""
    daemon_home(folder, facts=0)
    rows = (
        fact(f"f{n}", "ab"[n % 2], "xy"[n % 3 % 2], n + 1, subject=subject(n)) for n in range(FACTS)
    )
    with Home(folder) as home:
        home.feed(Enrol(tuple(one for one in rows if not (without and one.subject))))
        home.feed(FitGeometry())
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home that every test copies."""
    return home_of(tmp_path_factory.mktemp("made") / "home")


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of a home that never saw the subject."""
    with Home(home_of(tmp_path_factory.mktemp("twin") / "home", without=True)) as home:
        return home.runtime.digest()


@pytest.fixture
def folder(tmp_path: Path, made: Path) -> Path:
    """A copy of the home."""
    return Path(shutil.copytree(made, tmp_path / "home"))


def ask(folder: Path, verb: str, **fields: Any) -> dict[str, Any]:
    """Send a command to the daemon; its answer."""
    return dict(send_to_daemon(folder, {"verb": verb, **fields}))


def forget(folder: Path, **select: Any) -> dict[str, Any]:
    """Order a forget; its answer."""
    return ask(folder, "forget", id="order-1", select=select)


def receipt(folder: Path) -> dict[str, Any]:
    """Wait for the receipt."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        body = ask(folder, "receipts", id=f"look{time.monotonic_ns()}")["body"]
        if body["receipts"] and not body["pending"]:
            return dict(body["receipts"][0])
        time.sleep(0.05)
    raise AssertionError("no receipt")


def check(folder: Path, twin: str) -> None:
    """The file holds what the twin's does, and no byte of the subject's name or ids."""
    with Home(folder) as home:
        assert home.store.select(Selector(subject="Zaphod")) == ()
        assert home.runtime.digest() == twin
        assert home.store.pending_forgets() == ()
    for path in folder.glob("knowledge.db*"):
        assert b"Zaphod" not in path.read_bytes(), path


def test_a_daemon_answers_at_once_and_the_receipt_follows(folder, twin):
    """The answer says what is derived; the list shows the request first, then its receipt."""
    daemon = Process(folder)
    answer = forget(folder, subject="Zaphod")
    assert answer["done"]
    assert (answer["body"]["pending"], answer["body"]["facts"]) == (True, GONE)
    found = receipt(folder)
    assert found["facts_forgotten"] == GONE
    assert found["accepted_at_ns"] <= found["excluded_at_ns"] <= found["completed_at_ns"]
    again = forget(folder, subject="Zaphod")
    assert again["body"]["facts_forgotten"] == GONE
    daemon.stop()
    check(folder, twin)


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.2])
def test_a_daemon_that_is_killed_completes_at_the_next_start(folder, twin, delay_s):
    """Kill -9 during a forget: the next daemon goes on, and a command that opens the home without
    one does, too."""
    daemon = Process(folder)
    assert forget(folder, subject="Zaphod")["done"]
    time.sleep(delay_s)
    daemon.kill()
    if delay_s:
        second = Process(folder)
        assert receipt(folder)["facts_forgotten"] == GONE
        second.stop()
    check(folder, twin)
    with Home(folder) as home:
        assert [one["facts_forgotten"] for one in home.store.receipts()] == [GONE]


@pytest.mark.parametrize(
    ("ends", "words"), [("stop", "agrees"), ("kill", "the process did not end cleanly")]
)
def test_verify_tells_a_stopped_daemon_from_a_killed_one(folder, ends, words):
    """A daemon that is stopped after its facts have changed leaves a stamp of what it knows; one
    that is killed does not."""
    with Home(folder) as home:
        home.stamp()
    daemon = Process(folder)
    assert forget(folder, subject="Zaphod")["done"]
    receipt(folder)
    getattr(daemon, ends)()
    result = run("verify", "--home", folder)
    assert result.exit_code == 0
    assert words in " ".join(result.output.split())


def test_bad_requests_get_clear_answers(folder):
    """A selector that matches nothing, and an id that was used for another selection: each names
    what is wrong, and nothing is lost."""
    daemon = Process(folder)
    nothing = ask(folder, "forget", id="n", select={"subject": "Trillian"})
    assert not nothing["done"]
    assert "nothing matches" in nothing["reason"]
    assert forget(folder, subject="Zaphod")["done"]
    other = forget(folder, ids=["f200"])
    assert not other["done"]
    assert receipt(folder)["facts_forgotten"] == GONE
    daemon.stop()
    with Home(folder) as home:
        assert len(home.store.select(Selector())) == FACTS - GONE
