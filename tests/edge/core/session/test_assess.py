from __future__ import annotations

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

import hdc
from edge.core.config import Config
from edge.core.events import DriftAlarm, Label
from edge.core.knowledge.derive import derive_knowledge
from edge.core.knowledge.memory_ledger import MemoryLedger
from edge.core.session.assess import mix_experts
from tests.worlds import World, clouds, fact

WIDE = 64
WINDOW = 8


def taught() -> World:
    """A world that knows two classes in one domain."""
    rows = clouds((1, 2), 200, width=WIDE)
    facts = [
        replace(fact(f"t{row:04}", "ab"[row // 200], at=row), features=values.tobytes())
        for row, values in enumerate(rows)
    ]
    return World(facts, width=WIDE, config=Config(window=WINDOW))


def watch(
    world: World, rows: list[NDArray[np.uint8]], start: int = 0
) -> list[tuple[int, DriftAlarm]]:
    """Observe samples; the alarms, each with the number of its sample."""
    return [
        (start + at, message)
        for at, values in enumerate(rows)
        for message in world.observe(values, start + at)
        if isinstance(message, DriftAlarm)
    ]


def test_a_stray_sample_raises_no_alarm():
    """A single outlier, however distant, opens no domain."""
    known = clouds((1,), 60, seed=9, width=WIDE)
    known[30] = clouds((7,), 1, seed=9, width=WIDE)[0]
    assert watch(taught(), known) == []


def test_an_alarm_comes_within_two_windows():
    """A drift is detected after more than one window and at most two."""
    world = taught()
    assert watch(world, clouds((1,), 40, seed=9, width=WIDE)) == []
    ((at, alarm),) = watch(world, clouds((7,), 40, seed=9, width=WIDE), 40)
    assert alarm.raised
    assert WINDOW < at - 40 + 1 <= 2 * WINDOW


def test_every_sample_that_led_to_an_alarm_may_be_labelled_late():
    """Labels of all samples since the drift go to the domain that the alarm opened."""
    world = taught()
    watch(world, clouds((1,), 40, seed=9, width=WIDE))
    watch(world, clouds((7,), 20, seed=9, width=WIDE), 40)
    for number in range(40, 60):
        world.feed(Label(f"s:{number}", "x"))
    assert world.ledger.concepts()["domain-2", "x"] == 20


def test_known_streams_hardly_ever_alarm():
    """A long stream of known samples raises no alarm at a chosen rate of 1 % per window."""
    assert watch(taught(), clouds((1, 2), 400, seed=11, width=WIDE)) == []


def test_the_nearer_domain_has_more_say():
    """Of two domains that disagree, the nearer one decides."""
    rows = clouds((1, 2), 8, width=WIDE)
    facts = []
    for domain, names in (("one", "ab"), ("two", "ba")):
        facts += [
            replace(fact(f"{domain}{at:02}", names[at // 8], domain), features=row.tobytes())
            for at, row in enumerate(rows)
        ]
    knowledge = derive_knowledge(MemoryLedger(facts), hdc.identity_geometry(WIDE, ((0, WIDE),), 1))
    for near, label in (({"one": 0, "two": 9000}, "a"), ({"one": 9000, "two": 0}, "b")):
        assert mix_experts(near, rows[0], knowledge) == label


def test_domains_with_different_labels_answer_together():
    """A label that only one of the nearest domains knows can win."""
    rows = clouds((1, 2), 8, width=WIDE)
    facts = [
        replace(fact(f"r{at:02}", "ab"[at // 8], ("one", "two")[at // 8]), features=row.tobytes())
        for at, row in enumerate(rows)
    ]
    knowledge = derive_knowledge(MemoryLedger(facts), hdc.identity_geometry(WIDE, ((0, WIDE),), 1))
    assert mix_experts({"one": 0, "two": 0}, rows[12], knowledge) in {"a", "b"}
