from __future__ import annotations

from msgspec.structs import replace

from edge.core.admission import Admission, admit
from edge.core.events import EraseFacts, StoreFacts
from edge.core.facts import Fact, Selector
from edge.core.knowledge.memory_ledger import MemoryLedger
from edge.core.receipt import Receipt
from edge.core.selection import NEWEST
from tests.worlds import fact


def ids(facts: tuple[Fact, ...]) -> list[str]:
    """Their ids, sorted."""
    return sorted(row.id for row in facts)


def outcome(admission: Admission) -> tuple[list[str], list[str], list[str]]:
    """Ids of entering, replaced and evicted facts."""
    return ids(admission.entering), ids(admission.replaced), ids(admission.evicted)


def test_new_facts_enter():
    """Facts that the ledger lacks enter, each id once, in its newest version."""
    old, new = fact("x", "a"), fact("x", "b", revision=1)
    admission = admit(MemoryLedger(), [new, old, fact("y")], 10)
    assert outcome(admission) == (["x", "y"], [], [])
    assert new in admission.entering


def test_a_known_fact_changes_nothing():
    """The same version again is counted and left alone."""
    admission = admit(MemoryLedger([fact("x")]), [fact("x")], 10)
    assert outcome(admission) == ([], [], [])
    assert admission.unchanged == 1
    assert admission.detail == "1 already known"


def test_a_newer_version_replaces():
    """A correction enters, and the version it replaces is named with its old label."""
    old = fact("x", "a")
    admission = admit(MemoryLedger([old]), [replace(old, label="b", revision=1)], 10)
    assert admission.replaced == (old,)
    assert ids(admission.entering) == ["x"]


def test_a_forgotten_fact_is_not_relearned():
    """An id that was erased is refused, whatever its revision."""
    ledger = MemoryLedger([fact("x")])
    receipt = Receipt(
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
    ledger.apply(EraseFacts(("x",), receipt))
    admission = admit(ledger, [fact("x", revision=9)], 10)
    assert outcome(admission) == ([], [], [])
    assert admission.forgotten == 1


def test_a_full_concept_keeps_the_newest():
    """The oldest by (time, id) is evicted, and older facts are refused."""
    ledger = MemoryLedger([fact("b", at=5), fact("c", at=5), fact("d", at=7)])
    admission = admit(ledger, [fact("a", at=4), fact("e", at=6)], 3, NEWEST)
    assert outcome(admission) == (["e"], [], ["b"])
    assert ids(admission.refused) == ["a"]


def test_of_facts_of_one_moment_the_higher_id_is_the_newer():
    """Of facts with equal times the higher id is newer, in any order of arrival."""
    one, other = fact("a", at=5), fact("b", at=5)
    first = admit(MemoryLedger([one]), [other], 1, NEWEST)
    assert outcome(first) == (["b"], [], ["a"])
    second = admit(MemoryLedger([other]), [one], 1, NEWEST)
    assert outcome(second) == ([], [], [])
    assert ids(second.refused) == ["a"]


def test_by_default_a_uniform_sample_of_all_stays():
    """Of a long recording a full concept keeps facts of all its parts, whatever arrives when."""
    facts = [fact(f"f{n:04}", at=n + 1) for n in range(1_000)]
    kept = []
    for order in (facts, facts[::-1]):
        ledger = MemoryLedger()
        for at in range(0, 1_000, 50):
            found = admit(ledger, order[at : at + 50], 100)
            gone = set(ids(found.evicted))
            held = [one for one in ledger.facts() if one.id not in gone]
            ledger = MemoryLedger([*held, *found.entering])
        kept.append(ids(ledger.facts()))
    assert kept[0] == kept[1]
    assert len(kept[0]) == 100
    assert min(sum(one.startswith(f"f0{part}") for one in kept[0]) for part in range(10)) >= 4


def test_other_concepts_have_their_own_room():
    """A full concept does not affect another label or domain."""
    ledger = MemoryLedger([fact("a", at=1)])
    admission = admit(ledger, [fact("b", "other"), fact("c", domain="away")], 1)
    assert outcome(admission) == (["b", "c"], [], [])


def test_a_correction_inside_a_full_concept_keeps_its_place():
    """A fact replaced within its concept evicts nothing."""
    old = fact("a", at=1)
    ledger = MemoryLedger([old, fact("b", at=2)])
    admission = admit(ledger, [replace(old, subject="p", revision=1)], 2)
    assert outcome(admission) == (["a"], ["a"], [])


def test_a_correction_into_a_full_concept_pushes_out_the_oldest():
    """A fact moved into a full concept counts there by its age."""
    ledger = MemoryLedger([fact("x", "a", at=9), fact("b", "b", at=5)])
    admission = admit(ledger, [fact("x", "b", at=9, revision=1)], 1, NEWEST)
    assert outcome(admission) == (["x"], ["x"], ["b"])
    assert ids(admission.replaced) == ["x"]


def test_a_correction_too_old_for_its_new_concept_leaves_the_ledger():
    """The old version, whose label was corrected, must not stay; it is evicted under that label."""
    old = fact("x", "a", at=1)
    ledger = MemoryLedger([old, fact("b", "b", at=5)])
    admission = admit(ledger, [replace(old, label="b", revision=1)], 1, NEWEST)
    assert admission.entering == ()
    assert admission.replaced == ()
    assert admission.evicted == (old,)
    assert admission.refused == ()


def test_two_facts_change_places_between_full_concepts():
    """Corrections that leave a concept free capacity for those that enter it."""
    one, two = fact("x", "a", at=1), fact("y", "b", at=2)
    ledger = MemoryLedger([one, two])
    swapped = [
        replace(one, label="b", revision=1),
        replace(two, label="a", revision=1),
    ]
    assert outcome(admit(ledger, swapped, 1)) == (["x", "y"], ["x", "y"], [])


def test_an_unchanged_fact_can_be_pushed_out_by_its_own_batch():
    """A redelivered fact that is already stored is evicted like any other stored fact."""
    ledger = MemoryLedger([fact("x", at=1)])
    admission = admit(ledger, [fact("x", at=1), fact("y", at=2)], 1)
    assert outcome(admission) == (["y"], [], ["x"])
    ledger.apply(StoreFacts(facts=admission.entering, evicted=("x",)))
    assert ledger.concepts() == {("home", "a"): 1}


def test_a_smaller_capacity_shrinks_a_concept_when_it_is_next_added_to():
    """A concept above a lowered capacity shrinks to it on the next addition."""
    ledger = MemoryLedger([fact(f"f{age}", at=age) for age in range(5)])
    admission = admit(ledger, [fact("new", at=9)], 2, NEWEST)
    assert outcome(admission) == (["new"], [], ["f0", "f1", "f2", "f3"])


def test_a_fact_that_leaves_does_not_hide_the_oldest_that_stays():
    """If the oldest fact moves out while others enter, the next oldest is evicted."""
    oldest = fact("w", "b", at=1)
    ledger = MemoryLedger([oldest, fact("x", "b", at=2)])
    arriving = [
        replace(oldest, label="a", revision=1),
        fact("y", "b", at=8),
        fact("z", "b", at=9),
    ]
    assert outcome(admit(ledger, arriving, 2)) == (["w", "y", "z"], ["w"], ["x"])
