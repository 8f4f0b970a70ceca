from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from edge.core.adaptation import BasisRefit
from edge.core.facts import Fact
from edge.core.knowledge.memory_ledger import MemoryLedger
from tests.edge.core.adaptation.worlds import LABELS, WIDTH, drawn, seen
from tests.worlds import fact


def fitted(facts: list[Fact], domains: tuple[str, ...] = ("home",)) -> BasisRefit:
    """The basis of facts."""
    refit = BasisRefit(domains=domains, spans=((0, WIDTH),), contents=None)
    refit.gather(MemoryLedger(facts))
    refit.solve()
    return refit


def facts_of(domain: str, count: int, shift: float = 0.0) -> list[Fact]:
    """Facts of three classes in a domain."""
    classes = drawn(count, seed=3)
    return [
        replace(fact(f"{domain}{at:03}", LABELS[one], domain, at), features=row.tobytes())
        for at, (one, row) in enumerate(zip(classes, seen(classes, shift, seed=3), strict=True))
    ]


def test_the_basis_follows_from_the_facts_alone():
    """The order in which facts arrived leaves no trace."""
    facts = facts_of("home", 90)
    one, other = fitted(facts).made, fitted(facts[::-1]).made
    assert one is not None
    assert other is not None
    assert one.labels == LABELS
    np.testing.assert_array_equal(one.projection, other.projection)
    np.testing.assert_array_equal(one.sums.gram, other.sums.gram)


def test_too_few_facts_are_no_basis():
    """Three facts of each label do not show how far a class spreads; five do."""
    assert fitted(facts_of("home", 9)).made is None
    assert fitted(facts_of("home", 15)).made is not None


def test_one_label_is_no_basis():
    """With a single label there is nothing to adapt."""
    facts = [one for one in facts_of("home", 90) if one.label == "a"]
    assert fitted(facts).made is None


def test_equal_facts_are_a_basis():
    """Facts without any spread within a class leave every number finite."""
    facts = [
        replace(one, features=bytes([20 + 80 * LABELS.index(one.label)]) * WIDTH)
        for one in facts_of("home", 60)
    ]
    made = fitted(facts).made
    assert made is not None
    assert all(np.isfinite(part).all() for part in (made.projection, made.precision, made.bias))


def test_a_label_of_one_domain_alone_takes_part():
    """Two domains with different labels have all of them, and lie apart."""
    facts = facts_of("home", 90) + [
        replace(one, label="d" if one.label == "c" else one.label)
        for one in facts_of("away", 90, 0.5)
    ]
    made = fitted(facts, ("home", "away")).made
    assert made is not None
    assert made.labels == ("a", "b", "c", "d")
    assert made.distance > 0


def test_ids_in_order_of_the_labels_leave_none_out(monkeypatch):
    """Of many facts, those whose ids come first in hash order count, so that ids that begin with
    the label leave no label out."""
    monkeypatch.setattr("edge.core.adaptation.basis.BASIS_FACTS_MAX", 60)
    named = [replace(one, id=f"{one.label}-{one.id}") for one in facts_of("home", 240)]
    made = fitted(named).made
    assert made is not None
    assert made.shares.min() > 0.2
