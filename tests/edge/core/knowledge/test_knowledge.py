from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

import hdc
from edge.core import limits
from edge.core.events import StoreFacts
from edge.core.facts import sample_facts
from edge.core.knowledge.derive import derive_knowledge
from edge.core.knowledge.geometry_fit import fit_geometry
from edge.core.knowledge.memory_ledger import MemoryLedger
from tests.worlds import WIDTH, fact

GEOMETRY = hdc.identity_geometry(WIDTH, ((0, WIDTH),), 1)
FACTS = [fact(f"f{row}", "ab"[row % 2], "xy"[row % 3 == 0], row) for row in range(12)]


def test_derive_counts_every_fact_once():
    """The sums of a ledger count its facts per concept."""
    made = derive_knowledge(MemoryLedger(FACTS), GEOMETRY)
    assert sum(made.memory.counts.values()) == len(FACTS)
    assert made.domains == ("x", "y")


def test_derive_without_equals_a_ledger_without():
    """Leaving ids out equals a ledger that never had them."""
    gone = frozenset({"f0", "f7"})
    made = derive_knowledge(MemoryLedger(FACTS), GEOMETRY, gone)
    rest = derive_knowledge(MemoryLedger(row for row in FACTS if row.id not in gone), GEOMETRY)
    assert made.digest("card") == rest.digest("card")


def test_adding_equals_deriving():
    """Knowledge updated by additions and removals equals knowledge derived from the ledger."""
    ledger = MemoryLedger(FACTS[:6])
    kept = derive_knowledge(ledger, GEOMETRY)
    kept.add(FACTS[6:])
    kept.remove(FACTS[:2])
    ledger.apply(StoreFacts(facts=tuple(FACTS[6:]), evicted=("f0", "f1")))
    assert kept.digest("card") == derive_knowledge(ledger, GEOMETRY).digest("card")


def test_the_digest_covers_card_geometry_sums_and_thresholds():
    """Another card, seed or set of facts gives another digest."""
    ledger = MemoryLedger(FACTS)
    base = derive_knowledge(ledger, GEOMETRY).digest("card")
    assert derive_knowledge(ledger, GEOMETRY).digest("other card") != base
    assert (
        derive_knowledge(ledger, hdc.identity_geometry(WIDTH, ((0, WIDTH),), 2)).digest("card")
        != base
    )
    assert derive_knowledge(MemoryLedger(FACTS[1:]), GEOMETRY).digest("card") != base


def test_the_digest_covers_thresholds_that_sums_do_not_tell(monkeypatch):
    """Equal sums with thresholds from different facts give different digests."""
    monkeypatch.setattr(limits, "CALIBRATION_FACTS_MAX", 6)
    one = derive_knowledge(MemoryLedger(FACTS), GEOMETRY)
    other = derive_knowledge(MemoryLedger(replace(row, id=f"g{row.id}") for row in FACTS), GEOMETRY)
    assert one.memory.digest() == other.memory.digest()
    assert one.calibration().digest() != other.calibration().digest()
    assert one.digest("card") != other.digest("card")


def test_empty_knowledge_has_a_digest():
    """A ledger without facts has a digest."""
    assert len(derive_knowledge(MemoryLedger(), GEOMETRY).digest("card")) == 64


def test_derived_knowledge_is_computed_again_after_a_change():
    """Thresholds and adaptors are computed again after a change of facts."""
    ledger = MemoryLedger(FACTS)
    made = derive_knowledge(ledger, GEOMETRY)
    before, adaptor = made.calibration().digest(), made.adaptor("x")
    assert made.adaptor("x") is adaptor
    made.remove(FACTS[:1])
    ledger.apply(StoreFacts(facts=(), evicted=("f0",)))
    assert made.calibration().digest() != before
    assert made.adaptor("x") is not adaptor


def test_facts_that_were_removed_shape_nothing_while_the_ledger_still_has_them():
    """Between a removal and its effect, thresholds, adaptors and the router are those of a ledger
    without the facts."""
    gone = {"f0", "f3", "f7"}
    made = derive_knowledge(MemoryLedger(FACTS), GEOMETRY)
    twin = derive_knowledge(MemoryLedger(row for row in FACTS if row.id not in gone), GEOMETRY)
    assert made.calibration().digest() != twin.calibration().digest()
    made.router()
    made.remove(row for row in FACTS if row.id in gone)
    assert made.calibration().digest() == twin.calibration().digest()
    assert [part.ids for part in made.training_facts("x")] == [
        part.ids for part in twin.training_facts("x")
    ]
    features = np.stack([np.frombuffer(row.features, np.uint8) for row in FACTS])
    np.testing.assert_array_equal(made.router().scores(features), twin.router().scores(features))


def test_a_fact_that_comes_back_counts_again():
    """Facts that are removed and added in one step are in, as `verify` needs it."""
    made = derive_knowledge(MemoryLedger(FACTS), GEOMETRY)
    before = made.digest("card")
    made.remove(FACTS[:4])
    made.add(FACTS[:4])
    assert made.digest("card") == before


def test_an_adaptor_needs_facts():
    """A domain without facts has no adaptor."""
    with pytest.raises(KeyError):
        derive_knowledge(MemoryLedger(FACTS), GEOMETRY).adaptor("nowhere")


def test_a_sample_depends_on_the_set_alone():
    """The same facts are sampled from any division into batches."""
    ledger = MemoryLedger(FACTS)
    whole = sample_facts(ledger.batches(), 5)
    parts = sample_facts((b for d in ("y", "x") for b in ledger.batches(d)), 5)
    assert whole.ids == parts.ids == tuple(sorted(whole.ids))
    np.testing.assert_array_equal(whole.features, parts.features)
    assert len(sample_facts(ledger.batches(), 99)) == len(FACTS)


def test_a_sample_stays_when_others_leave():
    """Forgetting a fact outside the sample does not change the sample."""
    ledger = MemoryLedger(FACTS)
    chosen = sample_facts(ledger.batches(), 5).ids
    others = {row.id for row in FACTS} - set(chosen)
    assert sample_facts(ledger.batches(None, {min(others)}), 5).ids == chosen


def test_the_same_facts_give_the_same_geometry():
    """The geometry does not depend on the order in which facts arrived."""
    taps = ((0, WIDTH),)
    one = fit_geometry(MemoryLedger(FACTS), taps, 1)
    other = fit_geometry(MemoryLedger(FACTS[::-1]), taps, 1)
    assert one.fingerprint == other.fingerprint


def test_limits_fit_each_other():
    """Choosing from a page needs no more than the largest sample and one page in memory."""
    assert limits.BATCH_FACTS <= limits.CALIBRATION_FACTS_MAX <= limits.HEAD_FACTS_MAX
