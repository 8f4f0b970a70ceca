"""Knowledge: everything derived from a ledger under a frozen geometry, and nothing else.

`derive_knowledge(ledger, geometry)` builds it; `add` and `remove` keep it up to date, exactly.
Contributions of other devices are in the ledger too; their sums are added to those of the own
facts.  Thresholds, heads and the router are computed on first use after a change, always from the
ledger's facts, so the order in which facts arrived leaves no trace.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

import encoder
import hdc

from .. import limits
from ..adaptors import Adaptor, AdaptorRecord, Spans, fit_adaptor
from ..errors import EdgeError
from ..facts import (
    Fact,
    FactBatch,
    Ledger,
    Rank,
    SampleScope,
    hash_rank,
    sample_facts,
    scope_of,
    stack_facts,
)
from ..recalibration import CalibrationStatus
from ..router import Router, allot_facts, fit_router
from .contributions import (
    Contribution,
    ContributionSums,
    count_facts,
    merge_thresholds,
    pack_sums,
    read_contribution,
)
from .moments import GRAM_COLUMNS_MAX, Moments, NearestConceptAnswer, PooledAnswers
from .time_sample import orders_in_time, sample_in_time, status_of

Concept = tuple[str, str]

CODED_ROWS: Final = 32
"""Facts projected at a time: projecting one takes about 100 KiB of working memory, and small
devices hold many facts."""


Scopes = tuple[SampleScope, SampleScope]


@dataclass(frozen=True, slots=True, eq=False)
class HeadFit:
    """Everything that determines a domain's adaptor.

    own, others: facts of the domain and of the others.  record: from growth, if any.  spans: of the
    encoder's taps.
    """

    domain: str
    own: FactBatch = field(repr=False)
    others: FactBatch = field(repr=False)
    record: AdaptorRecord | None
    spans: Spans

    def solve(self) -> Adaptor:
        """Solve the adaptor; in any thread.  Cost: see `adaptors.solve_head` and `solve_kernel`."""
        return fit_adaptor(self.own, self.others, self.record, self.spans)

    def is_based_on(self, record: AdaptorRecord | None) -> bool:
        """Return whether this fit is on top of the given record, or of none if None."""
        if self.record is None or record is None:
            return self.record is record
        return self.record.digest == record.digest

    @property
    def scopes(self) -> Scopes:
        """Which facts of the domain, and of the others, change the result."""
        own = scope_of(self.own, limits.HEAD_FACTS_MAX)
        return own, scope_of(self.others, limits.SUPPORT_FACTS_MAX)


class SolvedHeads:
    """Cache of adaptors by domain; a fact that changes an adaptor's inputs drops it."""

    def __init__(self) -> None:
        self._solved: dict[str, tuple[Adaptor, Scopes]] = {}
        self._used: dict[str, None] = {}
        self._expected: tuple[HeadFit, Scopes] | None = None

    def get(self, domain: str) -> Adaptor | None:
        """Return a domain's adaptor if it is solved, and record its use."""
        found = self._solved.get(domain)
        if found is None:
            return None
        self._used.pop(domain, None)
        self._used[domain] = None
        return found[0]

    def store(self, domain: str, adaptor: Adaptor, scopes: Scopes) -> None:
        """Store an adaptor that was solved for use."""
        self._solved[domain] = adaptor, scopes
        self._used[domain] = None

    def missing(self) -> Iterator[str]:
        """Yield the domains whose adaptors were used and must be solved again, the most recently
        used first."""
        return (domain for domain in reversed(self._used) if domain not in self._solved)

    def expect(self, fit: HeadFit) -> HeadFit:
        """Track changes of facts while a fit is solved in the background; replaces the fit expected
        before."""
        self._expected = fit, fit.scopes
        return fit

    def accept(self, fit: HeadFit, adaptor: Adaptor | None) -> None:
        """Store an adaptor solved in the background, if it was expected, its facts have not
        changed, and none is stored.  The domain is solved in the background again only after its
        next use."""
        expected, self._expected = self._expected, None
        if fit.domain in self._solved:
            return
        self._used.pop(fit.domain, None)
        if adaptor is not None and expected is not None and expected[0] is fit:
            self._solved[fit.domain] = adaptor, expected[1]

    def change(self, domain: str, rank: Rank) -> None:
        """Drop the adaptors that a fact of this domain and rank, added or removed, changes."""
        for name, (_, scopes) in tuple(self._solved.items()):
            if scopes[name != domain].changes(rank):
                del self._solved[name]
        if self._expected is not None:
            fit, scopes = self._expected
            if scopes[fit.domain != domain].changes(rank):
                self._expected = None

    def drop(self, domain: str) -> None:
        """Drop a domain's adaptor."""
        self._solved.pop(domain, None)

    def clear(self) -> None:
        """Drop all adaptors, and the fit expected."""
        self._solved.clear()
        self._expected = None


class Knowledge:
    """Integer sums per concept, with the thresholds and heads that follow from the ledger.

    ledger: read only.  geometry: frozen.  leaving: ids of facts that are about to be erased from
    the ledger and do not count.  All others must be added, see `derive_knowledge`.
    own: sums of the own facts.  memory: the same plus other devices' contributions.
    """

    def __init__(
        self, ledger: Ledger, geometry: hdc.Geometry, leaving: AbstractSet[str] = frozenset()
    ) -> None:
        self.geometry = geometry
        self.own = hdc.Memory(geometry)
        self.memory = self.own
        self._ledger = ledger
        self._leaving = leaving
        self._contributed: dict[str, tuple[Contribution, hdc.Calibration]] = {}
        self._domains: tuple[str, ...] | None = None
        self._learned: tuple[str, ...] | None = None
        self._calibration: hdc.Calibration | None = None
        self._calibrated: dict[str, hdc.Calibration] = {}
        self._heads = SolvedHeads()
        self._router: tuple[Router, Mapping[str, int], Mapping[str, SampleScope]] | None = None
        self._router_checked = False
        self._moments: Moments | None = None
        self._pooled: PooledAnswers | None = None

    def add(self, facts: Iterable[Fact]) -> None:
        """Add facts to the sums.  Cost: one projection and one addition per fact."""
        given = tuple(facts)
        self._leaving = self._leaving - {fact.id for fact in given}
        for (domain, label), rows in _by_concept(given):
            self._change(domain, label, rows, 1)
        self._invalidate(given)

    def remove(self, facts: Iterable[Fact]) -> None:
        """Subtract facts from the sums, exactly.  While the ledger still holds them, nothing
        derived takes them into account."""
        given = tuple(facts)
        self._leaving = frozenset(fact.id for fact in given)
        for (domain, label), rows in _by_concept(given):
            self._change(domain, label, rows, -1)
        self._invalidate(given)

    def ledger_applied(self) -> None:
        """Note that the ledger now holds the added facts and no longer the removed ones."""
        self._leaving = frozenset()

    def set_contributions(self, contributions: Mapping[str, Contribution], card: str) -> None:
        """Replace the contributions, by device, whose sums are added to those of the own facts.

        Those of another card, geometry or columns, and invalid ones, are left out.  Cost: one pass
        over their arrays.
        """
        self.memory, self._contributed = self.own, {}
        for device, one in sorted(contributions.items()):
            fits = one.fits(card, self.geometry, self._ledger.columns())
            sums = read_contribution(one, self.geometry) if fits else ""
            if one.samples and isinstance(sums, ContributionSums):
                self.memory = self.own.copy() if self.memory is self.own else self.memory
                self.memory.merge(sums.memory)
                self._contributed[device] = one, sums.calibration
        self._invalidate()

    @property
    def contributing(self) -> tuple[str, ...]:
        """The devices whose sums are included, sorted."""
        return tuple(self._contributed)

    def contribute(self, device: str, card: str, revision: int) -> Contribution:
        """Return the contribution of the own facts.  Cost: about that of a calibration, and one
        pass over the facts."""
        empty = Contribution(
            device=device,
            card=card,
            geometry=self.geometry.fingerprint,
            geometry_version=self.geometry.version,
            seed=self.geometry.seed,
            revision=revision,
            columns=self._ledger.columns(),
        )
        if not self.own.keys:
            return empty
        facts = (self._calibration_facts(domain) for domain in self.learned)
        coded = (rows for batch in facts for rows in self._coded(batch))
        calibration = hdc.calibrate(self.own, coded, exemplars=False)
        arrays = pack_sums(self.own, calibration, self._own_moments())
        return replace(empty, samples=sum(self.own.counts.values()), arrays=arrays)

    def calibration(self) -> hdc.Calibration:
        """Return the calibration: held-out scores of the own facts, which set the thresholds.

        Cost: `limits.CALIBRATION_FACTS_MAX` projections and scores per domain that has changed.
        """
        if self._calibration is None:
            for domain in self.learned:
                if domain not in self._calibrated:
                    rows = self._calibration_facts(domain)
                    self._calibrated[domain] = hdc.calibrate(
                        self.memory, self._coded(rows), orders=orders_in_time(rows)
                    )
            parts = [self._calibrated[domain] for domain in self.learned]
            made = hdc.merge_calibrations(parts) if parts else hdc.calibrate(self.memory, ())
            if self._contributed:
                made = merge_thresholds(
                    made, (one for _, one in self._contributed.values()), self.geometry
                )
            self._calibration = made
        return self._calibration

    def calibration_status(self, rate: float) -> tuple[CalibrationStatus, ...]:
        """Return how each learned domain was calibrated.  rate: of false alarms, as chosen."""
        made = self.calibration()
        return tuple(status_of(domain, made, rate) for domain in self.learned)

    def adaptor(self, domain: str) -> Adaptor:
        """Return the adaptor that answers for a domain, solved now if facts have changed.

        The own facts answer if they are the majority in the domain and include every label of it;
        otherwise the sums of all devices do.  Raises KeyError for a domain without facts anywhere.
        """
        cached = self._heads.get(domain)
        if cached is not None:
            return cached
        if self._uses_sums(domain):
            made, scopes = self._solve_from_sums(domain), (SampleScope(), SampleScope())
        else:
            fit = self._head_fit(domain, self._serving(domain))
            made, scopes = fit.solve(), fit.scopes
        self._heads.store(domain, made, scopes)
        return made

    def next_stale_head(self) -> HeadFit | None:
        """Return a head that was in use and must be solved again, to solve in the background before
        it is needed; None if all are current.  Pass the result to `accept_head`."""
        for domain in self._heads.missing():
            if domain in self.learned and not self._uses_sums(domain):
                return self._heads.expect(self._head_fit(domain, self._serving(domain)))
        return None

    def head_for(self, record: AdaptorRecord) -> HeadFit | None:
        """Return the head that a domain would have on top of a record that does not serve yet; None
        if own facts would not answer.  Pass the result to `accept_head` once the record serves."""
        domain = record.domain
        if domain not in self.learned or self._uses_sums(domain):
            return None
        return self._heads.expect(self._head_fit(domain, record))

    def accept_head(self, fit: HeadFit, adaptor: Adaptor | None) -> None:
        """Accept an adaptor solved in the background, None if that failed: it answers if it equals
        an adaptor solved here now."""
        current = fit.is_based_on(self._serving(fit.domain))
        self._heads.accept(fit, adaptor if current else None)

    def _serving(self, domain: str) -> AdaptorRecord | None:
        versions = self._ledger.adaptors().get(domain, ())
        return versions[0] if versions else None

    def _head_fit(self, domain: str, record: AdaptorRecord | None) -> HeadFit:
        own, others = self.training_facts(domain)
        return HeadFit(domain, own, others, record, self.geometry.slices)

    def find_invalid_adaptor(self, record: AdaptorRecord) -> str:
        """Return why an adaptor from elsewhere cannot serve a domain with facts; empty if it can.

        Cost: that of solving its head.
        """
        own, others = self.training_facts(record.domain)
        try:
            answers = fit_adaptor(own, others, record, self.geometry.slices).answer(own.features)
        except (EdgeError, ValueError, TypeError, LookupError) as error:
            return f"the adaptor of {record.domain}: {error}"
        fine = bool(np.isfinite(answers).all())
        return (
            ""
            if fine
            else f"the adaptor of {record.domain} answers with values that are not finite"
        )

    def router(self) -> Router:
        """Return the router over the domains with facts, fitted now if facts have changed.

        Raises KeyError without facts.
        """
        if self._router is None or not self._router_checked:
            shares = self._shares()
            if self._router is None or self._router[1] != shares:
                scopes: dict[str, SampleScope] = {}
                batches = self._samples(shares, scopes)
                self._router = fit_router(batches, self.geometry.slices), shares, scopes
            self._router_checked = True
        return self._router[0]

    def _shares(self) -> dict[str, int]:
        """Return how many facts of each domain the router is fitted to."""
        counts: dict[str, int] = {}
        for (name, _), count in self.own.counts.items():
            counts[name] = counts.get(name, 0) + count
        if not counts:
            raise KeyError("a router needs facts")
        return allot_facts(counts)

    def _samples(
        self, shares: Mapping[str, int], scopes: dict[str, SampleScope]
    ) -> Iterator[FactBatch]:
        """Yield a sample of each domain, and write its scope into `scopes`."""
        for name, share in shares.items():
            batch = sample_facts(self._batches(name), share)
            scopes[name] = scope_of(batch, share)
            yield batch

    def route(self, features: NDArray[np.uint8]) -> str:
        """Return the domain of features uint8 [width], from this sample alone."""
        if self._contributed:
            codes = self.geometry.project(features[None])
            nearest = hdc.detect(codes, self.memory, self.calibration()).domain
            if self.is_foreign(nearest):
                return nearest
        router = self.router()
        return router.domains[int(np.argmax(router.scores(features)))]

    def answer(self, domain: str, features: NDArray[np.uint8]) -> str:
        """Return the likeliest label of features uint8 [width] in a domain."""
        adaptor = self.adaptor(domain)
        return adaptor.labels[int(np.argmax(adaptor.answer(features)))]

    def training_facts(self, domain: str) -> tuple[FactBatch, FactBatch]:
        """Return a sample of a domain's facts, and one of all other domains' facts.

        Raises KeyError for a domain without facts.
        """
        own = sample_facts(self._batches(domain), limits.HEAD_FACTS_MAX)
        if not len(own):
            raise KeyError(domain)
        others = (b for name in self.learned if name != domain for b in self._batches(name))
        return own, sample_facts(others, limits.SUPPORT_FACTS_MAX)

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains that this device or another has facts of, sorted."""
        if self._domains is None:
            self._domains = tuple(sorted({domain for domain, _ in self.memory.keys}))
        return self._domains

    @property
    def learned(self) -> tuple[str, ...]:
        """The domains with facts in the own ledger, sorted."""
        if self._learned is None:
            self._learned = tuple(sorted({domain for domain, _ in self.own.keys}))
        return self._learned

    def is_foreign(self, domain: str) -> bool:
        """Return whether a domain is known only by other devices' sums."""
        return bool(self._contributed) and domain not in self.learned

    def digest(self, card: str) -> str:
        """Return the hex digest of card fingerprint, geometry (with its seed), sums, thresholds and
        other devices' contributions."""
        parts = (card, self.geometry.fingerprint, self.memory.digest())
        thresholds = self.calibration().digest() if self.memory.keys else ""
        contributed = tuple(
            f"{device} {one.content}" for device, (one, _) in self._contributed.items()
        )
        return hashlib.sha256("\n".join((*parts, thresholds, *contributed)).encode()).hexdigest()

    def refit(self, domain: str) -> None:
        """Drop a domain's solved adaptor: another version serves from now on."""
        self._heads.drop(domain)

    def _change(self, domain: str, label: str, rows: FactBatch, sign: int) -> None:
        codes = self.geometry.project(rows.features)
        for memory in {id(one): one for one in (self.own, self.memory)}.values():
            (memory.add if sign > 0 else memory.remove)(domain, label, codes)
        if self._moments is not None:
            self._moments.change((domain, label), rows.features, sign)

    def _uses_sums(self, domain: str) -> bool:
        """Return whether the sums of all devices answer for a domain; see `adaptor`."""
        if not self._contributed:
            return False
        own = {key: count for key, count in self.own.counts.items() if key[0] == domain}
        every = {key: count for key, count in self.memory.counts.items() if key[0] == domain}
        return bool(every) and (
            own.keys() < every.keys() or 2 * sum(own.values()) < sum(every.values())
        )

    def _solve_from_sums(self, domain: str) -> Adaptor:
        if self.geometry.slices[0][1] > GRAM_COLUMNS_MAX:
            labels = tuple(label for name, label in self.memory.keys if name == domain)
            return NearestConceptAnswer(labels, domain, self.memory)
        if self._pooled is None:
            moments = self._own_moments().copy()
            for contribution, _ in self._contributed.values():
                moments.merge(count_facts(contribution.arrays), contribution.arrays)
            self._pooled = PooledAnswers(moments)
        return self._pooled.discriminant(domain)

    def _own_moments(self) -> Moments:
        """Return the moments of the own facts, computed on first use and updated from then on."""
        if self._moments is None:
            self._moments = Moments(self.geometry.slices[0][1])
            for batch in self._batches():
                for domain, label, rows in _concepts(batch):
                    self._moments.change((domain, label), rows, 1)
        return self._moments

    def _invalidate(self, facts: Iterable[Fact] | None = None) -> None:
        """Drop cached results that changed facts may affect: all if `facts` is None, otherwise
        those computed from a sample that these facts are in or would be in."""
        self._calibration = self._pooled = None
        self._domains = self._learned = None
        if facts is None or self._contributed:
            self._calibrated.clear()
            self._heads.clear()
            self._router = None
            return
        self._router_checked = False
        for fact in facts:
            self._calibrated.pop(fact.domain, None)
            place = hash_rank(fact.id)
            self._heads.change(fact.domain, place)
            if self._router and self._router[2].get(fact.domain, SampleScope()).changes(place):
                self._router = None

    def _batches(self, domain: str | None = None) -> Iterable[FactBatch]:
        """Return the ledger's facts, of one domain or of all, without those about to be erased."""
        return self._ledger.batches(domain, self._leaving)

    def _calibration_facts(self, domain: str) -> FactBatch:
        """Return a sample of a domain's facts, in whole runs where their times are known."""
        count = sum(n for (name, _), n in self.own.counts.items() if name == domain)
        return sample_in_time(lambda: self._batches(domain), count, limits.CALIBRATION_FACTS_MAX)

    def _coded(self, rows: FactBatch) -> Iterator[tuple[str, str, hdc.Codes]]:
        """Yield facts of one domain as (domain, label, codes)."""
        for label, index in _groups(rows.labels):
            for at in range(0, len(index), CODED_ROWS):
                part = rows.features[index[at : at + CODED_ROWS]]
                yield rows.domains[index[0]], label, self.geometry.project(part)


def derive_knowledge(
    ledger: Ledger,
    geometry: hdc.Geometry,
    without: AbstractSet[str] = frozenset(),
    card: str = "",
) -> Knowledge:
    """Return the knowledge of a ledger without the ids `without`.  Cost: one projection per fact.

    card: fingerprint of the encoder card that contributions must match; empty: none are included.
    """
    knowledge = Knowledge(ledger, geometry, without)
    for batch in ledger.batches(None, without):
        for domain, label, rows in _concepts(batch):
            knowledge.own.add(domain, label, geometry.project(rows))
    if card:
        knowledge.set_contributions(ledger.contributions(), card)
    return knowledge


def fit_geometry(
    ledger: Ledger,
    spans: tuple[tuple[int, int], ...],
    seed: int,
    without: AbstractSet[str] = frozenset(),
    quantiser: encoder.Quantiser | None = None,
) -> hdc.Geometry:
    """Fit a geometry to a sample of the ledger's facts.  A class is a (domain, label) pair.

    quantiser: of the features; gives the level of zero and the size of a level.
    """
    rows = sample_facts(ledger.batches(None, without), limits.GEOMETRY_FACTS_MAX)
    names = sorted(set(zip(rows.domains, rows.labels, strict=True)))
    at = {name: index for index, name in enumerate(names)}
    pairs = zip(rows.domains, rows.labels, strict=True)
    labels = np.array([at[pair] for pair in pairs], np.int64)
    zeros, weights = (quantiser.zero, quantiser.scale) if quantiser else (None, None)
    found = orders_in_time(rows)
    orders = [found.get(name) for name in names]
    return hdc.fit_geometry(
        rows.features, labels, spans, seed, zeros=zeros, weights=weights, orders=orders
    )


def _by_concept(facts: Iterable[Fact]) -> list[tuple[Concept, FactBatch]]:
    groups: dict[Concept, list[Fact]] = {}
    for fact in facts:
        groups.setdefault((fact.domain, fact.label), []).append(fact)
    return [(concept, stack_facts(rows)) for concept, rows in sorted(groups.items())]


def _concepts(batch: FactBatch) -> Iterator[tuple[str, str, NDArray[np.uint8]]]:
    """Yield each concept of a batch with its features."""
    pairs = list(zip(batch.domains, batch.labels, strict=True))
    for domain, label in sorted(set(pairs)):
        index = [row for row, pair in enumerate(pairs) if pair == (domain, label)]
        yield domain, label, batch.features[index]


def _groups(labels: tuple[str, ...]) -> list[tuple[str, list[int]]]:
    return [
        (name, [row for row, label in enumerate(labels) if label == name])
        for name in sorted(set(labels))
    ]


def conflicting_contributions(known: Knowledge, ledger: Ledger) -> str:
    """Name the devices whose sums do not fit the geometry in use; empty if all do."""
    names = {one.device for one in ledger.contributions().values() if one.samples}
    out = ", ".join(sorted(names - set(known.contributing)))
    return f"of another geometry, and left out: {out}" if out else ""
