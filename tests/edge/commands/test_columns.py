"""Clusters to name as a local client asks for them: found in a thread, answered when it is done."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.commands.handler import CommandHandler
from edge.config.commands import CommandSettings
from edge.core.events import Observation
from edge.core.session.label_columns import ColumnSearch
from edge.home.home import Home
from edge.home.labelling import unnamed_columns
from edge.mqtt.topics import Topics
from tests.drifts import SECOND_NS, samples, timed_home
from tests.edge.commands.contexts import FakeContext, Slot

WAIT_S = 60.0
"""Generous, so that a slow machine does not fail."""


class Desk:
    """A handler over a home, and the answers that it has sent.  asked: how many requests."""

    def __init__(self, home: Home) -> None:
        self.home, self.answers = home, list[dict[str, Any]]()
        context = FakeContext({"": Slot(home)})
        self.handler = CommandHandler(CommandSettings(), "gw1", Topics("gw1"), context)
        self.asked = 0

    def ask(self, verb: str) -> None:
        """Send a request."""
        self.asked += 1
        line = json.dumps({"verb": verb, "id": f"c{self.asked}"}).encode()
        order = self.handler.local(line, lambda sent: self.answers.append(json.loads(sent)))
        assert order is not None
        self.handler.execute(order)

    def turn_until(self, count: int) -> None:
        """Turn as the loop does until so many answers were sent."""
        end = time.monotonic() + WAIT_S
        while len(self.answers) < count:
            assert time.monotonic() < end, "no answer"
            assert not self.handler.advance()
            time.sleep(0.002)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A home whose stream has opened a domain without labels, with two clusters to name."""
    with Home(timed_home(tmp_path / "home")) as home:
        pairs = zip(samples(80, 90, 2), samples(80, 150, 3), strict=True)
        rows = [*samples(32, 0, 1), *(row for pair in pairs for row in pair)]
        for number, row in enumerate(rows):
            at_ns = (1_001 + number) * SECOND_NS
            home.feed(Observation(stream="cam", sequence=number, captured_at_ns=at_ns, payload=row))
        yield Desk(home)


def test_clusters_are_found_beside_the_loop(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop goes on while a thread finds them, one request at a time; the answers are those of a
    search in the loop."""
    wanted = [one.samples for one in unnamed_columns(desk.home)]
    assert wanted
    go_on, threads, find = threading.Event(), set[str](), ColumnSearch.find

    def slow(search: ColumnSearch) -> Any:
        threads.add(threading.current_thread().name)
        assert go_on.wait(WAIT_S)
        return find(search)

    monkeypatch.setattr(ColumnSearch, "find", slow)
    for _ in range(3):
        desk.ask("columns")
    assert not desk.handler.advance()
    assert desk.handler.waits
    assert sum(one.name == "columns" for one in threading.enumerate()) == 1
    desk.ask("status")
    assert len(desk.answers) == 1  # the loop answers others meanwhile
    go_on.set()
    desk.turn_until(4)
    assert threads == {"columns"}
    assert not desk.handler.advance()
    for answer in desk.answers[1:]:
        assert [tuple(one["samples"]) for one in answer["body"]["columns"]] == wanted


def test_what_has_left_meanwhile_is_not_offered(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sample that is forgotten while a thread looks for clusters is in no answer."""
    gone = unnamed_columns(desk.home)[0].samples[0]
    desk.ask("columns")
    buffered = desk.home.runtime.buffered
    monkeypatch.setattr(
        desk.home.runtime, "buffered", lambda key: None if key == gone else buffered(key)
    )
    desk.turn_until(1)
    columns = desk.answers[0]["body"]["columns"]
    assert all(gone not in one["samples"] for one in columns)


def test_a_search_that_fails_is_answered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is a refusal, and the next request works."""
    with monkeypatch.context() as patched:
        patched.setattr(ColumnSearch, "find", lambda _search: 1 / 0)
        desk.ask("columns")
        desk.turn_until(1)
    assert not desk.answers[0]["done"]
    assert "a bug, see the log" in desk.answers[0]["reason"]
    desk.ask("columns")
    desk.turn_until(2)
    assert desk.answers[1]["done"]
