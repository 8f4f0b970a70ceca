"""Typical examples: the facts nearest to the centre of their concept."""

from typing import Final

import numpy as np

from .learned import Domain, Learned, standardised

SHOWN: Final = 6
"""Examples of a concept: one row of pictures.  Chosen by hand; effect not measured."""


def find_prototypes(learned: Learned) -> dict[str, list[str]]:
    """Return by concept (domain/label) the ids of the facts nearest to its centre, nearest first,
    no two of one recording or subject while there are others."""
    return {
        f"{domain.name}/{label}": _nearest(domain, number)
        for domain in learned.domains
        for number, label in enumerate(domain.labels)
    }


def _nearest(domain: Domain, number: int) -> list[str]:
    at = np.flatnonzero(domain.given == number)
    rows = standardised(domain.features)[at]
    away = np.square(rows - rows.mean(axis=0)).sum(axis=1)
    order = at[np.argsort(away, kind="stable")].tolist()
    seen: set[int] = set()
    first: list[int] = []
    rest: list[int] = []
    for row in order:
        (rest if domain.groups[row] in seen else first).append(row)
        seen.add(int(domain.groups[row]))
    return [domain.ids[row] for row in (first + rest)[:SHOWN]]
