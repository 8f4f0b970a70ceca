"""The promises of full concepts, for every selector and any facts."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.config import Config
from edge.core.events import (
    Enrol,
    ForgetRequest,
    Relabel,
    Undo,
    Undoable,
)
from edge.core.facts import Selector
from edge.core.selection import SELECTORS
from tests.properties.test_promises import Facts, Selectors, digest_of
from tests.properties.test_undo import SEEN, Actions
from tests.worlds import World, fact, vector

NAMES = st.sampled_from(list(SELECTORS))
CAPACITIES = st.sampled_from((1, 2, 4, 16))
"""With a margin at 16."""


@given(Facts, st.randoms(use_true_random=False), st.integers(1, 4), NAMES)
def test_full_concepts_stay_bounded_and_exact(facts, random, capacity, keep):
    """No concept exceeds its capacity, and the knowledge is bit for bit that of a device that only
    ever learned what stayed."""
    world = World(config=Config(facts_per_concept=capacity, keep=keep))
    for row in random.sample(facts, len(facts)):
        world.feed(Enrol((row,)))
        assert max(world.ledger.concepts().values()) <= capacity
    kept = world.ledger.facts()
    assert set(kept) <= set(facts)
    assert {(row.domain, row.label) for row in kept} == {(row.domain, row.label) for row in facts}
    assert world.runtime.digest() == world.derived() == World(kept).runtime.digest()
    assert world.ledger.evictions() == len(facts) - len(kept)


@given(
    Facts,
    st.randoms(use_true_random=False),
    st.integers(1, 3),
    st.sampled_from([name for name, one in SELECTORS.items() if one.ranked]),
)
def test_ranked_facts_stay_in_any_order(facts, random, capacity, keep):
    """What a selector by rank keeps does not depend on the order of arrival, one by one or
    together, and learning a fact again changes nothing."""
    config = Config(facts_per_concept=capacity, keep=keep)
    shuffled = random.sample(facts, len(facts))
    world = World(facts, config=config)
    together = world.runtime.digest()
    assert digest_of(facts, config) == digest_of(shuffled, config) == together
    world.feed(Enrol(tuple(shuffled)))
    assert world.runtime.digest() == together


@given(Facts, st.randoms(use_true_random=False), st.integers(1, 3), NAMES)
def test_facts_that_come_together_are_chosen_in_any_order(facts, random, capacity, keep):
    """The order of facts in one message does not matter to any selector."""
    config = Config(facts_per_concept=capacity, keep=keep)
    shuffled = random.sample(facts, len(facts))
    one, other = World(config=config), World(config=config)
    one.feed(Enrol(tuple(facts)))
    other.feed(Enrol(tuple(shuffled)))
    assert one.runtime.digest() == other.runtime.digest()


@settings(max_examples=40)
@given(Facts, Selectors, st.integers(1, 3), NAMES)
def test_an_evicted_fact_is_not_a_forgotten_one(facts, selector, capacity, keep):
    """A forget leaves tombstones of its facts alone; evicted ones may be learned again."""
    world = World(facts, config=Config(facts_per_concept=capacity, keep=keep))
    stored = {row.id for row in world.ledger.facts()}
    world.feed(ForgetRequest(request_id="r", selector=selector))
    for row in facts:
        gone = row.id in stored and selector.matches(row)
        assert world.ledger.was_forgotten(row.id) is gone
    assert world.runtime.digest() == world.derived()


@settings(max_examples=40)
@given(Facts, st.integers(1, 3), NAMES)
def test_corrections_into_full_concepts_stay_exact(facts, capacity, keep):
    """Facts that move into another concept are chosen with those that are there."""
    world = World(facts, config=Config(facts_per_concept=capacity, keep=keep))
    world.feed(Relabel(Selector(label="a"), label="b"))
    assert max(world.ledger.concepts().values(), default=0) <= capacity
    assert not any(label == "a" for _, label in world.ledger.concepts())
    assert world.runtime.digest() == world.derived()


@settings(max_examples=60)
@given(Facts, Actions, CAPACITIES, NAMES)
def test_an_undo_brings_back_what_was_evicted(facts, action, capacity, keep):
    """After an undo, facts, evictions and digest are those before the action, for any selector."""
    config = Config(facts_per_concept=capacity, keep=keep, window=2, false_alarm_rate=0.3)
    world = World(config=config)
    world.feed(Enrol(tuple(facts)))
    for number in range(SEEN):
        world.observe(vector(100 + number), number)
    before = (world.ledger.facts(), world.ledger.evictions(), world.runtime.digest())
    world.feed(Undoable(action, "a", 5))
    world.feed(Undo("a", 6))
    assert (world.ledger.facts(), world.ledger.evictions(), world.runtime.digest()) == before


@settings(max_examples=30)
@given(CAPACITIES, NAMES)
def test_what_stays_survives_a_crash(capacity, keep):
    """A device that ends between two messages finds the same facts, and goes on as one that did
    not."""
    worlds = [World(config=Config(facts_per_concept=capacity, keep=keep)) for _ in range(2)]
    for number in range(24):
        for world in worlds:
            world.feed(Enrol((fact(f"f{number:02}", at=number % 7, seed=number),)))
        worlds[0].crash()
    assert worlds[0].ledger.facts() == worlds[1].ledger.facts()
    assert worlds[0].runtime.digest() == worlds[1].runtime.digest()
