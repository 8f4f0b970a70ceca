"""Prefetched assessments of several observations equal those one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import hdc
from edge.core.config import Config
from edge.core.events import DriftAlarm, Event, FitGeometry, Label, Observation
from tests.worlds import World, clouds, fact

WIDE = 64
COUNT, FEW = 60, 12
MANY = 17


def taught(domains: int = 2, *, surveyed: bool = True) -> World:
    """A world that knows two classes in each of some domains."""
    facts = []
    for domain in range(domains):
        count = COUNT if domains < MANY else FEW
        rows = clouds((2 * domain + 1, 2 * domain + 2), count, width=WIDE, spread=40)
        facts += [
            replace(
                fact(f"{domain}-{row:04}", "ab"[row // count], f"d{domain}"),
                features=values.tobytes(),
            )
            for row, values in enumerate(rows)
        ]
    world = World(facts, width=WIDE, config=Config(window=8))
    if surveyed:
        world.feed(FitGeometry())
    return world


def walk() -> list[Event]:
    """Two streams through known domains and an unknown one, with labels, series and bad payloads
    in between."""
    events: list[Event] = []
    for place in ((1, 2), (3, 4), (21, 22), (21, 22), (3,)):
        rows = clouds(place, 40, seed=len(events) + 1, width=WIDE, spread=40)
        for row in np.random.default_rng(len(events)).permutation(len(rows))[:40].tolist():
            at = len(events)
            payload: object = rows[row] if at % 37 else [1.0, float("nan")]
            events.append(
                Observation(
                    stream="st"[at // 5 % 2],
                    sequence=at,
                    captured_at_ns=at,
                    payload=payload,
                    id=f"o{at}",
                )
            )
            if at % 41 == 40:
                events.append(Label(f"o{at - 7}", "a", "new" if at > 120 else ""))
            if at % 53 == 52:
                events.append(
                    Observation(
                        stream="load",
                        sequence=at,
                        captured_at_ns=at,
                        payload=[1.0, 2.0],
                        kind="series",
                    )
                )
    return events


def together(world: World, events: list[Event], sizes: list[int]) -> list[str]:
    """Everything published, with so many events in turn prefetched before the first of them."""
    decisions, due = [], 0
    for at, event in enumerate(events):
        if at == due:
            size = sizes[at % len(sizes)]
            ahead = [one for one in events[at : at + size] if isinstance(one, Observation)]
            world.runtime.prefetch(ahead)
            due += size
        decisions += [repr(message) for message in world.feed(event)]
    return decisions


@pytest.mark.parametrize(("domains", "surveyed"), [(2, True), (1, True), (2, False), (MANY, True)])
def test_decisions_are_those_of_one_by_one(domains: int, *, surveyed: bool):
    """Prefetching changes no verdict, route, answer, window, alarm or rejection, to the last
    digit."""
    events = walk()
    alone = together(taught(domains, surveyed=surveyed), events, [1])
    assert together(taught(domains, surveyed=surveyed), events, [64]) == alone
    if domains == 2 and surveyed:
        assert any(DriftAlarm.__name__ in result for result in alone)


def test_an_alarm_ends_in_a_learned_domain():
    """An alarm that ends names a domain with facts, even if a novel one is as near."""
    world, ended = taught(1), 0
    for event in walk():
        for message in world.feed(event):
            if isinstance(message, DriftAlarm) and not message.raised:
                ended += 1
                assert message.domain in world.runtime.knowledge.domains
    assert ended


@settings(max_examples=3, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_it_does_not_matter_how_many_wait(sizes: list[int]):
    """Decisions do not depend on the sizes of prefetched batches."""
    events = walk()[:90]
    assert together(taught(), events, sizes) == together(taught(), events, [1])


def test_assessments_prefetched_before_a_label_are_not_used():
    """After knowledge has changed, prefetched assessments are not used."""
    world, other = taught(), taught()
    rows = clouds((21,), 30, width=WIDE)
    seen = [
        Observation(stream="s", sequence=at, captured_at_ns=at, payload=row)
        for at, row in enumerate(rows)
    ]
    lessons = [Label(f"s:{at}", "c", "d9") for at in range(20)]
    before: list[Event] = [*seen[:20], *lessons[:-1]]
    for one in (world, other):
        for event in before:
            one.feed(event)
    world.runtime.prefetch(seen[20:])
    for one in (world, other):
        one.feed(lessons[-1])
    assert [world.feed(one) for one in seen[20:]] == [other.feed(one) for one in seen[20:]]


def test_verdicts_on_several_samples_are_those_on_each():
    """`detect_each` compares and decides as `compare` and `decide` do."""
    knowledge = taught().runtime.knowledge
    memory, calibration = knowledge.memory, knowledge.calibration()
    codes = knowledge.geometry.project(np.stack(clouds((1, 4, 9), 12, width=WIDE, spread=60)))
    for at, (compared, verdict) in enumerate(hdc.detect_each(codes, memory, calibration)):
        assert verdict == hdc.detect(codes[at], memory, calibration)
        assert compared.nearest() == hdc.compare(codes[at], memory, calibration).nearest()
