"""Counts and digests of concepts, and ranks of facts: changed in the transaction that changes the
facts, so that neither counting nor sampling reads them all.

A digest is a sum (see `digest_facts`), so a change reads the changed facts only.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from ..core import DIGEST_BITS, Concept, Fact, digest_facts, rank_number

DIGEST_BYTES: Final = DIGEST_BITS // 8  # as stored


class ConceptTotal(msgspec.Struct, frozen=True):
    """The number of a concept's facts, and their digest in hex."""

    facts: int
    digest: str


class ConceptTotals:
    """The totals of a file's concepts, sorted by concept.  rows: of (domain, label, facts, digest),
    sorted; raises ValueError for a damaged one."""

    def __init__(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self._counts: dict[Concept, int] = {}
        self._digests: dict[Concept, str] = {}
        for domain, label, facts, digest in rows:
            whole = isinstance(facts, int) and facts > 0 and isinstance(digest, bytes)
            if not (whole and len(digest) == DIGEST_BYTES):
                raise ValueError(f"the totals of {domain}/{label} are damaged")
            self._counts[domain, label] = facts
            self._digests[domain, label] = digest.hex()

    @property
    def counts(self) -> Mapping[Concept, int]:
        """The number of facts of each concept."""
        return MappingProxyType(self._counts)

    @property
    def digests(self) -> Mapping[Concept, str]:
        """The digest of each concept's facts."""
        return MappingProxyType(self._digests)

    def after(self, gone: Iterable[Fact], coming: Iterable[Fact]) -> dict[Concept, ConceptTotal]:
        """Return the totals that a change gives the concepts it touches."""
        made: dict[Concept, ConceptTotal] = {}
        for facts, sign in ((gone, -1), (coming, 1)):
            for concept, rows in by_concept(facts).items():
                now = made.get(concept) or ConceptTotal(
                    self._counts.get(concept, 0), self._digests.get(concept, "0")
                )
                digest = add_digests(now.digest, digest_facts(rows), sign)
                made[concept] = ConceptTotal(now.facts + sign * len(rows), digest)
        return made

    def accept(self, changed: Mapping[Concept, ConceptTotal]) -> None:
        """Replace the totals of some concepts, once that is durable."""
        added = changed.keys() - self._counts.keys()
        for concept, total in changed.items():
            self._counts[concept], self._digests[concept] = total.facts, total.digest
            if not total.facts:
                del self._counts[concept], self._digests[concept]
        if added:
            self._counts = dict(sorted(self._counts.items()))
            self._digests = dict(sorted(self._digests.items()))


def by_concept(facts: Iterable[Fact]) -> dict[Concept, list[Fact]]:
    """Group facts by concept."""
    groups: dict[Concept, list[Fact]] = {}
    for fact in facts:
        groups.setdefault((fact.domain, fact.label), []).append(fact)
    return groups


def add_digests(one: str, other: str, sign: int = 1) -> str:
    """Return the digest of two sets of facts together, or (sign -1) of one without the other."""
    return f"{(int(one, 16) + sign * int(other, 16)) % (1 << DIGEST_BITS):064x}"


def write_totals(db: sqlite3.Connection, changed: Mapping[Concept, ConceptTotal]) -> None:
    """Write the totals of the concepts that changed; an empty concept has no row."""
    db.executemany(
        "INSERT OR REPLACE INTO concepts (domain, label, facts, digest) VALUES (?, ?, ?, ?)",
        [
            (*concept, total.facts, bytes.fromhex(total.digest))
            for concept, total in changed.items()
            if total.facts
        ],
    )
    db.executemany(
        "DELETE FROM concepts WHERE domain = ? AND label = ?",
        [concept for concept, total in changed.items() if not total.facts],
    )


def write_ranks(db: sqlite3.Connection, gone: Iterable[Fact], coming: Iterable[Fact]) -> None:
    """Delete the ranks of facts that go, and write those of facts that come."""
    db.executemany("DELETE FROM ranks WHERE domain = ? AND rank = ? AND id = ?", map(_rank, gone))
    db.executemany("INSERT INTO ranks (domain, rank, id) VALUES (?, ?, ?)", map(_rank, coming))


def _rank(fact: Fact) -> tuple[str, int, str]:
    return fact.domain, rank_number(fact.id), fact.id
