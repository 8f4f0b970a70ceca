"""Forgets every fact and learns all again in another order: the sums must not depend on it."""

import numpy as np

from ..facts import Ledger, select_rows
from .knowledge import Knowledge


def relearn_backwards(known: Knowledge, ledger: Ledger, card: str) -> Knowledge:
    """Take every fact of a ledger out of `known`, and return knowledge that learned them in reverse
    order.  Nothing must be left in `known.own`.  Cost: one projection per fact.

    card: as in `derive_knowledge`.
    """
    made = Knowledge(ledger, known.geometry)
    made.reuses = known.reuses
    for domain, label in reversed(tuple(ledger.concepts())):
        for batch in ledger.batches(domain, label=label):
            rows = select_rows(batch, np.arange(len(batch))[::-1])
            codes = known.geometry.project(rows.features)
            known.own.remove(domain, label, codes)
            made.own.add(domain, label, codes)
    if card:
        made.set_contributions(ledger.contributions(), card)
    return made
