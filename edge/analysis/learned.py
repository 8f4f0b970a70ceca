"""Labelled observations of one home as arrays, for the analyses."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..core import FactBatch, stack_facts
from ..storage import Store

FACTS_MAX: Final = 20_000
"""Facts that are analysed; of more, those of lowest rank, a sample that does not depend on order.
With 1,280 features they take 26 MB as bytes."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """The facts of one domain.  features: uint8 [n, width].  labels: sorted names.  given: index of
    each fact's label.  groups: number of each fact's recording or subject, its own if unknown."""

    name: str
    ids: tuple[str, ...]
    features: NDArray[np.uint8]
    labels: tuple[str, ...]
    given: NDArray[np.intp]
    groups: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Learned:
    """The facts of a home by domain.  total: facts of the home, more than are analysed if it has
    more than `FACTS_MAX`."""

    domains: tuple[Domain, ...]
    total: int


def read_learned(store: Store, wanted: Collection[str] = ()) -> Learned:
    """Read the facts of an open file.  wanted: ids of facts that are read in any case."""
    total = sum(store.concepts().values())
    rows = store.sample(FACTS_MAX)
    missing = map(store.get, sorted(set(wanted).difference(rows.ids)))
    more = [fact for fact in missing if fact is not None]
    return Learned(tuple(_domains(_joined(rows, stack_facts(more)) if more else rows)), total)


def _joined(one: FactBatch, other: FactBatch) -> FactBatch:
    """Return the facts of both."""
    return FactBatch(
        ids=one.ids + other.ids,
        domains=one.domains + other.domains,
        labels=one.labels + other.labels,
        features=np.concatenate([one.features, other.features]),
        captured_at_ns=np.concatenate([one.captured_at_ns, other.captured_at_ns]),
        recordings=one.recordings + other.recordings,
        subjects=one.subjects + other.subjects,
    )


def _domains(rows: FactBatch) -> Iterator[Domain]:
    names = np.array(rows.domains)
    for name in sorted(set(rows.domains)):
        at = np.flatnonzero(names == name)
        labels, given = np.unique(np.array(rows.labels)[at], return_inverse=True)
        sources = [rows.subjects[i] or rows.recordings[i] or f"\0{rows.ids[i]}" for i in at]
        yield Domain(
            name=name,
            ids=tuple(rows.ids[i] for i in at),
            features=rows.features[at],
            labels=tuple(map(str, labels)),
            given=given,
            groups=np.unique(sources, return_inverse=True)[1],
        )


def standardised(features: NDArray[np.uint8]) -> Floats:
    """Return features centred and scaled by column, so that a row's square is about one."""
    rows = features.astype(np.float32)
    rows -= rows.mean(axis=0)
    rows /= np.maximum(rows.std(axis=0), 1.0) * np.float32(np.sqrt(rows.shape[1]))
    return rows
