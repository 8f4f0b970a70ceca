from __future__ import annotations

from msgspec.structs import replace

from edge.core import limits
from edge.core.events import EraseFacts, StoreFacts, StoreGeometry, StoreLabelCandidates
from edge.core.facts import LabelCandidate, Selector
from edge.core.knowledge.memory_ledger import MemoryLedger
from edge.core.receipt import Receipt
from tests.worlds import fact

RECEIPT = Receipt(
    request_id="r",
    requested_at_ns=0,
    selector=Selector(),
    facts_forgotten=1,
    concepts_touched=(),
    digest_before="",
    digest_after="",
    rebuilt=(),
    evicted_before=0,
    not_covered=(),
)


def test_remembering_writes_and_evicts():
    """New facts are there, evicted ones are not, and evictions are counted."""
    ledger = MemoryLedger([fact("a"), fact("b")])
    ledger.apply(StoreFacts(facts=(fact("c"),), evicted=("a",)))
    assert [row.id for row in ledger.facts()] == ["b", "c"]
    assert ledger.evictions() == 1


def test_erasing_buries():
    """An erased id is recorded as forgotten, also if the ledger never held it."""
    ledger = MemoryLedger([fact("a")])
    ledger.apply(EraseFacts(("a", "never labelled"), RECEIPT))
    assert ledger.get("a") is None
    assert ledger.was_forgotten("a")
    assert ledger.was_forgotten("never labelled")
    assert not ledger.was_forgotten("b")
    assert ledger.receipts == [RECEIPT]


def test_concepts_are_counted():
    """Each (domain, label) has its count."""
    ledger = MemoryLedger([fact("a"), fact("b"), fact("c", "other")])
    assert ledger.concepts() == {("home", "a"): 2, ("home", "other"): 1}


def test_the_oldest_come_first():
    """Age is the time of capture, then the id."""
    ledger = MemoryLedger([fact("c", at=1), fact("b", at=1), fact("a", at=2), fact("d", "x")])
    assert ledger.oldest("home", "a", 2) == ("b", "c")
    assert ledger.oldest("home", "a", 9) == ("b", "c", "a")
    assert ledger.oldest("nowhere", "a", 9) == ()


def test_selection_is_sorted():
    """Selected ids come sorted."""
    ledger = MemoryLedger([fact("b"), fact("a"), fact("c", "x")])
    assert ledger.select(Selector(label="a")) == ("a", "b")


def test_batches_hold_every_fact_once_in_order():
    """Batches are bounded, sorted by id across batches, and leave out the given ids."""
    count = limits.BATCH_FACTS + 3
    facts = [fact(f"{row:05}", domain="ab"[row % 2], at=-row % 7) for row in range(count)]
    ledger = MemoryLedger(facts[::-1])
    batches = list(ledger.batches())
    assert [len(batch) for batch in batches] == [limits.BATCH_FACTS, 3]
    assert [i for batch in batches for i in batch.ids] == [f"{row:05}" for row in range(count)]
    some = list(ledger.batches("a", frozenset({"00000"})))
    assert [i for batch in some for i in batch.ids][:2] == ["00002", "00004"]


def test_a_geometry_is_kept():
    """The ledger returns the last frozen geometry."""
    ledger = MemoryLedger()
    assert ledger.geometry() is None
    ledger.apply(StoreGeometry({}))
    assert ledger.geometry() == {}


def test_candidates_are_bounded():
    """Beyond the bound the oldest candidates are dropped; one stored again keeps its position."""
    ledger, names = MemoryLedger(), [f"o{n:04}" for n in range(limits.CANDIDATES_MAX + 3)]
    rows = {
        name: LabelCandidate(
            observation_id=name,
            stream="s",
            subject="",
            domain="home",
            captured_at_ns=0,
            score=0.5,
            features=b"",
        )
        for name in names
    }
    ledger.apply(StoreLabelCandidates(tuple(rows.values())[:10]))
    ledger.apply(StoreLabelCandidates((replace(rows["o0004"], score=0.9),)))
    ledger.apply(StoreLabelCandidates(tuple(rows.values())[10:]))
    assert list(ledger.candidates()) == names[3:]
    assert ledger.candidates()["o0004"].score == 0.9


def test_the_digest_is_of_the_facts():
    """Ledgers with equal facts have equal digests, whatever their history."""
    one, other = MemoryLedger([fact("a"), fact("b")]), MemoryLedger([fact("b")])
    assert one.digest() != other.digest()
    one.apply(EraseFacts(("a",), RECEIPT))
    assert one.digest() == other.digest()
