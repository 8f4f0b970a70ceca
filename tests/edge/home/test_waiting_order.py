"""The order of observations that wait for a label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.core.events import Enrol, ForgetRequest, Label, StoreLabelCandidates
from edge.core.facts import Fact, LabelCandidate, Selector
from edge.home import waiting_order
from edge.home.home import Home
from edge.home.labelling import waiting_labels
from edge.home.new_home import create_home
from edge.home.waiting_order import order_waiting
from tests.homes import CARD
from tests.worlds import clouds

EACH = 8
CENTRES = (7, 8, 9)


def fact(key: str, features: np.ndarray, label: str, domain: str = "hall") -> Fact:
    """A fact."""
    return Fact(
        id=key,
        stream="s",
        domain=domain,
        label=label,
        captured_at_ns=1,
        features=np.asarray(features, np.uint8).tobytes(),
    )


def candidate(key: str, features: np.ndarray, score: float, domain: str) -> LabelCandidate:
    """An observation that waits."""
    return LabelCandidate(
        observation_id=key,
        stream="s",
        subject="",
        domain=domain,
        captured_at_ns=1,
        score=score,
        features=np.asarray(features, np.uint8).tobytes(),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A home that knows two clouds of the domain hall; three other clouds of the domain yard wait,
    one after the other."""
    made = tmp_path / "home"
    create_home(made, CARD, "")
    known = clouds((1, 2), 20)
    rows = clouds(CENTRES, EACH)
    with Home(made) as home:
        facts = [fact(f"k{at}", row, "ab"[at // 20]) for at, row in enumerate(known)]
        home.feed(Enrol(tuple(facts)))
        waiting = [
            candidate(f"c{at // EACH}-{at % EACH}", row, 1 / (1 + at), "yard")
            for at, row in enumerate(rows)
        ]
        home.store.apply(StoreLabelCandidates(tuple(waiting)))
    return made


def listed(home: Home) -> list[str]:
    """The ids that wait, in order."""
    return [one.id for one in waiting_labels(home).flagged]


def cloud(key: str) -> str:
    """The cloud of an id."""
    return key.partition("-")[0]


def test_without_labels_the_order_is_that_of_the_requests(folder: Path):
    """In a domain without labels, observations come by score."""
    with Home(folder) as home:
        expected = [f"c{number}-{at}" for number in range(len(CENTRES)) for at in range(EACH)]
        assert listed(home) == expected


def test_after_a_label_the_other_clouds_come_first(folder: Path):
    """A label moves the rest of its cloud behind one observation of each other cloud; labels of
    these leave no cloud preferred."""
    with Home(folder) as home:
        home.feed(Label("c0-0", "x", "yard"))
        order = listed(home)
        assert len(order) == len(CENTRES) * EACH - 1
        assert {cloud(key) for key in order[:2]} == {"c1", "c2"}
        home.feed(Label(order[0], "y", "yard"))
        assert cloud(listed(home)[0]) == ({"c1", "c2"} - {cloud(order[0])}).pop()


def test_the_order_is_repeatable_and_complete(folder: Path):
    """Asked twice, and by a reader, the order is the same; every waiting observation is in it."""
    with Home(folder) as home:
        home.feed(Label("c1-3", "x", "yard"))
        first = listed(home)
        assert listed(home) == first
        assert sorted(first) == sorted(home.store.candidate_index())
    with Home(folder, writable=False) as home:
        assert listed(home) == first


def test_a_forgotten_label_leaves_no_trace(folder: Path):
    """After a forget of the only label, the order is that of a home that never had it."""
    with Home(folder) as home:
        before = listed(home)
        home.feed(Label("c0-0", "x", "yard"))
        assert listed(home) != before[1:]
        home.feed(ForgetRequest(request_id="r1", selector=Selector(ids=frozenset({"c0-0"}))))
        assert listed(home) == before[1:]


def test_domains_keep_their_places(folder: Path):
    """Observations of another domain stay where their scores put them."""
    with Home(folder) as home:
        other = candidate("o", clouds((5,), 1)[0], 0.9, "shed")
        home.store.apply(StoreLabelCandidates((other,)))
        home.feed(Label("c0-1", "x", "yard"))
        assert listed(home)[1] == "o"
        assert order_waiting(home, ["o"]) == ["o"]


def test_what_the_rule_does_not_pick_follows_in_the_order_of_the_requests(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """Few are picked, since decisions wait meanwhile; none is lost."""
    monkeypatch.setattr(waiting_order, "PICKED_MAX", 3)
    with Home(folder) as home:
        before = listed(home)[1:]
        home.feed(Label("c0-0", "x", "yard"))
        order = listed(home)
        assert sorted(order) == sorted(before)
        assert order[3:] == [key for key in before if key not in order[:3]]
        assert order[:3] != before[:3]
