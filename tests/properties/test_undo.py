"""Undo, for any sequence of actions: it restores the facts, and knowledge follows from them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.config import Config
from edge.core.events import (
    Acknowledgement,
    Enrol,
    ForgetRequest,
    Label,
    LabelMany,
    Rejected,
    Relabel,
    Undo,
    Undoable,
    Unlabel,
)
from edge.core.facts import Fact, Selector
from edge.core.limits import UNDO_NS
from tests.properties.test_promises import DOMAINS, LABELS, Facts, Selectors
from tests.worlds import World, vector

SEEN = 12
"""Observations that the worlds see."""

Keys = st.integers(0, SEEN + 1).map(lambda number: f"s:{number}")
Labels = st.builds(Label, Keys, st.sampled_from(LABELS), st.sampled_from(("", *DOMAINS)))

Actions = st.one_of(
    Labels,
    st.lists(Labels, min_size=1, max_size=6).map(lambda some: LabelMany(tuple(some))),
    st.lists(Keys, min_size=1, max_size=4, unique=True).map(lambda some: Unlabel(tuple(some))),
    st.builds(Relabel, Selectors, st.sampled_from(LABELS), st.sampled_from(("", *DOMAINS))),
)
Steps = st.lists(
    st.one_of(
        Actions,
        st.integers(0, 9),
        st.builds(
            ForgetRequest,
            request_id=st.just("r"),
            selector=Selectors,
            refit_geometry=st.just(False),
        ),
        Keys.map(
            lambda key: ForgetRequest(request_id=key, selector=Selector(ids=frozenset({key})))
        ),
        st.just("crash"),
    ),
    max_size=12,
)


def seeing(facts: list[Fact], capacity: int) -> World:
    """A world with facts, which has seen observations that wait for a label."""
    world = World(config=Config(facts_per_concept=capacity, window=2, false_alarm_rate=0.3))
    world.feed(Enrol(tuple(facts)))
    for number in range(SEEN):
        world.observe(vector(100 + number), number)
    return world


def waits(world: World, key: str) -> bool:
    """Whether an observation can be labelled."""
    return world.runtime.explain(key) is not None


@settings(max_examples=100)
@given(Facts, Actions, st.integers(1, 6))
def test_an_undo_restores_facts_and_knowledge(facts, action, capacity):
    """After an undo, facts, evictions, digest and what waits are those before the action."""
    world = seeing(facts, capacity)
    keys = [f"s:{number}" for number in range(SEEN)]
    before = (world.ledger.facts(), world.ledger.evictions(), world.runtime.digest())
    waiting = [waits(world, key) for key in keys]
    world.feed(Undoable(action, "a", 5))
    changed = world.ledger.facts() != before[0]
    (answer,) = (m for m in world.feed(Undo("a", 6)) if isinstance(m, Acknowledgement | Rejected))
    assert isinstance(answer, Acknowledgement) or not changed
    assert (world.ledger.facts(), world.ledger.evictions(), world.runtime.digest()) == before
    assert [waits(world, key) for key in keys] == waiting
    assert world.runtime.digest() == world.derived()
    assert not any(map(world.ledger.was_forgotten, keys))


@settings(max_examples=150)
@given(Facts, Steps, st.integers(1, 6))
def test_knowledge_follows_from_the_remaining_facts(facts, steps, capacity):
    """Through labels, corrections, undo in any order, forgetting and crashes, the knowledge is that
    of the facts that remain, nothing forgotten comes back, and a record holds nothing of it."""
    world = seeing(facts, capacity)
    done: list[str] = []
    buried: set[str] = set()
    for at, step in enumerate(steps):
        if step == "crash":
            world.crash()
        elif isinstance(step, int):
            world.feed(Undo(done[step % len(done)] if done else "none", at))
        elif isinstance(step, ForgetRequest):
            held = {fact.id for fact in world.ledger.facts()}
            world.feed(step)
            buried |= held - {fact.id for fact in world.ledger.facts()}
        else:
            done.append(f"a{at}")
            world.feed(Undoable(step, done[-1], at))
        assert world.runtime.digest() == world.derived()
        assert max(world.ledger.concepts().values(), default=0) <= capacity
        assert buried.isdisjoint(fact.id for fact in world.ledger.facts())
        rows = [row.fact.id for one in world.ledger.actions() for row in one.facts]
        assert buried.isdisjoint(rows)
        assert not any(map(world.ledger.was_forgotten, rows))


@settings(max_examples=60)
@given(Facts, st.lists(Actions, min_size=1, max_size=5), st.integers(1, 6))
def test_undone_in_reverse_all_is_as_it_was(facts, actions, capacity):
    """Several actions that are undone, the newest first, leave the facts of the beginning."""
    world = seeing(facts, capacity)
    before = (world.ledger.facts(), world.runtime.digest())
    for at, action in enumerate(actions):
        world.feed(Undoable(action, f"a{at}", at))
    for at in reversed(range(len(actions))):
        world.feed(Undo(f"a{at}", 9))
    assert (world.ledger.facts(), world.runtime.digest()) == before


@given(Facts, Actions)
def test_what_is_ten_minutes_old_stays(facts, action):
    """An action is undone for ten minutes, and refused after that."""
    world = seeing(facts, 6)
    world.feed(Undoable(action, "a", 5))
    after = world.ledger.facts()
    answers = world.feed(Undo("a", 5 + UNDO_NS))
    assert [type(one) for one in answers] == [Rejected]
    assert world.ledger.facts() == after
