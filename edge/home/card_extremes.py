"""Extremes of forgotten facts that the encoder card still gives away.

A card for vectors is calibrated on the user's own data: its scale is the range of each column, with
a known headroom, so that the smallest and the largest value can be computed from it.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

import numpy as np

import encoder

from ..core import listed
from ..storage import Store

SHOWN: Final = 8
"""Columns named in a receipt: more do not fit a line."""


def extreme_columns(store: Store, card: encoder.Card, ids: Collection[str]) -> set[int]:
    """Return the columns in which a fact is at an end of the range that the card was calibrated on.
    Shipped encoders are calibrated on public data, so that theirs reveal nothing."""
    if card.quantiser is None or card.kind != "vector":
        return set()
    facts = (store.get(fact_id) for fact_id in ids)
    rows = [np.frombuffer(fact.features, np.uint8) for fact in facts if fact is not None]
    return set(np.flatnonzero(card.quantiser.extremes(rows)).tolist()) if rows else set()


def describe_extremes(found: Sequence[int], columns: Sequence[str]) -> Iterator[str]:
    """Yield what a receipt says about these columns.  columns: names of all, none if unnamed."""
    if not found:
        return
    names = [columns[at] if at < len(columns) else f"column {at + 1}" for at in found]
    yield (
        "the encoder card: extreme values that forgotten facts had are recoverable from"
        f" its calibrated range ({listed(names, SHOWN)}); to end that, make a home with a card"
        " calibrated on the remaining data (`auricle init --vectors`)"
    )
