"""Knowledge: everything that follows from a ledger under a frozen geometry, and nothing else.

`derive(ledger, geometry)` makes it from scratch; `add` and `remove` keep it up to date, exactly.
Thresholds and heads are made when first asked for after a change, always from the ledger's facts,
so the history of how the facts came in leaves no trace.
"""

import hashlib
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Final

import numpy as np
from numpy.typing import NDArray

import encoder
import hdc

from . import limits
from .adaptors import Adaptor, fit
from .facts import Batch, Fact, Ledger, gather
from .router import Router, allot, fit_router

Concept = tuple[str, str]

CODED_ROWS: Final = 32
"""Facts coded at a time: a code in the making takes some 100 KiB, and small devices many facts."""


class Knowledge:
    """Integer sums per concept, with the thresholds and heads that follow from the ledger.

    ledger: read only.  geometry: frozen.  All facts of the ledger must be in, see `derive`.
    """

    def __init__(self, ledger: Ledger, geometry: hdc.Geometry) -> None:
        self.geometry = geometry
        self.memory = hdc.Memory(geometry)
        self._ledger = ledger
        self._calibration: hdc.Calibration | None = None
        self._calibrated: dict[str, hdc.Calibration] = {}
        self._adaptors: dict[str, Adaptor] = {}
        self._router: Router | None = None

    def add(self, facts: Iterable[Fact]) -> None:
        """Add facts to the sums.  Cost: one projection and one addition a fact."""
        groups = _by_concept(facts)
        for (domain, label), rows in groups:
            self.memory.add(domain, label, self.geometry.project(rows.features))
        self._forget_derived({domain for (domain, _), _ in groups})

    def remove(self, facts: Iterable[Fact]) -> None:
        """Subtract facts from the sums, exactly."""
        groups = _by_concept(facts)
        for (domain, label), rows in groups:
            self.memory.remove(domain, label, self.geometry.project(rows.features))
        self._forget_derived({domain for (domain, _), _ in groups})

    def calibration(self, without: AbstractSet[str] = frozenset()) -> hdc.Calibration:
        """Return the thresholds' ground: held-out scores of the ledger's facts, less `without`.

        Cost: `limits.CALIBRATION_FACTS_MAX` projections and scores per domain that has changed.
        """
        if self._calibration is None:
            domains = self.domains
            for domain in domains:
                if domain not in self._calibrated:
                    held = self._held(domain, without)
                    self._calibrated[domain] = hdc.calibrate(self.memory, held)
            self._calibration = (
                hdc.unite([self._calibrated[domain] for domain in domains])
                if domains
                else hdc.calibrate(self.memory, ())
            )
        return self._calibration

    def adaptor(self, domain: str) -> Adaptor:
        """Return the adaptor that answers for a domain, solved now if facts have changed.

        Raises KeyError for a domain without facts.
        """
        if domain not in self._adaptors:
            versions = self._ledger.adaptors().get(domain, ())
            record = versions[0] if versions else None
            own, others = self.lessons(domain)
            self._adaptors[domain] = fit(own, others, record, self.geometry.slices)
        return self._adaptors[domain]

    def router(self) -> Router:
        """Return the router over the domains that have facts, made now if facts have changed.

        Raises KeyError where there is none.
        """
        if self._router is None:
            counts: dict[str, int] = {}
            for (name, _), count in self._ledger.concepts().items():
                counts[name] = counts.get(name, 0) + count
            if not counts:
                raise KeyError("a router needs facts")
            shares = allot(counts)
            batches = (sample(self._ledger.batches(name), shares[name]) for name in counts)
            self._router = fit_router(batches, self.geometry.slices)
        return self._router

    def route(self, features: NDArray[np.uint8]) -> str:
        """Return the domain that uint8 [width] features belong to, judged by themselves alone."""
        router = self.router()
        return router.domains[int(np.argmax(router.scores(features)))]

    def answer(self, domain: str, features: NDArray[np.uint8]) -> str:
        """Return the likeliest label of uint8 [width] features in a domain that has facts."""
        adaptor = self.adaptor(domain)
        return adaptor.labels[int(np.argmax(adaptor.answer(features)))]

    def lessons(self, domain: str) -> tuple[Batch, Batch]:
        """Return a sample of a domain's facts, and one of all other domains'.

        Raises KeyError for a domain without facts.
        """
        own = sample(self._ledger.batches(domain), limits.HEAD_FACTS_MAX)
        if not len(own):
            raise KeyError(domain)
        others = (b for name in self.domains if name != domain for b in self._ledger.batches(name))
        return own, sample(others, limits.SUPPORT_FACTS_MAX)

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains that have facts, sorted."""
        return tuple(sorted({domain for domain, _ in self.memory.keys}))

    def digest(self, card: str, without: AbstractSet[str] = frozenset()) -> str:
        """Hex digest of card fingerprint, geometry (with its seed), sums and thresholds."""
        parts = (card, self.geometry.fingerprint, self.memory.digest())
        thresholds = self.calibration(without).digest() if self.memory.keys else ""
        return hashlib.sha256("\n".join((*parts, thresholds)).encode()).hexdigest()

    def refit(self, domain: str) -> None:
        """Let a domain's adaptor be made again: another version of it serves from now on."""
        self._adaptors.pop(domain, None)

    def _forget_derived(self, domains: AbstractSet[str]) -> None:
        self._calibration = None
        for domain in domains:
            self._calibrated.pop(domain, None)
        self._router = None
        self._adaptors.clear()

    def _held(self, domain: str, without: AbstractSet[str]) -> Iterator[tuple[str, str, hdc.Codes]]:
        rows = sample(self._ledger.batches(domain, without), limits.CALIBRATION_FACTS_MAX)
        for label, index in _groups(rows.labels):
            for at in range(0, len(index), CODED_ROWS):
                part = rows.features[index[at : at + CODED_ROWS]]
                yield domain, label, self.geometry.project(part)


def derive(
    ledger: Ledger, geometry: hdc.Geometry, without: AbstractSet[str] = frozenset()
) -> Knowledge:
    """Make the knowledge of a ledger, less the ids `without`.  Cost: one projection a fact."""
    knowledge = Knowledge(ledger, geometry)
    for batch in ledger.batches(None, without):
        pairs = list(zip(batch.domains, batch.labels, strict=True))
        for domain, label in sorted(set(pairs)):
            index = [row for row, pair in enumerate(pairs) if pair == (domain, label)]
            codes = geometry.project(batch.features[index])
            knowledge.memory.add(domain, label, codes)
    return knowledge


def sample(batches: Iterable[Batch], size: int) -> Batch:
    """Choose at most `size` facts: those whose ids hash lowest, so the choice depends on the set
    of facts alone (bottom-k sampling, Cohen & Kaplan 2007).  Returned sorted by id."""
    kept: list[tuple[bytes, str, str, str, int]] = []
    rows = np.empty((0, 0), np.uint8)
    for batch in batches:
        if not len(rows):
            rows = np.empty((size + limits.BATCH_FACTS, batch.features.shape[1]), np.uint8)
        ranks = [hashlib.blake2b(one.encode(), digest_size=8).digest() for one in batch.ids]
        last = kept[-1][:2] if len(kept) == size else None
        coming = [
            row for row, rank in enumerate(ranks) if last is None or (rank, batch.ids[row]) < last
        ]
        free = sorted(set(range(len(kept) + len(coming))) - {place for *_, place in kept})
        places = free[: len(coming)]
        rows[places] = batch.features[coming]
        kept += [
            (ranks[row], batch.ids[row], batch.domains[row], batch.labels[row], place)
            for row, place in zip(coming, places, strict=True)
        ]
        kept = sorted(kept)[:size]
    kept.sort(key=lambda fact: fact[1])
    _, ids, domains, labels, places = zip(*kept, strict=True) if kept else ((),) * 5
    return Batch(ids, domains, labels, rows[list(places)])


def survey(
    ledger: Ledger,
    spans: tuple[tuple[int, int], ...],
    seed: int,
    without: AbstractSet[str] = frozenset(),
    quantiser: encoder.Quantiser | None = None,
) -> hdc.Geometry:
    """Freeze a geometry from a sample of the ledger's facts.  A class is a (domain, label).

    quantiser: of the features; it says which level stands for zero, and how large a level is.
    """
    rows = sample(ledger.batches(None, without), limits.SURVEY_FACTS_MAX)
    names = sorted(set(zip(rows.domains, rows.labels, strict=True)))
    at = {name: index for index, name in enumerate(names)}
    pairs = zip(rows.domains, rows.labels, strict=True)
    labels = np.array([at[pair] for pair in pairs], np.int64)
    zeros, weights = (quantiser.zero, quantiser.scale) if quantiser else (None, None)
    return hdc.survey(rows.features, labels, spans, seed, zeros=zeros, weights=weights)


def _by_concept(facts: Iterable[Fact]) -> list[tuple[Concept, Batch]]:
    groups: dict[Concept, list[Fact]] = {}
    for fact in facts:
        groups.setdefault((fact.domain, fact.label), []).append(fact)
    return [(concept, gather(rows)) for concept, rows in sorted(groups.items())]


def _groups(labels: tuple[str, ...]) -> list[tuple[str, list[int]]]:
    return [
        (name, [row for row, label in enumerate(labels) if label == name])
        for name in sorted(set(labels))
    ]
