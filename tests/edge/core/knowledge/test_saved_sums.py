from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import hdc
from edge.core.events import StoreFacts
from edge.core.facts import Derived, Fact, FactBatch
from edge.core.knowledge import Knowledge, derive_knowledge
from edge.core.knowledge.memory_ledger import MemoryLedger
from edge.core.knowledge.saved_sums import FACTS_MIN
from tests.worlds import WIDTH, fact

GEOMETRY = hdc.identity_geometry(WIDTH, ((0, WIDTH),), 1)
FACTS = tuple(
    fact(f"f{n}", "ab"[n % 2], "home" if n < 4 * FACTS_MIN else "attic", seed=n)
    for n in range(4 * FACTS_MIN + 6)
)
"""Two concepts of many facts, and two of too few to keep their sums."""


class CountingLedger(MemoryLedger):
    """A ledger that notes which concepts were read fact by fact."""

    def __init__(self, facts: tuple[Fact, ...]) -> None:
        super().__init__(facts)
        self.scanned: list[tuple[str | None, str | None]] = []

    def batches(
        self,
        domain: str | None = None,
        without: AbstractSet[str] = frozenset(),
        label: str | None = None,
    ) -> Iterator[FactBatch]:
        """See `facts.Ledger`."""
        self.scanned.append((domain, label))
        return super().batches(domain, without, label)


def sums_of(known: Knowledge) -> list[Derived]:
    """The entries of sums that are due."""
    return [one for one in known.derived_state() if one.name == "sums"]


def saved_ledger() -> CountingLedger:
    """A ledger that keeps the sums of its facts."""
    ledger = CountingLedger(FACTS)
    ledger.save_derived(derive_knowledge(ledger, GEOMETRY).derived_state())
    ledger.scanned.clear()
    return ledger


def equal(one: Knowledge, other: Knowledge) -> bool:
    """Whether two knowledges are equal to the bit."""
    return one.digest("card") == other.digest("card") and one.own.digest() == other.own.digest()


def test_kept_sums_are_not_derived_again() -> None:
    """Knowledge from kept sums equals knowledge from facts, and reads only small concepts."""
    ledger = saved_ledger()
    made = derive_knowledge(ledger, GEOMETRY)
    assert ledger.scanned == [("attic", "a"), ("attic", "b")]
    assert equal(made, derive_knowledge(MemoryLedger(FACTS), GEOMETRY))
    assert sums_of(made) == []
    derive_knowledge(ledger, GEOMETRY, saved=False)
    assert ("home", "a") in ledger.scanned


def test_a_change_derives_its_concept_only() -> None:
    """After facts come or go, only their concepts are derived, and only these are kept again."""
    for change in (StoreFacts(facts=(fact("new", "a"),)), StoreFacts(facts=(), evicted=("f0",))):
        ledger = saved_ledger()
        ledger.apply(change)
        made = derive_knowledge(ledger, GEOMETRY)
        assert ledger.scanned == [("attic", "a"), ("attic", "b"), ("home", "a")]
        assert equal(made, derive_knowledge(MemoryLedger(ledger.facts()), GEOMETRY))
        assert [(one.domain, one.label) for one in sums_of(made)] == [("home", "a")]


def test_facts_about_to_be_erased_do_not_count() -> None:
    """Sums that include facts that are about to be erased are not used."""
    ledger = saved_ledger()
    made = derive_knowledge(ledger, GEOMETRY, frozenset({"f0", "gone before"}))
    assert equal(made, derive_knowledge(MemoryLedger(FACTS[1:]), GEOMETRY))
    assert sums_of(made) == []


def test_other_geometries_do_not_use_them() -> None:
    """Sums of another geometry are not used."""
    ledger, other = saved_ledger(), hdc.identity_geometry(WIDTH, ((0, WIDTH),), 2)
    made = derive_knowledge(ledger, other)
    assert equal(made, derive_knowledge(MemoryLedger(FACTS), other))
    assert len(sums_of(made)) == 2


def test_nothing_is_kept_while_ledger_and_sums_differ() -> None:
    """Knowledge ahead of its ledger keeps nothing: the key would name other facts."""
    ledger = CountingLedger(FACTS)
    made = derive_knowledge(ledger, GEOMETRY)
    made.add([fact("new")])
    assert sums_of(made) == []
    made.remove([fact("new")])
    assert sums_of(made) == []
    made.ledger_applied()
    assert len(sums_of(made)) == 2


def more_ones(arrays: dict[str, Any]) -> Mapping[str, Any]:
    """Sums with more ones than facts."""
    return {**arrays, "ones": arrays["ones"].astype(np.int32) + 1000}


@pytest.mark.parametrize(
    "spoil",
    [
        more_ones,
        lambda arrays: {**arrays, "counts": arrays["counts"] + 1},
        lambda arrays: {**arrays, "ones": arrays["ones"][:-1]},
        lambda arrays: {**arrays, "counts": np.arange(2)},
        lambda _arrays: {},
    ],
)
def test_sums_that_cannot_be_are_derived_again(spoil: Any) -> None:
    """Kept arrays of other shapes, names or impossible sums are left out, and kept again."""
    ledger = CountingLedger(FACTS)
    first, *rest = sums_of(derive_knowledge(ledger, GEOMETRY))
    spoiled: Derived = replace(first, arrays=spoil(dict(first.arrays)))
    ledger.save_derived([spoiled, *rest])
    made = derive_knowledge(ledger, GEOMETRY)
    assert equal(made, derive_knowledge(MemoryLedger(FACTS), GEOMETRY))
    assert spoiled.place in [one.place for one in sums_of(made)]
