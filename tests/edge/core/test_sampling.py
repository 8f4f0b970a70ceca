from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import limits, router
from edge.core.adaptors.head import FittedHead
from edge.core.events import Enrol, ForgetRequest, Relabel
from edge.core.facts import Selector, hash_rank, sample_facts, scope_of, stack_facts
from edge.core.knowledge.derive import derive_knowledge
from tests.worlds import World, fact

NAMES = [f"fact {number}" for number in range(40)]


@given(st.sets(st.sampled_from(NAMES), min_size=1), st.sampled_from(NAMES), st.integers(1, 12))
def test_a_scope_predicts_which_facts_change_a_sample(held, one, size):
    """A fact that is added or removed changes a sample exactly if the scope predicts it."""
    rest = sorted(held - {one})
    without = sample_facts([stack_facts(fact(name) for name in rest)] if rest else [], size)
    withit = sample_facts([stack_facts(fact(name) for name in {*rest, one})], size)
    changed = without.ids != withit.ids
    assert scope_of(withit, size).changes(hash_rank(one)) == (changed or len(withit) < size)
    if rest:
        assert scope_of(without, size).changes(hash_rank(one)) == (changed or len(without) < size)


@given(st.lists(st.sets(st.sampled_from(NAMES)), max_size=4), st.integers(1, 9))
def test_batches_do_not_matter(parts, size):
    """However facts are cut into batches, the same ones are chosen."""
    cut = [sorted(part - set().union(*parts[:at])) for at, part in enumerate(parts)]
    whole = sorted(set().union(*parts))
    found = sample_facts([stack_facts(map(fact, part)) for part in cut if part], size)
    assert found.ids == tuple(sorted(sorted(whole, key=hash_rank)[:size]))


@pytest.fixture
def small_samples(monkeypatch):
    """Let samples be so small that most facts stay outside."""
    monkeypatch.setattr(limits, "HEAD_FACTS_MAX", 6)
    monkeypatch.setattr(limits, "SUPPORT_FACTS_MAX", 5)
    monkeypatch.setattr(limits, "CALIBRATION_FACTS_MAX", 7)
    monkeypatch.setattr(router, "FACTS_MAX", 12)


def agree(world: World) -> None:
    """Return whether cached results equal those derived from the ledger, to the bit."""
    known = world.runtime.knowledge
    fresh = derive_knowledge(world.ledger, known.geometry)
    assert known.calibration().digest() == fresh.calibration().digest()
    for part in ("weights", "bias", "landmarks", "votes", "centre", "factor"):
        kept, made = getattr(known.router(), part), getattr(fresh.router(), part)
        np.testing.assert_array_equal(kept, made)
    for domain in known.domains:
        kept, made = known.adaptor(domain), fresh.adaptor(domain)
        assert isinstance(kept, FittedHead)
        assert isinstance(made, FittedHead)
        assert kept.labels == made.labels
        np.testing.assert_array_equal(kept.weights, made.weights)


def test_incremental_knowledge_equals_derived_knowledge(small_samples):
    """Heads, router and thresholds kept over changes equal those derived from the ledger, to the
    bit."""
    del small_samples
    world = World([fact(f"{d}{n}", "ab"[n % 2], d) for d in "xyz" for n in range(15)])
    agree(world)
    for number in range(12):
        world.feed(Enrol((fact(f"late {number}", "a", "xyz"[number % 3]),)))
        agree(world)
    world.feed(Relabel(Selector(ids=frozenset({"x3", "late 2"})), domain="y"))
    agree(world)
    for number in range(0, 15, 3):
        world.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset({f"z{number}"}))))
        agree(world)
    world.feed(ForgetRequest(request_id="r", selector=Selector(domain="z")))
    agree(world)
