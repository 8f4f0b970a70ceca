"""Labelled observations of one home as arrays, for the analyses."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

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


def read_learned(store: Store) -> Learned:
    """Read the facts of an open file."""
    total = sum(store.concepts().values())
    return Learned(tuple(_domains(store)), total)


def _domains(store: Store) -> Iterator[Domain]:
    rows = store.sample(FACTS_MAX)
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
