"""Domains that come, go and come back: found once, labelled rightly, whatever the order."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.core.config import Config
from edge.core.events import Decision, DriftAlarm, Label, LabelRequest, Relabel
from edge.core.facts import Selector
from tests.worlds import World, clouds, fact

WIDE = 64
WINDOW = 8
KINDS = {"home": (1, 2), "hall": (7, 8), "yard": (11, 12)}


def taught() -> World:
    """A world that knows home, with two classes."""
    rows = clouds(KINDS["home"], 120, width=WIDE)
    facts = [
        replace(fact(f"t{row:04}", "ab"[row // 120]), features=values.tobytes())
        for row, values in enumerate(rows)
    ]
    return World(facts, width=WIDE, config=Config(window=WINDOW))


class Walk:
    """Streams that move between domains, and the runtime's messages about them."""

    def __init__(self) -> None:
        self.world = taught()
        self.truth: dict[str, tuple[str, str]] = {}
        self.alarms: list[DriftAlarm] = []
        self.wanted: list[LabelRequest] = []
        self.decisions: list[Decision] = []

    def visit(self, place: str, count: int = 40, stream: str = "s") -> None:
        """Let a stream show a place."""
        at = len(self.truth)
        rows = np.array(clouds(KINDS[place], count, seed=at + 1, width=WIDE))
        order = np.random.default_rng(at).permutation(len(rows))[:count]
        for number, row in enumerate(order.tolist(), at):
            self.truth[f"{stream}:{number}"] = place, "ab"[row // count]
            for message in self.world.observe(rows[row], number, stream):
                self._note(message)

    def _note(self, message: object) -> None:
        match message:
            case DriftAlarm():
                self.alarms.append(message)
            case LabelRequest():
                self.wanted.append(message)
            case Decision():
                self.decisions.append(message)

    def label(self, share: float = 1.0, skip: int = 0) -> None:
        """Label a share of all that was shown, late."""
        random = np.random.default_rng(0)
        for key, (_, label) in list(self.truth.items())[skip:]:
            if random.random() < share:
                self.world.feed(Label(key, label))

    def filed(self) -> Counter[tuple[str, str]]:
        """Count labelled observations by where they truly are and where they were filed."""
        facts = self.world.ledger.facts()
        return Counter((self.truth[f.id][0], f.domain) for f in facts if f.id in self.truth)


@settings(max_examples=6)
@given(st.permutations(["hall", "yard", "home", "hall", "yard", "home"]))
def test_every_domain_has_one_name(places: list[str]):
    """In any order of visits, without labels until the end, no place opens two domains and every
    label reaches its own."""
    walk = Walk()
    walk.visit("home")
    for place in places:
        walk.visit(place)
    walk.label(0.3)
    assert len(walk.filed()) == 3, walk.filed()
    assert {name for _, name in walk.filed()} == {"home", "domain-2", "domain-3"}


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_labelled_domain_is_recognised(share: float):
    """Late labels of a part of a visit are enough for the next visit to be the same domain."""
    walk = Walk()
    for place in ("home", "hall", "home", "hall"):
        walk.visit(place, 60)
        walk.label(share)
    names = {name for place, name in walk.filed() if place == "hall"}
    assert names == {"domain-2"}


def test_another_stream_comes_to_the_same_opening():
    """A second stream in a novel domain opens no other."""
    walk = Walk()
    for stream in ("one", "two"):
        walk.visit("home", stream=stream)
        walk.visit("hall", stream=stream)
    assert [(a.stream, a.domain) for a in walk.alarms] == [("one", "domain-2"), ("two", "domain-2")]


def test_from_one_opening_to_the_next():
    """A stream in alarm that enters a third domain opens that one too.  While it alternates between
    both, nothing more is reported; once it has been home, the next visit is."""
    walk = Walk()
    for place in ("home", "hall", "yard", "hall", "yard", "hall", "home", "hall"):
        walk.visit(place, 60)
    found = [(alarm.raised, alarm.domain) for alarm in walk.alarms]
    assert found == [
        (True, "domain-2"),
        (True, "domain-3"),
        (False, "home"),
        (True, "domain-2"),
    ]


def test_labels_at_a_boundary_go_to_their_own_side():
    """Windows across a boundary assign no label to the wrong side."""
    walk = Walk()
    for place in ("home", "hall", "home", "hall", "home"):
        walk.visit(place, 30)
    walk.label()
    assert set(walk.filed()) == {("home", "home"), ("hall", "domain-2")}


def test_an_unlabelled_domain_is_served_degraded():
    """From the alarm until its first label, answers in a new domain are marked."""
    walk = Walk()
    walk.visit("home")
    walk.visit("hall")
    marked = [decision.degraded for decision in walk.decisions]
    assert not any(marked[:40])
    assert all(marked[-20:])
    assert {decision.guess for decision in walk.decisions} == {"a", "b"}
    walk.label(skip=40)
    walk.visit("hall", 1)
    assert not walk.decisions[-1].degraded


def test_the_observations_most_worth_a_label_are_named():
    """A novel domain requests labels for a few of its observations, stores them as candidates, and
    stops once it has labels."""
    walk = Walk()
    walk.visit("home")
    walk.visit("hall", 60)
    assert walk.wanted
    assert all(one.domain == "domain-2" for one in walk.wanted)
    named = set(walk.wanted[-1].observation_ids)
    assert {walk.truth[key][0] for key in named} == {"hall"}
    assert {walk.truth[key][1] for key in named} == {"a", "b"}
    kept = walk.world.ledger.candidates()
    assert named <= set(kept)
    assert {one.domain for one in kept.values()} == {"domain-2"}
    walk.label(skip=40)
    before = len(walk.wanted)
    walk.visit("hall", 60)
    assert len(walk.wanted) == before


def test_served_answers_are_counted_once_labels_come():
    """Served answers are scored once labels arrive."""
    walk = Walk()
    walk.visit("home")
    walk.visit("hall")
    walk.label()
    accuracy = walk.world.runtime._session.served_accuracy  # noqa: SLF001
    assert accuracy.in_domain("home").count == 40
    assert accuracy.in_domain("home").accuracy > 0.9
    assert accuracy.in_domain("domain-2").count == 40
    walk.world.feed(Relabel(Selector(domain="domain-2"), domain="hall"))
    assert accuracy.in_domain("hall").count == 40


def test_a_novel_domain_does_not_change_answers():
    """Novel domains are session state: a crash in an alarm leaves verdict and answer unchanged."""
    walk = Walk()
    walk.visit("home")
    walk.visit("hall")
    probes = clouds((7, 1), 3, seed=99, width=WIDE)
    messages = []
    for _ in range(2):
        result = [walk.world.observe(row, 900 + at, "probe")[0] for at, row in enumerate(probes)]
        decisions = [one for one in result if isinstance(one, Decision)]
        messages.append(
            [(d.known, d.domain, d.label, d.guess, d.score, d.p_value) for d in decisions]
        )
        walk.world.crash()
    assert len(messages[0]) == 6
    assert messages[0] == messages[1]


def test_a_labelled_domain_returns_without_an_alarm():
    """Once a person has labelled a new domain, the stream enters and leaves it silently."""
    walk = Walk()
    walk.visit("home")
    walk.visit("hall", 60)
    walk.label(0.5, skip=40)
    walk.visit("home", 60)
    raised = len([alarm for alarm in walk.alarms if alarm.raised])
    assert raised == 1
    for place in ("hall", "home", "hall"):
        walk.visit(place, 60)
    assert len([alarm for alarm in walk.alarms if alarm.raised]) == raised
    walk.label(skip=160)
    assert set(walk.filed()) == {("home", "home"), ("hall", "domain-2")}
