"""A ledger in memory, for tests, simulation and the estimator; `Store` is the durable one."""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from .. import limits
from ..actions import Action
from ..adaptors import AdaptorRecord, PendingAdaptor, end_adaptors
from ..domain_merges import DomainMerge
from ..duplicates import ContentRows, Sketches, hash_content, rows_to_bury
from ..events import (
    Effect,
    EraseFacts,
    ReleaseActions,
    RemoveAdaptor,
    StoreAdaptor,
    StoreContribution,
    StoreDomainMerge,
    StoreFacts,
    StoreGeometry,
    StoreGrowthAttempt,
    StoreLabelCandidates,
    StoreRecalibration,
    Together,
)
from ..facts import (
    Concept,
    Derived,
    Fact,
    FactBatch,
    LabelCandidate,
    Selector,
    Span,
    digest_facts,
    sample_facts,
    stack_facts,
    untimed_batch,
)
from ..pending_forgets import CompleteForget, ExcludeFacts, PendingForget, RenameDomain
from ..provenance import evictors, settled
from ..recalibration import Recalibration
from ..receipt import DeviceOrder, Receipt, SeriesRange
from .contributions import Contribution

Geometry = Mapping[str, NDArray[Any]]


class MemoryLedger:
    """A ledger without durability.  Apply the runtime's effects to it, in order.

    exchangeable: capture times only say which facts are newest, and batches hold none.
    """

    def __init__(
        self,
        facts: Iterable[Fact] = (),
        columns: tuple[str, ...] = (),
        *,
        exchangeable: bool = False,
    ) -> None:
        self._columns, self._exchangeable = columns, exchangeable
        self._facts: dict[str, Fact] = {}
        self._counts: dict[Concept, int] = {}
        self._sorted = True
        self._contents: dict[Concept, str] = {}
        self._derived: dict[tuple[str, str, str, str], Derived] = {}
        for fact in facts:
            self._put(fact)
        self._tombstones: set[bytes] = set()
        self._buried = ContentRows()
        self._hashes: frozenset[bytes] = frozenset()
        self._sketches: Sketches | None = None
        self._gone_samples: tuple[SeriesRange, ...] = ()
        self._geometry: Geometry | None = None
        self._evictions = 0
        self._adaptors: dict[str, tuple[AdaptorRecord, ...]] = {}
        self._ended: dict[str, PendingAdaptor] = {}
        self._attempts: dict[str, str] = {}
        self._candidates: dict[str, LabelCandidate] = {}
        self._contributions: dict[str, Contribution] = {}
        self._recalibrations: dict[str, Recalibration] = {}
        self._merges: dict[str, DomainMerge] = {}
        self._actions: dict[str, Action] = {}
        self._aside: dict[str, list[AdaptorRecord]] = {}
        self._recording = ""
        self.receipts: list[Receipt] = []
        self._pending: dict[str, PendingForget] = {}
        self._evictors: Counter[str] = Counter()
        self._placed: set[str] = set()

    def with_features(self, features: Mapping[str, bytes]) -> "MemoryLedger":
        """Return a ledger of the same facts, forgotten ids and receipts with other features, by id.

        What depends on features is left out: geometry, adaptors, contributions, label candidates.
        """
        made = MemoryLedger(
            (replace(fact, features=features[fact.id]) for fact in self._facts.values()),
            self._columns,
            exchangeable=self._exchangeable,
        )
        made._tombstones = set(self._tombstones)
        made._evictions = self._evictions
        made.receipts = list(self.receipts)
        return made

    def apply(self, effect: Effect) -> None:
        """Apply an effect; those that change no ledger (Publish, StartGrowth, ...) are ignored."""
        match effect:
            case StoreFacts():
                self._store(effect)
            case EraseFacts() | ExcludeFacts() | CompleteForget() | RenameDomain():
                self._forget(effect)
            case StoreContribution(contribution):
                self._contributions[contribution.device] = contribution
            case StoreGeometry():
                self._replace_geometry(effect.geometry)
            case StoreAdaptor(record):
                self._store_adaptor(record)
            case RemoveAdaptor():
                self._remove_adaptor(effect)
            case StoreLabelCandidates():
                self._store_candidates(effect)
            case StoreRecalibration() | StoreDomainMerge() | StoreGrowthAttempt():
                self._store_record(effect)
            case Together() | ReleaseActions():
                self._change_actions(effect)

    def _change_actions(self, effect: Together | ReleaseActions) -> None:
        if isinstance(effect, Together):
            self._apply_together(effect)
            return
        streams = effect.streams
        kept = (
            one
            for one in self._actions.values()
            if one.verb != "confirm" or one.stream not in streams
        )
        self._keep_actions(kept, frozenset(effect.ids))

    def _apply_together(self, effect: Together) -> None:
        action = effect.action
        if action is not None:
            self._recording = action.id
            kept = replace(action, facts=tuple(row.stored() for row in action.facts))
            self._actions = {action.id: kept, **self._actions}
        for one in effect.effects:
            self.apply(one)
        self._recording = ""
        if effect.undoes:
            ended = self._actions[effect.undoes]
            self._actions[ended.id] = replace(
                ended, facts=(), undone=True, restored=len(ended.facts)
            )
            for record in self._aside.pop(ended.id, []):
                versions = (*self._adaptors.get(record.domain, ()), record)
                newest = sorted(versions, key=lambda one: one.version, reverse=True)
                self._adaptors[record.domain] = tuple(newest)

    def _keep_actions(self, actions: Iterable[Action], gone: AbstractSet[str]) -> None:
        """Keep some actions, without the records of some facts."""
        left = (
            replace(one, facts=tuple(row for row in one.facts if row.fact.id not in gone))
            for one in actions
        )
        self._actions = {one.id: one for one in left if not one.empty}

    def _remove_adaptor(self, effect: RemoveAdaptor) -> None:
        place = (effect.domain, effect.version)
        if self._recording:
            rows = self._adaptors.get(effect.domain, ())
            gone = [one for one in rows if one.version == effect.version]
            self._aside.setdefault(self._recording, []).extend(gone)
        self._keep_adaptors(lambda record: (record.domain, record.version) != place)
        pending = self._ended.get(effect.domain)
        if pending is not None and pending.version == effect.version:
            del self._ended[effect.domain]

    def _store_adaptor(self, record: AdaptorRecord) -> None:
        """Store a version; it drops the versions kept aside in its domain."""
        for action_id, rows in self._aside.items():
            self._aside[action_id] = [one for one in rows if one.domain != record.domain]
        self._ended.pop(record.domain, None)
        kept = (record, *self._adaptors.get(record.domain, ()))
        self._adaptors[record.domain] = kept[: limits.VERSIONS_MAX]
        if self._recording:
            self._aside.setdefault(self._recording, []).extend(kept[limits.VERSIONS_MAX :])

    def _replace_geometry(self, geometry: Geometry) -> None:
        if not _equal(self._geometry, geometry):
            self._derived.clear()
        self._geometry = geometry

    def _store(self, effect: StoreFacts) -> None:
        for fact_id in effect.evicted:
            self._take(fact_id)
            self._candidates.pop(fact_id, None)
        for fact_id in effect.withdrawn:
            self._take(fact_id)
        coming = {fact.id for fact in effect.facts}
        self._drop_notes({*effect.withdrawn, *effect.evicted} - coming)
        self._placed.difference_update(settled(effect))
        self._placed.update(effect.placed)
        self._evictors.update(evictors(effect))
        self._evictions += len(effect.evicted) - effect.readmitted
        for fact in effect.facts:
            self._put(fact)
            self._candidates.pop(fact.id, None)
        self._keep_merges(self._merges, frozenset((*effect.evicted, *effect.withdrawn)))

    def _put(self, fact: Fact) -> None:
        self._take(fact.id)
        self._facts[fact.id] = fact
        self._count((fact.domain, fact.label), 1)

    def _take(self, fact_id: str) -> None:
        """Take a fact out, and whatever may hold traces of it."""
        fact = self._facts.pop(fact_id, None)
        if fact is not None:
            concept = (fact.domain, fact.label)
            self._count(concept, -1)
            kept = (one for one in self._derived.values() if not one.holds(concept))
            self._derived = {one.place: one for one in kept}

    def _count(self, concept: Concept, change: int) -> None:
        self._contents.pop(concept, None)
        self._sorted &= concept in self._counts
        self._counts[concept] = self._counts.get(concept, 0) + change
        if not self._counts[concept]:
            del self._counts[concept]

    def _keep_merges(self, merges: Mapping[str, DomainMerge], gone: frozenset[str]) -> None:
        left = [one.without(gone) for one in merges.values()]
        newest = [one for one in left if one.fact_ids][-limits.DOMAIN_MERGES_MAX :]
        self._merges = {one.id: one for one in newest}

    def _store_candidates(self, effect: StoreLabelCandidates) -> None:
        self._candidates |= {one.observation_id: one for one in effect.candidates}
        for oldest in list(self._candidates)[: -limits.CANDIDATES_MAX]:
            del self._candidates[oldest]

    def _store_record(
        self, effect: StoreRecalibration | StoreDomainMerge | StoreGrowthAttempt
    ) -> None:
        if isinstance(effect, StoreGrowthAttempt):
            self._attempts[effect.domain] = effect.hash
            return
        if isinstance(effect, StoreDomainMerge):
            self._merges.pop(effect.merge.id, None)
            self._keep_merges({**self._merges, effect.merge.id: effect.merge}, frozenset())
            return
        self._recalibrations.pop(effect.stream, None)
        if effect.record is not None:
            self._recalibrations[effect.stream] = effect.record
        for oldest in list(self._recalibrations)[: -limits.STREAMS_MAX]:
            del self._recalibrations[oldest]

    def _forget(self, effect: EraseFacts | ExcludeFacts | CompleteForget | RenameDomain) -> None:
        if isinstance(effect, RenameDomain):
            self._rename(effect)
            return
        if not isinstance(effect, CompleteForget):
            self._bury_contents(effect)
            self._erase(effect.ids)
        if isinstance(effect, ExcludeFacts):
            if effect.request is not None:
                self._pending[effect.request.receipt.request_id] = effect.request
            return
        self._pending.pop(effect.receipt.request_id, None)
        self.receipts.append(effect.receipt)

    def _erase(self, ids: Sequence[str]) -> None:
        gone = frozenset(ids)
        self._drop_notes(gone)
        for fact_id in ids:
            self._take(fact_id)
            self._candidates.pop(fact_id, None)
            self._tombstones.add(_tombstone(fact_id))
        self._ended = end_adaptors(self._adaptors, self._ended, gone)
        self._keep_adaptors(lambda record: gone.isdisjoint(record.facts))
        for action_id, rows in self._aside.items():
            self._aside[action_id] = [one for one in rows if gone.isdisjoint(one.facts)]
        self._attempts.clear()
        self._keep_merges(self._merges, gone)
        self._keep_actions(self._actions.values(), gone)

    def _bury_contents(self, effect: EraseFacts | ExcludeFacts) -> None:
        ranges = (*self._gone_samples, *effect.ranges)
        self._gone_samples = ranges[-limits.SERIES_RANGES_MAX :]
        kept = self._buried.newest(rows_to_bury(effect, self, b""))
        if kept.sketches and kept.sketches != self._buried.sketches:
            self._sketches = Sketches(b"", kept.sketches)
        self._buried, self._hashes = kept, frozenset(kept.hashes)

    def _keep_adaptors(self, wanted: Callable[[AdaptorRecord], bool]) -> None:
        left = {name: tuple(filter(wanted, rows)) for name, rows in self._adaptors.items()}
        self._adaptors = {name: rows for name, rows in left.items() if rows}

    def get(self, fact_id: str) -> Fact | None:
        """See `facts.Ledger`."""
        return self._facts.get(fact_id)

    def concepts(self) -> Mapping[Concept, int]:
        """See `facts.Ledger`."""
        if not self._sorted:
            self._counts, self._sorted = dict(sorted(self._counts.items())), True
        return MappingProxyType(self._counts)

    def contents(self) -> Mapping[Concept, str]:
        """See `facts.Ledger`.  Cost: one pass over the facts if any have changed."""
        if self._contents.keys() != self._counts.keys():
            groups: dict[Concept, list[Fact]] = {concept: [] for concept in self.concepts()}
            for fact in self._facts.values():
                groups[fact.domain, fact.label].append(fact)
            made = {
                concept: self._contents.get(concept) or digest_facts(rows)
                for concept, rows in groups.items()
            }
            self._contents = made
        return MappingProxyType(self._contents)

    def oldest(self, domain: str, label: str, count: int) -> tuple[str, ...]:
        """See `facts.Ledger`."""
        ages = sorted(
            (fact.captured_at_ns, fact.id)
            for fact in self._facts.values()
            if (fact.domain, fact.label) == (domain, label)
        )
        return tuple(fact_id for _, fact_id in ages[:count])

    def select(self, selector: Selector, limit: int = 0) -> tuple[str, ...]:
        """See `facts.Ledger`."""
        found = sorted(fact.id for fact in self._facts.values() if selector.matches(fact))
        return tuple(found[: limit or None])

    def touched(self, selector: Selector) -> Mapping[Concept, int]:
        """See `facts.Ledger`."""
        found = (fact for fact in self._facts.values() if selector.matches(fact))
        return dict(sorted(Counter((fact.domain, fact.label) for fact in found).items()))

    def evicted_by(self, selector: Selector) -> Mapping[Concept, int]:
        """See `facts.Ledger`."""
        made: Counter[Concept] = Counter()
        for fact_id in self.select(selector):
            fact = self._facts[fact_id]
            made[fact.domain, fact.label] += self._evictors[fact_id]
        return {concept: count for concept, count in sorted(made.items()) if count}

    def placed(self, domain: str, without: AbstractSet[str] = frozenset()) -> int:
        """See `facts.Ledger`."""
        return sum(self._facts[key].domain == domain for key in self._placed - without)

    def _drop_notes(self, ids: AbstractSet[str]) -> None:
        self._placed -= ids
        for fact_id in ids:
            self._evictors.pop(fact_id, None)

    def _rename(self, effect: RenameDomain) -> None:
        self._attempts.pop(effect.old, None)
        self._candidates = {
            key: replace(one, domain=effect.new) if one.domain == effect.old else one
            for key, one in self._candidates.items()
        }

    def facts_among(self, ids: AbstractSet[str]) -> frozenset[str]:
        """See `facts.Ledger`."""
        return frozenset(ids & self._facts.keys())

    def pending_forgets(self) -> tuple[PendingForget, ...]:
        """See `facts.Ledger`."""
        return tuple(self._pending.values())

    def batches(
        self,
        domain: str | None = None,
        without: AbstractSet[str] = frozenset(),
        label: str | None = None,
    ) -> Iterator[FactBatch]:
        """See `facts.Ledger`."""
        rows = [
            fact
            for fact in self._facts.values()
            if domain in (None, fact.domain)
            and label in (None, fact.label)
            and fact.id not in without
        ]
        if domain is None:
            rows.sort(key=lambda fact: fact.id)
        else:
            rows.sort(key=lambda fact: (fact.label, fact.captured_at_ns, fact.id))
        return self._paged(rows)

    def concept_features(
        self, concepts: Collection[Concept], without: AbstractSet[str] = frozenset()
    ) -> Iterator[tuple[Concept, NDArray[np.uint8]]]:
        """See `facts.Ledger`."""
        for domain, label in concepts:
            for batch in self.batches(domain, without, label):
                yield (domain, label), batch.features

    def _paged(self, rows: Sequence[Fact]) -> Iterator[FactBatch]:
        for at in range(0, len(rows), limits.BATCH_FACTS):
            batch = stack_facts(rows[at : at + limits.BATCH_FACTS])
            if self._exchangeable:
                batch = untimed_batch(batch.ids, batch.domains, batch.labels, batch.features)
            yield batch

    def sample(
        self,
        size: int,
        domains: Collection[str] | None = None,
        without: AbstractSet[str] = frozenset(),
    ) -> FactBatch:
        """See `facts.Ledger`.  Cost: one pass over the facts."""
        rows = [
            fact
            for fact in self._facts.values()
            if (domains is None or fact.domain in domains) and fact.id not in without
        ]
        return sample_facts(self._paged(rows), size)

    def times(self, domain: str, without: AbstractSet[str] = frozenset()) -> NDArray[np.int64]:
        """See `facts.Ledger`."""
        found = [
            0 if self._exchangeable else fact.captured_at_ns
            for fact in self._facts.values()
            if fact.domain == domain and fact.id not in without
        ]
        return np.sort(np.array(found, np.int64))

    def between(
        self, domain: str, spans: Sequence[Span], without: AbstractSet[str] = frozenset()
    ) -> Iterator[FactBatch]:
        """See `facts.Ledger`."""
        rows = [
            fact
            for fact in self._facts.values()
            if fact.domain == domain
            and fact.id not in without
            and any(first <= fact.captured_at_ns <= last for first, last in spans)
        ]
        return self._paged(sorted(rows, key=lambda fact: fact.id))

    def derived(
        self, name: str, key: str, *, domain: str = "", label: str = "", part: str = ""
    ) -> Mapping[str, NDArray[Any]] | None:
        """See `facts.Ledger`."""
        found = self._derived.get((name, domain, label, part))
        return found.arrays if found is not None and found.key == key else None

    def save_derived(self, entries: Iterable[Derived]) -> None:
        """Keep what was derived, in place of earlier entries."""
        self._derived |= {one.place: one for one in entries}

    def was_forgotten(self, fact_id: str) -> bool:
        """See `facts.Ledger`."""
        return _tombstone(fact_id) in self._tombstones

    def resembles_forgotten(self, features: bytes) -> bool:
        """See `facts.Ledger`."""
        if hash_content(b"", features) in self._hashes:
            return True
        return self._sketches is not None and self._sketches.resemble(features)

    def forgot_sample(self, stream: str, at_ns: int) -> bool:
        """See `facts.Ledger`."""
        return any(
            one.stream == stream and one.from_ns <= at_ns < one.until_ns
            for one in self._gone_samples
        )

    def geometry(self) -> Geometry | None:
        """See `facts.Ledger`."""
        return self._geometry

    def evictions(self) -> int:
        """See `facts.Ledger`."""
        return self._evictions

    def adaptors(self) -> Mapping[str, tuple[AdaptorRecord, ...]]:
        """See `facts.Ledger`."""
        return self._adaptors

    def pending_adaptors(self) -> Mapping[str, PendingAdaptor]:
        """See `facts.Ledger`."""
        return self._ended

    def attempts(self) -> Mapping[str, str]:
        """See `facts.Ledger`."""
        return self._attempts

    def candidates(self) -> Mapping[str, LabelCandidate]:
        """See `facts.Ledger`."""
        return self._candidates

    def candidate(self, observation_id: str) -> LabelCandidate | None:
        """See `facts.Ledger`."""
        return self._candidates.get(observation_id)

    def select_candidates(self, selector: Selector) -> tuple[str, ...]:
        """See `facts.Ledger`."""
        return tuple(key for key, one in self._candidates.items() if selector.selects(key, one))

    def actions(self) -> tuple[Action, ...]:
        """See `facts.Ledger`."""
        return tuple(
            replace(one, adaptors=tuple((r.domain, r.version) for r in self._aside.get(one.id, ())))
            for one in self._actions.values()
        )

    def kept_facts(self, selector: Selector) -> tuple[str, ...]:
        """See `facts.Ledger`."""
        rows = (row for one in self._actions.values() for row in one.facts)
        return tuple(sorted({row.fact.id for row in rows if row.matches(selector)}))

    def key_digest(self, _request_id: str, digest: str) -> str:
        """See `facts.Ledger`; unchanged, since it is in no file."""
        return digest

    def receipt(self, request_id: str, _selector: Selector) -> Receipt | None:
        """See `facts.Ledger`.  Selectors are stored as given."""
        found = (one for one in reversed(self.receipts) if one.request_id == request_id)
        return next(found, None)

    def device_orders(self, _request_id: str, _ids: Iterable[str]) -> tuple[DeviceOrder, ...]:
        """See `facts.Ledger`.  A ledger in memory has sent nothing."""
        return ()

    def contributions(self) -> Mapping[str, Contribution]:
        """See `facts.Ledger`."""
        return self._contributions

    def recalibrations(self, stream: str | None = None, /) -> Mapping[str, Recalibration]:
        """See `facts.Ledger`."""
        if stream is None:
            return self._recalibrations
        found = self._recalibrations.get(stream)
        return {} if found is None else {stream: found}

    def domain_merges(self) -> tuple[DomainMerge, ...]:
        """See `facts.Ledger`."""
        return tuple(self._merges.values())

    def columns(self) -> tuple[str, ...]:
        """See `facts.Ledger`."""
        return self._columns

    def digest(self) -> str:
        """Return the hex digest of the facts alone, independent of their order."""
        return digest_facts(self._facts.values())

    def facts(self) -> tuple[Fact, ...]:
        """Return all facts, sorted by id."""
        return tuple(self._facts[fact_id] for fact_id in sorted(self._facts))


def _equal(one: Geometry | None, other: Geometry) -> bool:
    return (
        one is not None
        and one.keys() == other.keys()
        and all(np.array_equal(array, other[name]) for name, array in one.items())
    )


def _tombstone(fact_id: str) -> bytes:
    return hashlib.sha256(fact_id.encode()).digest()
