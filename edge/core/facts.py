"""Facts, how to select them, and the ledger that holds them.

A ledger is a set of facts keyed by id.  The core only reads it; the shell applies the effects the
core returns.  Two ledgers merge as a set union in which, for the same id, the higher revision (then
the larger content hash) wins: commutative, associative and idempotent.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .adaptors import AdaptorRecord
    from .events import LabelCandidate, Receipt
    from .knowledge import Contribution

DIGEST_BITS: Final = 256
"""Bits of the SHA-256 hashes that a digest sums up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One labelled observation: what the ledger is made of.  `features`: uint8, as bytes.

    `revision` counts the times a person changed its label or domain.
    """

    id: str
    stream: str
    domain: str
    label: str
    captured_at_ns: int
    features: bytes = field(repr=False)
    subject: str = ""
    revision: int = 0

    def hash(self) -> bytes:
        """SHA-256 over every field, each text preceded by its length."""
        state = hashlib.sha256()
        for text in (self.id, self.stream, self.domain, self.label, self.subject):
            raw = text.encode()
            state.update(struct.pack("<I", len(raw)) + raw)
        state.update(struct.pack("<qq", self.captured_at_ns, self.revision))
        state.update(self.features)
        return state.digest()

    def supersedes(self, other: "Fact") -> bool:
        """Say whether this version wins over another of the same id: newer, then larger hash."""
        return (self.revision, self.hash()) > (other.revision, other.hash())


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Facts that match every field given.  Times are half open: from <= captured_at_ns < until."""

    ids: frozenset[str] | None = None
    subject: str | None = None
    stream: str | None = None
    domain: str | None = None
    label: str | None = None
    from_ns: int | None = None
    until_ns: int | None = None

    def matches(self, fact: Fact) -> bool:
        """Say whether a fact is selected."""
        wanted = ("subject", "stream", "domain", "label")
        return (
            (self.ids is None or fact.id in self.ids)
            and all(getattr(self, n) in (None, getattr(fact, n)) for n in wanted)
            and (self.from_ns is None or fact.captured_at_ns >= self.from_ns)
            and (self.until_ns is None or fact.captured_at_ns < self.until_ns)
        )

    @property
    def empty(self) -> bool:
        """True where nothing narrows the selection: it would select every fact."""
        return self == Selector()


@dataclass(frozen=True, slots=True)
class FactBatch:
    """Facts side by side, sorted by id.  `features`: uint8 [n, width]."""

    ids: tuple[str, ...]
    domains: tuple[str, ...]
    labels: tuple[str, ...]
    features: NDArray[np.uint8] = field(repr=False)

    def __len__(self) -> int:
        return len(self.ids)


class Ledger(Protocol):
    """What the core may read.  Concepts are (domain, label) pairs."""

    def get(self, fact_id: str) -> Fact | None:
        """Return the fact, or None."""

    def concepts(self) -> Mapping[tuple[str, str], int]:
        """Count the facts of each concept."""

    def oldest(self, domain: str, label: str, count: int) -> tuple[str, ...]:
        """Return the ids of the `count` oldest facts of a concept by (captured_at_ns, id)."""

    def select(self, selector: Selector) -> tuple[str, ...]:
        """Return the sorted ids of the facts selected."""

    def batches(
        self, domain: str | None = None, without: AbstractSet[str] = frozenset()
    ) -> Iterator[FactBatch]:
        """Yield all facts, or a domain's, sorted by id, `limits.BATCH_FACTS` at a time at most."""

    def buried(self, fact_id: str) -> bool:
        """Say whether this id was forgotten before."""

    def geometry(self) -> Mapping[str, NDArray[np.generic]] | None:
        """Return the frozen geometry's arrays, or None before the first survey."""

    def evictions(self) -> int:
        """Count the facts that a full concept has pushed out or turned away so far."""

    def adaptors(self) -> Mapping[str, tuple["AdaptorRecord", ...]]:
        """Return each domain's adaptor versions, newest first, two at most; the first serves."""

    def attempts(self) -> Mapping[str, str]:
        """Return the hash of the facts on which growth last came to nothing, by domain."""

    def candidates(self) -> Mapping[str, "LabelCandidate"]:
        """Return the observations kept for a label, by id, oldest first."""

    def receipt(self, request_id: str, selector: Selector, /) -> "Receipt | None":
        """Return the receipt of a forget request that was carried out, with this selector where it
        was for this one, and with another where it was not."""

    def contributions(self) -> Mapping[str, "Contribution"]:
        """Return what each other device last contributed, empty ones included."""

    def columns(self) -> tuple[str, ...]:
        """Return the names of the encoder's input columns, in order; none where they count by
        position."""


def stack_facts(facts: Iterable[Fact]) -> FactBatch:
    """Put facts side by side, sorted by id.  All must have features of the same length."""
    rows = sorted(facts, key=lambda fact: fact.id)
    width = len(rows[0].features) if rows else 0
    joined = np.frombuffer(b"".join(fact.features for fact in rows), np.uint8)
    return FactBatch(
        tuple(fact.id for fact in rows),
        tuple(fact.domain for fact in rows),
        tuple(fact.label for fact in rows),
        joined.reshape(len(rows), width),
    )


def select_rows(rows: FactBatch, at: NDArray[np.intp]) -> FactBatch:
    """Choose facts by place."""
    places = at.tolist()
    return FactBatch(
        tuple(rows.ids[row] for row in places),
        tuple(rows.domains[row] for row in places),
        tuple(rows.labels[row] for row in places),
        rows.features[at],
    )


def digest_facts(facts: Iterable[Fact]) -> str:
    """Hex digest of a set of facts: the sum of their hashes modulo 2^256, so order is nothing.

    Bellare & Micciancio 1997, "A new paradigm for collision-free hashing" (AdHash): guards against
    damage and mistakes, not against somebody who crafts facts to collide.
    """
    total = sum(int.from_bytes(fact.hash(), "little") for fact in facts)
    return f"{total % (1 << DIGEST_BITS):064x}"
