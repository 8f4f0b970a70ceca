"""Facts, selectors, batches and samples of facts, and the ledger that holds them.

A ledger is a set of facts keyed by id.  The core only reads it; its owner applies the effects that
the core returns.  Two ledgers merge as a set union; for the same id the higher revision, then the
larger content hash, wins.  That is commutative, associative and idempotent.  Admission
(admission.py) is bounded per concept.
"""

import hashlib
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from . import limits
from .structs import FrozenStruct

if TYPE_CHECKING:
    from .actions import Action
    from .adaptors import AdaptorRecord, PendingAdaptor
    from .domain_merges import DomainMerge
    from .knowledge import Contribution
    from .pending_forgets import PendingForget
    from .recalibration import Recalibration
    from .receipt import DeviceOrder, Receipt

Concept = tuple[str, str]
"""A domain and a label."""

Span = tuple[int, int]
"""The first and the last capture time of a range, both included."""

Rank = tuple[bytes, str]
"""What facts are sampled by: a hash of the id, then the id."""

_length, _numbers = struct.Struct("<I").pack, struct.Struct("<qq").pack

DIGEST_BITS: Final = 256
"""Bits of a SHA-256 hash; digests are sums of hashes modulo 2^256."""


class Fact(FrozenStruct, frozen=True, kw_only=True):
    """One labelled observation, the element of a ledger.  features: uint8, as bytes.

    captured_at_ns: nanoseconds since 1970, 0 if unknown.  revision: how often its label or domain
    was corrected.  recording: the recording or session that it is a part of, "" if unknown.
    """

    id: str
    stream: str
    domain: str
    label: str
    captured_at_ns: int
    features: bytes
    subject: str = ""
    revision: int = 0
    recording: str = ""

    def hash(self) -> bytes:
        """Return the SHA-256 of all fields, each text preceded by its length.  An empty recording
        adds nothing: the hashes of facts that were stored without one stay as they are."""
        return hash_fields(
            (
                self.id,
                self.stream,
                self.domain,
                self.label,
                self.captured_at_ns,
                self.features,
                self.subject,
                self.revision,
                self.recording,
            )
        )

    def supersedes(self, other: "Fact") -> bool:
        """Return whether this version wins over another of the same id: newer, then larger hash."""
        return (self.revision, self.hash()) > (other.revision, other.hash())


def hash_fields(fields: tuple[Any, ...]) -> bytes:
    """Return the hash of a fact, given by its fields in order; see `Fact.hash`."""
    fact_id, stream, domain, label, captured_at_ns, features, subject, revision, recording = fields
    texts = (fact_id, stream, domain, label, subject)
    raws = [text.encode() for text in ((*texts, recording) if recording else texts)]
    parts = [part for raw in raws for part in (_length(len(raw)), raw)]
    return hashlib.sha256(b"".join((*parts, _numbers(captured_at_ns, revision), features))).digest()


class Captured(Protocol):
    """An observation or a fact: when it was captured, and of what."""

    @property
    def subject(self) -> str:
        """Its subject, empty if unknown."""

    @property
    def stream(self) -> str:
        """Its stream."""

    @property
    def domain(self) -> str:
        """Its domain."""

    @property
    def recording(self) -> str:
        """Its recording, empty if unknown."""

    @property
    def captured_at_ns(self) -> int:
        """Nanoseconds since 1970."""


class Selector(FrozenStruct, frozen=True, kw_only=True):
    """Selects facts that match every given field.  Times: from_ns <= captured_at_ns < until_ns."""

    ids: frozenset[str] | None = None
    subject: str | None = None
    stream: str | None = None
    domain: str | None = None
    label: str | None = None
    from_ns: int | None = None
    until_ns: int | None = None
    recording: str | None = None

    def matches(self, fact: Fact) -> bool:
        """Return whether a fact is selected."""
        return self.selects(fact.id, fact, fact.label)

    def selects(self, key: str, one: Captured, label: str | None = None) -> bool:
        """Return whether an observation is selected.  label: None without one; a selector that
        names a label does not select it then."""
        return (
            (self.ids is None or key in self.ids)
            and self.subject in (None, one.subject)
            and self.stream in (None, one.stream)
            and self.domain in (None, one.domain)
            and self.label in (None, label)
            and self.recording in (None, one.recording)
            and (self.from_ns is None or one.captured_at_ns >= self.from_ns)
            and (self.until_ns is None or one.captured_at_ns < self.until_ns)
        )

    @property
    def empty(self) -> bool:
        """True if no field is given, so that every fact would be selected."""
        return self == Selector()


@dataclass(frozen=True, kw_only=True)
class FactBatch:
    """Facts as columns, sorted by id.

    features: uint8 [n, width].  captured_at_ns: int64 [n], 0 where unknown.  recordings,
    subjects: of each fact, "" where unknown.
    """

    ids: tuple[str, ...]
    domains: tuple[str, ...]
    labels: tuple[str, ...]
    features: NDArray[np.uint8] = field(repr=False)
    captured_at_ns: NDArray[np.int64] = field(repr=False)
    recordings: tuple[str, ...] = field(repr=False)
    subjects: tuple[str, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def hash_order(self) -> NDArray[np.intp]:
        """All rows in the order of the hashes of their ids.  Cost: 4 us a fact, once."""
        hashes = b"".join(_hash_id(one) for one in self.ids)
        return np.argsort(np.frombuffer(hashes, ">u8"), kind="stable")


class LabelCandidate(FrozenStruct, frozen=True, kw_only=True):
    """An unlabelled observation worth a label.

    domain: of a label that names none.  score: 1 for the most informative, falling with rank.
    """

    observation_id: str
    stream: str
    subject: str
    domain: str
    captured_at_ns: int
    score: float
    features: bytes
    recording: str = ""


class Derived(FrozenStruct, frozen=True, eq=False, kw_only=True):
    """Something derived from facts, kept so that it need not be derived again.

    name, part: what it is, and which of several.  domain, label: the facts it holds traces of: of
    one concept, of a domain (no label), or any (neither).  key: a digest of all that it follows
    from; it is returned for an equal key only.
    """

    name: str
    key: str
    arrays: Mapping[str, NDArray[Any]]
    domain: str = ""
    label: str = ""
    part: str = ""

    @property
    def place(self) -> tuple[str, str, str, str]:
        """What a later entry replaces this one by: all but the key and the arrays."""
        return self.name, self.domain, self.label, self.part

    def holds(self, concept: Concept) -> bool:
        """Return whether it may hold traces of a concept's facts."""
        return self.domain in ("", concept[0]) and self.label in ("", concept[1])


class Ledger(Protocol):
    """The ledger's interface to the core.  Concepts are (domain, label) pairs."""

    def get(self, fact_id: str) -> Fact | None:
        """Return a fact, or None."""

    def concepts(self) -> Mapping[Concept, int]:
        """Count the facts of each concept, sorted by concept."""

    def contents(self) -> Mapping[Concept, str]:
        """Return the digest of each concept's facts (see `digest_facts`), sorted by concept."""

    def oldest(self, domain: str, label: str, count: int) -> tuple[str, ...]:
        """Return the ids of the `count` oldest facts of a concept by (captured_at_ns, id)."""

    def select(self, selector: Selector, limit: int = 0) -> tuple[str, ...]:
        """Return the ids of the selected facts, sorted; with a limit, of any so many of them."""

    def touched(self, selector: Selector) -> Mapping[Concept, int]:
        """Count the selected facts of each concept that has any."""

    def evicted_by(self, selector: Selector) -> Mapping[Concept, int]:
        """Count the facts that the selected ones have evicted, by concept."""

    def placed(self, domain: str, without: AbstractSet[str] = frozenset()) -> int:
        """Count the facts of a domain that the detector chose for them, without some."""

    def facts_among(self, ids: AbstractSet[str]) -> frozenset[str]:
        """Return those of these ids that are facts."""

    def batches(
        self,
        domain: str | None = None,
        without: AbstractSet[str] = frozenset(),
        label: str | None = None,
    ) -> Iterator[FactBatch]:
        """Yield all facts, or a domain's, or one concept's, at most `limits.BATCH_FACTS` at a time:
        all sorted by id, those of a domain by (label, captured_at_ns, id) and sorted by id within a
        batch."""

    def concept_features(
        self, concepts: Collection[Concept], without: AbstractSet[str] = frozenset()
    ) -> Iterator[tuple[Concept, NDArray[np.uint8]]]:
        """Yield the features uint8 [n, width] of all facts of some concepts, in any order, at most
        `limits.BATCH_FACTS` of one concept at a time."""

    def sample(
        self,
        size: int,
        domains: Collection[str] | None = None,
        without: AbstractSet[str] = frozenset(),
    ) -> FactBatch:
        """Return at most `size` facts of some domains, or of all: those whose ids hash lowest,
        sorted by id, as `sample_facts` does of their batches."""

    def times(self, domain: str, without: AbstractSet[str] = frozenset()) -> NDArray[np.int64]:
        """Return when the facts of a domain were captured, ascending."""

    def between(
        self, domain: str, spans: Sequence[Span], without: AbstractSet[str] = frozenset()
    ) -> Iterator[FactBatch]:
        """Yield the facts of a domain that were captured in any of these spans, which do not
        overlap, sorted by id, at most `limits.BATCH_FACTS` at a time."""

    def derived(
        self, name: str, key: str, *, domain: str = "", label: str = "", part: str = ""
    ) -> Mapping[str, NDArray[Any]] | None:
        """Return the arrays of a `Derived` kept before under an equal key, None if there is no
        intact one."""

    def was_forgotten(self, fact_id: str) -> bool:
        """Return whether a fact of this id was forgotten."""

    def resembles_forgotten(self, features: bytes) -> bool:
        """Return whether this content was forgotten, or nearly this one where the request wanted
        near duplicates refused."""

    def forgot_sample(self, stream: str, at_ns: int) -> bool:
        """Return whether samples of a series at this time were forgotten."""

    def geometry(self) -> Mapping[str, NDArray[np.generic]] | None:
        """Return the frozen geometry's arrays, or None before one was fitted."""

    def evictions(self) -> int:
        """Count the facts evicted from, or refused by, full concepts so far."""

    def adaptors(self) -> Mapping[str, tuple["AdaptorRecord", ...]]:
        """Return each domain's adaptor versions, newest first, two at most; the first serves."""

    def pending_adaptors(self) -> Mapping[str, "PendingAdaptor"]:
        """Return by domain what is left of adaptors that a forget ended, until others replace
        them."""

    def attempts(self) -> Mapping[str, str]:
        """Return, by domain, the hash of the facts on which growth last failed."""

    def candidates(self) -> Mapping[str, LabelCandidate]:
        """Return the label candidates by id, oldest first."""

    def candidate(self, observation_id: str) -> LabelCandidate | None:
        """Return a label candidate, or None."""

    def select_candidates(self, selector: Selector) -> tuple[str, ...]:
        """Return the ids of the label candidates that a selector matches, oldest first.  Candidates
        have no label, so a selector that names one matches none."""

    def receipt(self, request_id: str, selector: Selector, /) -> "Receipt | None":
        """Return the receipt of a completed forget request.  Its selector is the given one if the
        request was for that, and a different one otherwise."""

    def device_orders(self, request_id: str, ids: Iterable[str], /) -> "tuple[DeviceOrder, ...]":
        """Return the orders of a forget request to other devices that hold what facts with these
        ids have shaped, as far as known, and those given when facts of the request were erased."""

    def key_digest(self, request_id: str, digest: str, /) -> str:
        """Return a digest as the receipt of a request states it: under a key that never leaves the
        ledger's device, so that no guess at the facts can be tested with it.  A ledger in memory
        returns it unchanged."""

    def pending_forgets(self) -> tuple["PendingForget", ...]:
        """Return the forget requests that are not complete, oldest first."""

    def contributions(self) -> Mapping[str, "Contribution"]:
        """Return the last contribution of each other device, empty ones included."""

    def recalibrations(self, stream: str | None = None, /) -> Mapping[str, "Recalibration"]:
        """Return the recalibration of each stream that has one, at most `limits.STREAMS_MAX`, or of
        one stream."""

    def domain_merges(self) -> tuple["DomainMerge", ...]:
        """Return the recorded merges of domains, oldest first."""

    def actions(self) -> tuple["Action", ...]:
        """Return the recorded actions, newest first."""

    def kept_facts(self, selector: Selector, /) -> tuple[str, ...]:
        """Return the ids of facts in the records of actions that a selector matches as they were
        before, sorted."""

    def columns(self) -> tuple[str, ...]:
        """Return the names of the encoder's input columns, in order; empty if values are taken by
        position."""


def stack_facts(facts: Iterable[Fact]) -> FactBatch:
    """Stack facts, sorted by id.  All must have features of the same length."""
    rows = sorted(facts, key=lambda fact: fact.id)
    width = len(rows[0].features) if rows else 0
    joined = np.frombuffer(b"".join(fact.features for fact in rows), np.uint8)
    return FactBatch(
        ids=tuple(fact.id for fact in rows),
        domains=tuple(fact.domain for fact in rows),
        labels=tuple(fact.label for fact in rows),
        features=joined.reshape(len(rows), width),
        captured_at_ns=np.array([fact.captured_at_ns for fact in rows], np.int64),
        recordings=tuple(fact.recording for fact in rows),
        subjects=tuple(fact.subject for fact in rows),
    )


def join_batches(batches: Sequence[FactBatch]) -> FactBatch:
    """Join at least one batch that together are sorted by id."""
    return FactBatch(
        ids=tuple(chain.from_iterable(one.ids for one in batches)),
        domains=tuple(chain.from_iterable(one.domains for one in batches)),
        labels=tuple(chain.from_iterable(one.labels for one in batches)),
        features=np.concatenate([one.features for one in batches]),
        captured_at_ns=np.concatenate([one.captured_at_ns for one in batches]),
        recordings=tuple(chain.from_iterable(one.recordings for one in batches)),
        subjects=tuple(chain.from_iterable(one.subjects for one in batches)),
    )


def untimed_batch(
    ids: tuple[str, ...],
    domains: tuple[str, ...],
    labels: tuple[str, ...],
    features: NDArray[np.uint8],
) -> FactBatch:
    """Return facts of unknown time and recording as columns.  features: uint8 [n, width]."""
    return FactBatch(
        ids=ids,
        domains=domains,
        labels=labels,
        features=features,
        captured_at_ns=np.zeros(len(ids), np.int64),
        recordings=("",) * len(ids),
        subjects=("",) * len(ids),
    )


def select_rows(rows: FactBatch, at: NDArray[np.intp]) -> FactBatch:
    """Return the rows `at` of a batch."""
    chosen = at.tolist()
    return FactBatch(
        ids=tuple(rows.ids[row] for row in chosen),
        domains=tuple(rows.domains[row] for row in chosen),
        labels=tuple(rows.labels[row] for row in chosen),
        features=rows.features[at],
        captured_at_ns=rows.captured_at_ns[at],
        recordings=tuple(rows.recordings[row] for row in chosen),
        subjects=tuple(rows.subjects[row] for row in chosen),
    )


def digest_facts(facts: Iterable[Fact]) -> str:
    """Return the hex digest of a set of facts: the sum of their hashes modulo 2^256, which does not
    depend on order.

    AdHash (Bellare & Micciancio 1997, "A new paradigm for collision-free hashing").  Detects damage
    and mistakes; an attacker can craft facts that collide.
    """
    total = sum(int.from_bytes(fact.hash(), "little") for fact in facts)
    return f"{total % (1 << DIGEST_BITS):064x}"


class SampleScope(FrozenStruct, frozen=True):
    """Which facts, added or removed, change a sample.

    last: the highest rank in a full sample; None while any fact still fits.
    """

    last: Rank | None = None

    def changes(self, rank: Rank) -> bool:
        """Return whether a fact of this rank is, or would be, in the sample."""
        return self.last is None or rank <= self.last


def hash_rank(fact_id: str) -> Rank:
    """Return the rank that facts are chosen by, lowest first: a hash of the id, then the id."""
    return _hash_id(fact_id), fact_id


def _hash_id(fact_id: str) -> bytes:
    return hashlib.blake2b(fact_id.encode(), digest_size=8).digest()


def lowest_ranks(facts: Iterable[Fact]) -> dict[str, Rank]:
    """Return the lowest rank of the facts of each domain."""
    found: dict[str, Rank] = {}
    for fact in facts:
        rank = hash_rank(fact.id)
        found[fact.domain] = min(rank, found.get(fact.domain, rank))
    return found


def rank_number(fact_id: str) -> int:
    """Return the hash of `hash_rank` as an integer of the same order that fits 64 signed bits."""
    return int.from_bytes(hash_rank(fact_id)[0], "big") - (1 << 63)


def scope_of(chosen: FactBatch, size: int) -> SampleScope:
    """Return the scope of a sample of at most `size` facts."""
    return SampleScope(max(map(hash_rank, chosen.ids))) if len(chosen) == size else SampleScope()


def sample_facts(batches: Iterable[FactBatch], size: int) -> FactBatch:
    """Return at most `size` facts, those whose ids hash lowest, sorted by id.

    Bottom-k sampling (Cohen & Kaplan 2007).  Memory: `size` plus one batch of rows.
    """
    kept: list[tuple[Rank, str, str, str, str, int]] = []
    rows, times = np.empty((0, 0), np.uint8), np.zeros(size + limits.BATCH_FACTS, np.int64)
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
        times[free] = batch.captured_at_ns[chosen]
        kept += [
            (
                *(ranks[row], batch.domains[row], batch.labels[row]),
                *(batch.recordings[row], batch.subjects[row], place),
            )
            for row, place in zip(chosen, free, strict=True)
        ]
        kept = sorted(kept)[:size]
    kept.sort(key=lambda fact: fact[0][1])
    found, domains, labels, recordings, subjects, places = (
        zip(*kept, strict=True) if kept else ((),) * 6
    )
    return FactBatch(
        ids=tuple(name for _, name in found),
        domains=domains,
        labels=labels,
        features=rows[list(places)],
        captured_at_ns=times[list(places)],
        recordings=recordings,
        subjects=subjects,
    )
