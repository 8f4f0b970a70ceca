"""Knowledge derived from a ledger, with the sums that the ledger keeps."""

from collections.abc import Set as AbstractSet

import hdc

from ..facts import Ledger
from .knowledge import Knowledge


def derive_knowledge(
    ledger: Ledger,
    geometry: hdc.Geometry,
    without: AbstractSet[str] = frozenset(),
    card: str = "",
    *,
    saved: bool = True,
) -> Knowledge:
    """Return the knowledge of a ledger without the ids `without`.  Cost: one projection per fact of
    the concepts whose sums are not kept in the ledger.

    card: fingerprint of the encoder card that contributions must match; empty: none are included.
    saved: whether kept sums are used.
    """
    knowledge = Knowledge(ledger, geometry, without)
    knowledge.reuses = saved
    if saved:
        gone = (fact for fact in map(ledger.get, without) if fact is not None)
        found = knowledge.saved.load({(fact.domain, fact.label) for fact in gone})
        knowledge.own.merge(found)
    for domain, label in ledger.concepts():
        if (domain, label) not in knowledge.saved:
            for batch in ledger.batches(domain, without, label):
                knowledge.own.add(domain, label, geometry.project(batch.features))
    if card:
        knowledge.set_contributions(ledger.contributions(), card)
    return knowledge
