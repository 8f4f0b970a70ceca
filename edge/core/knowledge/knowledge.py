"""Knowledge: everything that follows from a ledger under a frozen geometry, and nothing else.

`derive(ledger, geometry)` makes it from scratch; `add` and `remove` keep it up to date, exactly.
Sums that other devices contributed are in the ledger too, and are added to those of the own facts.
Thresholds and heads are made when first asked for after a change, always from the ledger's facts,
so the history of how the facts came in leaves no trace.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

import encoder
import hdc

from .. import limits
from ..adaptors import Adaptor, AdaptorRecord, fit_adaptor
from ..errors import EdgeError
from ..facts import Fact, FactBatch, Ledger, stack_facts
from ..router import Router, assign_folds, fit_router
from .cached_heads import HeadFit, SolvedHeads
from .contributions import (
    Contribution,
    ContributionSums,
    count_facts,
    merge_sums,
    pack_sums,
    read_contribution,
)
from .moments import COLUMNS_MAX, Moments
from .sampling import SampleScope, hash_rank, sample_facts, scope_of

if TYPE_CHECKING:
    from .pooled import PooledAnswers

Concept = tuple[str, str]

CODED_ROWS: Final = 32
"""Facts coded at a time: a code in the making takes some 100 KiB, and small devices many facts."""


class Knowledge:
    """Integer sums per concept, with the thresholds and heads that follow from the ledger.

    ledger: read only.  geometry: frozen.  All facts of the ledger must be in, see `derive`, but
    those that are about to leave it: their ids are `leaving`.
    own: sums of the own facts.  memory: the same with what other devices contributed.
    """

    def __init__(
        self, ledger: Ledger, geometry: hdc.Geometry, leaving: AbstractSet[str] = frozenset()
    ) -> None:
        self.geometry = geometry
        self.own = hdc.Memory(geometry)
        self.memory = self.own
        self._ledger = ledger
        self._leaving = leaving
        self._adopted: dict[str, tuple[Contribution, hdc.Calibration]] = {}
        self._calibration: hdc.Calibration | None = None
        self._calibrated: dict[str, hdc.Calibration] = {}
        self._solved = SolvedHeads()
        self._router: tuple[Router, Mapping[str, int], Mapping[str, SampleScope]] | None = None
        self._router_checked = False
        self._moments: Moments | None = None
        self._pooled: PooledAnswers | None = None

    def add(self, facts: Iterable[Fact]) -> None:
        """Add facts to the sums.  Cost: one projection and one addition a fact."""
        given = tuple(facts)
        self._leaving = self._leaving - {fact.id for fact in given}
        for (domain, label), rows in _by_concept(given):
            self._change(domain, label, rows, 1)
        self._forget_derived(given)

    def remove(self, facts: Iterable[Fact]) -> None:
        """Subtract facts from the sums, exactly.  While the ledger still has them, nothing that is
        derived takes them into account."""
        given = tuple(facts)
        self._leaving = frozenset(fact.id for fact in given)
        for (domain, label), rows in _by_concept(given):
            self._change(domain, label, rows, -1)
        self._forget_derived(given)

    def ledger_applied(self) -> None:
        """Note that the ledger holds what was added and no longer what was removed."""
        self._leaving = frozenset()

    def adopt(self, contributions: Mapping[str, Contribution], card: str) -> None:
        """Add the sums of other devices, by device, to those of the own facts, in place of all
        adopted before; those of another card, geometry or columns, or that cannot be read, stay
        out.

        Cost: one pass over their arrays.
        """
        self.memory, self._adopted = self.own, {}
        for device, one in sorted(contributions.items()):
            fits = one.fits(card, self.geometry, self._ledger.columns())
            sums = read_contribution(one, self.geometry) if fits else ""
            if one.samples and isinstance(sums, ContributionSums):
                self.memory = self.own.copy() if self.memory is self.own else self.memory
                self.memory.merge(sums.memory)
                self._adopted[device] = one, sums.calibration
        self._forget_derived()

    @property
    def adopted(self) -> tuple[str, ...]:
        """The devices whose sums are in, sorted."""
        return tuple(self._adopted)

    def contribute(self, device: str, card: str, revision: int) -> Contribution:
        """Make the contribution of the own facts.  Cost: about that of a calibration, and one pass
        over the facts."""
        empty = Contribution(
            device=device,
            card=card,
            geometry=self.geometry.fingerprint,
            seed=self.geometry.seed,
            revision=revision,
            columns=self._ledger.columns(),
        )
        if not self.own.keys:
            return empty
        held = (fact for domain in self.learned for fact in self._held(domain))
        calibration = hdc.calibrate(self.own, held, exemplars=False)
        arrays = pack_sums(self.own, calibration, self._own_moments())
        return replace(empty, samples=sum(self.own.counts.values()), arrays=arrays)

    def calibration(self) -> hdc.Calibration:
        """Return the thresholds' ground: held-out scores of the own facts.

        Cost: `limits.CALIBRATION_FACTS_MAX` projections and scores per domain that has changed.
        """
        if self._calibration is None:
            for domain in self.learned:
                if domain not in self._calibrated:
                    self._calibrated[domain] = hdc.calibrate(self.memory, self._held(domain))
            parts = [self._calibrated[domain] for domain in self.learned]
            made = hdc.merge_calibrations(parts) if parts else hdc.calibrate(self.memory, ())
            if self._adopted:
                made = merge_sums(made, (one for _, one in self._adopted.values()), self.geometry)
            self._calibration = made
        return self._calibration

    def adaptor(self, domain: str) -> Adaptor:
        """Return the adaptor that answers for a domain, solved now if facts have changed.

        The own facts answer where they are the majority in the domain and know every label of it;
        else the sums of all devices do.  Raises KeyError for a domain that nobody has facts of.
        """
        held = self._solved.get(domain)
        if held is not None:
            return held
        if self._by_sums(domain):
            made, reaches = self._answer_by_sums(domain), (SampleScope(), SampleScope())
        else:
            fitting = self._fitting(domain, self._serving(domain))
            made, reaches = fitting.solve(), fitting.reaches
        self._solved.put(domain, made, reaches)
        return made

    def stale(self) -> HeadFit | None:
        """Return an adaptor that was in use and has to be solved again, to be solved beside serving
        before it is asked for; None where there is none.  Hand it back with `settle`."""
        for domain in self._solved.missed():
            if domain in self.learned and not self._by_sums(domain):
                return self._solved.expect(self._fitting(domain, self._serving(domain)))
        return None

    def rehearse(self, record: AdaptorRecord) -> HeadFit | None:
        """Return the adaptor that a domain would have on top of a record that does not serve yet;
        None where facts would not answer.  Hand it back with `settle` once the record serves."""
        domain = record.domain
        if domain not in self.learned or self._by_sums(domain):
            return None
        return self._solved.expect(self._fitting(domain, record))

    def settle(self, fitting: HeadFit, adaptor: Adaptor | None) -> None:
        """Take an adaptor that was solved elsewhere, None where that failed: it answers if it is
        what would be solved here now."""
        fits = fitting.rests_on(self._serving(fitting.domain))
        self._solved.settle(fitting, adaptor if fits else None)

    def _serving(self, domain: str) -> AdaptorRecord | None:
        versions = self._ledger.adaptors().get(domain, ())
        return versions[0] if versions else None

    def _fitting(self, domain: str, record: AdaptorRecord | None) -> HeadFit:
        return HeadFit(domain, *self.lessons(domain), record, self.geometry.slices)

    def flaw_of(self, record: AdaptorRecord) -> str:
        """Say why an adaptor from elsewhere cannot serve a domain that has facts, or nothing.

        Cost: that of solving its head.
        """
        own, others = self.lessons(record.domain)
        try:
            answers = fit_adaptor(own, others, record, self.geometry.slices).answer(own.features)
        except (EdgeError, ValueError, TypeError, LookupError) as error:
            return f"the adaptor of {record.domain}: {error}"
        fine = bool(np.isfinite(answers).all())
        return "" if fine else f"the adaptor of {record.domain} answers with what is no number"

    def router(self) -> Router:
        """Return the router over the domains that have facts, made now if facts have changed.

        Raises KeyError where there is none.
        """
        if self._router is None or not self._router_checked:
            shares = self._shares()
            if self._router is None or self._router[1] != shares:
                reaches: dict[str, SampleScope] = {}
                batches = self._samples(shares, reaches)
                self._router = fit_router(batches, self.geometry.slices), shares, reaches
            self._router_checked = True
        return self._router[0]

    def _shares(self) -> dict[str, int]:
        """Return how many facts of each domain the router is fitted to."""
        counts: dict[str, int] = {}
        for (name, _), count in self.own.counts.items():
            counts[name] = counts.get(name, 0) + count
        if not counts:
            raise KeyError("a router needs facts")
        return assign_folds(counts)

    def _samples(
        self, shares: Mapping[str, int], reaches: dict[str, SampleScope]
    ) -> Iterator[FactBatch]:
        """Yield a sample of each domain, and put down what would change it."""
        for name, share in shares.items():
            batch = sample_facts(self._batches(name), share)
            reaches[name] = scope_of(batch, share)
            yield batch

    def route(self, features: NDArray[np.uint8]) -> str:
        """Return the domain that uint8 [width] features belong to, judged by themselves alone."""
        if self._adopted:
            codes = self.geometry.project(features[None])
            nearest = hdc.detect(codes, self.memory, self.calibration()).domain
            if self.is_foreign(nearest):
                return nearest
        router = self.router()
        return router.domains[int(np.argmax(router.scores(features)))]

    def answer(self, domain: str, features: NDArray[np.uint8]) -> str:
        """Return the likeliest label of uint8 [width] features in a domain that has facts."""
        adaptor = self.adaptor(domain)
        return adaptor.labels[int(np.argmax(adaptor.answer(features)))]

    def lessons(self, domain: str) -> tuple[FactBatch, FactBatch]:
        """Return a sample of a domain's facts, and one of all other domains'.

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
        return tuple(sorted({domain for domain, _ in self.memory.keys}))

    @property
    def learned(self) -> tuple[str, ...]:
        """The domains that have facts here, sorted."""
        return tuple(sorted({domain for domain, _ in self.own.keys}))

    def is_foreign(self, domain: str) -> bool:
        """Say whether a domain is known by other devices' sums alone."""
        return bool(self._adopted) and domain not in self.learned

    def digest(self, card: str) -> str:
        """Hex digest of card fingerprint, geometry (with its seed), sums and thresholds, and of
        what each other device contributed."""
        parts = (card, self.geometry.fingerprint, self.memory.digest())
        thresholds = self.calibration().digest() if self.memory.keys else ""
        adopted = tuple(f"{device} {one.content}" for device, (one, _) in self._adopted.items())
        return hashlib.sha256("\n".join((*parts, thresholds, *adopted)).encode()).hexdigest()

    def refit(self, domain: str) -> None:
        """Let a domain's adaptor be made again: another version of it serves from now on."""
        self._solved.drop(domain)

    def _change(self, domain: str, label: str, rows: FactBatch, sign: int) -> None:
        codes = self.geometry.project(rows.features)
        for memory in {id(one): one for one in (self.own, self.memory)}.values():
            (memory.add if sign > 0 else memory.remove)(domain, label, codes)
        if self._moments is not None:
            self._moments.change((domain, label), rows.features, sign)

    def _by_sums(self, domain: str) -> bool:
        if not self._adopted:
            return False
        own = {key: count for key, count in self.own.counts.items() if key[0] == domain}
        every = {key: count for key, count in self.memory.counts.items() if key[0] == domain}
        return bool(every) and (
            own.keys() < every.keys() or 2 * sum(own.values()) < sum(every.values())
        )

    def _answer_by_sums(self, domain: str) -> Adaptor:
        # Loaded where other devices' sums are adopted.
        from .pooled import NearestConceptAnswer, PooledAnswers

        if self.geometry.slices[0][1] > COLUMNS_MAX:
            labels = tuple(label for name, label in self.memory.keys if name == domain)
            return NearestConceptAnswer(labels, domain, self.memory)
        if self._pooled is None:
            moments = self._own_moments().copy()
            for contribution, _ in self._adopted.values():
                moments.merge(count_facts(contribution.arrays), contribution.arrays)
            self._pooled = PooledAnswers(moments)
        return self._pooled.discriminant(domain)

    def _own_moments(self) -> Moments:
        """Return the moments of the own facts: gathered when first needed, then kept up."""
        if self._moments is None:
            self._moments = Moments(self.geometry.slices[0][1])
            for batch in self._batches():
                for domain, label, rows in _concepts(batch):
                    self._moments.change((domain, label), rows, 1)
        return self._moments

    def _forget_derived(self, facts: Iterable[Fact] | None = None) -> None:
        """Drop what follows from other facts now: all of it where `facts` is None, else what was
        made of a sample that these facts, come or gone, are in or would be in."""
        self._calibration = self._pooled = None
        if facts is None or self._adopted:
            self._calibrated.clear()
            self._solved.clear()
            self._router = None
            return
        self._router_checked = False
        for fact in facts:
            self._calibrated.pop(fact.domain, None)
            place = hash_rank(fact.id)
            self._solved.change(fact.domain, place)
            if self._router and self._router[2].get(fact.domain, SampleScope()).changes(place):
                self._router = None

    def _batches(self, domain: str | None = None) -> Iterable[FactBatch]:
        """Return the facts that are in, of one domain or of all: the ledger's, less those that were
        removed and are still to leave it."""
        return self._ledger.batches(domain, self._leaving)

    def _held(self, domain: str) -> Iterator[tuple[str, str, hdc.Codes]]:
        rows = sample_facts(self._batches(domain), limits.CALIBRATION_FACTS_MAX)
        for label, index in _groups(rows.labels):
            for at in range(0, len(index), CODED_ROWS):
                part = rows.features[index[at : at + CODED_ROWS]]
                yield domain, label, self.geometry.project(part)


def derive_knowledge(
    ledger: Ledger,
    geometry: hdc.Geometry,
    without: AbstractSet[str] = frozenset(),
    card: str = "",
) -> Knowledge:
    """Make the knowledge of a ledger, less the ids `without`.  Cost: one projection a fact.

    card: fingerprint of the encoder card, by which contributions are told; without it none are in.
    """
    knowledge = Knowledge(ledger, geometry, without)
    for batch in ledger.batches(None, without):
        for domain, label, rows in _concepts(batch):
            knowledge.own.add(domain, label, geometry.project(rows))
    if card:
        knowledge.adopt(ledger.contributions(), card)
    return knowledge


def fit_geometry(
    ledger: Ledger,
    spans: tuple[tuple[int, int], ...],
    seed: int,
    without: AbstractSet[str] = frozenset(),
    quantiser: encoder.Quantiser | None = None,
) -> hdc.Geometry:
    """Freeze a geometry from a sample of the ledger's facts.  A class is a (domain, label).

    quantiser: of the features; it says which level stands for zero, and how large a level is.
    """
    rows = sample_facts(ledger.batches(None, without), limits.SURVEY_FACTS_MAX)
    names = sorted(set(zip(rows.domains, rows.labels, strict=True)))
    at = {name: index for index, name in enumerate(names)}
    pairs = zip(rows.domains, rows.labels, strict=True)
    labels = np.array([at[pair] for pair in pairs], np.int64)
    zeros, weights = (quantiser.zero, quantiser.scale) if quantiser else (None, None)
    return hdc.fit_geometry(rows.features, labels, spans, seed, zeros=zeros, weights=weights)


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
