"""Bottom-k sampling of facts by hashes of their ids, so that a sample depends only on the set."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .. import limits
from ..facts import FactBatch

Rank = tuple[bytes, str]


@dataclass(frozen=True, slots=True)
class SampleScope:
    """Which facts, added or removed, change a sample.

    last: the highest rank in a full sample; None while any fact still fits.
    """

    last: Rank | None = None

    def changes(self, rank: Rank) -> bool:
        """Return whether a fact of this rank is, or would be, in the sample."""
        return self.last is None or rank <= self.last


def hash_rank(fact_id: str) -> Rank:
    """Return the rank that facts are chosen by, lowest first: a hash of the id, then the id."""
    return hashlib.blake2b(fact_id.encode(), digest_size=8).digest(), fact_id


def scope_of(chosen: FactBatch, size: int) -> SampleScope:
    """Return the scope of a sample of at most `size` facts."""
    return SampleScope(max(map(hash_rank, chosen.ids))) if len(chosen) == size else SampleScope()


def sample_facts(batches: Iterable[FactBatch], size: int) -> FactBatch:
    """Return at most `size` facts, those whose ids hash lowest, sorted by id.

    Bottom-k sampling (Cohen & Kaplan 2007).  Memory: `size` plus one batch of rows.
    """
    kept: list[tuple[Rank, str, str, int]] = []
    rows = np.empty((0, 0), np.uint8)
    for batch in batches:
        if not len(rows):
            rows = np.empty((size + limits.BATCH_FACTS, batch.features.shape[1]), np.uint8)
        ranks = [hash_rank(one) for one in batch.ids]
        last = kept[-1][0] if len(kept) == size else None
        chosen = [row for row, one in enumerate(ranks) if last is None or one < last]
        used = {place for *_, place in kept}
        free = [place for place in range(len(kept) + len(chosen)) if place not in used]
        free = free[: len(chosen)]
        rows[free] = batch.features[chosen]
        kept += [
            (ranks[row], batch.domains[row], batch.labels[row], place)
            for row, place in zip(chosen, free, strict=True)
        ]
        kept = sorted(kept)[:size]
    kept.sort(key=lambda fact: fact[0][1])
    found, domains, labels, places = zip(*kept, strict=True) if kept else ((),) * 4
    return FactBatch(tuple(name for _, name in found), domains, labels, rows[list(places)])
