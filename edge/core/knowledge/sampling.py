"""Choosing facts by hashes of their ids, so that the choice depends on the set of facts alone."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .. import limits
from ..facts import FactBatch

Rank = tuple[bytes, str]


@dataclass(frozen=True, slots=True)
class SampleScope:
    """Which facts, come or gone, change a sample.  last: the highest rank in a full one; None where
    there is room for any."""

    last: Rank | None = None

    def changes(self, place: Rank) -> bool:
        """Say whether a fact of this rank is in the sample, or would be."""
        return self.last is None or place <= self.last


def hash_rank(fact_id: str) -> Rank:
    """Return what facts are chosen by: the lowest are in."""
    return hashlib.blake2b(fact_id.encode(), digest_size=8).digest(), fact_id


def scope_of(chosen: FactBatch, size: int) -> SampleScope:
    """Return the reach of a sample of at most `size` facts."""
    return SampleScope(max(map(hash_rank, chosen.ids))) if len(chosen) == size else SampleScope()


def sample_facts(batches: Iterable[FactBatch], size: int) -> FactBatch:
    """Choose at most `size` facts: those whose ids hash lowest (bottom-k sampling, Cohen & Kaplan
    2007).  Returned sorted by id."""
    kept: list[tuple[Rank, str, str, int]] = []
    rows = np.empty((0, 0), np.uint8)
    for batch in batches:
        if not len(rows):
            rows = np.empty((size + limits.BATCH_FACTS, batch.features.shape[1]), np.uint8)
        ranks = [hash_rank(one) for one in batch.ids]
        last = kept[-1][0] if len(kept) == size else None
        coming = [row for row, one in enumerate(ranks) if last is None or one < last]
        taken = {place for *_, place in kept}
        free = [place for place in range(len(kept) + len(coming)) if place not in taken]
        given = free[: len(coming)]
        rows[given] = batch.features[coming]
        kept += [
            (ranks[row], batch.domains[row], batch.labels[row], place)
            for row, place in zip(coming, given, strict=True)
        ]
        kept = sorted(kept)[:size]
    kept.sort(key=lambda fact: fact[0][1])
    found, domains, labels, places = zip(*kept, strict=True) if kept else ((),) * 4
    return FactBatch(tuple(name for _, name in found), domains, labels, rows[list(places)])
