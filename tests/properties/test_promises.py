"""The promises of the house, for any facts in any order: they can fail, and must not."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.core.config import Config
from edge.core.events import Enrol, FitGeometry, ForgetRequest, Label, Relabel
from edge.core.facts import Fact, Selector
from edge.core.knowledge.memory_ledger import MemoryLedger
from edge.core.receipt import Receipt
from tests.worlds import World, fact, vector

DOMAINS, LABELS, SUBJECTS = ("home", "away"), ("a", "b", "c"), ("", "p", "q")

Facts = st.lists(
    st.builds(
        lambda number, domain, label, at, subject: fact(
            f"f{number:02}", label, domain, at, seed=number, subject=subject
        ),
        st.integers(0, 15),
        st.sampled_from(DOMAINS),
        st.sampled_from(LABELS),
        st.integers(0, 6),
        st.sampled_from(SUBJECTS),
    ),
    max_size=16,
    unique_by=lambda row: row.id,
)

Selectors = st.one_of(
    st.builds(lambda label: Selector(label=label), st.sampled_from(LABELS)),
    st.builds(lambda domain: Selector(domain=domain), st.sampled_from(DOMAINS)),
    st.builds(lambda subject: Selector(subject=subject), st.sampled_from(SUBJECTS)),
    st.builds(lambda at: Selector(from_ns=at, until_ns=at + 2), st.integers(0, 6)),
    st.builds(
        lambda numbers: Selector(ids=frozenset(f"f{n:02}" for n in numbers)),
        st.sets(st.integers(0, 15), max_size=5),
    ),
)


def digest_of(facts: Sequence[Fact], config: Config | None = None) -> str:
    """The digest of a device that was given facts one by one."""
    world = World(config=config)
    for row in facts:
        world.feed(Enrol((row,)))
    assert world.runtime.digest() == world.derived()
    return world.runtime.digest()


@given(Facts, st.randoms(use_true_random=False))
def test_learning_is_addition(facts, random):
    """Any order of the same facts, one by one or together, gives the bit-identical knowledge."""
    shuffled = random.sample(facts, len(facts))
    together = World(facts).runtime.digest()
    assert digest_of(facts) == digest_of(shuffled) == together


@given(Facts, st.randoms(use_true_random=False), st.integers(1, 3))
def test_learning_is_addition_in_full_concepts(facts, random, capacity):
    """The newest facts of each concept stay, whatever the order they came in."""
    config = Config(facts_per_concept=capacity)
    shuffled = random.sample(facts, len(facts))
    together = World(facts, config=config).runtime.digest()
    assert digest_of(facts, config) == digest_of(shuffled, config) == together


@given(Facts, Facts, st.randoms(use_true_random=False))
def test_versions_of_a_fact_commute(facts, corrections, random):
    """Of several versions of a fact the same one wins in every order."""
    both = [
        *facts,
        *(replace(row, revision=row.captured_at_ns % 3) for row in corrections),
    ]
    assert digest_of(both) == digest_of(random.sample(both, len(both)))


@given(Facts, st.integers(1, 4))
def test_learning_again_changes_nothing(facts, capacity):
    """A redelivered fact is a fact already known, or already too old."""
    config = Config(facts_per_concept=capacity)
    world = World(facts, config=config)
    before = world.runtime.digest()
    world.feed(Enrol(tuple(facts)))
    assert world.runtime.digest() == before


@given(Facts, Selectors)
def test_forgetting_is_subtraction(facts, selector):
    """After forgetting, the knowledge is that of a device that never had the facts."""
    world = World(facts)
    receipts = [
        m
        for m in world.feed(ForgetRequest(request_id="r", selector=selector))
        if isinstance(m, Receipt)
    ]
    rest = [row for row in facts if not selector.matches(row)]
    never = World(rest).runtime.digest()
    assert world.runtime.digest() == world.derived() == never
    assert [receipt.digest_after for receipt in receipts] == [never] * (len(rest) < len(facts))
    assert set(world.ledger.facts()) == set(rest)


@given(Facts, Selectors)
def test_forgetting_with_a_refit_leaves_no_trace_in_the_geometry(facts, selector):
    """After a refit the geometry, too, equals that of a device that never had the facts."""
    world, rest = World(facts), [row for row in facts if not selector.matches(row)]
    world.feed(FitGeometry())
    if len(rest) < len(facts):
        world.feed(ForgetRequest(request_id="r", selector=selector, refit_geometry=True))
    never = World(rest)
    never.feed(FitGeometry())
    assert world.runtime.digest() == world.derived() == never.runtime.digest()


@given(Facts, Selectors, st.randoms(use_true_random=False))
def test_the_forgotten_is_not_relearned(facts, selector, random):
    """Redelivered facts, corrected or not, stay forgotten; the others are still known."""
    world = World(facts)
    world.feed(ForgetRequest(request_id="r", selector=selector))
    before = world.runtime.digest()
    again = [replace(row, revision=random.randint(0, 2)) for row in facts if selector.matches(row)]
    world.feed(Enrol(tuple(again)))
    assert world.runtime.digest() == before


@given(Facts, Facts, st.integers(1, 20))
def test_a_fleet_is_a_sum(one, other, capacity):
    """Two devices merged in either order equal one device that saw everything."""
    config = Config(facts_per_concept=capacity)
    other = [row for row in other if row.id not in {mine.id for mine in one}]
    first, second = World(one, config=config), World(other, config=config)
    ours, theirs = first.ledger.facts(), second.ledger.facts()
    first.feed(Enrol(theirs))
    second.feed(Enrol(ours))
    everything = World([*one, *other], config=config).runtime.digest()
    assert first.runtime.digest() == second.runtime.digest() == everything


@given(Facts, Facts)
def test_the_sums_of_devices_add_up(one, other):
    """Sums of devices with the same card and seed are those of one that saw all their facts."""
    other = [row for row in other if row.id not in {mine.id for mine in one}]
    sums = World(one).runtime.knowledge.memory.copy()
    sums.merge(World(other).runtime.knowledge.memory)
    assert sums.digest() == World([*one, *other]).runtime.knowledge.memory.digest()


@given(Facts, Facts)
def test_a_merge_takes_the_same_version_both_ways(one, other):
    """Where two devices hold versions of one fact, both end with the same."""
    corrected = [replace(row, revision=1) for row in other]
    first, second = World(one), World(corrected)
    ours, theirs = first.ledger.facts(), second.ledger.facts()
    first.feed(Enrol(theirs))
    second.feed(Enrol(ours))
    assert first.runtime.digest() == second.runtime.digest()


Steps = st.lists(
    st.one_of(
        Facts.map(lambda facts: Enrol(tuple(facts))),
        st.builds(
            ForgetRequest,
            request_id=st.just("r"),
            selector=Selectors,
            refit_geometry=st.booleans(),
        ),
        st.builds(Relabel, Selectors, st.sampled_from(LABELS), st.sampled_from(("", *DOMAINS))),
        st.builds(
            Label,
            st.integers(0, 20).map(lambda number: f"s:{number}"),
            st.sampled_from(LABELS),
            st.sampled_from(("", *DOMAINS)),
        ),
        st.integers(0, 20),
        st.just(FitGeometry()),
        st.just("crash"),
    ),
    max_size=14,
)


@settings(max_examples=150)
@given(Steps, st.integers(1, 6))
def test_knowledge_follows_from_the_ledger(steps, capacity):
    """Through learning, correcting, late labels, forgetting, eviction and crashes, at each step
    the knowledge kept up to date is the knowledge derived from the ledger."""
    world = World(config=Config(facts_per_concept=capacity, window=2, false_alarm_rate=0.3))
    buried: set[str] = set()
    for step in steps:
        if step == "crash":
            world.crash()
        elif isinstance(step, int):
            world.observe(vector(step), step)
        else:
            receipts = [m for m in world.feed(step) if isinstance(m, Receipt)]
            assert all(receipt.digest_after == world.runtime.digest() for receipt in receipts)
        assert world.runtime.digest() == world.derived()
        assert max(world.ledger.concepts().values(), default=0) <= capacity
        buried |= {i for i in (f"f{n:02}" for n in range(16)) if world.ledger.was_forgotten(i)}
        assert not any(row.id in buried for row in world.ledger.facts())


@given(Facts)
def test_a_ledger_is_the_union_of_its_facts(facts):
    """A ledger given its facts at once equals one that was taught them."""
    assert MemoryLedger(facts).digest() == World(facts).ledger.digest()
